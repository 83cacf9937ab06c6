// SPDX-License-Identifier: MIT
// The library's version, as numbers for the preprocessor and as a string.
#pragma once

#define MIDTREAD_VERSION_MAJOR 0
#define MIDTREAD_VERSION_MINOR 1
#define MIDTREAD_VERSION_PATCH 0
#define MIDTREAD_VERSION \
  (MIDTREAD_VERSION_MAJOR * 10000 + MIDTREAD_VERSION_MINOR * 100 + MIDTREAD_VERSION_PATCH)
#define MIDTREAD_VERSION_STRING "0.1.0"

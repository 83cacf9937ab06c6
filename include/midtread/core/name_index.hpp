// SPDX-License-Identifier: MIT
// Names and a number for each: the one tree of strings that graphs and programs share, since each type costs
// compile time.
#pragma once

#include <midtread/core/platform.hpp>

#include <cstddef>
#include <map>
#include <string>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// In the order of the alphabet.
using NameIndex = std::map<std::string, std::size_t>;

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// What is not a template is compiled in every program that includes it, with all the containers it mentions;
// std::vector of one more type costs 7 ms. These make functions and classes templates with one instance,
// compiled only where they are used.
#pragma once

#include <midtread/core/platform.hpp>

/// In place of `inline` before a function.
#define MIDTREAD_ON_USE \
  template <int = 0>    \
  inline

/// Before `class BasicName`; the class is then called Name. A forward declaration is MIDTREAD_FORWARD_ON_USE.
#define MIDTREAD_CLASS_ON_USE(Name) \
  MIDTREAD_FORWARD_ON_USE(Name)     \
  template <int>
#define MIDTREAD_FORWARD_ON_USE(Name) \
  template <int>                      \
  class Basic##Name;                  \
  using Name = Basic##Name<0>;

// SPDX-License-Identifier: MIT
// One option of an options struct: a chained setter, a getter and the default.
//
//   struct SGDOptions { MIDTREAD_OPTION(double, momentum) = 0; };   SGDOptions().momentum(0.9)
#pragma once

#define MIDTREAD_OPTION(Type, name)                     \
 public:                                                \
  auto name(const Type& value)->decltype(*this) {       \
    name##_ = value;                                    \
    return *this;                                       \
  }                                                     \
  const Type& name() const noexcept { return name##_; } \
                                                        \
 private:                                               \
  Type name##_

// SPDX-License-Identifier: MIT
// What options structs of layers are made of: a pair that one number fills, and checks at construction.
//
//   Conv2dOptions(3, 16, 3).padding(1).bias(false)
#pragma once

#include <midtread/core/error.hpp>
#include <midtread/core/option.hpp>

#include <array>
#include <cstdint>
#include <string>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Height and width, or both at once: 3 is {3, 3}.
class Pair {
 public:
  Pair() = default;
  Pair(std::int64_t both) : values_{both, both} {}  // NOLINT: converts on purpose
  Pair(std::int64_t height, std::int64_t width) : values_{height, width} {}
  Pair(const std::array<std::int64_t, 2>& values) : values_(values) {}  // NOLINT: converts on purpose

  operator const std::array<std::int64_t, 2>&() const noexcept {
    return values_;
  }  // NOLINT: converts on purpose
  std::int64_t operator[](std::size_t i) const { return values_[i]; }
  std::int64_t height() const noexcept { return values_[0]; }
  std::int64_t width() const noexcept { return values_[1]; }

  friend bool operator==(const Pair& a, const Pair& b) { return a.values_ == b.values_; }
  friend bool operator!=(const Pair& a, const Pair& b) { return !(a == b); }
  /// "(3, 3)", as Python prints it.
  friend std::ostream& operator<<(std::ostream& out, const Pair& pair) {
    return out << '(' << pair[0] << ", " << pair[1] << ')';
  }

 private:
  std::array<std::int64_t, 2> values_{};
};

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(nn::detail)

inline const char* python(bool value) { return value ? "True" : "False"; }
/// A pair as one number where both are equal, as PyTorch prints pools.
inline std::string short_text(const Pair& pair) {
  return pair[0] == pair[1] ? concat(pair[0]) : concat(pair);
}

inline void check_at_least(const std::string& where, const char* field, std::int64_t value,
                           std::int64_t low) {
  constexpr std::int64_t limit = std::int64_t{1} << 31;
  if (value < low || value > limit)
    throw ConfigError(where, concat(field, " is ", value, ", allowed ", low, "..", limit));
}
inline void check_at_least(const std::string& where, const char* field, const Pair& value, std::int64_t low) {
  check_at_least(where, field, value[0], low);
  check_at_least(where, field, value[1], low);
}
/// Channels and groups of a convolution.
inline void check_channels(const std::string& where, std::int64_t in, std::int64_t out, std::int64_t groups) {
  check_at_least(where, "in_channels", in, 1);
  check_at_least(where, "out_channels", out, 1);
  check_at_least(where, "groups", groups, 1);
  if (in % groups != 0 || out % groups != 0)
    throw ConfigError(
        where, concat("groups is ", groups, ", it must divide in_channels ", in, " and out_channels ", out));
}

MIDTREAD_NAMESPACE_END

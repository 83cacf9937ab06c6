// SPDX-License-Identifier: MIT
// Options by name, as configuration files give them.
#pragma once

#include <midtread/core/ordered_dict.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <variant>

MIDTREAD_NAMESPACE_BEGIN(quant)

using OptionValue = std::variant<bool, double, std::string>;
using OptionValues = OrderedDict<OptionValue>;

/// Typed reading of one option; the errors name it.
class OptionReader {
 public:
  OptionReader(const std::string& name, const OptionValue& value) : name_(name), value_(value) {}

  bool boolean() const {
    if (const bool* found = std::get_if<bool>(&value_)) return *found;
    throw wrong("true or false");
  }
  double number() const {
    if (const double* found = std::get_if<double>(&value_)) return *found;
    throw wrong("a number");
  }
  const std::string& text() const {
    if (const std::string* found = std::get_if<std::string>(&value_)) return *found;
    throw wrong("a string");
  }
  template <class Integer>
  Integer integer() const {
    const double value = number();
    if (!(value >= static_cast<double>(std::numeric_limits<std::int32_t>::min()) &&
          value <= static_cast<double>(std::numeric_limits<std::int32_t>::max())) ||
        value != std::floor(value))
      throw wrong("an integer");
    return static_cast<Integer>(value);
  }

 private:
  ConfigError wrong(const char* allowed) const {
    return ConfigError(
        printable(name_),
        std::visit([&](const auto& v) { return concat("got ", v, ", allowed ", allowed); }, value_));
  }

  const std::string& name_;
  const OptionValue& value_;
};

MIDTREAD_NAMESPACE_END

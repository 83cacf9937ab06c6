// SPDX-License-Identifier: MIT
// Text in columns of a printed table. Not by <iomanip>, which brings all of <locale>.
#pragma once

#include <midtread/core/platform.hpp>

#include <string>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// `text` and spaces behind it, `width` characters; longer text as it is.
inline std::string flush_left(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}
/// The same with the spaces in front.
inline std::string flush_right(std::string text, std::size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text;
}

MIDTREAD_ROOT_NAMESPACE_END

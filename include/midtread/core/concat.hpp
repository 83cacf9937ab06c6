// SPDX-License-Identifier: MIT
// Messages: any printable values joined into one string. A call site only fills in three words an argument,
// for there are some 700 of them in a program.
#pragma once

#include <midtread/core/platform.hpp>

#include <cstddef>
#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>

MIDTREAD_NAMESPACE_BEGIN(detail)

/// An argument of concat, by value or address.
struct Piece {
  union Value {
    const void* address;
    double real;
    long long whole;
    unsigned long long natural;
  };
  void (*append)(std::string& out, const Piece& piece);
  Value value;
  std::size_t size;
};

inline void append_text(std::string& out, const Piece& piece) {
  out.append(static_cast<const char*>(piece.value.address), piece.size);
}
inline void append_literal(std::string& out, const Piece& piece) {
  out += static_cast<const char*>(piece.value.address);
}
inline void append_character(std::string& out, const Piece& piece) {
  out += static_cast<char>(piece.value.whole);
}
inline void append_whole(std::string& out, const Piece& piece) { out += std::to_string(piece.value.whole); }
inline void append_natural(std::string& out, const Piece& piece) {
  out += std::to_string(piece.value.natural);
}
inline void append_real(std::string& out, const Piece& piece) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", piece.value.real);
  out += text;
}
template <class T>
void append_streamed(std::string& out, const Piece& piece) {
  std::ostringstream stream;
  stream << *static_cast<const T*>(piece.value.address);
  out += stream.str();
}

inline Piece piece(const char* text) { return {append_literal, {text}, 0}; }
inline Piece piece(std::string_view text) { return {append_text, {text.data()}, text.size()}; }
inline Piece piece(const std::string& text) { return {append_text, {text.data()}, text.size()}; }
template <class T>
Piece piece(const T& value) {
  Piece p{nullptr, {&value}, 0};
  if constexpr (std::is_same_v<T, char>) {
    p.append = append_character;
    p.value.whole = value;
  } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    p.append = append_real;
    p.value.real = static_cast<double>(value);
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    p.append = append_whole;
    p.value.whole = value;
  } else if constexpr (std::is_integral_v<T>) {
    p.append = append_natural;
    p.value.natural = value;
  } else {
    p.append = append_streamed<T>;
  }
  return p;
}

MIDTREAD_COLD inline std::string joined(const Piece* pieces, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) pieces[i].append(out, pieces[i]);
  return out;
}

MIDTREAD_NAMESPACE_END
MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Joins its arguments, as operator<< prints them, into one string. (Not by << itself: its overload sets were
/// a third of the library's compile time.)
template <class... Args>
std::string concat(const Args&... args) {
  const detail::Piece pieces[] = {detail::piece(args)...};
  return detail::joined(pieces, sizeof...(args));
}

/// Text from outside (a file, a flag) made fit for a message: at most 64 bytes, control characters as `?`.
inline std::string printable(std::string text) {
  if (text.size() > 64) text = text.substr(0, 61) + "...";
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  return text;
}

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The exceptions. Each is one line: what kind, where, what was got, what is allowed, what to do.
#pragma once

#include <midtread/core/platform.hpp>

#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

MIDTREAD_ROOT_NAMESPACE_BEGIN

enum class ErrorCode {
  kConfig,
  kShape,
  kDType,
  kNumeric,
  kQuantization,
  kTrace,
  kEngine,
  kFormat,
  kIo,
  kState,
  kUnsupported
};

/// Base of all errors. `where()` is a module path, a JSON pointer, a tensor's name or file:offset; `detail()`
/// the rest.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const char* kind, const std::string& where, const std::string& detail)
      : std::runtime_error(std::string(kind) + ": " + (where.empty() ? detail : where + ": " + detail)),
        code_(code),
        where_(where),
        detail_(detail) {}
  ErrorCode code() const noexcept { return code_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& detail() const noexcept { return detail_; }

 private:
  ErrorCode code_;
  std::string where_;
  std::string detail_;
};

#define MIDTREAD_DEFINE_ERROR(Name, code)                     \
  class Name : public Error {                                 \
   public:                                                    \
    Name(const std::string& where, const std::string& detail) \
        : Error(ErrorCode::code, #Name, where, detail) {}     \
  }

MIDTREAD_DEFINE_ERROR(ConfigError, kConfig);
MIDTREAD_DEFINE_ERROR(ShapeError, kShape);
MIDTREAD_DEFINE_ERROR(DTypeError, kDType);
MIDTREAD_DEFINE_ERROR(NumericError, kNumeric);
MIDTREAD_DEFINE_ERROR(QuantizationError, kQuantization);
MIDTREAD_DEFINE_ERROR(TraceError, kTrace);
MIDTREAD_DEFINE_ERROR(EngineError, kEngine);
MIDTREAD_DEFINE_ERROR(FormatError, kFormat);
MIDTREAD_DEFINE_ERROR(IoError, kIo);
MIDTREAD_DEFINE_ERROR(StateError, kState);
MIDTREAD_DEFINE_ERROR(UnsupportedError, kUnsupported);
#undef MIDTREAD_DEFINE_ERROR

/// The exit status of a program that ends on `error`: 2 usage or configuration, 3 file contents, 4 engine, 5
/// I/O, 6 numeric.
inline int exit_status(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kFormat: return 3;
    case ErrorCode::kEngine: return 4;
    case ErrorCode::kIo: return 5;
    case ErrorCode::kNumeric:
    case ErrorCode::kQuantization: return 6;
    default: return 2;
  }
}

MIDTREAD_ROOT_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(detail)
inline void append(std::string& out, const std::string& text) { out += text; }
inline void append(std::string& out, const char* text) { out += text; }
inline void append(std::string& out, char c) { out += c; }
inline void append_number(std::string& out, double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  out += text;
}
template <class T>
void append(std::string& out, const T& value) {
  if constexpr (std::is_floating_point_v<T>) {
    append_number(out, static_cast<double>(value));
  } else if constexpr (std::is_integral_v<T>) {
    out += std::to_string(value);
  } else {
    std::ostringstream stream;
    stream << value;
    out += stream.str();
  }
}
MIDTREAD_NAMESPACE_END
MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Joins its arguments, as operator<< prints them, into one string. (Not by << itself: its overload sets were
/// a third of the library's compile time.)
template <class... Args>
std::string concat(const Args&... args) {
  std::string out;
  (detail::append(out, args), ...);
  return out;
}

/// Text from outside (a file, a flag) made fit for a message: at most 64 bytes, control characters as `?`.
inline std::string printable(std::string text) {
  if (text.size() > 64) text = text.substr(0, 61) + "...";
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  return text;
}

MIDTREAD_ROOT_NAMESPACE_END

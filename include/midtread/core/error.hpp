// SPDX-License-Identifier: MIT
// The exceptions. Each is one line: what kind, where, what was got, what is allowed, what to do.
#pragma once

#include <midtread/core/concat.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

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
  MIDTREAD_COLD Error(ErrorCode code, const char* kind, std::string_view where, const std::string& detail)
      : std::runtime_error(std::string(kind) + ": " +
                           (where.empty() ? detail : std::string(where) + ": " + detail)),
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

#define MIDTREAD_DEFINE_ERROR(Name, code)                                 \
  class Name : public Error {                                             \
   public:                                                                \
    MIDTREAD_COLD Name(std::string_view where, const std::string& detail) \
        : Error(ErrorCode::code, #Name, where, detail) {}                 \
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

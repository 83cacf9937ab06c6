// SPDX-License-Identifier: MIT
// The element types and their C++ counterparts.
#pragma once

#include <midtread/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <ostream>

MIDTREAD_ROOT_NAMESPACE_BEGIN

enum class DType { kFloat32, kFloat64, kInt64, kInt32, kUInt8, kInt8 };

template <class Scalar>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::kFloat32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::kFloat64;
};
template <>
struct dtype_of<std::int64_t> {
  static constexpr DType value = DType::kInt64;
};
template <>
struct dtype_of<std::int32_t> {
  static constexpr DType value = DType::kInt32;
};
template <>
struct dtype_of<std::uint8_t> {
  static constexpr DType value = DType::kUInt8;
};
template <>
struct dtype_of<std::int8_t> {
  static constexpr DType value = DType::kInt8;
};
template <class Scalar>
inline constexpr DType dtype_of_v = dtype_of<Scalar>::value;

inline const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "float32";
    case DType::kFloat64: return "float64";
    case DType::kInt64: return "int64";
    case DType::kInt32: return "int32";
    case DType::kUInt8: return "uint8";
    case DType::kInt8: return "int8";
  }
  return "?";
}

inline std::ostream& operator<<(std::ostream& out, DType dtype) { return out << to_string(dtype); }

/// Bytes per element.
inline std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kInt64: return 8;
    case DType::kFloat32:
    case DType::kInt32: return 4;
    default: return 1;
  }
}

MIDTREAD_ROOT_NAMESPACE_END

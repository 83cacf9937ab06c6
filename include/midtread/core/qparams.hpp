// SPDX-License-Identifier: MIT
// Scale, zero point and code range of a quantized tensor, as plain data.
//
//   real = (code - zero_point) * scale        quant_min <= code <= quant_max
#pragma once

#include <midtread/core/dtype.hpp>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// How a real number becomes an integer.
enum class Rounding { kHalfEven, kHalfUp, kHalfDown, kStdRound };

/// The integer codes a quantizer may produce.
struct CodeRange {
  std::int32_t quant_min = 0;
  std::int32_t quant_max = 255;
  friend bool operator==(const CodeRange& a, const CodeRange& b) {
    return a.quant_min == b.quant_min && a.quant_max == b.quant_max;
  }
};

/// One scale and zero point (an activation).
struct QParams {
  float scale = 1.0f;
  std::int32_t zero_point = 0;
  CodeRange range;
  DType dtype = DType::kUInt8;  ///< kUInt8 or kInt8
  Rounding rounding = Rounding::kHalfEven;

  friend bool operator==(const QParams& a, const QParams& b) {
    return a.scale == b.scale && a.zero_point == b.zero_point && a.range == b.range && a.dtype == b.dtype &&
           a.rounding == b.rounding;
  }
  friend bool operator!=(const QParams& a, const QParams& b) { return !(a == b); }
};

/// One scale and zero point per channel along `axis` (a weight). Per tensor: one element and axis -1.
struct ChannelQParams {
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;
  int axis = -1;
  CodeRange range{-127, 127};
  DType dtype = DType::kInt8;
  Rounding rounding = Rounding::kHalfEven;

  float scale(std::int64_t channel) const { return scales[axis < 0 ? 0 : static_cast<std::size_t>(channel)]; }
  std::int32_t zero_point(std::int64_t channel) const {
    return zero_points[axis < 0 ? 0 : static_cast<std::size_t>(channel)];
  }
};

/// Throws QuantizationError unless the scale is normal and finite and the range fits the dtype and holds the
/// zero point.
inline void check(const QParams& q, const std::string& where) {
  if (!(q.scale >= 1.17549435e-38f) || !std::isfinite(q.scale))
    throw QuantizationError(where, concat("scale ", q.scale, " must be a normal, positive, finite float32"));
  const std::int32_t low = q.dtype == DType::kUInt8 ? 0 : -128, high = q.dtype == DType::kUInt8 ? 255 : 127;
  if (q.dtype != DType::kUInt8 && q.dtype != DType::kInt8)
    throw QuantizationError(where, concat("dtype ", q.dtype, ", allowed uint8 and int8"));
  if (q.range.quant_min < low || q.range.quant_max > high || q.range.quant_min >= q.range.quant_max)
    throw QuantizationError(where,
                            concat("code range ", q.range.quant_min, "..", q.range.quant_max,
                                   " must be increasing and lie in ", low, "..", high, " of ", q.dtype));
  if (q.zero_point < q.range.quant_min || q.zero_point > q.range.quant_max)
    throw QuantizationError(where, concat("zero point ", q.zero_point, " outside the code range ",
                                          q.range.quant_min, "..", q.range.quant_max));
}

MIDTREAD_ROOT_NAMESPACE_END

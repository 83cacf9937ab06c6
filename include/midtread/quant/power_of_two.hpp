// SPDX-License-Identifier: MIT
// Scales that are powers of two, as shift-only hardware wants them (Vitis AI's fix positions).
//
//   scale = 2^-p      p0 = floor(log2(1 / step)),  step = max(min / (lo - z - 1/2), max / (hi - z + 1/2))
//
// p0 is the largest p at which no value lies more than half a step outside the codes. It is at most 12 for
// codes of up to 8 bits.
#pragma once

#include <midtread/core/qparams.hpp>

#include <algorithm>
#include <cmath>
#include <string>

MIDTREAD_NAMESPACE_BEGIN(quant)

enum class ScaleType { kFloat, kPowerOfTwo };

inline const char* to_string(ScaleType type) { return type == ScaleType::kFloat ? "float" : "power_of_two"; }

/// "float", "power_of_two" and Vitis AI's "poweroftwo". Throws ConfigError.
inline ScaleType parse_scale_type(const std::string& name) {
  if (name == "float") return ScaleType::kFloat;
  if (name == "power_of_two" || name == "poweroftwo") return ScaleType::kPowerOfTwo;
  throw ConfigError("scale_type", concat("got '", printable(name), "', allowed float, power_of_two"));
}

inline constexpr int kMaxFixPosition = 12;
inline constexpr float kZeroRangeScale = 3.814697265625e-06f;  // 2^-18, for data that is all zero

/// floor(log2(1 / step)), exact; 18 where step is 0.
inline int fix_position(double step) {
  if (!(step > 0)) return 18;
  int exponent = 0;
  const double mantissa = std::frexp(step, &exponent);  // step = mantissa 2^exponent, 1/2 <= mantissa < 1
  return mantissa == 0.5 ? 1 - exponent : -exponent;
}

/// p0 of values in min..max; not held to kMaxFixPosition.
inline int overflow_free_position(float min, float max, CodeRange range, std::int32_t zero_point) {
  const double below = static_cast<double>(range.quant_min - zero_point) - 0.5,
               above = static_cast<double>(range.quant_max - zero_point) + 0.5;
  return fix_position(std::max(static_cast<double>(std::min(min, 0.0f)) / below,
                               static_cast<double>(std::max(max, 0.0f)) / above));
}

/// 2^-p, p at most kMaxFixPosition.
inline float fix_position_scale(int position) {
  return static_cast<float>(std::ldexp(1.0, -std::min(position, kMaxFixPosition)));
}

MIDTREAD_NAMESPACE_END

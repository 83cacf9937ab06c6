// SPDX-License-Identifier: MIT
// Scales and zero points from observed ranges, and the integer code of a bias.
//
//   affine     s = max((p - n) / (hi - lo), eps), z = clamp(lo - rne(n / s), lo, hi)     n = min(min, 0), p =
//   max(max, 0) symmetric  s = max(max(-n, p) / ((hi - lo) / 2), eps), z = the middle of the dtype
#pragma once

#include <midtread/kernels/affine.hpp>

#include <limits>

MIDTREAD_NAMESPACE_BEGIN(kernels)
MIDTREAD_EXACT_BEGIN

inline constexpr float kQParamsEps = 1.1920928955078125e-07f;  // 2^-23
inline constexpr float kBiasLimit = 1073741824.0f;             // 2^30

/// PyTorch's observer rule (torch.ao.quantization, `_calculate_qparams`), the one rule of training and
/// conversion. `min` and `max` are finite (the observer has checked). Symmetric uint8: z = 128, or the middle
/// of a narrower range.
inline AffineParams choose_qparams(float min, float max, bool symmetric, CodeRange range, DType dtype,
                                   float eps = kQParamsEps) {
  MIDTREAD_EXACT
  const float n = std::min(min, 0.0f), p = std::max(max, 0.0f);
  const float steps = static_cast<float>(range.quant_max - range.quant_min);
  AffineParams result;
  if (symmetric) {
    result.scale = std::max(std::max(-n, p) / (steps / 2.0f), eps);
    const bool full = range.quant_min == 0 && range.quant_max == 255;
    if (dtype == DType::kUInt8) result.zero_point = full ? 128 : (range.quant_min + range.quant_max) / 2;
    return result;
  }
  float width = p - n;
  float scale = width / steps;
  if (!(width <= std::numeric_limits<float>::max()))
    scale =
        static_cast<float>((static_cast<double>(p) - static_cast<double>(n)) / static_cast<double>(steps));
  result.scale = std::max(scale, eps);
  const float zero = clamp_float(n / result.scale, -steps, 0.0f);
  result.zero_point = range.quant_min - round_half_even(zero);
  return result;
}

/// rne(b * (1/bs)) with bs = input scale * weight scale, held to [-2^30, 2^30) so that adding it to an
/// accumulator of at most 2^30 cannot overflow.
inline std::int32_t bias_code(float bias, float bias_scale) {
  MIDTREAD_EXACT
  return round_half_even(clamp_float(bias * reciprocal(bias_scale), -kBiasLimit, 1073741760.0f));
}

/// The weight scale that keeps the bias code within 2^30: `scale`, or abs(bias) / (2^30 * input_scale) if
/// that is more.
inline float raised_weight_scale(float scale, float bias, float input_scale) {
  MIDTREAD_EXACT
  const float bias_scale = input_scale * scale;
  if (!(std::fabs(bias) > kBiasLimit * bias_scale)) return scale;
  return std::max(scale, std::fabs(bias) / (kBiasLimit * input_scale));
}

MIDTREAD_EXACT_END
MIDTREAD_NAMESPACE_END

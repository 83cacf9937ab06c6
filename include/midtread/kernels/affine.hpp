// SPDX-License-Identifier: MIT
// The affine map between real numbers and integer codes, one element at a time and over arrays.
//
//   quantize    q = clamp(rne(x * (1/s)), lo - z, hi - z) + z       dequantize  (q - z) * s
//   requantize  y = clamp(rne(float(acc) * m), lo - z, hi - z) + z  (1712.05877)
//
// float32, every product and sum rounded by itself; the clamp is done in float, before the conversion to an
// integer. Callers hold an FpEnvGuard: the current rounding mode is round half to even.
#pragma once

#include <midtread/core/qparams.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#if MIDTREAD_X86
#include <emmintrin.h>
#elif MIDTREAD_AARCH64
#include <arm_neon.h>
#endif

MIDTREAD_NAMESPACE_BEGIN(kernels)
MIDTREAD_EXACT_BEGIN

/// Scale and zero point of one tensor or channel.
struct AffineParams {
  float scale = 1.0f;
  std::int32_t zero_point = 0;
};

/// All that quantizing needs: scale, zero point, code range, rounding.
struct QuantizeParams {
  float scale = 1.0f;
  std::int32_t zero_point = 0;
  CodeRange range;
  Rounding rounding = Rounding::kHalfEven;

  AffineParams affine() const { return {scale, zero_point}; }
};

/// `q` for the uint8 codes an engine works on: int8 codes, range and zero point move up by 128.
inline QuantizeParams engine_params(const QParams& q) {
  const std::int32_t shift = q.dtype == DType::kInt8 ? 128 : 0;
  return {q.scale, q.zero_point + shift, {q.range.quant_min + shift, q.range.quant_max + shift}, q.rounding};
}

/// Round half to even of a float that fits an int32, whatever the compiler flags.
inline std::int32_t round_half_even(float x) {
#if MIDTREAD_X86
  return _mm_cvtss_si32(_mm_set_ss(x));
#elif MIDTREAD_AARCH64
  return vcvtns_s32_f32(x);
#elif MIDTREAD_ARM32
  float result;
  asm("vcvtr.s32.f32 %0, %1" : "=t"(result) : "t"(x));
  std::int32_t code;
  std::memcpy(&code, &result, sizeof code);
  return code;
#else
  return static_cast<std::int32_t>(std::lrint(x));
#endif
}

/// To the nearest; ties go up (half_up), towards zero (half_down, Vitis AI's), away from zero (std_round) or to even.
/// Not floor(x + 0.5f): that sum rounds, and takes 0.49999997f to 1.
inline std::int32_t round(float x, Rounding rounding) {
  MIDTREAD_EXACT
  switch (rounding) {
    case Rounding::kHalfUp: {
      const float below = std::floor(x);
      return static_cast<std::int32_t>(x - below >= 0.5f ? below + 1.0f : below);
    }
    case Rounding::kHalfDown: {
      const float size = std::fabs(x), below = std::floor(size), nearest = size - below > 0.5f ? below + 1.0f : below;
      return static_cast<std::int32_t>(x < 0 ? -nearest : nearest);
    }
    case Rounding::kStdRound: return static_cast<std::int32_t>(std::round(x));
    case Rounding::kHalfEven: break;
  }
  return round_half_even(x);
}

/// x held to [lo, hi]; NaN becomes lo.
inline float clamp_float(float x, float lo, float hi) { return x > lo ? (x < hi ? x : hi) : lo; }

inline float reciprocal(float scale) {
  MIDTREAD_EXACT
  return 1.0f / scale;
}

/// `inverse_scale` is reciprocal(scale). NaN gives quant_min; callers that must report it look first.
inline std::int32_t quantize_code(float x, float inverse_scale, std::int32_t zero_point, CodeRange range,
                                  Rounding rounding = Rounding::kHalfEven) {
  MIDTREAD_EXACT
  const float v = clamp_float(x * inverse_scale, static_cast<float>(range.quant_min - zero_point),
                              static_cast<float>(range.quant_max - zero_point));
  return round(v, rounding) + zero_point;
}

inline float dequantize(std::int32_t code, std::int32_t zero_point, float scale) {
  MIDTREAD_EXACT
  return static_cast<float>(code - zero_point) * scale;
}

/// `acc` holds the bias code already; `multiplier` is bias_scale / output_scale.
inline std::int32_t requantize(std::int32_t acc, float multiplier, std::int32_t zero_point, std::int32_t lo,
                               std::int32_t hi, Rounding rounding = Rounding::kHalfEven) {
  MIDTREAD_EXACT
  const float v = clamp_float(static_cast<float>(acc) * multiplier, static_cast<float>(lo - zero_point),
                              static_cast<float>(hi - zero_point));
  return round(v, rounding) + zero_point;
}

/// `n` real numbers to codes of type `Code` (uint8_t or int8_t).
template <class Code>
void quantize(const float* x, Code* q, std::int64_t n, const QuantizeParams& p) {
  MIDTREAD_EXACT
  const float inverse = reciprocal(p.scale);
  for (std::int64_t i = 0; i < n; ++i)
    q[i] = static_cast<Code>(quantize_code(x[i], inverse, p.zero_point, p.range, p.rounding));
}

/// `n` codes to real numbers.
template <class Code>
void dequantize(const Code* q, float* x, std::int64_t n, AffineParams p) {
  MIDTREAD_EXACT
  for (std::int64_t i = 0; i < n; ++i) x[i] = dequantize(std::int32_t{q[i]}, p.zero_point, p.scale);
}

MIDTREAD_EXACT_END
MIDTREAD_NAMESPACE_END

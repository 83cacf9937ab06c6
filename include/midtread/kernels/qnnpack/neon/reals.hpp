// SPDX-License-Identifier: MIT
// 16 codes as real numbers in vectors, the way back, and fewer than 16.
//
//   real = (q - z) * s        q = clamp(rne(real * (1 / s)) + z, lo, hi)
#pragma once

#include <midtread/kernels/qnnpack/neon/vector.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)
MIDTREAD_NEON_BEGIN

/// 16 codes as reals, (q - z) * s.
struct Reals {
  float32x4_t v[4];
};

inline Reals dequantize_16(uint8x16_t q, AffineParams in) {
  const uint8x16_t z = vdupq_n_u8(static_cast<std::uint8_t>(in.zero_point));
  const int16x8_t low = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(q), vget_low_u8(z)));
  const int16x8_t high = vreinterpretq_s16_u16(vsubl_high_u8(q, z));
  return {{vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), in.scale),
           vmulq_n_f32(vcvtq_f32_s32(vmovl_high_s16(low)), in.scale),
           vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), in.scale),
           vmulq_n_f32(vcvtq_f32_s32(vmovl_high_s16(high)), in.scale)}};
}

/// Of numbers in units of the output scale.
inline uint8x16_t round_16(const Reals& scaled, const OutputCodes& bounds) {
  int32x4_t v[4];
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < 4; ++i) v[i] = vcvtnq_s32_f32(scaled.v[i]);
  return codes_16(v, bounds);
}

inline uint8x16_t quantize_16(Reals real, float inverse, const OutputCodes& bounds) {
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < 4; ++i) real.v[i] = vmulq_n_f32(real.v[i], inverse);
  return round_16(real, bounds);
}

/// `n` < 16 codes or numbers in a vector's lanes: two halves that may overlap, two quarters, or three single
/// ones.
inline uint8x16_t load_short(const std::uint8_t* x, std::int64_t n) {
  if (n >= 8) return vcombine_u8(vld1_u8(x), vld1_u8(x + n - 8));
  if (n >= 4) {
    std::uint32_t first, last;
    std::memcpy(&first, x, 4);
    std::memcpy(&last, x + n - 4, 4);
    return vreinterpretq_u8_u32(vsetq_lane_u32(last, vdupq_n_u32(first), 1));
  }
  return vsetq_lane_u8(x[n - 1], vsetq_lane_u8(x[n / 2], vdupq_n_u8(x[0]), 1), 2);
}
inline void store_short(uint8x16_t codes, std::uint8_t* y, std::int64_t n) {
  if (n >= 8) {
    vst1_u8(y, vget_low_u8(codes));
    vst1_u8(y + n - 8, vget_high_u8(codes));
  } else if (n >= 4) {
    const std::uint32_t first = vgetq_lane_u32(vreinterpretq_u32_u8(codes), 0);
    const std::uint32_t last = vgetq_lane_u32(vreinterpretq_u32_u8(codes), 1);
    std::memcpy(y, &first, 4);
    std::memcpy(y + n - 4, &last, 4);
  } else {
    y[0] = vgetq_lane_u8(codes, 0);
    y[n / 2] = vgetq_lane_u8(codes, 1);
    y[n - 1] = vgetq_lane_u8(codes, 2);
  }
}
inline Reals load_short(const float* x, std::int64_t n) {
  if (n >= 8) return {{vld1q_f32(x), vld1q_f32(x + 4), vld1q_f32(x + n - 8), vld1q_f32(x + n - 4)}};
  const float32x4_t zero = vdupq_n_f32(0.0f);
  if (n >= 4) return {{vld1q_f32(x), vld1q_f32(x + n - 4), zero, zero}};
  const float32x4_t ends = vsetq_lane_f32(x[n - 1], vdupq_n_f32(x[0]), 2);
  return {{vsetq_lane_f32(x[n / 2], ends, 1), zero, zero, zero}};
}
inline void store_short(const Reals& real, float* x, std::int64_t n) {
  if (n >= 8) {
    vst1q_f32(x, real.v[0]);
    vst1q_f32(x + 4, real.v[1]);
    vst1q_f32(x + n - 8, real.v[2]);
    vst1q_f32(x + n - 4, real.v[3]);
  } else if (n >= 4) {
    vst1q_f32(x, real.v[0]);
    vst1q_f32(x + n - 4, real.v[1]);
  } else {
    x[0] = vgetq_lane_f32(real.v[0], 0);
    x[n / 2] = vgetq_lane_f32(real.v[0], 1);
    x[n - 1] = vgetq_lane_f32(real.v[0], 2);
  }
}

MIDTREAD_NEON_END
MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// Small steps that the NEON kernels share: codes as int8, and the way back from int32 to codes.
//
// Codes lose 128 on the way in (q ^ 0x80), since NEON multiplies int8 by int8. On the way out rounding comes
// before clamping: fcvtns and the narrowing steps saturate, so the result is that of the contract's other
// order.
#pragma once

#include <midtread/kernels/affine.hpp>
#include <midtread/kernels/conv_params.hpp>
#include <midtread/kernels/qnnpack/neon/intrinsics.hpp>

#include <cstring>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

/// The requantization of one kernel call.
struct OutputCodes {
  std::int16_t zero_point;
  std::uint8_t lo, hi;
};

MIDTREAD_ALWAYS_INLINE OutputCodes output_codes(std::int32_t lo, std::int32_t hi, std::int32_t zero_point) {
  return {static_cast<std::int16_t>(zero_point), static_cast<std::uint8_t>(lo),
          static_cast<std::uint8_t>(hi)};
}

MIDTREAD_NEON_BEGIN

/// 16 codes of integers relative to the zero point.
inline uint8x16_t codes_16(const int32x4_t* v, const OutputCodes& out) {
  const int16x8_t zero_point = vdupq_n_s16(out.zero_point);
  const int16x8_t low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(v[0]), v[1]), zero_point);
  const int16x8_t high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(v[2]), v[3]), zero_point);
  const uint8x16_t codes = vqmovun_high_s16(vqmovun_s16(low), high);
  return vminq_u8(vmaxq_u8(codes, vdupq_n_u8(out.lo)), vdupq_n_u8(out.hi));
}

/// Requantization of 16 channels, its constants in registers.
struct Requantizer {
  float32x4_t multiplier[4];
  int16x8_t zero_point;
  uint8x16_t lo, hi;

  MIDTREAD_ALWAYS_INLINE Requantizer(const float* m, const OutputCodes& out)
      : multiplier{vld1q_f32(m), vld1q_f32(m + 4), vld1q_f32(m + 8), vld1q_f32(m + 12)},
        zero_point(vdupq_n_s16(out.zero_point)),
        lo(vdupq_n_u8(out.lo)),
        hi(vdupq_n_u8(out.hi)) {}

  /// Accumulators, bias included, to codes.
  MIDTREAD_ALWAYS_INLINE uint8x16_t operator()(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) const {
    const int16x4_t low = vqmovn_s32(scaled(a, 0)), high = vqmovn_s32(scaled(c, 2));
    const int16x8_t first = vqaddq_s16(vqmovn_high_s32(low, scaled(b, 1)), zero_point);
    const int16x8_t second = vqaddq_s16(vqmovn_high_s32(high, scaled(d, 3)), zero_point);
    return vminq_u8(vmaxq_u8(vqmovun_high_s16(vqmovun_s16(first), second), lo), hi);
  }
  /// Of the first 8 channels.
  MIDTREAD_ALWAYS_INLINE uint8x8_t half(int32x4_t a, int32x4_t b) const {
    const int16x8_t both = vqmovn_high_s32(vqmovn_s32(scaled(a, 0)), scaled(b, 1));
    const uint8x8_t codes = vqmovun_s16(vqaddq_s16(both, zero_point));
    return vmin_u8(vmax_u8(codes, vget_low_u8(lo)), vget_low_u8(hi));
  }

 private:
  MIDTREAD_ALWAYS_INLINE int32x4_t scaled(int32x4_t acc, int i) const {
    return vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(acc), multiplier[i]));
  }
};

/// The first `n` of 8 codes, n < 8.
MIDTREAD_ALWAYS_INLINE void store_fewer(uint8x8_t rest, std::uint8_t* out, std::int64_t n) {
  if ((n & 4) != 0) {
    const std::uint32_t four = vget_lane_u32(vreinterpret_u32_u8(rest), 0);
    std::memcpy(out, &four, 4);
    rest = vext_u8(rest, rest, 4);
    out += 4;
  }
  if ((n & 2) != 0) {
    const std::uint16_t two = vget_lane_u16(vreinterpret_u16_u8(rest), 0);
    std::memcpy(out, &two, 2);
    rest = vext_u8(rest, rest, 2);
    out += 2;
  }
  if ((n & 1) != 0) *out = vget_lane_u8(rest, 0);
}
/// The first `n` of 8 codes.
MIDTREAD_ALWAYS_INLINE void store_codes(uint8x8_t codes, std::uint8_t* out, std::int64_t n) {
  if (n == 8)
    vst1_u8(out, codes);
  else
    store_fewer(codes, out, n);
}
/// The first `n` of 16 codes, 8 < n < 16.
MIDTREAD_ALWAYS_INLINE void store_codes(uint8x16_t codes, std::uint8_t* out, std::int64_t n) {
  vst1_u8(out, vget_low_u8(codes));
  store_fewer(vget_high_u8(codes), out + 8, n - 8);
}
/// The first `n` of the 16 codes at `from`, n < 16.
MIDTREAD_ALWAYS_INLINE void store_part(const std::uint8_t* from, std::uint8_t* out, std::int64_t n) {
  if (n > 8)
    store_codes(vld1q_u8(from), out, n);
  else
    store_codes(vld1_u8(from), out, n);
}

/// 8 codes of `a`, 8 of `b`, in turn: `n` of each, a multiple of 8. Returns the end.
inline std::int8_t* interleave_8(const std::int8_t* a, const std::int8_t* b, std::int64_t n,
                                 std::int8_t* out) {
  for (; n >= 16; n -= 16, a += 16, b += 16, out += 32) {
    const int64x2_t low = vreinterpretq_s64_s8(vld1q_s8(a)), high = vreinterpretq_s64_s8(vld1q_s8(b));
    vst1q_s8(out, vreinterpretq_s8_s64(vzip1q_s64(low, high)));
    vst1q_s8(out + 16, vreinterpretq_s8_s64(vzip2q_s64(low, high)));
  }
  if (n == 0) return out;
  vst1q_s8(out, vcombine_s8(vld1_s8(a), vld1_s8(b)));
  return out + 16;
}

inline int8x16_t flip_16(const std::uint8_t* q) {
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(q), vdupq_n_u8(0x80)));
}

/// q - 128 as int8.
inline void flip(const std::uint8_t* q, std::int64_t n, std::int8_t* out) {
  if (n < 16) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<std::int8_t>(q[i] - 128);
    return;
  }
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    // All loads before the stores: they become pairs.
    const int8x16_t a = flip_16(q + i), b = flip_16(q + i + 16), c = flip_16(q + i + 32),
                    d = flip_16(q + i + 48);
    vst1q_s8(out + i, a);
    vst1q_s8(out + i + 16, b);
    vst1q_s8(out + i + 32, c);
    vst1q_s8(out + i + 48, d);
  }
  for (; i < n; i += 16) {
    if (i + 16 > n) i = n - 16;
    vst1q_s8(out + i, flip_16(q + i));
  }
}

/// `pixels` pixels of `channels` codes, starts `q_pitch` apart: q - 128, starts `out_pitch` apart.
inline void flip_pixels(const std::uint8_t* q, std::int64_t pixels, std::int64_t channels,
                        std::int64_t q_pitch, std::int8_t* out, std::int64_t out_pitch) {
  if (channels == q_pitch && channels == out_pitch) {
    flip(q, pixels * channels, out);
    return;
  }
  for (std::int64_t p = 0; p < pixels; ++p, q += q_pitch, out += out_pitch) {
    flip(q, channels, out);
    if (out_pitch > channels) std::memset(out + channels, 0, static_cast<std::size_t>(out_pitch - channels));
  }
}

MIDTREAD_NEON_END
MIDTREAD_NAMESPACE_END

#endif

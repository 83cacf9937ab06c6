// SPDX-License-Identifier: MIT
// Average and max pooling on NEON, 16 channels at a time.
//
// The average divides in float32: for fewer than 2^16 counted codes the quotient is nearer to its true value
// than to any tie (a tie is at least 1 / (2 n) away, the quotient within 2^-17), so rounding it is exact.
#pragma once

#include <midtread/kernels/pool_windows.hpp>
#include <midtread/kernels/qnnpack/neon/vector.hpp>
#include <midtread/kernels/reference/pool.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

inline constexpr std::int64_t kMaxAverageWindow = (1 << 16) - 1;

/// What all channels of one output share.
struct AverageTerms {
  std::int32_t counted;
  std::int32_t taken;  ///< zero point * codes in the window
  float inverse;       ///< of counted
  OutputCodes bounds;
};

MIDTREAD_NEON_BEGIN

/// sum / counted, half to even.
inline int32x4_t divide(int32x4_t sum, int32x4_t counted, float inverse) {
#if MIDTREAD_AARCH64
  static_cast<void>(inverse);
  return vcvtnq_s32_f32(vdivq_f32(vcvtq_f32_s32(sum), vcvtq_f32_s32(counted)));
#else
  // No division: the product with the inverse misses by one at most; twice the rest says where.
  const int32x4_t near = vcvtnq_s32_f32(vmulq_n_f32(vcvtq_f32_s32(sum), inverse));
  const int32x4_t rest = vshlq_n_s32(vmlsq_s32(sum, near, counted), 1), odd = vandq_s32(near, vdupq_n_s32(1));
  const uint32x4_t above = vcgtq_s32(vaddq_s32(rest, odd), counted);
  const uint32x4_t below = vcltq_s32(vsubq_s32(rest, odd), vnegq_s32(counted));
  return vaddq_s32(vsubq_s32(near, vreinterpretq_s32_u32(above)), vreinterpretq_s32_u32(below));
#endif
}

/// 16 codes from the sums of 16 channels.
inline uint8x16_t average_codes(const uint32x4_t* sums, const AverageTerms& t) {
  const int32x4_t taken = vdupq_n_s32(t.taken), counted = vdupq_n_s32(t.counted);
  int32x4_t quotients[4];
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < 4; ++i)
    quotients[i] = divide(vsubq_s32(vreinterpretq_s32_u32(sums[i]), taken), counted, t.inverse);
  return codes_16(quotients, t.bounds);
}

/// 16 channels of a window of at most 257 codes: their sums fit 16 bits.
inline uint8x16_t average_16_small(const PoolTaps& taps, std::int64_t c, const AverageTerms& terms) {
  uint16x8_t low = vdupq_n_u16(0), high = low;
  for (std::int64_t r = 0; r < taps.rows; ++r) {
    const std::uint8_t* p = taps.first + r * taps.row_step + c;
    for (std::int64_t x = 0; x < taps.columns; ++x, p += taps.column_step) {
      const uint8x16_t codes = vld1q_u8(p);
      low = vaddw_u8(low, vget_low_u8(codes));
      high = vaddw_high_u8(high, codes);
    }
  }
  const uint32x4_t sums[4] = {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low),
                              vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)};
  return average_codes(sums, terms);
}

inline uint8x16_t average_16(const PoolTaps& taps, std::int64_t c, const AverageTerms& terms) {
  uint32x4_t sums[4];
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < 4; ++i) sums[i] = vdupq_n_u32(0);
  for (std::int64_t r = 0; r < taps.rows; ++r) {
    const std::uint8_t* p = taps.first + r * taps.row_step + c;
    for (std::int64_t x = 0; x < taps.columns; ++x, p += taps.column_step) {
      const uint8x16_t codes = vld1q_u8(p);
      const uint16x8_t low = vmovl_u8(vget_low_u8(codes)), high = vmovl_high_u8(codes);
      sums[0] = vaddw_u16(sums[0], vget_low_u16(low));
      sums[1] = vaddw_high_u16(sums[1], low);
      sums[2] = vaddw_u16(sums[2], vget_low_u16(high));
      sums[3] = vaddw_high_u16(sums[3], high);
    }
  }
  return average_codes(sums, terms);
}

/// One output, at least 16 channels; the last vector overlaps the one before it.
MIDTREAD_NOINLINE inline void average_pixel(const PoolTaps& taps, std::int64_t channels, std::int64_t counted,
                                            std::int32_t zero_point, std::uint8_t* y) {
  const std::int64_t codes = taps.rows * taps.columns;
  const AverageTerms terms{static_cast<std::int32_t>(counted), static_cast<std::int32_t>(codes) * zero_point,
                           1.0f / static_cast<float>(counted), output_codes(0, 255, zero_point)};
  const auto average = codes <= 257 ? average_16_small : average_16;
  for (std::int64_t c = 0; c < channels; c += 16) {
    if (c + 16 > channels) c = channels - 16;
    vst1q_u8(y + c, average(taps, c, terms));
  }
}

/// One output, at least 16 channels.
MIDTREAD_NOINLINE inline void max_pixel(const PoolTaps& taps, std::int64_t channels, std::uint8_t* y) {
  for (std::int64_t c = 0; c < channels; c += 16) {
    if (c + 16 > channels) c = channels - 16;
    uint8x16_t largest = vdupq_n_u8(0);
    for (std::int64_t r = 0; r < taps.rows; ++r) {
      const std::uint8_t* p = taps.first + r * taps.row_step + c;
      for (std::int64_t x = 0; x < taps.columns; ++x, p += taps.column_step)
        largest = vmaxq_u8(largest, vld1q_u8(p));
    }
    vst1q_u8(y + c, largest);
  }
}

MIDTREAD_NEON_END

inline void run_average_pool(const Pool2dShape& s, const std::uint8_t* x, std::int32_t zero_point,
                             std::uint8_t* y, Scratch& scratch) {
  const std::int64_t largest = s.adaptive ? s.in_height * s.in_width : s.kernel_height * s.kernel_width;
  if (s.channels < 16 || largest > kMaxAverageWindow) {
    reference::run_average_pool(s, x, zero_point, y, scratch);
    return;
  }
  for_each_window(s, x, [&](const PoolTaps& taps, std::int64_t counted, std::int64_t at) {
    average_pixel(taps, s.channels, std::max(counted, std::int64_t{1}), zero_point, y + at);
  });
}

inline void run_max_pool(const Pool2dShape& s, const std::uint8_t* x, std::uint8_t* y) {
  if (s.channels < 16) {
    reference::run_max_pool(s, x, y);
    return;
  }
  for_each_window(s, x, [&](const PoolTaps& taps, std::int64_t, std::int64_t at) {
    max_pixel(taps, s.channels, y + at);
  });
}

inline constexpr AveragePoolKernel kAveragePool = {"average_pool_u8_x16__neon", run_average_pool};
inline constexpr MaxPoolKernel kMaxPool = {"max_pool_u8_x16__neon", run_max_pool};

MIDTREAD_NAMESPACE_END

#endif

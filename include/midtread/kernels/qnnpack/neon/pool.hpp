// SPDX-License-Identifier: MIT
// Average and max pooling on NEON, 16 codes at a time.
//
// The average divides in float32: for fewer than 2^16 counted codes the quotient is nearer to its true value
// than to any tie (a tie is at least 1 / (2 n) away, the quotient within 2^-17), so rounding it is exact.
#pragma once

#include <midtread/kernels/pool_rows.hpp>
#include <midtread/kernels/qnnpack/neon/vector.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)
MIDTREAD_NEON_BEGIN

/// Divides sums of a window by how many codes it counts.
struct Divider {
  int32x4_t counted, taken;
  float inverse;
  OutputCodes bounds;

  explicit Divider(const AverageTerms& t)
      : counted(vdupq_n_s32(t.counted)),
        taken(vdupq_n_s32(t.taken())),
        inverse(1.0f / static_cast<float>(t.counted)),
        bounds(output_codes(0, 255, t.zero_point)) {}

  /// 16 codes from the sums of 16 channels.
  MIDTREAD_ALWAYS_INLINE uint8x16_t operator()(const uint32x4_t* sums) const {
    int32x4_t quotients[4];
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < 4; ++i) quotients[i] = divide(vsubq_s32(vreinterpretq_s32_u32(sums[i]), taken));
    return codes_16(quotients, bounds);
  }

 private:
  /// sum / counted, half to even.
  MIDTREAD_ALWAYS_INLINE int32x4_t divide(int32x4_t sum) const {
#if MIDTREAD_AARCH64
    return vcvtnq_s32_f32(vdivq_f32(vcvtq_f32_s32(sum), vcvtq_f32_s32(counted)));
#else
    // No division: the product with the inverse misses by one at most; twice the rest says where.
    const int32x4_t near = vcvtnq_s32_f32(vmulq_n_f32(vcvtq_f32_s32(sum), inverse));
    const int32x4_t rest = vshlq_n_s32(vmlsq_s32(sum, near, counted), 1),
                    odd = vandq_s32(near, vdupq_n_s32(1));
    const uint32x4_t above = vcgtq_s32(vaddq_s32(rest, odd), counted);
    const uint32x4_t below = vcltq_s32(vsubq_s32(rest, odd), vnegq_s32(counted));
    return vaddq_s32(vsubq_s32(near, vreinterpretq_s32_u32(above)), vreinterpretq_s32_u32(below));
#endif
  }
};

/// The largest of 16 codes each.
struct MaxCodes {
  uint8x16_t largest;

  MIDTREAD_ALWAYS_INLINE void clear() { largest = vdupq_n_u8(0); }
  MIDTREAD_ALWAYS_INLINE void add(const std::uint8_t* x) { largest = vmaxq_u8(largest, vld1q_u8(x)); }
  MIDTREAD_ALWAYS_INLINE void store(std::uint8_t* out) const { vst1q_u8(out, largest); }
};

/// 16 sums of codes, or of sums.
struct Sums {
  uint16x8_t low, high;

  MIDTREAD_ALWAYS_INLINE void clear() { low = high = vdupq_n_u16(0); }
  MIDTREAD_ALWAYS_INLINE void add(const std::uint8_t* x) {
    const uint8x16_t codes = vld1q_u8(x);
    low = vaddw_u8(low, vget_low_u8(codes));
    high = vaddw_high_u8(high, codes);
  }
  MIDTREAD_ALWAYS_INLINE void add(const std::uint16_t* x) {
    low = vaddq_u16(low, vld1q_u16(x));
    high = vaddq_u16(high, vld1q_u16(x + 8));
  }
  MIDTREAD_ALWAYS_INLINE void store(std::uint16_t* out) const {
    vst1q_u16(out, low);
    vst1q_u16(out + 8, high);
  }
};

template <int kVectors, class Taken, class In>
MIDTREAD_ALWAYS_INLINE void add_vectors(Taken* taken, const In* x) {
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < kVectors; ++i) taken[i].add(x + 16 * i);
}

/// kVectors times 16 elements, kTaps (0: taps) of each.
template <class Taken, int kVectors, int kTaps, class In, class Out>
MIDTREAD_ALWAYS_INLINE void reduce_vectors(const In* x, std::int64_t taps, std::int64_t step, Out* out) {
  Taken taken[kVectors];  // cleared one by one: GCC makes a loop through memory of their constructors
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < kVectors; ++i) taken[i].clear();
  if constexpr (kTaps > 0) {
    MIDTREAD_UNROLL(3)
    for (int t = 0; t < kTaps; ++t, x += step) add_vectors<kVectors>(taken, x);
  } else {
    for (; taps > 0; --taps, x += step) add_vectors<kVectors>(taken, x);
  }
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < kVectors; ++i) taken[i].store(out + 16 * i);
}

/// `n` elements, 64, then 16 at a time; the last vector overlaps the one before it.
template <class Taken, int kTaps, class In, class Out>
MIDTREAD_ALWAYS_INLINE void reduce_all(const In* x, std::int64_t taps, std::int64_t step, std::int64_t n,
                                       Out* out) {
  if (n <= 16) return reduce_vectors<Taken, 1, kTaps>(x, taps, step, out);
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64) reduce_vectors<Taken, 4, kTaps>(x + i, taps, step, out + i);
  for (; i + 16 <= n; i += 16) reduce_vectors<Taken, 1, kTaps>(x + i, taps, step, out + i);
  if (i < n) reduce_vectors<Taken, 1, kTaps>(x + n - 16, taps, step, out + n - 16);
}

/// Windows of 2 and 3 without a loop.
template <class Taken, class In, class Out>
MIDTREAD_NOINLINE void reduce(const In* x, std::int64_t taps, std::int64_t step, std::int64_t n, Out* out) {
  if (taps == 3) return reduce_all<Taken, 3>(x, taps, step, n, out);
  if (taps == 2) return reduce_all<Taken, 2>(x, taps, step, n, out);
  reduce_all<Taken, 0>(x, taps, step, n, out);
}

template <class Taken, class T>
struct Reduction {
  using Value = T;
  static constexpr auto rows = reduce<Taken, std::uint8_t, T>;
  static constexpr auto columns = reduce<Taken, T, T>;
};

/// What PoolRows asks for.
struct PoolVectors {
  using Max = Reduction<MaxCodes, std::uint8_t>;
  using Sum = Reduction<Sums, std::uint16_t>;

  static MIDTREAD_NOINLINE void divide(const std::uint16_t* sums, std::int64_t n, const AverageTerms& terms,
                                       std::uint8_t* y) {
    const Divider by(terms);
    for (std::int64_t i = 0; i < n; i += 16) {
      if (i + 16 > n) i = n - 16;
      const uint16x8_t low = vld1q_u16(sums + i), high = vld1q_u16(sums + i + 8);
      const uint32x4_t wide[4] = {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low),
                                  vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)};
      vst1q_u8(y + i, by(wide));
    }
  }
  /// 16 channels of a window whose sums need 32 bits.
  static MIDTREAD_NOINLINE void average_16(const PoolTaps& taps, std::int64_t c, const AverageTerms& terms,
                                           std::uint8_t* y) {
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
    vst1q_u8(y, Divider(terms)(sums));
  }
};

MIDTREAD_NEON_END

inline constexpr AveragePoolKernel kAveragePool = {"average_pool_u8_x16__neon",
                                                   run_average_pool_rows<PoolVectors>};
inline constexpr MaxPoolKernel kMaxPool = {"max_pool_u8_x16__neon", run_max_pool_rows<PoolVectors>};

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// add, mul, cat's copy, table lookup, quantize and dequantize on NEON, 16 codes at a time. Roundings other
// than half to even go to the reference.
#pragma once

#include <midtread/kernels/elementwise_rows.hpp>
#include <midtread/kernels/qnnpack/neon/add_asm.hpp>
#include <midtread/kernels/qnnpack/neon/reals.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

/// Whether no step of (q - z) * s, a sum or a product of two, and quantizing it leaves the normal numbers:
/// ARMv7's vectors flush what is below 2^-126 to zero, and vectors of codes do not look for NaN.
template <class... Scales>
bool vectors_fit(Scales... scales) {
  return ((scales > 0x1p-60f && scales < 0x1p60f) && ...);
}

/// What one row of an element-by-element operation needs.
struct BinaryRow {
  AffineParams a, b;
  float inverse;
  float lo;  ///< relative to the zero point; NaN becomes it
  OutputCodes bounds;
  bool sums_fit;        ///< a + b in units of the output's scale stay within int16
  std::int32_t factor;  ///< a.scale * b.scale * inverse * 2^33; 0 where that is 2^31 or more
};

inline BinaryRow binary_terms(AffineParams a, AffineParams b, const QuantizeParams& out) {
  const float inverse = reciprocal(out.scale);
  const double factor =
      static_cast<double>(a.scale) * static_cast<double>(b.scale) * static_cast<double>(inverse);
  return {a,
          b,
          inverse,
          static_cast<float>(out.range.quant_min - out.zero_point),
          output_codes(out.range.quant_min, out.range.quant_max, out.zero_point),
          a.scale * inverse < 63.0f && b.scale * inverse < 63.0f,  // 255 * 126 + 255 < 2^15
          factor < 0.2499 ? static_cast<std::int32_t>((factor + 0x1p-34) * 0x1p33) : 0};
}

MIDTREAD_NEON_BEGIN

template <BinaryOp kOp>
inline uint8x16_t binary_16(Reals a, const Reals& b, const BinaryRow& row) {
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    float32x4_t x = a.v[i], y = b.v[i];
    MIDTREAD_KEEP_PRODUCT(x);
    MIDTREAD_KEEP_PRODUCT(y);
    a.v[i] = kOp == BinaryOp::kAdd ? vaddq_f32(x, y) : vmulq_f32(x, y);
  }
  return quantize_16(a, row.inverse, row.bounds);
}

/// Calls body(i) for vectors of 16 that cover [0, n), n >= 16; the last may overlap the one before it.
template <class Body>
MIDTREAD_ALWAYS_INLINE void each_16(std::int64_t n, const Body& body) {
  std::int64_t i = 0;
  for (; i < n - 32; i += 32) {
    body(i);
    body(i + 16);
  }
  if (i < n - 16) body(i);
  body(n - 16);
}

/// Codes of a with those of b, or with the one at b where kBroadcast.
template <BinaryOp kOp, bool kBroadcast>
struct BinaryBody {
  const std::uint8_t *a, *b;
  std::uint8_t* y;
  BinaryRow row;
  Reals constant;

  MIDTREAD_ALWAYS_INLINE void operator()(std::int64_t i) const {
    const Reals second = kBroadcast ? constant : dequantize_16(vld1q_u8(b + i), row.b);
    vst1q_u8(y + i, binary_16<kOp>(dequantize_16(vld1q_u8(a + i), row.a), second, row));
  }
};

struct RequantizeBody {
  const std::uint8_t* x;
  std::uint8_t* y;
  BinaryRow row;

  MIDTREAD_ALWAYS_INLINE void operator()(std::int64_t i) const {
    vst1q_u8(y + i, quantize_16(dequantize_16(vld1q_u8(x + i), row.a), row.inverse, row.bounds));
  }
};

inline uint8x16_t quantize_any_16(Reals real, const BinaryRow& row) {
  MIDTREAD_UNROLL(4)
  for (int j = 0; j < 4; ++j)
    real.v[j] = vmaxnmq_f32(vmulq_n_f32(real.v[j], row.inverse), vdupq_n_f32(row.lo));
  return round_16(real, row.bounds);
}

struct QuantizeBody {
  const float* x;
  std::uint8_t* q;
  BinaryRow row;

  MIDTREAD_ALWAYS_INLINE void operator()(std::int64_t i) const {
    const Reals real{{vld1q_f32(x + i), vld1q_f32(x + i + 4), vld1q_f32(x + i + 8), vld1q_f32(x + i + 12)}};
    vst1q_u8(q + i, quantize_any_16(real, row));
  }
};

struct DequantizeBody {
  const std::uint8_t* q;
  float* x;
  AffineParams in;

  MIDTREAD_ALWAYS_INLINE void operator()(std::int64_t i) const {
    const Reals real = dequantize_16(vld1q_u8(q + i), in);
    MIDTREAD_UNROLL(4)
    for (int j = 0; j < 4; ++j) vst1q_f32(x + i + 4 * j, real.v[j]);
  }
};

template <BinaryOp kOp, bool kBroadcast>
MIDTREAD_NOINLINE void exact_row(const std::uint8_t* a, const std::uint8_t* b, std::int64_t n,
                                 const BinaryRow& row, std::uint8_t* y) {
  if (n < 16) {
    const Reals first = dequantize_16(load_short(a, n), row.a);
    const Reals second = dequantize_16(kBroadcast ? vdupq_n_u8(b[0]) : load_short(b, n), row.b);
    store_short(binary_16<kOp>(first, second, row), y, n);
    return;
  }
  each_16(n, BinaryBody<kOp, kBroadcast>{a, b, y, row, dequantize_16(vdupq_n_u8(b[0]), row.b)});
}

#if MIDTREAD_AARCH64
/// Products without the contract's roundings, in 16 bits behind the point: 64 codes at a time until one lies
/// so near to a tie that they may matter. Returns how many codes are done.
///
///   n = (qa - za) (qb - zb) * factor = v 2^16 with an error below 1
///
/// The contract rounds four times on the way to v, each time by at most 2^-24 of it: below 256, beyond which
/// every code is 0 or 255, that is less than 2^-14, or 4.01 of n's units.
MIDTREAD_NOINLINE inline std::int64_t multiply_apart_from_ties(const std::uint8_t* a, const std::uint8_t* b,
                                                               std::int64_t n, const BinaryRow& row,
                                                               std::uint8_t* y) {
  constexpr int kNear = 6;
  const uint8x16_t za = vdupq_n_u8(static_cast<std::uint8_t>(row.a.zero_point));
  const uint8x16_t zb = vdupq_n_u8(static_cast<std::uint8_t>(row.b.zero_point));
  const int32x4_t zero_point = vdupq_n_s32(row.bounds.zero_point * 65536);
  const uint16x8_t below_tie = vdupq_n_u16(0x8000 - kNear);
  const uint8x16_t lo = vdupq_n_u8(row.bounds.lo), hi = vdupq_n_u8(row.bounds.hi);
  const std::int32_t factor = row.factor;
  std::int64_t done = 0;
  for (; n - done >= 64; done += 64) {
    uint8x16_t codes[4];
    uint16x8_t nearest = vdupq_n_u16(0xFFFF);
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const uint8x16_t p = vld1q_u8(a + done + 16 * i), q = vld1q_u8(b + done + 16 * i);
      const int16x8_t p0 = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(p), vget_low_u8(za)));
      const int16x8_t q0 = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(q), vget_low_u8(zb)));
      const int16x8_t p1 = vreinterpretq_s16_u16(vsubl_high_u8(p, za));
      const int16x8_t q1 = vreinterpretq_s16_u16(vsubl_high_u8(q, zb));
      int32x4_t v[4] = {vmull_s16(vget_low_s16(p0), vget_low_s16(q0)), vmull_high_s16(p0, q0),
                        vmull_s16(vget_low_s16(p1), vget_low_s16(q1)), vmull_high_s16(p1, q1)};
      MIDTREAD_UNROLL(4)
      for (int j = 0; j < 4; ++j) v[j] = vqrdmulhq_n_s32(vshlq_n_s32(v[j], 14), factor);
      const uint16x8_t low = vreinterpretq_u16_s16(low_halves(v[0], v[1]));
      const uint16x8_t high = vreinterpretq_u16_s16(low_halves(v[2], v[3]));
      nearest = vminq_u16(nearest, vminq_u16(vsubq_u16(low, below_tie), vsubq_u16(high, below_tie)));
      const int16x8_t first = vraddhn_high_s32(vraddhn_s32(v[0], zero_point), v[1], zero_point);
      const int16x8_t second = vraddhn_high_s32(vraddhn_s32(v[2], zero_point), v[3], zero_point);
      codes[i] = vminq_u8(vmaxq_u8(vqmovun_high_s16(vqmovun_s16(first), second), lo), hi);
    }
    if (vminvq_u16(nearest) <= 2 * kNear) return done;
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < 4; ++i) vst1q_u8(y + done + 16 * i, codes[i]);
  }
  return done;
}

#endif

/// `n` contiguous codes, n >= 1.
template <BinaryOp kOp, bool kBroadcast>
void binary_row(const std::uint8_t* a, const std::uint8_t* b, std::int64_t n, const BinaryRow& row,
                std::uint8_t* y) {
#if MIDTREAD_AARCH64
  if (kOp == BinaryOp::kMul && !kBroadcast && row.factor != 0) {
    std::int64_t skip = 64;
    while (n >= 64) {
      std::int64_t done = multiply_apart_from_ties(a, b, n, row, y);
      if (n - done >= 64) {
        skip = done > 0 ? 64 : 2 * skip;  // where ties abound, ever longer pieces are not tried
        const std::int64_t exact = std::min(skip, n - done);
        exact_row<kOp, false>(a + done, b + done, exact, row, y + done);
        done += exact;
      }
      a += done;
      b += done;
      y += done;
      n -= done;
    }
    if (n == 0) return;
  }
  if (kOp == BinaryOp::kAdd && !kBroadcast && row.sums_fit && n >= 32) {
    const OutputCodes& out = row.bounds;
    const auto add = out.lo == 0 && out.hi == 255 ? add_codes<false> : add_codes<true>;
    add(a, row.a, b, row.b, n / 32, row.inverse, out, y);
    const std::int64_t last = n - 32;  // overlaps the one before it
    if (n % 32 != 0) add(a + last, row.a, b + last, row.b, 1, row.inverse, out, y + last);
    return;
  }
#endif
  exact_row<kOp, kBroadcast>(a, b, n, row, y);
}

MIDTREAD_NOINLINE inline void requantize_row(const std::uint8_t* x, std::int64_t n, const BinaryRow& row,
                                             std::uint8_t* y) {
  if (n < 16) {
    store_short(quantize_16(dequantize_16(load_short(x, n), row.a), row.inverse, row.bounds), y, n);
    return;
  }
  each_16(n, RequantizeBody{x, y, row});
}

MIDTREAD_NOINLINE inline void quantize_row(const float* x, std::uint8_t* q, std::int64_t n,
                                           const BinaryRow& row) {
  if (n < 16) {
    store_short(quantize_any_16(load_short(x, n), row), q, n);
    return;
  }
  each_16(n, QuantizeBody{x, q, row});
}

MIDTREAD_NOINLINE inline void dequantize_row(const std::uint8_t* q, float* x, std::int64_t n,
                                             AffineParams in) {
  if (n < 16) {
    store_short(dequantize_16(load_short(q, n), in), x, n);
    return;
  }
  each_16(n, DequantizeBody{q, x, in});
}

MIDTREAD_NEON_END

#if MIDTREAD_AARCH64
/// n >= 16. Four 64-entry look-ups; tbx leaves a code outside its own 64 entries as it is.
MIDTREAD_NOINLINE inline void lookup_row(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y,
                                         std::int64_t n) {
  const uint8x16x4_t t0 = vld1q_u8_x4(table), t1 = vld1q_u8_x4(table + 64), t2 = vld1q_u8_x4(table + 128),
                     t3 = vld1q_u8_x4(table + 192);
  const uint8x16_t step = vdupq_n_u8(64);
  for (std::int64_t i = 0; i < n; i += 16) {
    if (i + 16 > n) i = n - 16;
    uint8x16_t code = vld1q_u8(x + i);
    uint8x16_t result = vqtbl4q_u8(t0, code);
    code = vsubq_u8(code, step);
    result = vqtbx4q_u8(result, t1, code);
    code = vsubq_u8(code, step);
    result = vqtbx4q_u8(result, t2, code);
    code = vsubq_u8(code, step);
    vst1q_u8(y + i, vqtbx4q_u8(result, t3, code));
  }
}
#endif

/// What the walk over rows asks for.
struct ElementVectors {
  using Row = BinaryRow;
  static constexpr std::int64_t kQuantizeMin = 1, kDequantizeMin = 1, kLookupMin = 16;

  static Row terms(AffineParams a, AffineParams b, const QuantizeParams& out) {
    return binary_terms(a, b, out);
  }
  template <class... Scales>
  static bool vectors_fit(Scales... scales) {
    return neon::vectors_fit(scales...);
  }
  template <BinaryOp kOp, bool kBroadcast>
  static void binary_row(const std::uint8_t* a, const std::uint8_t* b, std::int64_t n, const Row& row,
                         std::uint8_t* y) {
    neon::binary_row<kOp, kBroadcast>(a, b, n, row, y);
  }
  static constexpr auto requantize_row = neon::requantize_row;
  static constexpr auto quantize_row = neon::quantize_row;
  static constexpr auto dequantize_row = neon::dequantize_row;
#if MIDTREAD_AARCH64
  static constexpr auto lookup_row = neon::lookup_row;
#endif
};

/// A short row without a broadcast at once, everything else by the walk over rows.
template <BinaryOp kOp>
void run_binary(const BinaryShape& s, const std::uint8_t* a, AffineParams qa, const std::uint8_t* b,
                AffineParams qb, const QuantizeParams& out, std::uint8_t* y) {
  const std::int64_t n = s.dims[3];
  if (s.dims[0] == 1 && s.dims[1] == 1 && s.dims[2] == 1 && s.a_strides[3] == 1 && s.b_strides[3] == 1 &&
      n > 0 && n <= kElementGrain && out.rounding == Rounding::kHalfEven &&
      vectors_fit(qa.scale, qb.scale, out.scale))
    return binary_row<kOp, false>(a, b, n, binary_terms(qa, qb, out), y);
  run_binary_rows<ElementVectors, kOp>(s, a, qa, b, qb, out, y);
}

inline constexpr BinaryKernel kAdd = {"add_u8_x16__neon", run_binary<BinaryOp::kAdd>};
inline constexpr BinaryKernel kMul = {"mul_u8_x16__neon", run_binary<BinaryOp::kMul>};
inline constexpr RequantizeCopyKernel kRequantizeCopy = {"requantize_copy_u8_x16__neon",
                                                         run_requantize_rows<ElementVectors>};
#if MIDTREAD_AARCH64
inline constexpr LookupKernel kLookup = {"lookup_u8_x16__neon", run_lookup_rows<ElementVectors>};
#endif
inline constexpr QuantizeKernel kQuantize = {"quantize_f32u8_x16__neon", run_quantize_rows<ElementVectors>};
inline constexpr DequantizeKernel kDequantize = {"dequantize_u8f32_x16__neon",
                                                 run_dequantize_rows<ElementVectors>};

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// add, mul, cat's copy, table lookup, quantize and dequantize on NEON, 16 codes at a time. Roundings other
// than half to even go to the reference.
#pragma once

#include <midtread/kernels/elementwise_rows.hpp>
#include <midtread/kernels/qnnpack/neon/vector.hpp>

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
};

inline BinaryRow binary_terms(AffineParams a, AffineParams b, const QuantizeParams& out) {
  return {a, b, reciprocal(out.scale), static_cast<float>(out.range.quant_min - out.zero_point),
          output_codes(out.range.quant_min, out.range.quant_max, out.zero_point)};
}

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

struct QuantizeBody {
  const float* x;
  std::uint8_t* q;
  float inverse, low;
  OutputCodes bounds;

  MIDTREAD_ALWAYS_INLINE void operator()(std::int64_t i) const {
    Reals real{{vld1q_f32(x + i), vld1q_f32(x + i + 4), vld1q_f32(x + i + 8), vld1q_f32(x + i + 12)}};
    MIDTREAD_UNROLL(4)
    for (int j = 0; j < 4; ++j) real.v[j] = vmaxnmq_f32(vmulq_n_f32(real.v[j], inverse), vdupq_n_f32(low));
    vst1q_u8(q + i, round_16(real, bounds));
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

/// `n` contiguous codes; fewer than 16 go through a copy, so that nothing outside [0, n) is touched.
template <BinaryOp kOp, bool kBroadcast>
MIDTREAD_NOINLINE void binary_row(const std::uint8_t* a, const std::uint8_t* b, std::int64_t n,
                                  const BinaryRow& row, std::uint8_t* y) {
  if (n < 16) {
    std::uint8_t short_a[16] = {}, short_b[16] = {}, short_y[16];
    std::memcpy(short_a, a, static_cast<std::size_t>(n));
    std::memcpy(short_b, b, kBroadcast ? 1 : static_cast<std::size_t>(n));
    binary_row<kOp, kBroadcast>(short_a, short_b, 16, row, short_y);
    std::memcpy(y, short_y, static_cast<std::size_t>(n));
    return;
  }
  each_16(n, BinaryBody<kOp, kBroadcast>{a, b, y, row, dequantize_16(vdupq_n_u8(b[0]), row.b)});
}

MIDTREAD_NOINLINE inline void requantize_row(const std::uint8_t* x, std::int64_t n, const BinaryRow& row,
                                             std::uint8_t* y) {
  if (n < 16) {
    std::uint8_t short_x[16] = {}, short_y[16];
    std::memcpy(short_x, x, static_cast<std::size_t>(n));
    requantize_row(short_x, 16, row, short_y);
    std::memcpy(y, short_y, static_cast<std::size_t>(n));
    return;
  }
  each_16(n, RequantizeBody{x, y, row});
}

/// n >= 16.
MIDTREAD_NOINLINE inline void quantize_row(const float* x, std::uint8_t* q, std::int64_t n,
                                           const BinaryRow& row) {
  each_16(n, QuantizeBody{x, q, row.inverse, row.lo, row.bounds});
}

/// n >= 16.
MIDTREAD_NOINLINE inline void dequantize_row(const std::uint8_t* q, float* x, std::int64_t n,
                                             AffineParams in) {
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
  static constexpr std::int64_t kQuantizeMin = 16, kDequantizeMin = 16, kLookupMin = 16;

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

inline constexpr BinaryKernel kAdd = {"add_u8_x16__neon", run_binary_rows<ElementVectors, BinaryOp::kAdd>};
inline constexpr BinaryKernel kMul = {"mul_u8_x16__neon", run_binary_rows<ElementVectors, BinaryOp::kMul>};
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

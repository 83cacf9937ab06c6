// SPDX-License-Identifier: MIT
// add, mul, cat's copy, table lookup, quantize and dequantize on AVX2, 8 or 32 codes at a time. Roundings
// other than half to even go to the reference.
#pragma once

#include <midtread/kernels/elementwise_rows.hpp>
#include <midtread/kernels/fbgemm/avx2/vector.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// What one row of an element-by-element operation needs.
struct BinaryRow {
  AffineParams a, b;
  float inverse;
  OutputCodes bounds;
};

MIDTREAD_TARGET_AVX2_BEGIN

/// 8 codes of a, 8 of b (or one, broadcast) to 8 int32 codes.
template <BinaryOp kOp>
inline __m256i binary_8(__m256 a, __m256 b, const BinaryRow& row) {
  a = _mm256_mul_ps(a, _mm256_set1_ps(row.a.scale));
  b = _mm256_mul_ps(b, _mm256_set1_ps(row.b.scale));
  MIDTREAD_KEEP_PRODUCT(a);
  MIDTREAD_KEEP_PRODUCT(b);
  const __m256 real = kOp == BinaryOp::kAdd ? _mm256_add_ps(a, b) : _mm256_mul_ps(a, b);
  return to_codes(_mm256_mul_ps(real, _mm256_set1_ps(row.inverse)), _mm256_set1_ps(row.bounds.lo),
                  _mm256_set1_ps(row.bounds.hi), _mm256_set1_epi32(row.bounds.zero_point));
}

/// `n` contiguous codes of a with `n` of b, or with the one at b where kBroadcast. Reads and writes whole
/// vectors only inside [0, n): the last vector overlaps the one before it, short rows go through a copy.
template <BinaryOp kOp, bool kBroadcast>
MIDTREAD_NOINLINE void binary_row(const std::uint8_t* a, const std::uint8_t* b, std::int64_t n,
                                  const BinaryRow& row, std::uint8_t* y) {
  std::uint8_t short_a[16] = {}, short_b[16] = {}, short_y[16];
  std::uint8_t* const result = y;
  const std::int64_t length = n;
  if (n < 16) {
    std::memcpy(short_a, a, static_cast<std::size_t>(n));
    std::memcpy(short_b, b, kBroadcast ? 1 : static_cast<std::size_t>(n));
    a = short_a;
    b = short_b;
    y = short_y;
    n = 16;
  }
  const __m256i za = _mm256_set1_epi32(row.a.zero_point), zb = _mm256_set1_epi32(row.b.zero_point);
  const __m256 constant = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_set1_epi32(b[0]), zb));
  for (std::int64_t i = 0; i < n; i += 16) {
    if (i + 16 > n) i = n - 16;
    const __m256 b0 = kBroadcast ? constant : load_centred_8(b + i, zb);
    const __m256 b1 = kBroadcast ? constant : load_centred_8(b + i + 8, zb);
    const __m256i y0 = binary_8<kOp>(load_centred_8(a + i, za), b0, row);
    const __m256i y1 = binary_8<kOp>(load_centred_8(a + i + 8, za), b1, row);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), pack_ordered(y0, y1));
  }
  if (length < 16) std::memcpy(result, short_y, static_cast<std::size_t>(length));
}

MIDTREAD_NOINLINE inline void requantize_row(const std::uint8_t* x, std::int64_t n, const BinaryRow& row,
                                             std::uint8_t* y) {
  std::uint8_t short_x[16] = {}, short_y[16];
  std::uint8_t* const result = y;
  const std::int64_t length = n;
  if (n < 16) {
    std::memcpy(short_x, x, static_cast<std::size_t>(n));
    x = short_x;
    y = short_y;
    n = 16;
  }
  const __m256i z_in = _mm256_set1_epi32(row.a.zero_point), z = _mm256_set1_epi32(row.bounds.zero_point);
  const __m256 scale = _mm256_set1_ps(row.a.scale), factor = _mm256_set1_ps(row.inverse);
  const __m256 lo = _mm256_set1_ps(row.bounds.lo), hi = _mm256_set1_ps(row.bounds.hi);
  for (std::int64_t i = 0; i < n; i += 16) {
    if (i + 16 > n) i = n - 16;
    const __m256 a = _mm256_mul_ps(load_centred_8(x + i, z_in), scale);
    const __m256 b = _mm256_mul_ps(load_centred_8(x + i + 8, z_in), scale);
    const __m256i y0 = to_codes(_mm256_mul_ps(a, factor), lo, hi, z);
    const __m256i y1 = to_codes(_mm256_mul_ps(b, factor), lo, hi, z);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), pack_ordered(y0, y1));
  }
  if (length < 16) std::memcpy(result, short_y, static_cast<std::size_t>(length));
}

/// n >= 16.
MIDTREAD_NOINLINE inline void quantize_row(const float* x, std::uint8_t* q, std::int64_t n,
                                           const BinaryRow& row) {
  const __m256 factor = _mm256_set1_ps(row.inverse);
  const __m256 lo = _mm256_set1_ps(row.bounds.lo), hi = _mm256_set1_ps(row.bounds.hi);
  const __m256i z = _mm256_set1_epi32(row.bounds.zero_point);
  for (std::int64_t i = 0; i < n; i += 16) {
    if (i + 16 > n) i = n - 16;
    const __m256i a = to_codes(_mm256_mul_ps(_mm256_loadu_ps(x + i), factor), lo, hi, z);
    const __m256i b = to_codes(_mm256_mul_ps(_mm256_loadu_ps(x + i + 8), factor), lo, hi, z);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q + i), pack_ordered(a, b));
  }
}

/// n >= 8.
MIDTREAD_NOINLINE inline void dequantize_row(const std::uint8_t* q, float* x, std::int64_t n,
                                             AffineParams in) {
  const __m256 scale = _mm256_set1_ps(in.scale);
  const __m256i z = _mm256_set1_epi32(in.zero_point);
  for (std::int64_t i = 0; i < n; i += 8) {
    if (i + 8 > n) i = n - 8;
    _mm256_storeu_ps(x + i, _mm256_mul_ps(load_centred_8(q + i, z), scale));
  }
}

/// n >= 32. Sixteen 16-entry shuffles: the one whose number is the code's high nibble keeps bit 7 of its
/// index clear.
MIDTREAD_NOINLINE inline void lookup_row(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y,
                                         std::int64_t n) {
  const __m256i limit = _mm256_set1_epi8(0x70);
  for (std::int64_t i = 0; i < n; i += 32) {
    if (i + 32 > n) i = n - 32;
    const __m256i code = load(x + i);
    __m256i result = _mm256_setzero_si256();
    MIDTREAD_UNROLL(16)
    for (int t = 0; t < 16; ++t) {
      const __m256i entries =
          _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16 * t)));
      const __m256i index = _mm256_xor_si256(code, _mm256_set1_epi8(static_cast<char>(t << 4)));
      result = _mm256_or_si256(result, _mm256_shuffle_epi8(entries, _mm256_adds_epu8(index, limit)));
    }
    store(y + i, result);
  }
}

MIDTREAD_TARGET_END

/// What the walk over rows asks for.
struct ElementVectors {
  using Row = BinaryRow;
  static constexpr std::int64_t kQuantizeMin = 16, kDequantizeMin = 8, kLookupMin = 32;

  static Row terms(AffineParams a, AffineParams b, const QuantizeParams& out) {
    return {a, b, reciprocal(out.scale),
            output_codes(out.range.quant_min, out.range.quant_max, out.zero_point)};
  }
  template <class... Scales>
  static bool vectors_fit(Scales...) {
    return true;
  }
  template <BinaryOp kOp, bool kBroadcast>
  static void binary_row(const std::uint8_t* a, const std::uint8_t* b, std::int64_t n, const Row& row,
                         std::uint8_t* y) {
    avx2::binary_row<kOp, kBroadcast>(a, b, n, row, y);
  }
  static constexpr auto requantize_row = avx2::requantize_row;
  static constexpr auto quantize_row = avx2::quantize_row;
  static constexpr auto dequantize_row = avx2::dequantize_row;
  static constexpr auto lookup_row = avx2::lookup_row;
};

inline constexpr BinaryKernel kAdd = {"add_u8_x16__avx2", run_binary_rows<ElementVectors, BinaryOp::kAdd>};
inline constexpr BinaryKernel kMul = {"mul_u8_x16__avx2", run_binary_rows<ElementVectors, BinaryOp::kMul>};
inline constexpr RequantizeCopyKernel kRequantizeCopy = {"requantize_copy_u8_x16__avx2",
                                                         run_requantize_rows<ElementVectors>};
inline constexpr LookupKernel kLookup = {"lookup_u8_x32__avx2", run_lookup_rows<ElementVectors>};
inline constexpr QuantizeKernel kQuantize = {"quantize_f32u8_x16__avx2", run_quantize_rows<ElementVectors>};
inline constexpr DequantizeKernel kDequantize = {"dequantize_u8f32_x8__avx2",
                                                 run_dequantize_rows<ElementVectors>};

MIDTREAD_NAMESPACE_END

#endif

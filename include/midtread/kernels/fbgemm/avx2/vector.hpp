// SPDX-License-Identifier: MIT
// Small steps that the AVX2 kernels share: widening codes, and the way back from int32 to codes.
#pragma once

#include <midtread/kernels/affine.hpp>
#include <midtread/kernels/conv_params.hpp>
#include <midtread/kernels/target.hpp>

#include <cstring>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// The requantization of one kernel call, as its vectors repeat it.
struct OutputCodes {
  float hi;                 ///< relative to the zero point
  std::int32_t lo;          ///< four bytes
  std::int32_t zero_point;  ///< two words
};

inline OutputCodes output_codes(std::int32_t lo, std::int32_t hi, std::int32_t zero_point) {
  return {static_cast<float>(hi - zero_point),
          static_cast<std::int32_t>(static_cast<std::uint32_t>(lo) * 0x01010101u), zero_point * 0x00010001};
}

MIDTREAD_TARGET_AVX2_BEGIN

inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
/// A sum, where the next is added to it: GCC would add products to each other first, more of them than there
/// are registers.
MIDTREAD_ALWAYS_INLINE __m256i in_order(__m256i sum) {
#if MIDTREAD_GCC
  asm("" : "+x"(sum));
#endif
  return sum;
}
inline void store(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

/// 16 codes as int16.
inline __m256i load_codes_16(const std::uint8_t* q) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q)));
}

/// What turns sums into codes: y = max(min(sum * multiplier, hi) rounded, saturated to 0..255 after + z, lo).
/// The upper bound is applied before the conversion, which has no answer for large numbers; the lower one
/// after it.
struct CodeBounds {
  __m256 hi;
  __m256i lo, zero_point;

  MIDTREAD_ALWAYS_INLINE explicit CodeBounds(const OutputCodes& b)
      : hi(_mm256_set1_ps(b.hi)), lo(_mm256_set1_epi32(b.lo)), zero_point(_mm256_set1_epi32(b.zero_point)) {}

  MIDTREAD_ALWAYS_INLINE __m256i round(__m256i sums, __m256 multiplier) const {
    return _mm256_cvtps_epi32(_mm256_min_ps(hi, _mm256_mul_ps(_mm256_cvtepi32_ps(sums), multiplier)));
  }
  /// Codes of four vectors: four lanes of each, and after them the other four of each.
  MIDTREAD_ALWAYS_INLINE __m256i pack(__m256i a, __m256i b, __m256i c, __m256i d) const {
    const __m256i ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero_point);
    const __m256i cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero_point);
    return _mm256_max_epu8(_mm256_packus_epi16(ab, cd), lo);
  }
};

/// Codes of CodeBounds::pack: the two halves of `a`, then of `b`, of `c` and of `d` where half the lanes are
/// half the channels.
MIDTREAD_ALWAYS_INLINE __m256i join_halves(__m256i codes) {
  return _mm256_permutevar8x32_epi32(codes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/// 16 codes of two int32 vectors, in order where `b` follows `a`.
inline __m128i pack_ordered(__m256i a, __m256i b) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

/// The first `n` of 16 codes, n <= 16.
inline void store_codes(__m128i codes, std::uint8_t* out, std::int64_t n) {
  if (n == 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), codes);
    return;
  }
  alignas(16) std::uint8_t bytes[16];
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes), codes);
  std::memcpy(out, bytes, static_cast<std::size_t>(n));
}

/// q - z as int16.
inline void widen(const std::uint8_t* q, std::int64_t n, std::int32_t zero_point, std::int16_t* out) {
  const __m256i z = _mm256_set1_epi16(static_cast<short>(zero_point));
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, _mm256_sub_epi16(load_codes_16(q + i), z));
  for (; i < n; ++i) out[i] = static_cast<std::int16_t>(q[i] - zero_point);
}

/// A WidenPixels.
inline void widen_pixels(const std::uint8_t* q, std::int64_t pixels, std::int64_t channels,
                         std::int64_t q_pitch, std::int32_t zero_point, std::int16_t* out,
                         std::int64_t out_pitch) {
  if (channels == q_pitch && channels == out_pitch) {
    widen(q, pixels * channels, zero_point, out);
    return;
  }
  const __m256i z = _mm256_set1_epi16(static_cast<short>(zero_point));
  for (std::int64_t p = 0; p < pixels; ++p, q += q_pitch, out += out_pitch) {
    std::int64_t c = 0;
    for (; c + 16 <= channels; c += 16) store(out + c, _mm256_sub_epi16(load_codes_16(q + c), z));
    for (; c < channels; ++c) out[c] = static_cast<std::int16_t>(q[c] - zero_point);
    for (; c < out_pitch; ++c) out[c] = 0;
  }
}

MIDTREAD_TARGET_END
MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// Small steps that the AVX2 kernels share: widening codes, and the way back from int32 to codes.
#pragma once

#include <midtread/kernels/affine.hpp>
#include <midtread/kernels/conv_params.hpp>
#include <midtread/kernels/target.hpp>

#include <cstring>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// The requantization of one kernel call: the bounds as floats relative to the zero point.
struct OutputCodes {
  float lo;
  float hi;
  std::int32_t zero_point;
};

inline OutputCodes output_codes(std::int32_t lo, std::int32_t hi, std::int32_t zero_point) {
  return {static_cast<float>(lo - zero_point), static_cast<float>(hi - zero_point), zero_point};
}

MIDTREAD_TARGET_AVX2_BEGIN

inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline void store(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

/// 16 codes as int16.
inline __m256i load_codes_16(const std::uint8_t* q) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q)));
}

/// clamp, round half to even, add the zero point. NaN becomes lo.
inline __m256i to_codes(__m256 real, __m256 lo, __m256 hi, __m256i zero_point) {
  const __m256 clamped = _mm256_min_ps(_mm256_max_ps(real, lo), hi);
  return _mm256_add_epi32(_mm256_cvtps_epi32(clamped), zero_point);
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
  for (std::int64_t p = 0; p < pixels; ++p, q += q_pitch, out += out_pitch) {
    widen(q, channels, zero_point, out);
    for (std::int64_t c = channels; c < out_pitch; ++c) out[c] = 0;
  }
}

MIDTREAD_TARGET_END
MIDTREAD_NAMESPACE_END

#endif

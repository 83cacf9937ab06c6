// SPDX-License-Identifier: MIT
// Average and max pooling on AVX2, 16 or 32 channels at a time.
//
// The average divides in float32: for fewer than 2^16 counted codes the quotient is nearer to its true value
// than to any tie (a tie is at least 1 / (2 n) away, the quotient within 2^-17), so rounding it is exact.
#pragma once

#include <midtread/kernels/fbgemm/avx2/vector.hpp>
#include <midtread/kernels/pool_windows.hpp>
#include <midtread/kernels/reference/pool.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline constexpr std::int64_t kMaxAverageWindow = (1 << 16) - 1;

MIDTREAD_TARGET_AVX2_BEGIN

/// What all channels of one output share.
struct AverageTerms {
  __m256 counted;
  __m256i taken, zero_point;  ///< taken: zero point * codes in the window
};

/// 16 codes from the sums of channels 0-7 and 8-15.
inline __m128i average_codes(__m256i low, __m256i high, const AverageTerms& t) {
  const __m256 real_low = _mm256_cvtepi32_ps(_mm256_sub_epi32(low, t.taken));
  const __m256 real_high = _mm256_cvtepi32_ps(_mm256_sub_epi32(high, t.taken));
  low = _mm256_cvtps_epi32(_mm256_div_ps(real_low, t.counted));
  high = _mm256_cvtps_epi32(_mm256_div_ps(real_high, t.counted));
  return pack_ordered(_mm256_add_epi32(low, t.zero_point), _mm256_add_epi32(high, t.zero_point));
}

inline __m256i low_words(__m256i words) { return _mm256_cvtepu16_epi32(_mm256_castsi256_si128(words)); }
inline __m256i high_words(__m256i words) { return _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1)); }

/// 64 channels, a cache line, of a window of at most 257 codes: their sums fit 16 bits.
inline void average_64(const PoolTaps& taps, std::int64_t c, const AverageTerms& terms, std::uint8_t* y) {
  __m256i sums[4];
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < 4; ++i) sums[i] = _mm256_setzero_si256();
  for (std::int64_t r = 0; r < taps.rows; ++r) {
    const std::uint8_t* p = taps.first + r * taps.row_step + c;
    for (std::int64_t x = 0; x < taps.columns; ++x, p += taps.column_step) {
      MIDTREAD_UNROLL(4)
      for (int i = 0; i < 4; ++i) sums[i] = _mm256_add_epi16(sums[i], load_codes_16(p + 16 * i));
    }
  }
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < 4; ++i)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + c + 16 * i),
                     average_codes(low_words(sums[i]), high_words(sums[i]), terms));
}

inline void average_16(const PoolTaps& taps, std::int64_t c, const AverageTerms& terms, std::uint8_t* y) {
  __m256i low = _mm256_setzero_si256(), high = low;
  for (std::int64_t r = 0; r < taps.rows; ++r) {
    const std::uint8_t* p = taps.first + r * taps.row_step + c;
    for (std::int64_t x = 0; x < taps.columns; ++x, p += taps.column_step) {
      const __m256i words = load_codes_16(p);
      low = _mm256_add_epi32(low, low_words(words));
      high = _mm256_add_epi32(high, high_words(words));
    }
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(y + c), average_codes(low, high, terms));
}

/// One output, at least 16 channels; the last vector overlaps the one before it.
MIDTREAD_NOINLINE inline void average_pixel(const PoolTaps& taps, std::int64_t channels, std::int64_t counted,
                                            std::int32_t zero_point, std::uint8_t* y) {
  const std::int64_t codes = taps.rows * taps.columns;
  const AverageTerms terms{_mm256_set1_ps(static_cast<float>(counted)),
                           _mm256_set1_epi32(static_cast<std::int32_t>(codes) * zero_point),
                           _mm256_set1_epi32(zero_point)};
  std::int64_t c = 0;
  if (codes <= 257)
    for (; c + 64 <= channels; c += 64) average_64(taps, c, terms, y);
  for (; c < channels; c += 16) {
    if (c + 16 > channels) c = channels - 16;
    average_16(taps, c, terms, y);
  }
}

/// One output, at least 16 channels.
MIDTREAD_NOINLINE inline void max_pixel(const PoolTaps& taps, std::int64_t channels, std::uint8_t* y) {
  for (std::int64_t c = 0; c < channels; c += 16) {
    if (c + 16 > channels) c = channels - 16;
    __m128i largest = _mm_setzero_si128();
    for (std::int64_t r = 0; r < taps.rows; ++r) {
      const std::uint8_t* p = taps.first + r * taps.row_step + c;
      for (std::int64_t x = 0; x < taps.columns; ++x, p += taps.column_step)
        largest = _mm_max_epu8(largest, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + c), largest);
  }
}

MIDTREAD_TARGET_END

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

inline constexpr AveragePoolKernel kAveragePool = {"average_pool_u8_x16__avx2", run_average_pool};
inline constexpr MaxPoolKernel kMaxPool = {"max_pool_u8_x16__avx2", run_max_pool};

MIDTREAD_NAMESPACE_END

#endif

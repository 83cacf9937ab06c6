// SPDX-License-Identifier: MIT
// Average and max pooling on AVX2: 16 or 64 channels of a window at a time, fewer channels in rows.
//
// The average divides in float32: for fewer than 2^16 counted codes the quotient is nearer to its true value
// than to any tie (a tie is at least 1 / (2 n) away, the quotient within 2^-17), so rounding it is exact. A
// product with 1 / n is within 2^-15: exact for odd n < 2^14, which have no ties, and for powers of two.
#pragma once

#include <midtread/kernels/fbgemm/avx2/vector.hpp>
#include <midtread/kernels/pool_rows.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

MIDTREAD_TARGET_AVX2_BEGIN

/// Divides sums of a window by how many codes it counts.
struct Divider {
  bool inverse;  ///< `divisor` is 1 / n
  __m256 divisor;
  __m256i taken, zero_point;

  MIDTREAD_ALWAYS_INLINE explicit Divider(const AverageTerms& t)
      : inverse((t.counted & (t.counted - 1)) == 0 || (t.counted % 2 != 0 && t.counted < (1 << 14))),
        divisor(
            _mm256_set1_ps(inverse ? 1.0f / static_cast<float>(t.counted) : static_cast<float>(t.counted))),
        taken(_mm256_set1_epi32(t.taken())),
        zero_point(_mm256_set1_epi32(t.zero_point)) {}

  /// 16 codes from the sums of channels 0-7 and 8-15.
  MIDTREAD_ALWAYS_INLINE __m128i operator()(__m256i low, __m256i high) const {
    return pack_ordered(_mm256_add_epi32(divide(low), zero_point),
                        _mm256_add_epi32(divide(high), zero_point));
  }

 private:
  MIDTREAD_ALWAYS_INLINE __m256i divide(__m256i sums) const {
    const __m256 sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(sums, taken));
    return _mm256_cvtps_epi32(inverse ? _mm256_mul_ps(sum, divisor) : _mm256_div_ps(sum, divisor));
  }
};

inline __m256i low_words(__m256i words) { return _mm256_cvtepu16_epi32(_mm256_castsi256_si128(words)); }
inline __m256i high_words(__m256i words) { return _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1)); }

/// 64 channels, a cache line, of a window of at most 257 codes: their sums fit 16 bits.
inline void average_64(const PoolTaps& taps, std::int64_t c, const Divider& divide, std::uint8_t* y) {
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
                     divide(low_words(sums[i]), high_words(sums[i])));
}

inline void average_16(const PoolTaps& taps, std::int64_t c, const Divider& divide, std::uint8_t* y) {
  __m256i low = _mm256_setzero_si256(), high = low;
  for (std::int64_t r = 0; r < taps.rows; ++r) {
    const std::uint8_t* p = taps.first + r * taps.row_step + c;
    for (std::int64_t x = 0; x < taps.columns; ++x, p += taps.column_step) {
      const __m256i words = load_codes_16(p);
      low = _mm256_add_epi32(low, low_words(words));
      high = _mm256_add_epi32(high, high_words(words));
    }
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(y + c), divide(low, high));
}

/// One output, at least 16 channels; the last vector overlaps the one before it.
MIDTREAD_NOINLINE inline void average_pixel(const PoolTaps& taps, std::int64_t channels,
                                            const AverageTerms& terms, std::uint8_t* y) {
  const Divider divide(terms);
  std::int64_t c = 0;
  if (terms.codes <= kMaxSmallWindow) {
    if (channels >= 128 && taps.column_step % 1024 == 0) {
      // Pixels a power of two apart share few places of the first cache: half a line would be gone before the
      // other half is read. So all after the first begin with a line.
      average_64(taps, 0, divide, y);
      c = 64 - static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(taps.first) % 64);
    }
    for (; c + 64 <= channels; c += 64) average_64(taps, c, divide, y);
    if (c > 64 && c + 16 < channels) average_64(taps, c = channels - 64, divide, y), c = channels;
  }
  for (; c < channels; c += 16) {
    if (c + 16 > channels) c = channels - 16;
    average_16(taps, c, divide, y);
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

/// The largest of `taps` codes that are `step` apart, for `n` of them side by side.
MIDTREAD_NOINLINE inline void largest_codes(const std::uint8_t* x, std::int64_t taps, std::int64_t step,
                                            std::int64_t n, std::uint8_t* out) {
  for (std::int64_t i = 0;; i = std::min(i + 16, n - 16)) {
    __m128i largest = _mm_setzero_si128();
    const std::uint8_t* p = x + i;
    for (std::int64_t t = 0; t < taps; ++t, p += step)
      largest = _mm_max_epu8(largest, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), largest);
    if (i + 16 >= n) return;
  }
}

inline __m256i load_words(const std::uint8_t* p) { return load_codes_16(p); }
inline __m256i load_words(const std::uint16_t* p) { return load(p); }

/// Sums of codes, or of sums.
template <class In>
MIDTREAD_NOINLINE void sum_words(const In* x, std::int64_t taps, std::int64_t step, std::int64_t n,
                                 std::uint16_t* out) {
  for (std::int64_t i = 0;; i = std::min(i + 16, n - 16)) {
    __m256i sum = _mm256_setzero_si256();
    const In* p = x + i;
    for (std::int64_t t = 0; t < taps; ++t, p += step) sum = _mm256_add_epi16(sum, load_words(p));
    store(out + i, sum);
    if (i + 16 >= n) return;
  }
}

MIDTREAD_NOINLINE inline void divide_words(const std::uint16_t* sums, std::int64_t n,
                                           const AverageTerms& terms, std::uint8_t* y) {
  const Divider divide(terms);
  for (std::int64_t i = 0;; i = std::min(i + 16, n - 16)) {
    const __m256i words = load(sums + i);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), divide(low_words(words), high_words(words)));
    if (i + 16 >= n) return;
  }
}

MIDTREAD_TARGET_END

/// What PoolRows asks for.
struct PoolVectors {
  struct Max {
    using Value = std::uint8_t;
    static constexpr auto rows = largest_codes, columns = largest_codes;
  };
  struct Sum {
    using Value = std::uint16_t;
    static constexpr auto rows = sum_words<std::uint8_t>;
    static constexpr auto columns = sum_words<std::uint16_t>;
  };
  static constexpr auto divide = divide_words;
  static void average_16(const PoolTaps& taps, std::int64_t c, const AverageTerms& terms, std::uint8_t* y) {
    PoolTaps own = taps;
    own.first += c;
    average_pixel(own, 16, terms, y);
  }
};

inline void run_average_pool(const Pool2dShape& s, const std::uint8_t* x, std::int32_t zero_point,
                             std::uint8_t* y, Scratch& scratch) {
  const std::int64_t largest = s.adaptive ? s.in_height * s.in_width : s.kernel_height * s.kernel_width;
  if (s.channels < 16 || largest > kMaxAverageWindow) {
    run_average_pool_rows<PoolVectors>(s, x, zero_point, y, scratch);
    return;
  }
  for_each_window(s, x, [&](const PoolTaps& taps, std::int64_t counted, std::int64_t at) {
    const AverageTerms terms{static_cast<std::int32_t>(std::max(counted, std::int64_t{1})),
                             static_cast<std::int32_t>(taps.rows * taps.columns), zero_point};
    average_pixel(taps, s.channels, terms, y + at);
  });
}

inline void run_max_pool(const Pool2dShape& s, const std::uint8_t* x, std::uint8_t* y) {
  if (s.channels < 16) {
    run_max_pool_rows<PoolVectors>(s, x, y);
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

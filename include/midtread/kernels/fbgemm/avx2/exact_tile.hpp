// SPDX-License-Identifier: MIT
// Register tiles on vpmaddubsw with weights that cannot saturate it, and the products those weights lack:
// applied to 16 pixels at a time, on their codes transposed, they are what the sums start from.
#pragma once

#include <midtread/kernels/fbgemm/avx2/exact_panels.hpp>
#include <midtread/kernels/fbgemm/avx2/gemm_tile.hpp>
#include <midtread/kernels/fbgemm/avx2/planar_codes.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// What the sums of a pixel start from: from[output - origin], `step` apart.
struct TileStart {
  const std::int32_t* from;
  std::int64_t step;
  std::int64_t origin;
};

/// Pixels whose codes are transposed together.
inline constexpr std::int64_t kTransposed = 16;

MIDTREAD_TARGET_AVX2_BEGIN

/// 32 codes of 16 rows: out[place][row].
MIDTREAD_NOINLINE inline void transpose_32(const std::uint8_t* const* rows, std::int64_t at,
                                           std::uint8_t* out) {
  __m256i x[16];
  MIDTREAD_UNROLL(16)
  for (int i = 0; i < 16; ++i) x[i] = load(rows[i] + at);
  transpose_bytes(x);
  MIDTREAD_UNROLL(16)
  for (int i = 0; i < 16; ++i) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * i), _mm256_castsi256_si128(x[i]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 256 + 16 * i), _mm256_extracti128_si256(x[i], 1));
  }
}

/// Bias and the products of a panel's excess for 16 pixels: start[pixel][16]. The codes of a place are at its
/// offset, or at 16 * place.
template <bool kOffsets>
MIDTREAD_NOINLINE void add_excess(const std::uint8_t* codes, const std::int32_t* offsets,
                                  const ExcessPair* pair, const std::int32_t* pairs, const std::int32_t* bias,
                                  std::int32_t* start) {
  for (int c0 = 0; c0 < 16; c0 += 4) {
    __m256i sums[4][2];
    for (int c = 0; c < 4; ++c) {
      __m256i a = _mm256_set1_epi32(bias[c0 + c]), b = a;
      for (const ExcessPair* end = pair + pairs[c0 + c]; pair < end; ++pair) {
        const __m256i x = load_codes_16(codes + (kOffsets ? offsets[pair->places[0]] : 16 * pair->places[0]));
        const __m256i y = load_codes_16(codes + (kOffsets ? offsets[pair->places[1]] : 16 * pair->places[1]));
        int weights;
        std::memcpy(&weights, pair->weights, 4);
        const __m256i w = _mm256_set1_epi32(weights);
        a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_unpacklo_epi16(x, y), w));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_unpackhi_epi16(x, y), w));
      }
      sums[c][0] = a;
      sums[c][1] = b;
    }
    // sums[c][0] holds pixels 0-3 and 8-11, sums[c][1] pixels 4-7 and 12-15.
    MIDTREAD_UNROLL(2)
    for (int h = 0; h < 2; ++h) {
      const __m256i ab_low = _mm256_unpacklo_epi32(sums[0][h], sums[1][h]);
      const __m256i ab_high = _mm256_unpackhi_epi32(sums[0][h], sums[1][h]);
      const __m256i cd_low = _mm256_unpacklo_epi32(sums[2][h], sums[3][h]);
      const __m256i cd_high = _mm256_unpackhi_epi32(sums[2][h], sums[3][h]);
      const __m256i pixels[4] = {_mm256_unpacklo_epi64(ab_low, cd_low), _mm256_unpackhi_epi64(ab_low, cd_low),
                                 _mm256_unpacklo_epi64(ab_high, cd_high),
                                 _mm256_unpackhi_epi64(ab_high, cd_high)};
      MIDTREAD_UNROLL(4)
      for (int i = 0; i < 4; ++i) {
        std::int32_t* to = start + 16 * (4 * h + i) + c0;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(pixels[i]));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 128), _mm256_extracti128_si256(pixels[i], 1));
      }
    }
  }
}

/// kRows pixels with int16 sums over kDepth groups of four products.
template <int kRows, int kDepth>
MIDTREAD_NOINLINE void exact_tile(const std::uint8_t* band, const BandPixel* pixels,
                                  const fbgemm::Panel& panel, const TileStart& start, const TileOutput& out) {
  const std::uint8_t* rows[kRows];
  __m256i acc[kRows][2];
  MIDTREAD_UNROLL(8)
  for (int i = 0; i < kRows; ++i) {
    rows[i] = band + pixels[i].input;
    const std::int32_t* from = start.from + (pixels[i].output - start.origin) * start.step;
    acc[i][0] = load(from);
    acc[i][1] = load(from + 8);
  }
  const __m256i one = _mm256_set1_epi16(1);
  const std::int8_t* w = panel.weights + panel.begin * kPanelColumns;
  const std::int64_t left_out = (panel.begin + panel.gap) * kPanelColumns;
  for (std::int64_t s = 0; s < panel.segments; ++s, w += left_out) {
    const std::int64_t begin = panel.offsets[s] + panel.begin, end = begin + panel.length;
    for (std::int64_t k = begin; k < end; k += 4 * kDepth, w += 64 * kDepth) {
      MIDTREAD_UNROLL(8)
      for (int i = 0; i < kRows; ++i) {
        int four;
        std::memcpy(&four, rows[i] + k, 4);
        __m256i codes = _mm256_set1_epi32(four);
        __m256i a = _mm256_maddubs_epi16(codes, load(w)), b = _mm256_maddubs_epi16(codes, load(w + 32));
        if (kDepth == 2) {
          std::memcpy(&four, rows[i] + k + 4, 4);
          codes = _mm256_set1_epi32(four);
          a = _mm256_add_epi16(a, _mm256_maddubs_epi16(codes, load(w + 64)));
          b = _mm256_add_epi16(b, _mm256_maddubs_epi16(codes, load(w + 96)));
        }
        acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(a, one));
        acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(b, one));
      }
    }
  }
  finish_tile<kRows>(acc, pixels, out);
}

/// terms += factor * values, 16 of them.
MIDTREAD_NOINLINE inline void add_product(const std::int32_t* values, std::int32_t factor,
                                          std::int32_t* terms) {
  const __m256i f = _mm256_set1_epi32(factor);
  for (int i = 0; i < 16; i += 8)
    store(terms + i, _mm256_add_epi32(load(terms + i), _mm256_mullo_epi32(load(values + i), f)));
}

MIDTREAD_TARGET_END

template <int kMost, int kDepth>
void exact_rows(const std::uint8_t* band, const BandPixel* pixels, std::int64_t count,
                const fbgemm::Panel& panel, const TileStart& start, const TileOutput& out) {
  std::int64_t i = 0;
  for (; i + kMost <= count; i += kMost) exact_tile<kMost, kDepth>(band, pixels + i, panel, start, out);
  if (kMost > 4 && i + 4 <= count) {
    exact_tile<4, kDepth>(band, pixels + i, panel, start, out);
    i += 4;
  }
  if (i + 2 <= count) {
    exact_tile<2, kDepth>(band, pixels + i, panel, start, out);
    i += 2;
  }
  if (i < count) exact_tile<1, kDepth>(band, pixels + i, panel, start, out);
}

MIDTREAD_NAMESPACE_END

#endif

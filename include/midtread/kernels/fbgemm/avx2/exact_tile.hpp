// SPDX-License-Identifier: MIT
// Register tiles on vpmaddubsw with weights that cannot saturate it.
#pragma once

#include <midtread/kernels/fbgemm/avx2/exact_panels.hpp>
#include <midtread/kernels/fbgemm/avx2/gemm_tile.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// What the sums of a pixel start from: from[output - origin], `step` apart.
struct TileStart {
  const std::int32_t* from;
  std::int64_t step;
  std::int64_t origin;
};

MIDTREAD_TARGET_AVX2_BEGIN

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
  for (; i + kMost <= count && (kMost == 4 || count - i != 8); i += kMost)
    exact_tile<kMost, kDepth>(band, pixels + i, panel, start, out);
  for (; kMost > 4 && i + 4 <= count; i += 4) exact_tile<4, kDepth>(band, pixels + i, panel, start, out);
  if (i + 2 <= count) {
    exact_tile<2, kDepth>(band, pixels + i, panel, start, out);
    i += 2;
  }
  if (i < count) exact_tile<1, kDepth>(band, pixels + i, panel, start, out);
}

MIDTREAD_NAMESPACE_END

#endif

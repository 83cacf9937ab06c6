// SPDX-License-Identifier: MIT
// The products that kept weights lack, for 32 pixels at a time: a place's codes under them stand side by
// side, two places are interleaved for vpmaddubsw, and bins summed in 16 bits are widened two at a time. What
// comes out, bias included, is what the sums of the register tiles start from.
//
//   start[pixel][channel] = bias[channel] + sum over the channel's excess of codes[place][pixel] * weight
#pragma once

#include <midtread/kernels/fbgemm/avx2/exact_panels.hpp>
#include <midtread/kernels/fbgemm/avx2/excess.hpp>
#include <midtread/kernels/fbgemm/avx2/vector.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// Pixels whose excess is taken together: two runs of neighbours.
inline constexpr std::int64_t kTogether = 32, kRun = 16;

/// The excess of a panel as it is stored.
struct PanelExcess {
  const ExcessStep* list;
  const std::uint16_t* rounds;  ///< [16]
  const std::uint16_t* steps;   ///< of each round

  PanelExcess(const unsigned char* storage, const ExactPanel& panel)
      : list(reinterpret_cast<const ExcessStep*>(storage + panel.excess)),
        rounds(reinterpret_cast<const std::uint16_t*>(
            storage + panel.excess + panel.steps * static_cast<std::int64_t>(sizeof(ExcessStep)))),
        steps(rounds + kPanelColumns) {}
};

/// 16 pixels of a row: their codes of each place are at `codes` + its offset, their sums start at `start`.
struct PixelRun {
  const std::uint8_t* codes;
  std::int32_t* start;
};

MIDTREAD_TARGET_AVX2_BEGIN

/// A place's codes of both runs.
template <bool kNeighbours>
MIDTREAD_ALWAYS_INLINE __m256i load_runs(const std::uint8_t* a, const std::uint8_t* b, std::int64_t offset) {
  if (kNeighbours) return load(a + offset);
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + offset));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + offset));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/// Eight channels of 32 pixels to rows of 16: sums[channel][q] holds pixels 4 q.. of either run.
MIDTREAD_ALWAYS_INLINE void store_starts(const __m256i (&sums)[8][4], std::int32_t* a, std::int32_t* b) {
  for (int q = 0; q < 4; ++q, a += 64, b += 64) {
    __m256i pixels[2][4];
    MIDTREAD_UNROLL(2)
    for (int h = 0; h < 2; ++h) {
      const __m256i low = _mm256_unpacklo_epi32(sums[4 * h][q], sums[4 * h + 1][q]);
      const __m256i high = _mm256_unpackhi_epi32(sums[4 * h][q], sums[4 * h + 1][q]);
      const __m256i next_low = _mm256_unpacklo_epi32(sums[4 * h + 2][q], sums[4 * h + 3][q]);
      const __m256i next_high = _mm256_unpackhi_epi32(sums[4 * h + 2][q], sums[4 * h + 3][q]);
      pixels[h][0] = _mm256_unpacklo_epi64(low, next_low);
      pixels[h][1] = _mm256_unpackhi_epi64(low, next_low);
      pixels[h][2] = _mm256_unpacklo_epi64(high, next_high);
      pixels[h][3] = _mm256_unpackhi_epi64(high, next_high);
    }
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      store(a + 16 * i, _mm256_permute2x128_si256(pixels[0][i], pixels[1][i], 0x20));
      store(b + 16 * i, _mm256_permute2x128_si256(pixels[0][i], pixels[1][i], 0x31));
    }
  }
}

/// The codes of two places side by side, for vpmaddubsw, times their weights: pixels 0-7 of either run, and
/// 8-15.
struct TwoProducts {
  __m256i low, high;

  template <bool kNeighbours>
  MIDTREAD_ALWAYS_INLINE static TwoProducts of(const std::uint8_t* a, const std::uint8_t* b,
                                               const ExcessStep& step, int bin) {
    const __m256i x = load_runs<kNeighbours>(a, b, step.offsets[bin][0]);
    const __m256i y = load_runs<kNeighbours>(a, b, step.offsets[bin][1]);
    int four;
    std::memcpy(&four, step.weights[bin], 4);
    const __m256i w = _mm256_set1_epi32(four);
    return {_mm256_maddubs_epi16(_mm256_unpacklo_epi8(x, y), w),
            _mm256_maddubs_epi16(_mm256_unpackhi_epi8(x, y), w)};
  }
  MIDTREAD_ALWAYS_INLINE void add(const TwoProducts& other) {
    low = _mm256_add_epi16(low, other.low);
    high = _mm256_add_epi16(high, other.high);
  }
};

/// Two runs of pixels against one panel. `kNeighbours`: the second run follows the first.
template <bool kNeighbours>
MIDTREAD_NOINLINE void add_excess(const PixelRun& first, const PixelRun& second, const PanelExcess& excess,
                                  const std::int32_t* bias) {
  const std::uint8_t *a = first.codes, *b = second.codes;
  const ExcessStep* step = excess.list;
  const std::uint16_t* steps = excess.steps;
  const __m256i one = _mm256_set1_epi16(1);
  __m256i sums[8][4];
  for (int c = 0; c < 16; ++c) {
    const __m256i own = _mm256_set1_epi32(bias[c]);
    __m256i s0 = own, s1 = own, s2 = own, s3 = own;
    for (int round = excess.rounds[c]; round > 0; --round) {
      const ExcessStep* const end = step + *steps++;
      TwoProducts x = TwoProducts::of<kNeighbours>(a, b, *step, 0);
      TwoProducts y = TwoProducts::of<kNeighbours>(a, b, *step, 1);
      while (++step < end) {
        x.add(TwoProducts::of<kNeighbours>(a, b, *step, 0));
        y.add(TwoProducts::of<kNeighbours>(a, b, *step, 1));
      }
      s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(_mm256_unpacklo_epi16(x.low, y.low), one));
      s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(_mm256_unpackhi_epi16(x.low, y.low), one));
      s2 = _mm256_add_epi32(s2, _mm256_madd_epi16(_mm256_unpacklo_epi16(x.high, y.high), one));
      s3 = _mm256_add_epi32(s3, _mm256_madd_epi16(_mm256_unpackhi_epi16(x.high, y.high), one));
    }
    __m256i* const own_sums = sums[c % 8];
    own_sums[0] = s0;
    own_sums[1] = s1;
    own_sums[2] = s2;
    own_sums[3] = s3;
    if (c % 8 == 7) store_starts(sums, first.start + c - 7, second.start + c - 7);
  }
}

MIDTREAD_TARGET_END

/// Up to a few pixels, one product at a time: start[pixel][16]. `place_at`: where a place's code is after a
/// pixel's first.
template <class PlaceAt>
void add_excess_singly(const std::uint8_t* band, const BandPixel* pixels, std::int64_t count,
                       const PanelExcess& excess, const std::int32_t* bias, const PlaceAt& place_at,
                       std::int32_t* start) {
  const ExcessStep* step = excess.list;
  const std::uint16_t* steps = excess.steps;
  for (std::int64_t c = 0; c < kPanelColumns; ++c) {
    const ExcessStep* end = step;
    for (int round = excess.rounds[c]; round > 0; --round) end += *steps++;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint8_t* codes = band + pixels[i].input;
      std::int32_t sum = bias[c];
      for (const ExcessStep* s = step; s < end; ++s)
        for (int bin = 0; bin < 2; ++bin)
          for (int k = 0; k < 2; ++k) sum += s->weights[bin][k] * codes[place_at(s->offsets[bin][k] / 32)];
      start[i * kPanelColumns + c] = sum;
    }
    step = end;
  }
}

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// The register tile: 6 output pixels x 16 output channels, int16 x int16 pairs into int32 (vpmaddwd), exact
// for every code. Products of a segment are contiguous in the band; a tap, or a row of taps, is a segment.
//
//   acc[pixel][o] = sum over segments s, k of band[input(pixel) + offset(s) + k] * w[s][k][o]
#pragma once

#include <midtread/kernels/fbgemm/avx2/vector.hpp>
#include <midtread/kernels/padded_band.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline constexpr std::int64_t kTileRows = 6;
inline constexpr std::int64_t kTileColumns = 16;

/// 16 output channels of packed weights: int16 or int8 [segment][pair][16][2].
struct Panel {
  const void* weights;
  const std::int32_t* segment_offsets;
  std::int64_t segments;
  std::int64_t pairs;  ///< per segment; an odd length is filled with a zero weight
};

/// Where a tile goes: codes, or accumulators if `acc` is set.
struct TileOutput {
  std::uint8_t* codes;
  std::int32_t* acc;
  std::int64_t pitch;        ///< elements from one output pixel to the next
  std::int64_t columns;      ///< of the panel, at most 16
  const std::int32_t* bias;  ///< 16
  const float* multiplier;   ///< 16
  OutputCodes bounds;
  const Epilogue* general;  ///< set for other roundings than half to even
};

/// Accumulators as they are, and the rarer roundings. `acc` is [rows][16], bias included.
inline void finish_slowly(const std::int32_t* acc, std::int64_t rows, const BandPixel* pixels,
                          const TileOutput& out) {
  for (std::int64_t i = 0; i < rows; ++i, acc += kTileColumns) {
    const std::int64_t at = pixels[i].output * out.pitch;
    if (out.acc != nullptr) {
      std::memcpy(out.acc + at, acc, static_cast<std::size_t>(out.columns) * sizeof(std::int32_t));
      continue;
    }
    const Epilogue& e = *out.general;
    for (std::int64_t c = 0; c < out.columns; ++c)
      out.codes[at + c] = static_cast<std::uint8_t>(
          requantize(acc[c], out.multiplier[c], e.zero_point, e.lo, e.hi, e.rounding));
  }
}

MIDTREAD_TARGET_AVX2_BEGIN

/// The sums of kRows pixels, bias included, to the output.
template <int kRows>
MIDTREAD_ALWAYS_INLINE void finish_tile(const __m256i (&acc)[kRows][2], const BandPixel* pixels,
                                        const TileOutput& out) {
  if (out.acc != nullptr || out.general != nullptr) {
    alignas(32) std::int32_t rest[kRows][kTileColumns];
    MIDTREAD_UNROLL(8)
    for (int i = 0; i < kRows; ++i) {
      store(rest[i], acc[i][0]);
      store(rest[i] + 8, acc[i][1]);
    }
    finish_slowly(rest[0], kRows, pixels, out);
    return;
  }
  const CodeBounds bounds(out.bounds);
  const __m256 multiplier_a = _mm256_loadu_ps(out.multiplier),
               multiplier_b = _mm256_loadu_ps(out.multiplier + 8);
  std::uint8_t* const codes = out.codes;  // a store of codes may change what `out` refers to
  const std::int64_t pitch = out.pitch, columns = out.columns;
  MIDTREAD_UNROLL(8)
  for (int i = 0; i < kRows; i += 2) {
    const int next = i + 1 < kRows ? i + 1 : i;
    const __m256i a = bounds.round(acc[i][0], multiplier_a), b = bounds.round(acc[i][1], multiplier_b);
    const __m256i c = next == i ? a : bounds.round(acc[next][0], multiplier_a);
    const __m256i d = next == i ? b : bounds.round(acc[next][1], multiplier_b);
    const __m256i both = join_halves(bounds.pack(a, b, c, d));
    store_codes(_mm256_castsi256_si128(both), codes + pixels[i].output * pitch, columns);
    if (next != i)
      store_codes(_mm256_extracti128_si256(both, 1), codes + pixels[next].output * pitch, columns);
  }
}

inline __m256i load_weights(const std::int16_t* w) { return load(w); }
inline __m256i load_weights(const std::int8_t* w) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w)));
}

template <int kRows, class Weight>
MIDTREAD_NOINLINE void tile(const std::int16_t* band, const BandPixel* pixels, const Panel& panel,
                            const TileOutput& out) {
  const std::int16_t* rows[kRows];
  __m256i acc[kRows][2];
  MIDTREAD_UNROLL(8)
  for (int i = 0; i < kRows; ++i) {
    rows[i] = band + pixels[i].input;
    acc[i][0] = load(out.bias);
    acc[i][1] = load(out.bias + 8);
  }
  const auto* w = static_cast<const Weight*>(panel.weights);
  for (std::int64_t s = 0; s < panel.segments; ++s) {
    const std::int64_t begin = panel.segment_offsets[s], end = begin + 2 * panel.pairs;
    for (std::int64_t k = begin; k < end; k += 2, w += 32) {
      const __m256i w0 = load_weights(w), w1 = load_weights(w + 16);
      MIDTREAD_UNROLL(8)
      for (int i = 0; i < kRows; ++i) {
        int pair;
        std::memcpy(&pair, rows[i] + k, 4);
        const __m256i a = _mm256_set1_epi32(pair);
        acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(a, w0));
        acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(a, w1));
      }
    }
  }
  finish_tile<kRows>(acc, pixels, out);
}

MIDTREAD_TARGET_END

/// The last pixels, fewer than six or twice four, against one panel.
template <class Weight>
void run_few(const std::int16_t* band, const BandPixel* pixels, std::int64_t count, const Panel& panel,
             const TileOutput& out) {
  std::int64_t i = 0;
  for (; i + 4 <= count; i += 4) tile<4, Weight>(band, pixels + i, panel, out);
  if (i + 2 <= count) {
    tile<2, Weight>(band, pixels + i, panel, out);
    i += 2;
  }
  if (i < count) tile<1, Weight>(band, pixels + i, panel, out);
}

/// All pixels of a band against one panel of int16 weights.
inline void run_panel(const std::int16_t* band, const BandPixel* pixels, std::int64_t count,
                      const Panel& panel, const TileOutput& out) {
  std::int64_t i = 0;
  for (; i + 6 <= count && count - i != 8; i += 6) tile<6, std::int16_t>(band, pixels + i, panel, out);
  run_few<std::int16_t>(band, pixels + i, count - i, panel, out);
}

MIDTREAD_NAMESPACE_END

#endif

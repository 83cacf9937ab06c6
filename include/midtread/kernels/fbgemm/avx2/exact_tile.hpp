// SPDX-License-Identifier: MIT
// Register tiles on vpmaddubsw with weights that cannot saturate it, and the products those weights lack:
// applied to 16 pixels at a time, on their codes transposed, they are what the sums start from.
#pragma once

#include <midtread/kernels/fbgemm/avx2/exact_panels.hpp>
#include <midtread/kernels/fbgemm/avx2/gemm_tile.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// Pixels whose codes are transposed together.
inline constexpr std::int64_t kTransposed = 16;

MIDTREAD_TARGET_AVX2_BEGIN

/// 32 codes of 16 rows: out[place][row].
MIDTREAD_NOINLINE inline void transpose_32(const std::uint8_t* const* rows, std::int64_t at,
                                           std::uint8_t* out) {
  __m256i x[16], y[16];
  MIDTREAD_UNROLL(16)
  for (int i = 0; i < 16; ++i) x[i] = load(rows[i] + at);
  // Each step is a perfect shuffle of the rows' bytes; four of them transpose both halves.
  MIDTREAD_UNROLL(2)
  for (int step = 0; step < 2; ++step) {
    MIDTREAD_UNROLL(8)
    for (int i = 0; i < 8; ++i) {
      y[2 * i] = _mm256_unpacklo_epi8(x[i], x[i + 8]);
      y[2 * i + 1] = _mm256_unpackhi_epi8(x[i], x[i + 8]);
    }
    MIDTREAD_UNROLL(8)
    for (int i = 0; i < 8; ++i) {
      x[2 * i] = _mm256_unpacklo_epi8(y[i], y[i + 8]);
      x[2 * i + 1] = _mm256_unpackhi_epi8(y[i], y[i + 8]);
    }
  }
  MIDTREAD_UNROLL(16)
  for (int i = 0; i < 16; ++i) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * i), _mm256_castsi256_si128(x[i]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 256 + 16 * i), _mm256_extracti128_si256(x[i], 1));
  }
}

/// Bias and the products of a panel's excess for 16 pixels: start[pixel][16].
MIDTREAD_NOINLINE inline void add_excess(const std::uint8_t* transposed, const ExcessPair* pair,
                                         const std::int32_t* pairs, const std::int32_t* bias,
                                         std::int32_t* start) {
  for (int c0 = 0; c0 < 16; c0 += 4) {
    __m256i sums[4][2];
    for (int c = 0; c < 4; ++c) {
      __m256i a = _mm256_set1_epi32(bias[c0 + c]), b = a;
      for (const ExcessPair* end = pair + pairs[c0 + c]; pair < end; ++pair) {
        const __m256i x = load_codes_16(transposed + 16 * pair->places[0]);
        const __m256i y = load_codes_16(transposed + 16 * pair->places[1]);
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
                                  const fbgemm::Panel& panel, const std::int32_t* start,
                                  std::int64_t start_step, const TileOutput& out) {
  const std::uint8_t* rows[kRows];
  __m256i acc[kRows][2];
  MIDTREAD_UNROLL(8)
  for (int i = 0; i < kRows; ++i) {
    rows[i] = band + pixels[i].input;
    acc[i][0] = load(start + i * start_step);
    acc[i][1] = load(start + i * start_step + 8);
  }
  const __m256i one = _mm256_set1_epi16(1);
  const std::int8_t* w = panel.weights;
  for (std::int64_t s = 0; s < panel.segments; ++s) {
    const std::int64_t begin = panel.offsets[s], end = begin + panel.length;
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

MIDTREAD_TARGET_END

template <int kMost, int kDepth>
void exact_rows(const std::uint8_t* band, const BandPixel* pixels, std::int64_t count,
                const fbgemm::Panel& panel, const std::int32_t* start, std::int64_t start_step,
                const TileOutput& out) {
  std::int64_t i = 0;
  for (; i + kMost <= count; i += kMost)
    exact_tile<kMost, kDepth>(band, pixels + i, panel, start + i * start_step, start_step, out);
  if (kMost > 4 && i + 4 <= count) {
    exact_tile<4, kDepth>(band, pixels + i, panel, start + i * start_step, start_step, out);
    i += 4;
  }
  if (i + 2 <= count) {
    exact_tile<2, kDepth>(band, pixels + i, panel, start + i * start_step, start_step, out);
    i += 2;
  }
  if (i < count) exact_tile<1, kDepth>(band, pixels + i, panel, start + i * start_step, start_step, out);
}

/// A block of pixels of one group; their codes are transposed when the first panel asks for it.
class PixelBlock {
 public:
  static constexpr std::int64_t kMost = 48;
  static constexpr std::int64_t kFew = 4;  ///< up to these the excess is added one by one

  static std::int64_t bytes(const Segments& segments) { return kMost * segments.depth(); }
  /// In equal blocks, whole tiles where there are any.
  static std::int64_t size(std::int64_t count) {
    const std::int64_t blocks = (count + kMost - 1) / kMost;
    return ((count + blocks - 1) / blocks + 3) / 4 * 4;
  }

  PixelBlock(const std::uint8_t* band, const BandPixel* pixels, std::int64_t count,
             const std::int32_t* offsets, const Segments& segments, std::uint8_t* memory)
      : band_(band),
        pixels_(pixels),
        count_(count),
        offsets_(offsets),
        segments_(segments),
        memory_(memory) {}

  void run(const unsigned char* storage, const ExactPanel& panel, const TileOutput& out) {
    if (count_ <= kFew && panel.few != 0) {
      run_in_16_bits(storage + panel.few, out);
      return;
    }
    const fbgemm::Panel dense{reinterpret_cast<const std::int8_t*>(storage + panel.weights), offsets_,
                              segments_.count, segments_.length, kPanelColumns};
    const auto* pair = reinterpret_cast<const ExcessPair*>(storage + panel.excess);
    alignas(32) std::int32_t start[kMost * kPanelColumns];
    if (!panel.any())
      ;
    else if (count_ <= kFew)
      add_few(pair, panel.pairs, out.bias, start);
    else
      for (std::int64_t i = 0; i < count_; i += kTransposed)
        add_excess(transposed() + i * segments_.depth(), pair, panel.pairs, out.bias,
                   start + i * kPanelColumns);
    const std::int32_t* from = panel.any() ? start : out.bias;
    const std::int64_t step = panel.any() ? kPanelColumns : 0;
    if (panel.depth == 1)
      exact_rows<6, 1>(band_, pixels_, count_, dense, from, step, out);
    else
      exact_rows<4, 2>(band_, pixels_, count_, dense, from, step, out);
  }

 private:
  /// [16 pixels][place][pixel]
  const std::uint8_t* transposed() {
    for (std::int64_t i = 0; i < count_ && !done_; i += kTransposed) {
      std::uint8_t* out = memory_ + i * segments_.depth();
      for (std::int64_t s = 0; s < segments_.count; ++s, out += segments_.length * kTransposed) {
        const std::uint8_t* rows[kTransposed];
        for (std::int64_t r = 0; r < kTransposed; ++r)
          rows[r] = band_ + pixels_[std::min(i + r, count_ - 1)].input + offsets_[s];
        transpose_segment(rows, out);
      }
    }
    done_ = true;
    return memory_;
  }

  void transpose_segment(const std::uint8_t* const* rows, std::uint8_t* out) const {
    const std::int64_t length = segments_.length;
    if (length >= 32) {  // the last 32 places overlap those before them
      for (std::int64_t k = 0; k < length; k += 32) {
        const std::int64_t at = std::min(k, length - 32);
        transpose_32(rows, at, out + at * kTransposed);
      }
      return;
    }
    std::uint8_t codes[kTransposed][32] = {}, places[32 * kTransposed];
    const std::uint8_t* copies[kTransposed];
    for (std::int64_t r = 0; r < kTransposed; ++r) {
      std::memcpy(codes[r], rows[r], static_cast<std::size_t>(length));
      copies[r] = codes[r];
    }
    transpose_32(copies, 0, places);
    std::memcpy(out, places, static_cast<std::size_t>(length * kTransposed));
  }

  /// Few rows of a matrix product: their codes widened, int8 weights widened as they are loaded.
  void run_in_16_bits(const unsigned char* weights, const TileOutput& out) {
    auto* wide = reinterpret_cast<std::int16_t*>(memory_);
    BandPixel rows[kFew];
    for (std::int64_t i = 0; i < count_; ++i) {
      if (!done_) widen(band_ + pixels_[i].input, segments_.length, 0, wide + i * segments_.length);
      rows[i] = {static_cast<std::int32_t>(i * segments_.length), pixels_[i].output};
    }
    done_ = true;
    const std::int32_t offset = 0;
    run_few<std::int8_t>(wide, rows, count_, {weights, &offset, 1, segments_.length / 2}, out);
  }

  void add_few(const ExcessPair* pair, const std::int32_t* pairs, const std::int32_t* bias,
               std::int32_t* start) const {
    for (std::int64_t c = 0; c < kPanelColumns; pair += pairs[c], ++c)
      for (std::int64_t i = 0; i < count_; ++i) {
        const std::uint8_t* codes = band_ + pixels_[i].input;
        std::int32_t a = bias[c], b = 0;
        for (const ExcessPair* p = pair; p < pair + pairs[c]; ++p) {
          a += p->weights[0] * codes[at(p->places[0])];
          b += p->weights[1] * codes[at(p->places[1])];
        }
        start[i * kPanelColumns + c] = a + b;
      }
  }
  std::int64_t at(std::int64_t place) const {
    return place < segments_.length ? place : offsets_[place / segments_.length] + place % segments_.length;
  }

  const std::uint8_t* band_;
  const BandPixel* pixels_;
  std::int64_t count_;
  const std::int32_t* offsets_;
  const Segments& segments_;
  std::uint8_t* memory_;
  bool done_ = false;
};

MIDTREAD_NAMESPACE_END

#endif

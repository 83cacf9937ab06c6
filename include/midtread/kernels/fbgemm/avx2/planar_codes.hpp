// SPDX-License-Identifier: MIT
// The codes of a band channel by channel: a place's codes under 16 outputs of a row stand side by side, for
// the products that vpmaddubsw cannot take. Each code is moved once, whatever the number of taps over it.
//
//   planes[row][phase][channel][column] = band[row][column * stride + phase][channel]
#pragma once

#include <midtread/kernels/fbgemm/avx2/vector.hpp>
#include <midtread/kernels/fbgemm/vnni/panels.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// 16 pixels' codes of `channels` channels, 16 at most, and where the channels go.
struct PlanarTile {
  const std::uint8_t* from;
  std::uint8_t* to;
  std::int64_t channels;
};

MIDTREAD_TARGET_AVX2_BEGIN

/// Each step is a perfect shuffle of the rows' bytes; four of them transpose both halves.
MIDTREAD_ALWAYS_INLINE void transpose_bytes(__m256i (&x)[16]) {
  __m256i y[16];
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
}

/// 16 codes of 32 rows: out[place][row].
MIDTREAD_NOINLINE inline void transpose_rows(const std::uint8_t* const* rows, std::int64_t at,
                                             std::uint8_t* out) {
  __m256i x[16];
  MIDTREAD_UNROLL(16)
  for (int i = 0; i < 16; ++i) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i] + at));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i + 16] + at));
    x[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  transpose_bytes(x);
  MIDTREAD_UNROLL(16)
  for (int i = 0; i < 16; ++i) store(out + 32 * i, x[i]);
}

/// Two tiles at a time: pixels are `step` bytes apart, channels `columns`. Reads 16 codes of each pixel.
MIDTREAD_NOINLINE inline void transpose_tiles(const PlanarTile& a, const PlanarTile& b, std::int64_t step,
                                              std::int64_t columns) {
  __m256i x[16];
  MIDTREAD_UNROLL(16)
  for (int i = 0; i < 16; ++i) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a.from + i * step));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b.from + i * step));
    x[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  transpose_bytes(x);
  if (a.channels == 16 && b.channels == 16) {
    std::uint8_t *to_a = a.to, *to_b = b.to;
    MIDTREAD_UNROLL(16)
    for (int i = 0; i < 16; ++i, to_a += columns, to_b += columns) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to_a), _mm256_castsi256_si128(x[i]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to_b), _mm256_extracti128_si256(x[i], 1));
    }
    return;
  }
  alignas(32) std::uint8_t rows[16][32];
  MIDTREAD_UNROLL(16)
  for (int i = 0; i < 16; ++i) store(rows[i], x[i]);
  for (std::int64_t c = 0; c < a.channels; ++c) std::memcpy(a.to + c * columns, rows[c], 16);
  for (std::int64_t c = 0; c < b.channels; ++c) std::memcpy(b.to + c * columns, rows[c] + 16, 16);
}

MIDTREAD_TARGET_END

/// For rows of 16 outputs at least.
class PlanarCodes {
 public:
  explicit PlanarCodes(const PaddedBand& plan)
      : plan_(plan), channels_(plan.shape.in_channels), stride_(plan.stride_x) {
    reach_ = (plan.shape.kernel_width - 1) * plan.shape.dilation_width;
    phases_ = std::min(stride_, reach_ + 1);
    columns_ = (plan.width + stride_ - 1) / stride_;
  }

  std::int64_t bytes() const { return (plan_.in_rows(plan_.out_rows) * row_bytes() + 32 + 63) / 64 * 64; }
  /// Bytes that are read after the band.
  std::int64_t slack() const { return (16 * stride_ * channels_ + 16 + 63) / 64 * 64; }
  /// From a row of outputs to the next.
  std::int64_t row_step() const { return plan_.stride_y * row_bytes(); }
  /// From a channel to the next.
  std::int64_t channel_step() const { return columns_; }

  /// Where the codes of a place, without those of a group's other channels, begin for output 0 of a row: of
  /// every place of the segments, 0 for those that fill them.
  void list_offsets(const Segments& segments, std::int32_t* offsets) const {
    const Conv2dShape& s = plan_.shape;
    const std::int64_t channels = segments.whole_rows ? s.in_channels : s.in_group();
    std::fill_n(offsets, segments.depth(), 0);
    for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
      for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
        const std::int64_t x = kx * s.dilation_width;
        std::int64_t at =
            ky * s.dilation_height * row_bytes() + x % stride_ * channels_ * columns_ + x / stride_;
        std::int32_t* to = offsets + segments.at(s, 0, ky * s.kernel_width + kx);
        for (std::int64_t c = 0; c < channels; ++c, at += columns_) to[c] = static_cast<std::int32_t>(at);
      }
  }

  void fill(const std::uint8_t* band, std::int64_t rows, std::uint8_t* planes) const {
    for (std::int64_t r = 0; r < plan_.in_rows(rows); ++r)
      for (std::int64_t phase = 0; phase < phases_; ++phase, planes += channels_ * columns_)
        fill_phase(band + (r * plan_.width + phase) * channels_, columns_of(phase), planes);
  }

 private:
  std::int64_t row_bytes() const { return phases_ * channels_ * columns_; }

  /// From the first that output 0 meets to the last of the last output, with taps `phase` apart from a
  /// multiple of the stride.
  std::int64_t columns_of(std::int64_t phase) const {
    return plan_.shape.out_width + (reach_ - phase) / stride_;
  }

  /// Tiles overlap at the end of the row.
  void fill_phase(const std::uint8_t* pixels, std::int64_t columns, std::uint8_t* planes) const {
    const std::int64_t step = stride_ * channels_;
    std::int64_t column = 0, channel = 0;
    bool more = true;
    const auto next = [&] {
      const PlanarTile tile{pixels + column * step + channel, planes + channel * columns_ + column,
                            std::min(channels_ - channel, std::int64_t{16})};
      channel += 16;
      if (channel >= channels_) {
        more = column + 16 < columns;
        column = std::min(column + 16, columns - 16);
        channel = 0;
      }
      return tile;
    };
    while (more) {
      const PlanarTile a = next(), b = more ? next() : a;
      transpose_tiles(a, b, step, columns_);
    }
  }

  const PaddedBand& plan_;
  std::int64_t channels_, stride_, reach_, phases_, columns_;
};

MIDTREAD_NAMESPACE_END

#endif

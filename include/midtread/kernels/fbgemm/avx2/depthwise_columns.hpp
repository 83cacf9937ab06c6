// SPDX-License-Identifier: MIT
// Depthwise 3x3 on AVX2 straight from the input: a column of codes is widened in registers where it is read,
// and multiplied into each output that it is under, so that nothing is stored but outputs.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/fbgemm/avx2/vector.hpp>
#include <midtread/kernels/fbgemm/vnni/panels.hpp>
#include <midtread/kernels/fbgemm/vnni/window_rows.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// Blocks of 32 channels in four vectors, in the order in which unpacking a register of codes leaves them.
/// The last block may overlap the one before.
struct ColumnBlocks {
  static constexpr std::int64_t kBlock = 32, kWeights = 5 * 16;  ///< weights of a vector

  static std::int64_t lanes(const Conv2dShape& s) { return (s.out_channels + kBlock - 1) / kBlock * kBlock; }
  /// Planes are faster where more than a fifth of the channels would be computed twice, with stride 2 two
  /// fifths.
  static bool suit(const Conv2dShape& s) {
    return s.in_group() == 1 && s.out_group() == 1 && s.kernel_height == 3 && s.kernel_width == 3 &&
           s.dilation_width == 1 && s.stride_width <= 2 && s.out_channels >= kBlock &&
           5 * lanes(s) <= (5 + s.stride_width) * s.out_channels;
  }
  /// Of the block of lane `i`.
  static std::int64_t first_channel(const Conv2dShape& s, std::int64_t i) {
    return std::min(i / kBlock * kBlock, s.out_channels - kBlock);
  }
  /// In lane `i % 8` of vector `i / 8`.
  static std::int64_t channel(const Conv2dShape& s, std::int64_t i) {
    return first_channel(s, i) + i % 8 / 4 * 16 + i / 8 % 4 * 4 + i % 4;
  }
  static std::int64_t bytes(const Conv2dShape& s) { return suit(s) ? lanes(s) / 8 * kWeights * 2 : 0; }
  /// int16 [vector][5][8][2]: rows 0 and 1 of each column; row 2 of two columns, which with stride 1 are the
  /// first two and with stride 2 the last two; and 0 with row 2 of the column left.
  static void pack(const Conv2dShape& s, const std::int8_t* weights, std::int16_t* packed) {
    const int pair = s.stride_width == 1 ? 0 : 1, alone = s.stride_width == 1 ? 2 : 0;
    for (std::int64_t i = 0; i < lanes(s); ++i) {
      const std::int8_t* w = weights + 9 * channel(s, i);
      const int each[5][2] = {
          {w[0], w[3]}, {w[1], w[4]}, {w[2], w[5]}, {w[6 + pair], w[7 + pair]}, {0, w[6 + alone]}};
      for (int k = 0; k < 5; ++k)
        for (int two = 0; two < 2; ++two)
          packed[i / 8 * kWeights + 16 * k + i % 8 * 2 + two] = static_cast<std::int16_t>(each[k][two]);
    }
  }
};

/// A row of outputs of 32 channels.
struct ColumnLine {
  WindowRows rows;
  std::int32_t zero_point;
  const std::int16_t* weights;
  const std::int32_t* bias;
  const float* multiplier;
  std::int64_t width, pitch;
  std::uint8_t* codes;
};

MIDTREAD_TARGET_AVX2_BEGIN

/// Codes of rows 0 and 1 above each other, and of row 2.
struct CodeColumn {
  __m256i low, high, third;
};

MIDTREAD_ALWAYS_INLINE CodeColumn read_column(const WindowRows& rows, std::int32_t zero_point,
                                              std::int64_t x) {
  __m256i a, b, c;
  if (static_cast<std::uint64_t>(x) < static_cast<std::uint64_t>(rows.columns)) {
    a = load(rows.first[0] + x * rows.step[0]);
    b = load(rows.first[1] + x * rows.step[1]);
    c = load(rows.first[2] + x * rows.step[2]);
  } else {
    a = b = c = _mm256_set1_epi8(static_cast<char>(zero_point));
  }
  return {_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b), c};
}

/// Vector kVector of codes above each other, as 16-bit words.
template <int kVector>
MIDTREAD_ALWAYS_INLINE __m256i widen_pairs(__m256i low, __m256i high) {
  const __m256i bytes = kVector < 2 ? low : high, zero = _mm256_setzero_si256();
  return kVector % 2 == 0 ? _mm256_unpacklo_epi8(bytes, zero) : _mm256_unpackhi_epi8(bytes, zero);
}

MIDTREAD_ALWAYS_INLINE __m256i add_pairs(__m256i sum, __m256i pairs, const std::int16_t* weights) {
  return in_order(_mm256_add_epi32(sum, _mm256_madd_epi16(pairs, load(weights))));
}

/// The sums of the windows that columns have begun: of the one to end next, and of the one after it.
struct OpenWindows {
  __m256i next[4], after[4];
};

/// Vector kVector of what the columns `middle`, with stride 2, and `last` add: the sums of the window that
/// ends. `below`: row 2 of the last two columns.
template <int kStride, int kVector>
MIDTREAD_ALWAYS_INLINE __m256i add_columns(const CodeColumn& middle, const CodeColumn& last,
                                           __m256i below_low, __m256i below_high, const ColumnLine& line,
                                           OpenWindows& open) {
  const std::int16_t* w = line.weights + kVector * ColumnBlocks::kWeights;
  const __m256i two = widen_pairs<kVector>(last.low, last.high),
                below = widen_pairs<kVector>(below_low, below_high),
                begun = add_pairs(load(line.bias + 8 * kVector), two, w);
  __m256i sum = add_pairs(open.next[kVector], two, w + 32);
  if (kStride == 1) {
    open.next[kVector] = add_pairs(add_pairs(open.after[kVector], two, w + 16), below, w + 48);
    open.after[kVector] = begun;
    return add_pairs(sum, below, w + 64);
  }
  sum = add_pairs(sum, widen_pairs<kVector>(middle.low, middle.high), w + 16);
  open.next[kVector] = add_pairs(begun, below, w + 64);
  return add_pairs(sum, below, w + 48);
}

/// The next kStride columns, from `x` on: the codes of the window that ends with them.
template <int kStride>
MIDTREAD_ALWAYS_INLINE __m256i read_columns(const ColumnLine& line, const CodeBounds& bounds, std::int64_t& x,
                                            CodeColumn& last, OpenWindows& open) {
  const CodeColumn middle = kStride == 1 ? last : read_column(line.rows, line.zero_point, x++);
  last = read_column(line.rows, line.zero_point, x++);
  const __m256i low = _mm256_unpacklo_epi8(middle.third, last.third),
                high = _mm256_unpackhi_epi8(middle.third, last.third);
  const float* m = line.multiplier;
  const __m256i a = bounds.round(add_columns<kStride, 0>(middle, last, low, high, line, open),
                                 _mm256_loadu_ps(m)),
                b = bounds.round(add_columns<kStride, 1>(middle, last, low, high, line, open),
                                 _mm256_loadu_ps(m + 8)),
                c = bounds.round(add_columns<kStride, 2>(middle, last, low, high, line, open),
                                 _mm256_loadu_ps(m + 16)),
                d = bounds.round(add_columns<kStride, 3>(middle, last, low, high, line, open),
                                 _mm256_loadu_ps(m + 24));
  return bounds.pack(a, b, c, d);
}

/// kStride columns from an output to the next.
template <int kStride>
MIDTREAD_NOINLINE void three_columns(const ColumnLine& columns, const OutputCodes& output) {
  const ColumnLine line = columns;  // a store of codes may change what `columns` refers to
  const CodeBounds bounds(output);
  const __m256i zero = _mm256_setzero_si256();
  CodeColumn last{zero, zero, zero};
  OpenWindows open{{zero, zero, zero, zero}, {zero, zero, zero, zero}};
  std::int64_t x = line.rows.start - (kStride - 1);
  MIDTREAD_UNROLL(2)
  for (int i = 0; i < 3 - kStride; ++i)  // no window ends before its third column
    read_columns<kStride>(line, bounds, x, last, open);
  std::uint8_t* out = line.codes;
  for (std::int64_t left = line.width; left > 0; --left, out += line.pitch)
    store(out, read_columns<kStride>(line, bounds, x, last, open));
}

MIDTREAD_TARGET_END

/// One output row of 32 channels at a time. `sums`: of each channel's weights.
inline void depthwise_columns(const Conv2dShape& s, const ConvCall& call, const std::int32_t* sums,
                              const std::int16_t* weights, Scratch& scratch) {
  constexpr std::int64_t kRowsPerPiece = 16, kBlocksPerPiece = 4;
  const std::int64_t lanes = ColumnBlocks::lanes(s);
  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * lanes + s.out_channels));
  auto* multiplier = reinterpret_cast<float*>(bias + lanes);
  std::int32_t* const as_they_are = bias + 2 * lanes;
  column_bias(call, sums, 1, s.out_channels, s.out_channels, as_they_are);
  for (std::int64_t i = 0; i < lanes; ++i) {
    bias[i] = as_they_are[ColumnBlocks::channel(s, i)];
    multiplier[i] = call.epilogue->multiplier[ColumnBlocks::channel(s, i)];
  }
  // Blocks that overlap are one piece's.
  const std::int64_t blocks = lanes / ColumnBlocks::kBlock,
                     shares = std::max(blocks / kBlocksPerPiece, std::int64_t{1});
  const std::int64_t pitch = s.out_channels, chunks = (s.out_height + kRowsPerPiece - 1) / kRowsPerPiece;
  const OutputCodes bounds = output_codes(call);
  parallel_for(0, s.batch * chunks * shares, 1, [&](std::int64_t piece, std::int64_t) {
    std::uint8_t padding[ColumnBlocks::kBlock];
    std::memset(padding, call.x_zero_point, sizeof padding);
    ColumnLine line{};
    line.zero_point = call.x_zero_point;
    line.width = s.out_width;
    line.pitch = pitch;
    const std::int64_t n = piece / shares / chunks, first = piece / shares % chunks * kRowsPerPiece;
    const std::int64_t share = piece % shares,
                       end = share + 1 < shares ? (share + 1) * kBlocksPerPiece : blocks;
    for (std::int64_t oy = first; oy < std::min(first + kRowsPerPiece, s.out_height); ++oy)
      for (std::int64_t block = share * kBlocksPerPiece; block < end; ++block) {
        const std::int64_t lane = block * ColumnBlocks::kBlock;
        const std::int64_t c = ColumnBlocks::first_channel(s, lane);
        line.rows.point_at(s, call.x, n, oy, c, padding);
        line.weights = weights + lane / 8 * ColumnBlocks::kWeights;
        line.bias = bias + lane;
        line.multiplier = multiplier + lane;
        line.codes = call.codes + (n * s.out_height + oy) * s.out_width * pitch + c;
        (s.stride_width == 1 ? three_columns<1> : three_columns<2>)(line, bounds);
      }
  });
}

MIDTREAD_NAMESPACE_END

#endif

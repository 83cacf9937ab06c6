// SPDX-License-Identifier: MIT
// How AVX2 cuts a depthwise convolution, or one of small groups, and the weights in that order.
#pragma once

#include <midtread/kernels/fbgemm/avx2/depthwise_columns.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// Outputs of a register.
inline constexpr std::int64_t kLaneChannels = 8;

/// As many inputs as outputs in a group, and whole groups in a register.
inline bool has_small_groups(const Conv2dShape& s) {
  const std::int64_t group = s.in_group();
  return s.groups > 1 && group == s.out_group() && (group == 2 || group == 4 || group == 8);
}

/// Which rows are spread together and where their codes are: planes [register][pair of
/// inputs][phase][column][8][2], a phase being the columns that are read with a stride.
struct DepthwisePlan {
  static constexpr std::int64_t kMostPixels = 8, kPlanesBytes = 24 * 1024, kMostRegisters = 16;

  const Conv2dShape& s;
  std::int64_t inputs;    ///< pairs of them in a group; depthwise: 1
  std::int64_t tall;      ///< rows that are spread together
  bool shared;            ///< by all output rows
  std::int64_t variants;  ///< an output row begins with the first of these rows, or with any
  std::int64_t layers;    ///< such rows under a window at most
  std::int64_t registers;
  std::int64_t phases, columns;
  std::int64_t slice;  ///< registers whose planes stay in the first cache

  explicit DepthwisePlan(const Conv2dShape& shape) : s(shape) {
    const std::int64_t reach = (s.kernel_width - 1) * s.dilation_width;
    inputs = (s.in_group() + 1) / 2;
    tall = s.in_group() == 1 ? 2 : 1;
    shared = s.dilation_height == 1 || s.kernel_height == 1;
    variants = shared && s.stride_height % tall != 0 ? tall : 1;
    layers = rows(variants - 1);
    registers = (s.out_channels + kLaneChannels - 1) / kLaneChannels;
    phases = std::min(s.stride_width, reach + 1);
    columns = (s.out_width + kMostPixels - 1) / kMostPixels * kMostPixels + reach / s.stride_width;
    slice = std::max(kPlanesBytes / (2 * layers * inputs * plane()) / 2 * 2, std::int64_t{2});
    slice = std::min({slice, kMostRegisters, registers});
  }

  // A division is 10 to 20 clocks, and a row of outputs a thousand: variants and tall are 1 or 2.
  std::int64_t variant(std::int64_t oy) const { return oy * s.stride_height & (variants - 1); }
  /// Under a window of this variant.
  std::int64_t rows(std::int64_t variant) const {
    return (variant + s.kernel_height + tall - 1) >> (tall - 1);
  }
  std::int64_t first_row(std::int64_t oy) const {
    return shared ? (oy * s.stride_height) >> (tall - 1) : oy * layers;
  }
  /// The input row that is number `i` of those spread together.
  std::int64_t input_row(std::int64_t row, std::int64_t i) const {
    if (shared) return tall * row + i - s.pad_height;
    return row / layers * s.stride_height - s.pad_height + (tall * (row % layers) + i) * s.dilation_height;
  }
  /// Elements of a plane, of all planes of a row, and of those of a window.
  std::int64_t plane() const { return phases * columns * 2 * kLaneChannels; }
  std::int64_t row_planes() const { return slice * inputs * plane(); }
  std::int64_t all_planes() const { return layers * row_planes(); }
  std::int64_t taps(std::int64_t variant) const { return rows(variant) * inputs * s.kernel_width; }
  /// Weights of a register for one variant.
  std::int64_t weights() const { return taps(variants - 1) * 2 * kLaneChannels; }
  std::int64_t packed_bytes() const { return registers * variants * weights() * 2; }
  /// Where the codes under column `kx` of a window begin in a plane.
  std::int64_t tap_offset(std::int64_t kx) const {
    const std::int64_t x = kx * s.dilation_width;
    return (x % s.stride_width * columns + x / s.stride_width) * 2 * kLaneChannels;
  }

  /// The input columns of a phase: every stride-th from `left` on, `count` of them from column `at` of a
  /// plane.
  struct Run {
    std::int64_t left, at, count;
  };
  Run run(std::int64_t phase) const {
    const std::int64_t stride = s.stride_width;
    const std::int64_t left = ((phase - s.pad_width) % stride + stride) % stride;
    const std::int64_t at = std::min((left + s.pad_width) / stride, columns);
    const std::int64_t there = left < s.in_width ? (s.in_width - left + stride - 1) / stride : 0;
    return {left, at, std::min(there, columns - at)};
  }
};

/// int32 sums of each channel's weights, then int16 [register][variant][row][pair of inputs][column][8][2],
/// then those of ColumnBlocks.
inline Storage pack_depthwise(const Conv2dShape& s, const std::int8_t* weights) {
  const DepthwisePlan plan(s);
  const std::int64_t header = sums_bytes(plan.registers * kLaneChannels);
  Storage storage(static_cast<std::size_t>(header + plan.packed_bytes() + ColumnBlocks::bytes(s)));
  std::memset(storage.data(), 0, storage.bytes());
  auto* sums = static_cast<std::int32_t*>(storage.data());
  auto* packed = reinterpret_cast<std::int16_t*>(static_cast<unsigned char*>(storage.data()) + header);
  if (ColumnBlocks::suit(s)) ColumnBlocks::pack(s, weights, packed + plan.packed_bytes() / 2);
  for (std::int64_t c = 0; c < s.out_channels; ++c)
    for (std::int64_t i = 0; i < s.in_group(); ++i)
      for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
        for (std::int64_t kx = 0; kx < s.kernel_width; ++kx, ++weights) {
          sums[c] += *weights;
          for (std::int64_t v = 0; v < plan.variants; ++v) {
            const std::int64_t row = (ky + v) / plan.tall, second = plan.tall == 2 ? (ky + v) % 2 : i % 2;
            const std::int64_t tap = (row * plan.inputs + i / 2) * s.kernel_width + kx;
            packed[(c / kLaneChannels * plan.variants + v) * plan.weights() +
                   (tap * kLaneChannels + c % kLaneChannels) * 2 + second] = *weights;
          }
        }
  return storage;
}

MIDTREAD_NAMESPACE_END

#endif

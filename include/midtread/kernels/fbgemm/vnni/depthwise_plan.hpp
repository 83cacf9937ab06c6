// SPDX-License-Identifier: MIT
// How a depthwise convolution, or one of small groups, is cut, and its weights in that order. Slices of up to
// 64 channels; four products of a channel stand in a lane, taps above each other or inputs of its group.
#pragma once

#include <midtread/kernels/fbgemm/vnni/panels.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// As many inputs as outputs in a group, and whole groups in 16 channels: as depthwise, with codes of a group
/// in a lane.
inline bool has_groups_of_lanes(const Conv2dShape& s) {
  const std::int64_t group = s.in_group();
  return s.groups > 1 && group == s.out_group() && (group == 4 || group == 8);
}

struct DepthwiseLine;
struct DepthwiseColumns;

/// Where four rows of codes start, and their bytes from one run to the next: 0 for the row that stands for
/// padding.
struct DepthwiseRows {
  const std::uint8_t* first[4];
  std::int64_t step[4];
};

/// What the depthwise drivers ask of an instruction set.
struct DepthwiseKernels {
  std::int64_t bytes;  ///< of a register
  std::int64_t rows;   ///< input rows whose codes share a lane: 4, or 1 for small groups
  /// Four runs of `bytes` codes, one from each row, to four planes; the next runs a step further.
  void (*interleave)(const DepthwiseRows& rows, std::int64_t runs, std::int64_t bytes, std::uint8_t* planes,
                     std::int64_t plane_bytes, std::int64_t step);
  void (*run_line)(const DepthwiseLine& line);
  void (*run_columns)(const DepthwiseColumns& line);  ///< nullptr: never
  bool masked;                                        ///< loads of any number of codes are as fast
};

/// How the work is cut. A lane takes four input rows above each other; more need further planes. Output rows
/// that lie in the same input rows share them.
struct DepthwisePlan {
  static constexpr std::int64_t kSlice = 64;
  const Conv2dShape& s;
  std::int64_t register_groups, lanes;
  std::int64_t layers;  ///< of input rows that share lanes
  std::int64_t rows;    ///< output rows per interleaving
  std::int64_t taps;    ///< columns x layers
  std::int64_t inputs;  ///< lanes of a group's codes

  DepthwisePlan(const Conv2dShape& shape, const DepthwiseKernels& kernels) : s(shape) {
    register_groups = kernels.bytes / 16;
    lanes = kernels.bytes / 4;
    layers = (s.kernel_height + kernels.rows - 1) / kernels.rows;
    rows = s.dilation_height == 1 ? (layers * kernels.rows - s.kernel_height) / s.stride_height + 1 : 1;
    taps = layers * s.kernel_width;
    inputs = (s.in_group() + 3) / 4;
  }
  std::int64_t slices() const { return (s.out_channels + kSlice - 1) / kSlice; }
  std::int64_t channels(std::int64_t slice) const {
    return std::min(kSlice, s.out_channels - slice * kSlice);
  }
  std::int64_t groups(std::int64_t slice) const { return (channels(slice) + 15) / 16; }
  std::int64_t period(std::int64_t slice) const {
    const std::int64_t g = groups(slice);
    return g % register_groups == 0 ? g / register_groups : register_groups % g == 0 ? 1 : g;
  }
  /// Lanes of the per-channel terms of a slice.
  std::int64_t terms(std::int64_t slice) const { return period(slice) * 4 * lanes; }
  std::int64_t terms_before(std::int64_t slice) const { return slice * terms(0); }
  std::int64_t all_terms() const { return terms_before(slices() - 1) + terms(slices() - 1); }
  /// Bytes of the weights of one output row of an interleaving.
  std::int64_t row_bytes(std::int64_t slice) const { return terms(slice) * 4 * taps * inputs; }
  std::int64_t weights_before(std::int64_t slice) const { return slice * rows * row_bytes(0); }

  /// The channel of term `i` of a slice: register, plane, group of 16 channels, one of 4.
  std::int64_t channel(std::int64_t slice, std::int64_t i) const {
    const std::int64_t lane = i % lanes, plane = i / lanes % 4, of_register = i / lanes / 4;
    const std::int64_t group = (of_register * register_groups + lane / 4) % groups(slice);
    return slice * kSlice + group * 16 + plane * 4 + lane % 4;
  }
};

/// int32 sums of the weights in the order of the terms, then [slice][output
/// row][register][tap][plane][outputs that read it][lane] weights. Output plane `p` reads the planes of its
/// group: `inputs` from the last multiple of it on.
inline Storage pack_depthwise(const Conv2dShape& s, const std::int8_t* weights,
                              const DepthwiseKernels& kernels) {
  const DepthwisePlan plan(s, kernels);
  const std::int64_t lanes = plan.lanes;
  const std::int64_t last = plan.slices() - 1, header = sums_bytes(plan.all_terms());
  Storage storage(
      static_cast<std::size_t>(header + plan.weights_before(last) + plan.rows * plan.row_bytes(last)));
  std::memset(storage.data(), 0, storage.bytes());
  auto* sums = static_cast<std::int32_t*>(storage.data());
  for (std::int64_t slice = 0; slice <= last; ++slice) {
    auto* packed = static_cast<std::uint8_t*>(storage.data()) + header + plan.weights_before(slice);
    for (std::int64_t i = 0; i < plan.terms(slice); ++i) {
      const std::int64_t c = plan.channel(slice, i);
      if (c >= s.out_channels) continue;
      const std::int64_t lane = i % lanes, plane = i / lanes % 4, of_register = i / lanes / 4;
      for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
        for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
          for (std::int64_t input = 0; input < s.in_group(); ++input) {
            const std::int8_t w =
                weights[((c * s.in_group() + input) * s.kernel_height + ky) * s.kernel_width + kx];
            sums[plan.terms_before(slice) + i] += w;
            for (std::int64_t r = 0; r < plan.rows; ++r) {
              const std::int64_t row = r * s.stride_height + ky, tap = kx * plan.layers + row / kernels.rows;
              const std::int64_t from = plane / plan.inputs * plan.inputs + input / 4;
              const std::int64_t at =
                  ((of_register * plan.taps + tap) * 4 + from) * plan.inputs + plane % plan.inputs;
              packed[r * plan.row_bytes(slice) + (at * lanes + lane) * 4 + row % kernels.rows + input % 4] =
                  static_cast<std::uint8_t>(w);
            }
          }
        }
    }
  }
  return storage;
}

/// Corrected bias and multiplier of each term.
inline void list_terms(const DepthwisePlan& plan, const PackedWeights& weights, const ConvCall& call,
                       std::int32_t* bias, float* multiplier) {
  const auto* sums = weights.data<std::int32_t>();
  for (std::int64_t slice = 0; slice < plan.slices(); ++slice) {
    const std::int64_t before = plan.terms_before(slice);
    for (std::int64_t i = 0; i < plan.terms(slice); ++i) {
      const std::int64_t c = plan.channel(slice, i);
      const bool there = call.epilogue != nullptr && c < plan.s.out_channels;
      const std::int32_t own = there && call.epilogue->bias ? call.epilogue->bias[c] : 0;
      bias[before + i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(own) -
                                                   static_cast<std::uint32_t>(call.x_zero_point) *
                                                       static_cast<std::uint32_t>(sums[before + i]));
      multiplier[before + i] = there ? call.epilogue->multiplier[c] : 0.0f;
    }
  }
}

MIDTREAD_NAMESPACE_END

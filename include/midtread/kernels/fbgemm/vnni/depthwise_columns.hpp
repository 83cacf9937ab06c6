// SPDX-License-Identifier: MIT
// Depthwise convolution under windows of three columns, straight from the input: up to a register of channels
// of an output row at a time, or of rows that have fewer.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/vnni/depthwise_plan.hpp>
#include <midtread/kernels/fbgemm/vnni/window_rows.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// Whether every output is under three columns and three rows at most.
inline bool has_three_columns(const Conv2dShape& s) {
  return s.kernel_height <= 3 && s.kernel_width == 3 && s.dilation_width == 1 && s.stride_width <= 2;
}

/// Outputs of 16, 32 or 64 channels under windows of three columns: a row of them, or several side by side in
/// a register.
struct DepthwiseColumns {
  WindowRows rows;
  std::int64_t stride;           ///< 1 or 2
  std::int64_t bytes, channels;  ///< 16, 32 or 64; those that there are
  std::int64_t parts;            ///< rows of outputs
  std::int64_t in_part, out_part;
  const std::uint8_t* weights;  ///< [column][plane][register]
  const std::int32_t* bias;     ///< [plane][lane]
  const float* multiplier;      ///< [plane][lane]
  std::int64_t out_width, pitch;
  std::uint8_t* codes;
  std::int32_t lo, hi, zero_point, padding;  ///< padding: four codes of it
};

inline void depthwise_columns(const DepthwisePlan& plan, const PackedWeights& weights, const ConvCall& call,
                              Scratch& scratch, const DepthwiseKernels& kernels) {
  constexpr std::int64_t kRowsPerPiece = 32;
  const Conv2dShape& s = plan.s;
  const std::int64_t terms = plan.all_terms(), pitch = s.out_channels;
  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * terms));
  auto* multiplier = reinterpret_cast<float*>(bias + terms);
  list_terms(plan, weights, call, bias, multiplier);
  const auto* packed = weights.data<std::uint8_t>() + sums_bytes(terms);
  std::uint8_t padding[64];
  std::memset(padding, call.x_zero_point, sizeof padding);
  DepthwiseColumns shared{};
  shared.stride = s.stride_width;
  shared.out_width = s.out_width;
  shared.pitch = pitch;
  shared.in_part = s.stride_height * s.in_width * pitch;
  shared.out_part = s.out_width * pitch;
  shared.lo = call.epilogue->lo;
  shared.hi = call.epilogue->hi;
  shared.zero_point = call.epilogue->zero_point;
  std::memcpy(&shared.padding, padding, sizeof shared.padding);
  const std::int64_t chunks = (s.out_height + kRowsPerPiece - 1) / kRowsPerPiece;
  parallel_for(0, s.batch * chunks * plan.slices(), 1, [&](std::int64_t piece, std::int64_t) {
    const std::int64_t slice = piece % plan.slices(), n = piece / plan.slices() / chunks;
    const std::int64_t start = piece / plan.slices() % chunks * kRowsPerPiece,
                       end = std::min(start + kRowsPerPiece, s.out_height);
    const std::int64_t channels = plan.channels(slice);
    const std::int64_t together =
        kernels.bytes % channels == 0 && channels % 16 == 0 ? kernels.bytes / channels : 1;
    DepthwiseColumns line = shared;
    for (std::int64_t oy = start; oy < end; oy += line.parts) {
      const std::int64_t top = oy * s.stride_height - s.pad_height,
                         bottom = top + (together - 1) * s.stride_height +
                                  (s.kernel_height - 1) * s.dilation_height;
      line.parts = top >= 0 && bottom < s.in_height && oy + together <= end ? together : 1;
      for (std::int64_t at = 0; at < channels; at += line.channels) {
        const std::int64_t c = slice * DepthwisePlan::kSlice + at, left = channels - at;
        line.bytes = kernels.bytes;  // part of a register may be the most that is there, or must be
        while (line.bytes > 16 && (kernels.masked ? line.bytes >= 2 * left : line.bytes > left))
          line.bytes /= 2;
        line.channels = std::min(line.bytes, left);
        line.rows.point_at(s, call.x, n, oy, c, padding);
        const std::int64_t of_register = at / kernels.bytes, lane = at % kernels.bytes / 4;
        line.weights =
            packed + plan.weights_before(slice) + of_register * plan.taps * 4 * kernels.bytes + lane * 4;
        line.bias = bias + plan.terms_before(slice) + of_register * 4 * plan.lanes + lane;
        line.multiplier = multiplier + plan.terms_before(slice) + of_register * 4 * plan.lanes + lane;
        line.codes = call.codes + ((n * s.out_height + oy) * s.out_width) * pitch + c;
        kernels.run_columns(line);
      }
    }
    if (plan.slices() == 1)
      call.finish(s, (n * s.out_height + start) * s.out_width, (end - start) * s.out_width);
  });
  if (plan.slices() > 1) call.finish(s);
}

MIDTREAD_NAMESPACE_END

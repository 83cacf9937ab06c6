// SPDX-License-Identifier: MIT
// Depthwise convolution, any window, and groups of 4 and 8 channels: per slice of channels and per few output
// rows the input rows are arranged in planes that every output of these rows reads.
#pragma once

#include <midtread/kernels/fbgemm/vnni/depthwise_columns.hpp>

#include <limits>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// One row of outputs of a slice, as a sequence of groups of 16 channels.
struct DepthwiseLine {
  const std::uint8_t* planes;
  std::int64_t plane_bytes;
  const std::int32_t* offsets;  ///< of the taps: bytes in the planes
  std::int64_t taps, inputs;    ///< inputs: lanes of a group's codes
  const std::uint8_t* weights;  ///< [period][tap][plane][outputs that read it: `inputs`][register]
  const std::int32_t* bias;     ///< [period][plane][lane]
  const float* multiplier;      ///< [period][plane][lane]
  std::int64_t period;          ///< registers until the channels repeat
  std::int64_t groups;          ///< of 16 channels, per pixel
  std::int64_t out_width, pitch, channels;
  bool contiguous;  ///< whole pixels of whole groups
  std::uint8_t* codes;
  std::int32_t* acc;
  const Epilogue* epilogue;
  std::int64_t first_channel;

  /// Group `g` of the row: whether it exists, where its codes go, how many.
  bool has(std::int64_t g) const { return g < out_width * groups && channels > g % groups * 16; }
  std::int64_t at(std::int64_t g) const { return g / groups * pitch + g % groups * 16; }
  std::size_t count(std::int64_t g) const {
    return static_cast<std::size_t>(std::min<std::int64_t>(16, channels - g % groups * 16));
  }
};

/// 16 sums, bias included, in the order of their channels.
inline void finish_group(const DepthwiseLine& line, std::int64_t g, const std::int32_t* row) {
  if (line.acc != nullptr) {
    std::memcpy(line.acc + line.at(g), row, line.count(g) * sizeof(std::int32_t));
    return;
  }
  const Epilogue& e = *line.epilogue;
  const float* multiplier = e.multiplier + line.first_channel + g % line.groups * 16;
  for (std::size_t c = 0; c < line.count(g); ++c)
    line.codes[line.at(g) + static_cast<std::int64_t>(c)] =
        static_cast<std::uint8_t>(requantize(row[c], multiplier[c], e.zero_point, e.lo, e.hi, e.rounding));
}

/// Where channels do not fill groups of 16, AVX2's registers of 8 are faster than planes, and than columns
/// that cannot be masked or are half full.
inline bool leaves_to_avx2(const Conv2dShape& s, const DepthwiseKernels& kernels) {
  return s.out_channels % 16 != 0 && !(kernels.masked && has_three_columns(s) && s.out_channels != 8);
}

inline void depthwise_rows(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                           Scratch& scratch, const DepthwiseKernels& kernels) {
  constexpr std::int64_t kRowsPerPiece = 32;
  const DepthwisePlan plan(s, kernels);
  if (kernels.run_columns != nullptr && has_three_columns(s) && call.codes != nullptr &&
      call.epilogue->rounding == Rounding::kHalfEven)
    return depthwise_columns(plan, weights, call, scratch, kernels);
  const std::int64_t phases = s.stride_width, reach = (s.kernel_width - 1) * s.dilation_width;
  const std::int64_t plane_columns = s.out_width + reach / phases + 1, pitch = s.out_channels;
  const std::int64_t widest = std::min<std::int64_t>(4, plan.groups(0)) * 16;
  const std::int64_t plane_bytes = (plane_columns * widest + 2 * 64 - 1) / 64 * 64;
  const std::int64_t planes_bytes = plan.layers * phases * 4 * plane_bytes + 64;
  if (planes_bytes > std::numeric_limits<std::int32_t>::max() / 2)
    throw UnsupportedError("conv",
                           concat("one row of output needs ", planes_bytes, " input codes, allowed 2^30"));

  const std::int64_t terms = plan.all_terms();
  // Rows that stand alone in their layers stay for the next outputs, whose layers then begin with another
  // one.
  const bool rolling = kernels.rows == 1 && s.dilation_height == 1 && plan.layers <= 16;
  const std::int64_t beginnings = rolling ? plan.layers : 1;
  auto* bias = scratch.shared<std::int32_t>(
      static_cast<std::size_t>(2 * terms + plan.slices() * beginnings * plan.taps));
  auto* multiplier = reinterpret_cast<float*>(bias + terms);
  std::int32_t* offsets = bias + 2 * terms;
  list_terms(plan, weights, call, bias, multiplier);
  for (std::int64_t i = 0; i < plan.slices() * beginnings; ++i)
    for (std::int64_t tap = 0; tap < plan.taps; ++tap) {
      const std::int64_t column = tap / plan.layers * s.dilation_width,
                         layer = (tap + i % beginnings) % plan.layers;
      offsets[i * plan.taps + tap] =
          static_cast<std::int32_t>((layer * phases + column % phases) * 4 * plane_bytes +
                                    column / phases * plan.groups(i / beginnings) * 16);
    }

  // Rows of an interleaving that have weights; others need not be read.
  const std::int64_t in_rows = (plan.rows - 1) * s.stride_height + s.kernel_height;
  const std::int64_t padding_bytes = (s.in_width * widest + 127) / 64 * 64;
  scratch.prepare_leases(static_cast<std::size_t>(planes_bytes + padding_bytes));
  const auto* packed = weights.data<std::uint8_t>() + sums_bytes(terms);
  const std::int64_t chunk = (kRowsPerPiece + plan.rows - 1) / plan.rows * plan.rows;
  const std::int64_t chunks = (s.out_height + chunk - 1) / chunk;
  parallel_for(0, s.batch * chunks * plan.slices(), 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* planes = lease.data<std::uint8_t>();
    std::uint8_t* padding = planes + planes_bytes;
    const std::int64_t slice = piece % plan.slices(), n = piece / plan.slices() / chunks;
    const std::int64_t first = piece / plan.slices() % chunks * chunk,
                       end = std::min(first + chunk, s.out_height);
    const std::int64_t groups = plan.groups(slice), channels = plan.channels(slice),
                       c0 = slice * DepthwisePlan::kSlice;
    const std::uint8_t* image = call.x + n * s.in_pixels() * pitch + c0;
    const bool whole = pitch == groups * 16;
    std::memset(planes, call.x_zero_point, static_cast<std::size_t>(planes_bytes));
    std::memset(padding, call.x_zero_point, static_cast<std::size_t>(padding_bytes));

    DepthwiseLine line{};
    line.planes = planes;
    line.plane_bytes = plane_bytes;
    line.taps = plan.taps;
    line.inputs = plan.inputs;
    line.bias = bias + plan.terms_before(slice);
    line.multiplier = multiplier + plan.terms_before(slice);
    line.period = plan.period(slice);
    line.groups = groups;
    line.out_width = s.out_width;
    line.pitch = pitch;
    line.channels = channels;
    line.contiguous = whole;
    line.epilogue = call.epilogue;
    line.first_channel = c0;
    std::int64_t next = 0;  // row to be read, from the padding on
    for (std::int64_t oy = first; oy < end; oy += plan.rows) {
      const std::int64_t begin = rolling ? oy * s.stride_height % plan.layers : 0;
      line.offsets = offsets + (slice * beginnings + begin) * plan.taps;
      for (std::int64_t layer = 0; layer < plan.layers; ++layer) {
        if (rolling && oy * s.stride_height + layer < next) continue;
        for (std::int64_t phase = 0; phase < phases; ++phase) {
          // Input column x stands at x + pad, so column `left` is the first of this phase.
          const std::int64_t left = ((phase - s.pad_width) % phases + phases) % phases;
          const std::int64_t at = (left + s.pad_width) / phases;
          const std::int64_t columns =
              std::min((s.in_width - left + phases - 1) / phases, plane_columns - at);
          if (columns <= 0) continue;
          DepthwiseRows rows;
          for (std::int64_t i = 0; i < 4; ++i) {
            const std::int64_t iy =
                oy * s.stride_height - s.pad_height + (layer * kernels.rows + i) * s.dilation_height;
            const bool inside = iy >= 0 && iy < s.in_height && layer * kernels.rows + i < in_rows;
            rows.first[i] = inside ? image + (iy * s.in_width + left) * pitch : padding;
            rows.step[i] = inside ? phases * pitch : 0;
          }
          std::uint8_t* to =
              planes + ((layer + begin) % plan.layers * phases + phase) * 4 * plane_bytes + at * groups * 16;
          if (whole && phases == 1)
            kernels.interleave(rows, 1, columns * pitch, to, plane_bytes, 0);
          else
            kernels.interleave(rows, columns, channels, to, plane_bytes, groups * 16);
        }
      }
      next = oy * s.stride_height + plan.layers;
      for (std::int64_t r = 0; r < std::min(plan.rows, end - oy); ++r) {
        const std::int64_t out = ((n * s.out_height + oy + r) * s.out_width) * pitch + c0;
        line.weights = packed + plan.weights_before(slice) + r * plan.row_bytes(slice);
        line.codes = call.codes ? call.codes + out : nullptr;
        line.acc = call.acc ? call.acc + out : nullptr;
        kernels.run_line(line);
      }
    }
    if (plan.slices() == 1)
      call.finish(s, (n * s.out_height + first) * s.out_width, (end - first) * s.out_width);
  });
  if (plan.slices() > 1) call.finish(s);
}

MIDTREAD_NAMESPACE_END

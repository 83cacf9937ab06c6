// SPDX-License-Identifier: MIT
// Depthwise convolution, any window, and groups of 4 and 8 channels. Slices of up to 64 channels; per
// slice and per few output rows the input rows are arranged in planes that every output of these rows reads:
// four products of a channel stand in a lane, taps above each other or inputs of its group.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/vnni/panels.hpp>

#include <limits>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// As many inputs as outputs in a group, and whole groups in 16 channels: as depthwise, with codes of a group
/// in a lane.
inline bool has_groups_of_lanes(const Conv2dShape& s) {
  const std::int64_t group = s.in_group();
  return s.groups > 1 && group == s.out_group() && (group == 4 || group == 8);
}

/// Where four rows of codes start, and their bytes from one run to the next: 0 for the row that stands for
/// padding.
struct DepthwiseRows {
  const std::uint8_t* first[4];
  std::int64_t step[4];
};

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

/// Outputs of 16, 32 or 64 channels under windows of three columns: a row of them, or several side by side in
/// a register.
struct DepthwiseColumns {
  const std::uint8_t* first[3];  ///< rows of the input: column 0
  std::int64_t step[3];          ///< 0 for a row that stands for padding
  std::int64_t start, columns;   ///< under the first window, may be padding; that there are
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

/// What the depthwise driver asks of an instruction set.
struct DepthwiseKernels {
  std::int64_t bytes;  ///< of a register
  std::int64_t rows;   ///< input rows whose codes share a lane: 4, or 1 for groups of four
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

/// Whether every output is under three columns and three rows at most.
inline bool has_three_columns(const Conv2dShape& s) {
  return s.kernel_height <= 3 && s.kernel_width == 3 && s.dilation_width == 1 && s.stride_width <= 2;
}

/// Where channels do not fill groups of 16, AVX2's registers of 8 are faster than planes, and than columns
/// that cannot be masked or are half full.
inline bool leaves_to_avx2(const Conv2dShape& s, const DepthwiseKernels& kernels) {
  return s.out_channels % 16 != 0 && !(kernels.masked && has_three_columns(s) && s.out_channels != 8);
}

/// Straight from the input: up to a register of channels of an output row at a time, or of rows that have
/// fewer.
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
  shared.start = -s.pad_width;
  shared.columns = s.in_width;
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
        for (std::int64_t i = 0; i < 3; ++i) {  // a row without weights need only be readable
          const std::int64_t iy = top + std::min(i, s.kernel_height - 1) * s.dilation_height;
          const bool inside = iy >= 0 && iy < s.in_height;
          line.first[i] = inside ? call.x + (n * s.in_pixels() + iy * s.in_width) * pitch + c : padding;
          line.step[i] = inside ? pitch : 0;
        }
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

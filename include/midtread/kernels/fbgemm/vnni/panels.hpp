// SPDX-License-Identifier: MIT
// Weights as panels of output channels, four products of a channel side by side, and what a register tile is
// told.
//
//   acc[pixel][o] = sum over segments s, k of band[input(pixel) + offset(s) + k] * w[s][k][o]
//
// A segment is what lies contiguous in the band: a row of taps, or one tap.
#pragma once

#include <midtread/kernels/conv_call.hpp>
#include <midtread/kernels/padded_band.hpp>

#include <cstring>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// The channels of a group cut into panels of `widest` columns; what is left of 64 goes into 32 and 16.
struct PanelCut {
  std::int64_t channels, widest;

  std::int64_t columns() const { return (channels + 15) / 16 * 16; }
  std::int64_t count() const {
    const std::int64_t rest = columns() % widest;
    return columns() / widest + (rest == 48 ? 2 : rest != 0 ? 1 : 0);
  }
  std::int64_t first(std::int64_t panel) const {
    const std::int64_t whole = columns() / widest;
    return panel <= whole ? panel * widest : whole * widest + 32;
  }
  std::int64_t width(std::int64_t panel) const {
    const std::int64_t left = columns() - first(panel);
    return std::min(left == 48 ? 32 : left, widest);
  }
};

/// How the products of an output are ordered: segments of `length` codes, a multiple of `step`.
struct Segments {
  std::int64_t count, length;
  bool whole_rows;

  Segments(const Conv2dShape& s, std::int64_t step) {
    whole_rows = s.groups == 1 && s.dilation_width == 1;
    count = whole_rows ? s.kernel_height : s.taps();
    length = ((whole_rows ? s.kernel_width * s.in_channels : s.in_group()) + step - 1) / step * step;
  }
  std::int64_t depth() const { return count * length; }
  /// Where the product of input `i` under tap `tap` stands.
  std::int64_t at(const Conv2dShape& s, std::int64_t i, std::int64_t tap) const {
    return whole_rows ? tap / s.kernel_width * length + tap % s.kernel_width * s.in_channels + i
                      : tap * length + i;
  }
  /// Where segment `i` starts in a band.
  std::int32_t offset(const Conv2dShape& s, const PaddedBand& plan, std::int64_t i) const {
    return static_cast<std::int32_t>(whole_rows ? plan.tap_offset(i, 0)
                                                : plan.tap_offset(i / s.kernel_width, i % s.kernel_width));
  }
};

/// Before the weights: the sum of each column's weights.
inline std::int64_t sums_bytes(std::int64_t columns) { return (columns * 4 + 63) / 64 * 64; }

/// The weights of a panel.
struct Panel {
  const std::int8_t* weights;   ///< [segment][length / 4][width][4]
  const std::int32_t* offsets;  ///< of the segments in the band
  std::int64_t segments, length, width;
  std::int64_t begin = 0;  ///< products of each segment to leave out before and after `length` others
  std::int64_t gap = 0;
  std::int64_t apart = 0;  ///< bytes between panels of 16 that are run as one of 64; 0: one panel
};

/// Where the sums of a panel go: codes, or accumulators if `acc` is set.
struct PanelOutput {
  std::uint8_t* codes;
  std::int32_t* acc;
  std::int64_t pitch;        ///< elements from one output pixel to the next
  std::int64_t columns;      ///< that exist
  const std::int32_t* bias;  ///< less zero point * sum(w)
  const float* multiplier;
  const Epilogue* epilogue;
};

/// What the drivers ask of an instruction set: register tiles for panels of up to `columns` channels.
struct PanelKernels {
  std::int64_t columns;
  /// All `count` pixels against one panel.
  void (*run)(const std::uint8_t* band, const BandPixel* pixels, std::int64_t count, const Panel& panel,
              const PanelOutput& out);
};

/// A row of sums, bias included, as they are or with the rarer roundings.
MIDTREAD_NOINLINE inline void finish_slowly(const std::int32_t* row, std::int64_t at,
                                            const PanelOutput& out) {
  if (out.acc != nullptr) {
    std::memcpy(out.acc + at, row, static_cast<std::size_t>(out.columns) * sizeof(std::int32_t));
    return;
  }
  const Epilogue& e = *out.epilogue;
  for (std::int64_t c = 0; c < out.columns; ++c)
    out.codes[at + c] = static_cast<std::uint8_t>(
        requantize(row[c], out.multiplier[c], e.zero_point, e.lo, e.hi, e.rounding));
}

MIDTREAD_VECTORIZE_BEGIN

/// Bias less zero point * sum(w), modulo 2^32, of `count` channels.
inline void corrected_bias(const std::int32_t* bias, const std::int32_t* sums, std::int64_t count,
                           std::int32_t zero_point, std::int32_t* out) {
  const auto z = static_cast<std::uint32_t>(zero_point);
  if (bias == nullptr)
    for (std::int64_t c = 0; c < count; ++c)
      out[c] = static_cast<std::int32_t>(0u - z * static_cast<std::uint32_t>(sums[c]));
  else
    for (std::int64_t c = 0; c < count; ++c)
      out[c] = static_cast<std::int32_t>(static_cast<std::uint32_t>(bias[c]) -
                                         z * static_cast<std::uint32_t>(sums[c]));
}

MIDTREAD_VECTORIZE_END

/// Corrected bias of `columns` columns of each group, zero where there is no channel.
inline void column_bias(const ConvCall& call, const std::int32_t* sums, std::int64_t groups,
                        std::int64_t channels, std::int64_t columns, std::int32_t* bias) {
  for (std::int64_t g = 0; g < groups; ++g, sums += columns, bias += columns) {
    const std::int32_t* own = call.epilogue ? call.epilogue->bias : nullptr;
    corrected_bias(own ? own + g * channels : nullptr, sums, channels, call.x_zero_point, bias);
    for (std::int64_t c = channels; c < columns; ++c) bias[c] = 0;
  }
}

/// The multipliers of `columns` columns of each group: the caller's where they fill whole vectors, else a
/// copy in `room`.
inline const float* column_multipliers(const Epilogue* e, std::int64_t groups, std::int64_t channels,
                                       std::int64_t columns, float* room) {
  if (e == nullptr) return room;  // nobody reads them
  if (channels == columns) return e->multiplier;
  for (std::int64_t g = 0; g < groups; ++g) {
    std::memcpy(room + g * columns, e->multiplier + g * channels,
                static_cast<std::size_t>(channels) * sizeof(float));
    for (std::int64_t c = channels; c < columns; ++c) room[g * columns + c] = 0.0f;
  }
  return room;
}

MIDTREAD_NAMESPACE_END

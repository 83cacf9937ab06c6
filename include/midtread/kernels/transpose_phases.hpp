// SPDX-License-Identifier: MIT
// Outputs of a transposed convolution with the same row and column modulo the stride have the same taps, each
// at a fixed offset in the input: per phase it is an ordinary convolution of stride 1.
//
//   out row oy, t = oy + pad: input row (t - ky * dilation) / stride where that divides
#pragma once

#include <midtread/kernels/conv_params.hpp>

#include <algorithm>
#include <limits>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Along one axis: which taps reach outputs of phase t % stride, and how far before t / stride they read.
struct PhaseAxis {
  std::int64_t stride, kernel, dilation;

  bool has(std::int64_t phase, std::int64_t k) const { return (k * dilation) % stride == phase; }
  std::int64_t back(std::int64_t k) const { return k * dilation / stride; }
  std::int64_t reach() const { return back(kernel - 1); }
  std::int64_t taps(std::int64_t phase) const {
    std::int64_t count = 0;
    for (std::int64_t k = 0; k < kernel; ++k) count += has(phase, k) ? 1 : 0;
    return count;
  }
};

inline PhaseAxis row_phases(const Conv2dShape& s) {
  return {s.stride_height, s.kernel_height, s.dilation_height};
}
inline PhaseAxis column_phases(const Conv2dShape& s) {
  return {s.stride_width, s.kernel_width, s.dilation_width};
}

/// The input rows that one output row may read, t / stride - reach .. t / stride, with padding around them.
struct TransposeBand {
  const Conv2dShape& s;
  PhaseAxis ys, xs;
  std::int64_t width, elements;  ///< pixels of a row, elements of all

  explicit TransposeBand(const Conv2dShape& shape)
      : s(shape),
        ys(row_phases(shape)),
        xs(column_phases(shape)),
        width((shape.out_width - 1 + shape.pad_width) / shape.stride_width + 1 + xs.reach()),
        elements((ys.reach() + 1) * width * shape.in_channels) {}

  /// Throws UnsupportedError where a row is too long for 32-bit offsets.
  void check() const {
    if (elements > std::numeric_limits<std::int32_t>::max() / 2)
      throw UnsupportedError("conv_transpose",
                             concat("one row of output needs ", elements, " input codes, allowed 2^30"));
  }

  /// Phase of output row `oy`.
  std::int64_t row_phase(std::int64_t oy) const { return (oy + s.pad_height) % s.stride_height; }

  /// Offsets of the taps of phase (py, px) in the band; returns how many there are.
  std::int64_t list_taps(std::int64_t py, std::int64_t px, std::int32_t* offsets) const {
    std::int64_t count = 0;
    for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
      for (std::int64_t kx = 0; kx < s.kernel_width; ++kx)
        if (ys.has(py, ky) && xs.has(px, kx))
          offsets[count++] = static_cast<std::int32_t>(
              ((ys.reach() - ys.back(ky)) * width + xs.reach() - xs.back(kx)) * s.in_channels);
    return count;
  }

  /// Where the outputs of column phase `px` start to read, {input, output}; returns how many there are.
  template <class Pixel>
  std::int64_t list_outputs(std::int64_t px, Pixel* pixels) const {
    std::int64_t count = 0;
    const std::int64_t first = ((px - s.pad_width) % s.stride_width + s.stride_width) % s.stride_width;
    for (std::int64_t ox = first; ox < s.out_width; ox += s.stride_width)
      pixels[count++] = {static_cast<std::int32_t>((ox + s.pad_width) / s.stride_width * s.in_channels),
                         static_cast<std::int32_t>(ox)};
    return count;
  }

  /// Fills the band of output row `oy` of image `n`; copy(codes, count, to) converts codes.
  template <class Element, class Copy>
  void fill(const std::uint8_t* x, std::int64_t n, std::int64_t oy, Element padding, Element* band,
            const Copy& copy) const {
    const std::int64_t top = (oy + s.pad_height) / s.stride_height - ys.reach(), left = xs.reach();
    const std::int64_t inside = std::min(s.in_width, width - left), row = width * s.in_channels;
    for (std::int64_t r = 0; r <= ys.reach(); ++r, band += row) {
      const std::int64_t iy = top + r;
      std::fill_n(band, row, padding);
      if (iy >= 0 && iy < s.in_height && inside > 0)
        copy(x + (n * s.in_height + iy) * s.in_width * s.in_channels, inside * s.in_channels,
             band + left * s.in_channels);
    }
  }
};

MIDTREAD_NAMESPACE_END

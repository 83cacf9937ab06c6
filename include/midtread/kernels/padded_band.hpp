// SPDX-License-Identifier: MIT
// A band of output rows and the int16 copy of the input it needs: q - z with real zeros for padding. Built
// once per band, read by every tap and output channel; so kernels know no padding, no zero point, and need no
// im2col buffer.
#pragma once

#include <midtread/kernels/conv_params.hpp>

#include <cstddef>
#include <cstring>
#include <limits>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Where an output pixel starts to read in the band, in elements, and its index among the band's outputs.
struct BandPixel {
  std::int32_t input;
  std::int32_t output;
};

/// `rows` rows of outputs, `step_x` and `step_y` elements apart.
inline void list_grid(std::int64_t rows, std::int64_t columns, std::int64_t step_y, std::int64_t step_x,
                      BandPixel* pixels) {
  std::int32_t output = 0;
  for (std::int64_t y = 0; y < rows; ++y) {
    auto input = static_cast<std::int32_t>(y * step_y);
    for (std::int64_t x = 0; x < columns; ++x, input += static_cast<std::int32_t>(step_x))
      *pixels++ = {input, output++};
  }
}

/// Elements kernels may read beyond the last pixel.
inline constexpr std::int64_t kBandSlack = 32;

/// `pixels` pixels of `channels` codes each, starts `q_pitch` apart: q - z as int16, starts `out_pitch`
/// apart, zeros after the last channel.
using WidenPixels = void (*)(const std::uint8_t* q, std::int64_t pixels, std::int64_t channels,
                             std::int64_t q_pitch, std::int32_t zero_point, std::int16_t* out,
                             std::int64_t out_pitch);

/// How an image is cut into bands. A convolution with one tap copies just the pixels its outputs read.
struct PaddedBand {
  Conv2dShape shape;      ///< all pixels of a pointwise convolution as rows of one image
  std::int64_t pitch;     ///< elements per pixel
  std::int64_t stride_y;  ///< rows of the copy from one output row to the next
  std::int64_t stride_x;  ///< pixels of the copy from one output to the next
  std::int64_t width;     ///< pixels per row of the copy
  std::int64_t out_rows;  ///< output rows per band (the last may have fewer)

  /// Bands of `elements_per_pixel` of about `bytes`, and at least `min_pixels` output pixels where the image
  /// has them.
  PaddedBand(const Conv2dShape& s, std::int64_t elements_per_pixel, std::int64_t bytes,
             std::int64_t min_pixels)
      : shape(s), pitch(elements_per_pixel) {
    if (s.is_pointwise()) {
      shape.batch = s.batch > 0 ? 1 : 0;
      shape.in_height = shape.out_height = s.batch * s.out_pixels();
      shape.in_width = shape.out_width = 1;
    }
    const bool gather = s.taps() == 1;
    stride_y = gather ? 1 : s.stride_height;
    stride_x = gather ? 1 : s.stride_width;
    width = (shape.out_width - 1) * stride_x + (s.kernel_width - 1) * s.dilation_width + 1;
    const std::int64_t row_bytes = 2 * width * pitch * stride_y;
    const std::int64_t pixel_rows = (min_pixels + shape.out_width - 1) / shape.out_width;
    out_rows = std::max({bytes / row_bytes, pixel_rows, std::int64_t{1}});
    out_rows = std::min(out_rows, std::max(shape.out_height, std::int64_t{1}));
    if (elements() > std::numeric_limits<std::int32_t>::max() / 2)
      throw UnsupportedError("conv",
                             concat("one row of output needs ", elements(), " input codes, allowed 2^30"));
  }

  std::int64_t bands_per_image() const { return (shape.out_height + out_rows - 1) / out_rows; }
  std::int64_t in_rows(std::int64_t rows) const {
    return (rows - 1) * stride_y + (shape.kernel_height - 1) * shape.dilation_height + 1;
  }
  std::int64_t elements() const { return in_rows(out_rows) * width * pitch + kBandSlack; }
  std::int64_t pixels() const { return out_rows * shape.out_width; }
  /// Elements from a pixel to the one under tap (ky, kx).
  std::int64_t tap_offset(std::int64_t ky, std::int64_t kx) const {
    return (ky * shape.dilation_height * width + kx * shape.dilation_width) * pitch;
  }

  /// Lists the output pixels of `rows` rows.
  void list_pixels(std::int64_t rows, BandPixel* pixels) const {
    list_grid(rows, shape.out_width, stride_y * width * pitch, stride_x * pitch, pixels);
  }

  /// Copies what output rows [first, first + rows) of image `n` need of `channels` channels from x on.
  void fill(const std::uint8_t* x, std::int64_t channels, std::int64_t n, std::int64_t first,
            std::int64_t rows, std::int32_t zero_point, WidenPixels widen, std::int16_t* band) const {
    const Conv2dShape& s = shape;
    const std::uint8_t* image = x + n * s.in_pixels() * s.in_channels;
    const std::int64_t row_elements = width * pitch;
    if (s.is_pointwise()) {
      widen(image + first * s.in_channels, rows, channels, s.in_channels, zero_point, band, pitch);
      band += rows * pitch;
    } else {
      const bool gather = s.taps() == 1;
      for (std::int64_t r = 0; r < in_rows(rows); ++r, band += row_elements) {
        const std::int64_t iy =
            (gather ? first + r : first) * s.stride_height - s.pad_height + (gather ? 0 : r);
        if (iy < 0 || iy >= s.in_height)
          std::memset(band, 0, static_cast<std::size_t>(row_elements) * sizeof(std::int16_t));
        else
          fill_row(image + iy * s.in_width * s.in_channels, channels, zero_point, widen, band);
      }
    }
    std::memset(band, 0, kBandSlack * sizeof(std::int16_t));
  }

 private:
  void fill_row(const std::uint8_t* row, std::int64_t channels, std::int32_t zero_point, WidenPixels widen,
                std::int16_t* out) const {
    const Conv2dShape& s = shape;
    const std::int64_t step = s.taps() == 1 ? s.stride_width : 1;
    // Pixel p of the copy is input column p * step - pad.
    const std::int64_t left = std::min((s.pad_width + step - 1) / step, width);
    const std::int64_t end = std::max(std::min((s.in_width + s.pad_width + step - 1) / step, width), left);
    std::memset(out, 0, static_cast<std::size_t>(left * pitch) * sizeof(std::int16_t));
    if (end > left)
      widen(row + (left * step - s.pad_width) * s.in_channels, end - left, channels, step * s.in_channels,
            zero_point, out + left * pitch, pitch);
    std::memset(out + end * pitch, 0, static_cast<std::size_t>((width - end) * pitch) * sizeof(std::int16_t));
  }
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// A band of output rows and the int16 copy of the input it needs: q - z with real zeros for padding. Built once per
// band, read by every tap and output channel; so kernels know no padding, no zero point, and need no im2col buffer.
#pragma once

#include <midtread/kernels/conv_params.hpp>

#include <cstddef>
#include <cstring>
#include <limits>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Where an output pixel starts to read in the band, in elements, and its index among the band's output pixels.
struct BandPixel {
  std::int32_t input;
  std::int32_t output;
};

/// Elements kernels may read beyond the last pixel.
inline constexpr std::int64_t kBandSlack = 32;

/// How an image is cut into bands. A convolution with one tap copies just the pixels its outputs read.
struct PaddedBand {
  Conv2dShape shape;        ///< all pixels of a pointwise convolution as rows of one image
  std::int64_t pitch;       ///< elements per pixel, channels rounded up
  std::int64_t stride_y;    ///< rows of the copy from one output row to the next
  std::int64_t stride_x;    ///< pixels of the copy from one output to the next
  std::int64_t width;       ///< pixels per row of the copy
  std::int64_t out_rows;    ///< output rows per band (the last may have fewer)

  /// Bands of about `bytes` of int16 copy, and at least `min_pixels` output pixels where the image has them.
  PaddedBand(const Conv2dShape& s, std::int64_t channel_multiple, std::int64_t bytes, std::int64_t min_pixels)
      : shape(s) {
    if (s.is_pointwise()) {
      shape.batch = s.batch > 0 ? 1 : 0;
      shape.in_height = shape.out_height = s.batch * s.out_pixels();
      shape.in_width = shape.out_width = 1;
    }
    pitch = (s.in_channels + channel_multiple - 1) / channel_multiple * channel_multiple;
    const bool gather = s.taps() == 1;
    stride_y = gather ? 1 : s.stride_height;
    stride_x = gather ? 1 : s.stride_width;
    width = (shape.out_width - 1) * stride_x + (s.kernel_width - 1) * s.dilation_width + 1;
    const std::int64_t row_bytes = 2 * width * pitch * stride_y;
    const std::int64_t pixel_rows = (min_pixels + shape.out_width - 1) / shape.out_width;
    out_rows = std::max({bytes / row_bytes, pixel_rows, std::int64_t{1}});
    out_rows = std::min(out_rows, std::max(shape.out_height, std::int64_t{1}));
    if (elements() > std::numeric_limits<std::int32_t>::max() / 2)
      throw UnsupportedError("conv", concat("one row of output needs ", elements(), " input codes, allowed 2^30"));
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
    std::int32_t output = 0;
    for (std::int64_t y = 0; y < rows; ++y)
      for (std::int64_t x = 0; x < shape.out_width; ++x, ++output)
        *pixels++ = {static_cast<std::int32_t>((y * stride_y * width + x * stride_x) * pitch), output};
  }

  using Widen = void (*)(const std::uint8_t* q, std::int64_t n, std::int32_t zero_point, std::int16_t* out);

  /// Copies what output rows [first, first + rows) of image `n` need.
  void fill(const std::uint8_t* x, std::int64_t n, std::int64_t first, std::int64_t rows, std::int32_t zero_point,
            Widen widen, std::int16_t* band) const {
    const Conv2dShape& s = shape;
    const std::uint8_t* image = x + n * s.in_pixels() * s.in_channels;
    const std::int64_t row_elements = width * pitch;
    const bool gather = s.taps() == 1;
    if (s.is_pointwise() && pitch == s.in_channels) {
      widen(image + first * pitch, rows * pitch, zero_point, band);
      band += rows * pitch;
    } else {
      for (std::int64_t r = 0; r < in_rows(rows); ++r, band += row_elements) {
        const std::int64_t iy = (gather ? (first + r) : first) * s.stride_height - s.pad_height + (gather ? 0 : r);
        if (iy < 0 || iy >= s.in_height)
          std::memset(band, 0, static_cast<std::size_t>(row_elements) * 2);
        else
          fill_row(image + iy * s.in_width * s.in_channels, zero_point, widen, band);
      }
    }
    std::memset(band, 0, kBandSlack * 2);
  }

 private:
  void fill_row(const std::uint8_t* row, std::int32_t zero_point, Widen widen, std::int16_t* out) const {
    const Conv2dShape& s = shape;
    if (s.taps() == 1 || pitch != s.in_channels) {
      const std::int64_t step = s.taps() == 1 ? s.stride_width : 1;
      for (std::int64_t p = 0; p < width; ++p, out += pitch) {
        const std::int64_t ix = p * step - s.pad_width;
        const std::int64_t valid = ix >= 0 && ix < s.in_width ? s.in_channels : 0;
        if (valid > 0) widen(row + ix * s.in_channels, valid, zero_point, out);
        std::memset(out + valid, 0, static_cast<std::size_t>(pitch - valid) * 2);
      }
      return;
    }
    const std::int64_t left = std::min(s.pad_width, width);
    const std::int64_t inside = std::max(std::min(s.in_width, width - left), std::int64_t{0});
    std::memset(out, 0, static_cast<std::size_t>(left * pitch) * 2);
    widen(row, inside * pitch, zero_point, out + left * pitch);
    std::memset(out + (left + inside) * pitch, 0, static_cast<std::size_t>((width - left - inside) * pitch) * 2);
  }
};

MIDTREAD_NAMESPACE_END

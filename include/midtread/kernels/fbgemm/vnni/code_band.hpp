// SPDX-License-Identifier: MIT
// The input of a band of output rows as uint8 codes, with the zero point for padding: kernels multiply codes
// as they are, and the bias takes zero point * sum(w) off. A matrix product reads the tensor itself.
#pragma once

#include <midtread/kernels/padded_band.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

class CodeBand {
 public:
  /// Bands of about `bytes`, and at least `min_pixels` output pixels where the image has them, for kernels
  /// that read `step` codes at a time: fewer at the end of the tensor would be read across it. One tap is
  /// read in place, with a stride only if `strided`: then the offsets of pixels are not those of `plan`.
  CodeBand(const Conv2dShape& s, std::int64_t bytes, std::int64_t min_pixels, std::int64_t step, bool strided)
      : in_place_(s.taps() == 1 && s.pad_height == 0 && s.pad_width == 0 && s.in_channels % step == 0 &&
                  (s.is_pointwise() ||
                   (strided && s.in_height * s.in_width * s.in_channels < (std::int64_t{1} << 30)))),
        plan_(s, s.in_channels, 2 * bytes, min_pixels) {}

  const PaddedBand& plan() const { return plan_; }
  /// Of the copy; 0 where there is none.
  std::int64_t bytes() const { return in_place_ ? 0 : (plan_.elements() + 63) / 64 * 64; }

  /// Lists the output pixels of `rows` rows.
  void list_pixels(std::int64_t rows, BandPixel* pixels) const {
    const Conv2dShape& s = plan_.shape;
    if (!in_place_ || s.is_pointwise())
      plan_.list_pixels(rows, pixels);
    else
      list_grid(rows, s.out_width, s.stride_height * s.in_width * s.in_channels,
                s.stride_width * s.in_channels, pixels);
  }

  /// What output rows [first, first + rows) of image `n` read: a copy in `band`, or the tensor itself.
  const std::uint8_t* fill(const std::uint8_t* x, std::int64_t n, std::int64_t first, std::int64_t rows,
                           std::int32_t zero_point, std::uint8_t* band) const {
    const Conv2dShape& s = plan_.shape;
    const std::uint8_t* image = x + n * s.in_pixels() * s.in_channels;
    if (in_place_) return image + first * s.stride_height * s.in_width * s.in_channels;
    std::uint8_t* row = band;
    const bool gather = s.taps() == 1;
    if (s.is_pointwise()) {
      std::memcpy(row, image + first * s.in_channels, static_cast<std::size_t>(rows * s.in_channels));
      row += rows * s.in_channels;
    } else {
      for (std::int64_t r = 0; r < plan_.in_rows(rows); ++r, row += plan_.width * plan_.pitch)
        fill_row(image, (gather ? first + r : first) * s.stride_height - s.pad_height + (gather ? 0 : r),
                 zero_point, row);
    }
    std::memset(row, 0, static_cast<std::size_t>(kBandSlack));
    return band;
  }

 private:
  /// Input row `iy` with its padding.
  void fill_row(const std::uint8_t* image, std::int64_t iy, std::int32_t zero_point,
                std::uint8_t* out) const {
    const Conv2dShape& s = plan_.shape;
    const std::int64_t step = s.taps() == 1 ? s.stride_width : 1, pitch = plan_.pitch, width = plan_.width;
    // Pixel p of the copy is input column p * step - pad.
    std::int64_t left = std::min((s.pad_width + step - 1) / step, width);
    const std::int64_t end = std::max(std::min((s.in_width + s.pad_width + step - 1) / step, width), left);
    if (iy < 0 || iy >= s.in_height) left = width;
    std::memset(out, zero_point, static_cast<std::size_t>(left * pitch));
    if (left >= width) return;
    const std::uint8_t* from = image + (iy * s.in_width + left * step - s.pad_width) * pitch;
    if (step == 1) {
      std::memcpy(out + left * pitch, from, static_cast<std::size_t>((end - left) * pitch));
    } else {
      for (std::int64_t p = left; p < end; ++p, from += step * pitch)
        std::memcpy(out + p * pitch, from, static_cast<std::size_t>(pitch));
    }
    std::memset(out + end * pitch, zero_point, static_cast<std::size_t>((width - end) * pitch));
  }

  bool in_place_;
  PaddedBand plan_;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// A band of input rows in which the outputs of all rows read at one distance from each other, as tile loads
// want it. A slot is such a place. Slots between the last output of a row and the first of the next are
// computed for nothing, so there are few of them: the right padding of a row is the left padding of the next,
// and with a vertical stride rows that meet the same taps lie together. A band is rows of an image, or
// several small images.
//
//   input of slot i under tap (ky, kx) = band[i * stride + offset(ky, kx)]
#pragma once

#include <midtread/kernels/conv_params.hpp>

#include <cstring>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::amx)

/// Codes that may be read behind the last that count: they meet weights of zero.
inline constexpr std::int64_t kReadBeyond = 64;

class SlotBand {
 public:
  /// Bands of `about` as many bytes, and at least `min_slots` slots where the image has them; at most
  /// `most_images` images in one. Throws UnsupportedError.
  SlotBand(const Conv2dShape& s, std::int64_t about, std::int64_t min_slots, std::int64_t most_images)
      : shape_(s), gather_(s.taps() == 1), stride_x_(gather_ ? 1 : s.stride_width) {
    planes_ = gather_ ? 1 : s.stride_height;
    step_x_ = gather_ ? s.stride_width : 1;
    const std::int64_t width = (s.out_width - 1) * stride_x_ + (s.kernel_width - 1) * s.dilation_width + 1;
    left_ = std::min((s.pad_width + step_x_ - 1) / step_x_, width);
    end_ = std::min((s.in_width + s.pad_width + step_x_ - 1) / step_x_, width);
    end_ = std::max(end_, left_);
    const std::int64_t shared = std::min(left_, width - end_);
    pitch_ = (std::max(width - shared, s.out_width * stride_x_) + stride_x_ - 1) / stride_x_ * stride_x_;
    behind_ = std::max(width - pitch_, std::int64_t{0});
    const std::int64_t least = std::max((min_slots + row_slots() - 1) / row_slots(), std::int64_t{1});
    out_rows_ = std::max(about / (pitch_ * s.in_channels * planes_), least);
    const std::int64_t bands = (s.out_height + out_rows_ - 1) / out_rows_;
    out_rows_ = (s.out_height + bands - 1) / bands;
    plane_ = (in_rows(out_rows_) + planes_ - 1) / planes_ * pitch_ + behind_;
    plane_ = (plane_ + stride_x_ - 1) / stride_x_ * stride_x_;
    if (bands == 1)
      images_ = std::max(std::int64_t{1}, std::min(about / (planes_ * plane_ * s.in_channels), most_images));
    if (bytes() > std::int64_t{1} << 30)
      throw UnsupportedError("conv",
                             concat("one row of output needs ", bytes(), " input codes, allowed 2^30"));
  }

  std::int64_t out_rows() const { return out_rows_; }
  std::int64_t per_image() const { return (shape_.out_height + out_rows_ - 1) / out_rows_; }
  std::int64_t images() const { return images_; }
  /// Of the whole batch.
  std::int64_t count() const { return (shape_.batch + images_ - 1) / images_ * per_image(); }
  std::int64_t image_bytes() const { return planes_ * plane_ * shape_.in_channels; }
  std::int64_t bytes() const { return images_ * image_bytes() + kReadBeyond; }
  /// Bytes from a slot to the next.
  std::int64_t stride() const { return stride_x_ * shape_.in_channels; }
  std::int64_t row_slots() const { return pitch_ / stride_x_; }
  std::int64_t slots(std::int64_t rows) const { return (rows - 1) * row_slots() + shape_.out_width; }
  std::int64_t offset(std::int64_t ky, std::int64_t kx) const {
    const std::int64_t row = ky * shape_.dilation_height;
    return (row % planes_ * plane_ + row / planes_ * pitch_ + kx * shape_.dilation_width) *
           shape_.in_channels;
  }

  /// The output of each slot of an image; -1: none.
  void list_outputs(std::int32_t* outputs) const {
    std::int32_t output = 0;
    for (std::int64_t y = 0; y < out_rows_; ++y)
      for (std::int64_t x = 0; x < row_slots(); ++x) *outputs++ = x < shape_.out_width ? output++ : -1;
  }

  /// Copies what output rows [first, first + rows) of an image read. kReadBeyond bytes behind the last image
  /// may be read.
  void fill(const std::uint8_t* image, std::int64_t first, std::int64_t rows, std::int32_t zero_point,
            std::uint8_t* band) const {
    const Conv2dShape& s = shape_;
    const std::int64_t pixel = s.in_channels, height = in_rows(rows);
    for (std::int64_t r = 0; r < height; ++r)
      fill_row(image, (gather_ ? first + r : first) * s.stride_height - s.pad_height + (gather_ ? 0 : r),
               zero_point, band + (r % planes_ * plane_ + r / planes_ * pitch_) * pixel);
    for (std::int64_t p = 0; p < planes_; ++p)
      pad(band + (p * plane_ + (height - p + planes_ - 1) / planes_ * pitch_) * pixel, behind_, zero_point);
  }

 private:
  std::int64_t in_rows(std::int64_t rows) const {
    return (rows - 1) * planes_ + (shape_.kernel_height - 1) * shape_.dilation_height + 1;
  }
  void pad(std::uint8_t* out, std::int64_t pixels, std::int32_t zero_point) const {
    std::memset(out, zero_point, static_cast<std::size_t>(pixels * shape_.in_channels));
  }
  /// Input row `iy` with its padding.
  void fill_row(const std::uint8_t* image, std::int64_t iy, std::int32_t zero_point,
                std::uint8_t* out) const {
    const Conv2dShape& s = shape_;
    if (iy < 0 || iy >= s.in_height || end_ == left_) {
      pad(out, pitch_, zero_point);
      return;
    }
    const std::int64_t pixel = s.in_channels;
    const std::uint8_t* from = image + (iy * s.in_width + left_ * step_x_ - s.pad_width) * pixel;
    pad(out, left_, zero_point);
    if (step_x_ == 1)
      std::memcpy(out + left_ * pixel, from, static_cast<std::size_t>((end_ - left_) * pixel));
    else
      for (std::int64_t p = left_; p < end_; ++p, from += step_x_ * pixel)
        std::memcpy(out + p * pixel, from, static_cast<std::size_t>(pixel));
    pad(out + end_ * pixel, pitch_ - end_, zero_point);
  }

  Conv2dShape shape_;
  bool gather_;  ///< one tap: only the pixels it meets are copied
  std::int64_t stride_x_,
      step_x_ = 1;           ///< pixels of the band from a slot to the next; of the image per pixel copied
  std::int64_t planes_ = 1;  ///< rows are dealt out to as many planes as the vertical stride
  std::int64_t left_ = 0, end_ = 0;      ///< pixels of a row that are in the image: [left, end)
  std::int64_t pitch_ = 0, behind_ = 0;  ///< pixels of a row, and of padding behind the last of a plane
  std::int64_t out_rows_ = 0, plane_ = 0, images_ = 1;
};

MIDTREAD_NAMESPACE_END

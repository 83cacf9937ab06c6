// SPDX-License-Identifier: MIT
// Outputs at the border of an image have taps in the padding only: they are left out, a fifth of the work of
// a 3x3 convolution on 7x7 pixels. Rows of outputs first; of the other rows, columns.
//
//   acc = sum over the taps inside of q * w - z * sum over the same taps of w
#pragma once

#include <midtread/kernels/padded_band.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// The taps that meet the image along one axis: [first, last).
struct TapRange {
  std::int64_t first, last;
};

inline TapRange tap_range(std::int64_t out, std::int64_t in, std::int64_t kernel, std::int64_t stride,
                          std::int64_t pad, std::int64_t dilation) {
  const std::int64_t start = out * stride - pad;  // of tap 0
  const std::int64_t first = start >= 0 ? 0 : std::min(kernel, (-start + dilation - 1) / dilation);
  const std::int64_t last = start >= in ? 0 : std::min(kernel, (in - 1 - start) / dilation + 1);
  return {std::min(first, last), last};
}

/// Outputs that have the same taps, and their place in a band's list of pixels.
struct TapWindow {
  TapRange rows, columns;
  std::int64_t first, count;
};

/// Windows of rows [first, first + rows) of an image; `pixels` are listed anew in their order. At most one
/// window for a row, one for a column and one for the rest. A register tile of few pixels waits for its
/// weights: if tiles have up to `tallest` rows, a row with one pixel more leaves a corner to a column; if
/// they come in pairs (0), the rest takes an odd pixel of the others; it always takes single ones. Room for
/// rows + out_width + 1 is expected.
inline std::int64_t list_windows(const PaddedBand& plan, std::int64_t first, std::int64_t rows,
                                 BandPixel* pixels, TapWindow* windows, std::int64_t tallest = 0) {
  const Conv2dShape& s = plan.shape;
  const TapRange every_row{0, s.kernel_height}, every_column{0, s.kernel_width};
  const std::int64_t width = s.out_width;
  std::int64_t count = 0, listed = 0;
  const auto pixel = [&](std::int64_t y, std::int64_t x) {
    pixels[listed++] = {
        static_cast<std::int32_t>((y * plan.stride_y * plan.width + x * plan.stride_x) * plan.pitch),
        static_cast<std::int32_t>(y * width + x)};
  };
  const auto row_range = [&](std::int64_t y) {
    return tap_range(first + y, s.in_height, s.kernel_height, s.stride_height, s.pad_height,
                     s.dilation_height);
  };
  const auto column_range = [&](std::int64_t x) {
    return tap_range(x, s.in_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width);
  };
  const auto full = [](TapRange range, TapRange every) {
    return range.first == 0 && range.last == every.last;
  };
  std::int64_t top = 0, bottom = rows, left = 0, right = width;  // of the outputs with every tap
  while (top < rows && !full(row_range(top), every_row)) ++top;
  while (bottom > top && !full(row_range(bottom - 1), every_row)) --bottom;
  while (left < width && !full(column_range(left), every_column)) ++left;
  while (right > left && !full(column_range(right - 1), every_column)) --right;
  const bool rest = bottom > top && right > left;
  const auto own_of = [&](std::int64_t n) { return rest && (tallest == 0 || n == 1) ? n / 2 * 2 : n; };
  const std::int64_t own_x = own_of(width), own_y = own_of(bottom - top);
  const bool shared = rest && tallest > 0 && width % tallest == 1 && own_y > 0;
  const std::int64_t to_right = shared && right < width ? 1 : 0, to_left = shared && left > 0 ? 1 : 0;
  for (std::int64_t y = 0; y < rows; ++y) {
    if (y >= top && y < bottom) continue;
    const std::int64_t begin = y < top ? 0 : to_left, end = y < top ? own_x - to_right : own_x;
    windows[count++] = {row_range(y), every_column, listed, end - begin};
    for (std::int64_t x = begin; x < end; ++x) pixel(y, x);
  }
  for (std::int64_t x = 0; x < width && bottom > top; ++x) {
    if (x >= left && x < right) continue;
    const std::int64_t begin = to_right != 0 && x == width - 1 ? 0 : top;
    const std::int64_t end = to_left != 0 && x == 0 ? rows : top + own_y;
    windows[count++] = {every_row, column_range(x), listed, end - begin};
    for (std::int64_t y = begin; y < end; ++y) pixel(y, x);
  }
  if (!rest) return count;
  const std::int64_t first_of_rest = listed;
  for (std::int64_t y = top; y < bottom; ++y)
    for (std::int64_t x = left; x < right; ++x) pixel(y, x);
  for (std::int64_t y = 0; y < rows && own_x < width; ++y)
    if (y < top || y >= bottom) pixel(y, width - 1);
  for (std::int64_t x = 0; x < width && own_y < bottom - top; ++x)
    if (x < left || x >= right) pixel(bottom - 1, x);
  windows[count++] = {every_row, every_column, first_of_rest, listed - first_of_rest};
  return count;
}

MIDTREAD_NAMESPACE_END

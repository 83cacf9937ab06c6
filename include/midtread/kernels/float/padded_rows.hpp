// SPDX-License-Identifier: MIT
// A rectangle of an image, zeros where it reaches over the border. So the inner loops know no padding.
#pragma once

#include <midtread/core/platform.hpp>

#include <algorithm>
#include <cstdint>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// Copies rows [row, row + rows) and columns [column, column + columns) of image [height, width, channels].
template <class S>
void copy_padded(const S* image, std::int64_t height, std::int64_t width, std::int64_t channels, std::int64_t row,
                 std::int64_t rows, std::int64_t column, std::int64_t columns, S* to) {
  const std::int64_t begin = std::min(std::max<std::int64_t>(0, column), width);
  const std::int64_t end = std::max(std::min(width, column + columns), begin);
  for (std::int64_t r = row; r < row + rows; ++r, to += columns * channels) {
    if (r < 0 || r >= height || begin == end) {
      std::fill_n(to, columns * channels, S(0));
      continue;
    }
    const S* from = image + r * width * channels;
    S* next = std::fill_n(to, (begin - column) * channels, S(0));
    next = std::copy(from + begin * channels, from + end * channels, next);
    std::fill(next, to + columns * channels, S(0));
  }
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The rows of the input under a row of outputs of a depthwise convolution, three at most.
#pragma once

#include <midtread/kernels/conv_call.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

struct WindowRows {
  const std::uint8_t* first[3];  ///< column 0 of each
  std::int64_t step[3];          ///< 0 for a row that stands for padding
  std::int64_t start, columns;   ///< under the first window, may be padding; that there are

  /// Those of output row `oy` of image `n`, from channel `c` on. `padding` stands for what is outside; a
  /// window of fewer rows repeats its last, which has no weights there.
  void point_at(const Conv2dShape& s, const std::uint8_t* x, std::int64_t n, std::int64_t oy, std::int64_t c,
                const std::uint8_t* padding) {
    start = -s.pad_width;
    columns = s.in_width;
    for (std::int64_t i = 0; i < 3; ++i) {
      const std::int64_t iy =
          oy * s.stride_height - s.pad_height + std::min(i, s.kernel_height - 1) * s.dilation_height;
      const bool inside = iy >= 0 && iy < s.in_height;
      first[i] = inside ? x + (n * s.in_pixels() + iy * s.in_width) * s.in_channels + c : padding;
      step[i] = inside ? s.in_channels : 0;
    }
  }
};

MIDTREAD_NAMESPACE_END

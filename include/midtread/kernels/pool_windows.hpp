// SPDX-License-Identifier: MIT
// The windows of a pooling as runs of pixels, for the SIMD kernels.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/pool_params.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// The input codes of one output pixel, all channels.
struct PoolTaps {
  const std::uint8_t* first;
  std::int64_t rows, columns;
  std::int64_t row_step, column_step;  ///< in bytes
};

inline PoolTaps pool_taps(const Pool2dShape& s, const std::uint8_t* image, const PoolWindow& rows,
                          const PoolWindow& columns) {
  PoolTaps taps;
  taps.first = image + (rows.first * s.in_width + columns.first) * s.channels;
  taps.rows = (rows.last - rows.first + rows.step - 1) / rows.step;
  taps.columns = (columns.last - columns.first + columns.step - 1) / columns.step;
  taps.row_step = rows.step * s.in_width * s.channels;
  taps.column_step = columns.step * s.channels;
  return taps;
}

/// Calls pixel(taps, counted, output index) for every output.
template <class Pixel>
void for_each_window(const Pool2dShape& s, const std::uint8_t* x, const Pixel& pixel) {
  parallel_for(0, s.batch * s.out_height, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const std::uint8_t* image = x + row / s.out_height * s.in_height * s.in_width * s.channels;
      const PoolWindow rows = row_window(s, row % s.out_height);
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        const PoolWindow columns = column_window(s, ox);
        pixel(pool_taps(s, image, rows, columns), rows.counted * columns.counted,
              (row * s.out_width + ox) * s.channels);
      }
    }
  });
}

MIDTREAD_NAMESPACE_END

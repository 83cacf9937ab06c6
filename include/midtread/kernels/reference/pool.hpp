// SPDX-License-Identifier: MIT
// Average and max pooling on codes in plain loops; both keep the input's scale and zero point.
//
//   average  y = rne(sum(q - z) / counted) + z, exact      max  y = max(q)
#pragma once

#include <midtread/kernels/kernel_table.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::reference)

/// sum / n rounded half to even, in integers. n > 0.
inline std::int64_t divide_half_even(std::int64_t sum, std::int64_t n) {
  std::int64_t quotient = sum / n, rest = sum % n;
  if (rest < 0) {
    --quotient;
    rest += n;
  }
  const std::int64_t twice = 2 * rest;
  if (twice > n || (twice == n && quotient % 2 != 0)) ++quotient;
  return quotient;
}

inline void run_average_pool(const Pool2dShape& s, const std::uint8_t* x, std::int32_t zero_point,
                             std::uint8_t* y, Scratch&) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t oy = 0; oy < s.out_height; ++oy)
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        const PoolWindow rows = row_window(s, oy), columns = column_window(s, ox);
        const std::int64_t counted = rows.counted * columns.counted;
        for (std::int64_t c = 0; c < s.channels; ++c) {
          std::int64_t sum = 0;
          for (std::int64_t iy = rows.first; iy < rows.last; iy += rows.step)
            for (std::int64_t ix = columns.first; ix < columns.last; ix += columns.step)
              sum += x[((n * s.in_height + iy) * s.in_width + ix) * s.channels + c] - zero_point;
          const std::int64_t mean = counted > 0 ? divide_half_even(sum, counted) : 0;
          *y++ = static_cast<std::uint8_t>(mean + zero_point);
        }
      }
}

inline void run_max_pool(const Pool2dShape& s, const std::uint8_t* x, std::uint8_t* y) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t oy = 0; oy < s.out_height; ++oy)
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        const PoolWindow rows = row_window(s, oy), columns = column_window(s, ox);
        for (std::int64_t c = 0; c < s.channels; ++c) {
          std::uint8_t largest = 0;
          for (std::int64_t iy = rows.first; iy < rows.last; iy += rows.step)
            for (std::int64_t ix = columns.first; ix < columns.last; ix += columns.step)
              largest = std::max(largest, x[((n * s.in_height + iy) * s.in_width + ix) * s.channels + c]);
          *y++ = largest;
        }
      }
}

inline constexpr AveragePoolKernel kAveragePool = {"average_pool_u8__portable", run_average_pool};
inline constexpr MaxPoolKernel kMaxPool = {"max_pool_u8__portable", run_max_pool};

MIDTREAD_NAMESPACE_END

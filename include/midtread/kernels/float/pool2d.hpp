// SPDX-License-Identifier: MIT
// Max and average pooling of real numbers, channels-last, and their gradients.
//
//   max  y = max over the window        dx = dy where the window's first largest element is
//   average  y = sum / counted          dx = dy / counted over the window
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/pool_params.hpp>

#include <cstdint>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// y and, where `tap` is not null, which tap of the window was taken: kernel row * kernel width + kernel column.
/// A NaN in the window is taken.
template <class S, class Tap>
void max_pool2d_forward(const Pool2dShape& s, const S* x, S* y, Tap* tap) {
  parallel_for(0, s.batch * s.out_height, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t start_y = row % s.out_height * s.stride_height - s.pad_height;
      const PoolWindow rows = row_window(s, row % s.out_height);
      const S* image = x + row / s.out_height * s.in_height * s.in_width * s.channels;
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        const PoolWindow columns = column_window(s, ox);
        const std::int64_t start_x = ox * s.stride_width - s.pad_width;
        S* to = y + (row * s.out_width + ox) * s.channels;
        Tap* at = tap ? tap + (row * s.out_width + ox) * s.channels : nullptr;
        bool begun = false;
        for (std::int64_t iy = rows.first; iy < rows.last; iy += rows.step)
          for (std::int64_t ix = columns.first; ix < columns.last; ix += columns.step) {
            const S* from = image + (iy * s.in_width + ix) * s.channels;
            const auto index = static_cast<Tap>((iy - start_y) / s.dilation_height * s.kernel_width +
                                                (ix - start_x) / s.dilation_width);
            for (std::int64_t c = 0; c < s.channels; ++c) {
              const bool take = !begun || from[c] > to[c] || from[c] != from[c];
              to[c] = take ? from[c] : to[c];
              if (at) at[c] = take ? index : at[c];
            }
            begun = true;
          }
      }
    }
  });
}

template <class S, class Tap>
void max_pool2d_backward(const Pool2dShape& s, const S* dy, const Tap* tap, S* dx) {
  const std::int64_t image_size = s.in_height * s.in_width * s.channels;
  parallel_for(0, s.batch, 1, [&](std::int64_t first, std::int64_t last) {
    std::fill(dx + first * image_size, dx + last * image_size, S(0));
    for (std::int64_t row = first * s.out_height; row < last * s.out_height; ++row) {
      const std::int64_t start_y = row % s.out_height * s.stride_height - s.pad_height;
      S* image = dx + row / s.out_height * image_size;
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        const std::int64_t start_x = ox * s.stride_width - s.pad_width;
        const std::int64_t at = (row * s.out_width + ox) * s.channels;
        for (std::int64_t c = 0; c < s.channels; ++c) {
          const auto index = static_cast<std::int64_t>(tap[at + c]);
          const std::int64_t iy = start_y + index / s.kernel_width * s.dilation_height;
          const std::int64_t ix = start_x + index % s.kernel_width * s.dilation_width;
          image[(iy * s.in_width + ix) * s.channels + c] += dy[at + c];
        }
      }
    }
  });
}

template <class S>
void average_pool2d_forward(const Pool2dShape& s, const S* x, S* y) {
  parallel_for(0, s.batch * s.out_height, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const PoolWindow rows = row_window(s, row % s.out_height);
      const S* image = x + row / s.out_height * s.in_height * s.in_width * s.channels;
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        const PoolWindow columns = column_window(s, ox);
        S* to = y + (row * s.out_width + ox) * s.channels;
        std::fill_n(to, s.channels, S(0));
        for (std::int64_t iy = rows.first; iy < rows.last; ++iy)
          for (std::int64_t ix = columns.first; ix < columns.last; ++ix) {
            const S* from = image + (iy * s.in_width + ix) * s.channels;
            for (std::int64_t c = 0; c < s.channels; ++c) to[c] += from[c];
          }
        const S counted = static_cast<S>(rows.counted * columns.counted);
        for (std::int64_t c = 0; c < s.channels; ++c) to[c] /= counted;
      }
    }
  });
}

template <class S>
void average_pool2d_backward(const Pool2dShape& s, const S* dy, S* dx) {
  const std::int64_t image_size = s.in_height * s.in_width * s.channels;
  parallel_for(0, s.batch, 1, [&](std::int64_t first, std::int64_t last) {
    std::fill(dx + first * image_size, dx + last * image_size, S(0));
    for (std::int64_t row = first * s.out_height; row < last * s.out_height; ++row) {
      const PoolWindow rows = row_window(s, row % s.out_height);
      S* image = dx + row / s.out_height * image_size;
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        const PoolWindow columns = column_window(s, ox);
        const S* from = dy + (row * s.out_width + ox) * s.channels;
        const S share = S(1) / static_cast<S>(rows.counted * columns.counted);
        for (std::int64_t iy = rows.first; iy < rows.last; ++iy)
          for (std::int64_t ix = columns.first; ix < columns.last; ++ix) {
            S* to = image + (iy * s.in_width + ix) * s.channels;
            for (std::int64_t c = 0; c < s.channels; ++c) to[c] += from[c] * share;
          }
      }
    }
  });
}

MIDTREAD_NAMESPACE_END

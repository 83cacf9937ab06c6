// SPDX-License-Identifier: MIT
// Max and average pooling of real numbers, channels-last, and their gradients.
//
//   max  y = max over the window        dx = dy where the window's first largest element is
//   average  y = sum / counted          dx = dy / counted over the window
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/float/dispatch.hpp>
#include <midtread/kernels/pool_params.hpp>

#include <cstdint>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// Windows a tap index of 16 bits can count.
inline constexpr std::int64_t kMaxPoolTaps = 65536;

/// The taps of one window inside the image: offsets in elements from the first pixel of its row, and their indices
/// (kernel row * kernel width + kernel column).
struct WindowTaps {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> index;

  void collect(const Pool2dShape& s, const PoolWindow& rows, std::int64_t start_y, const PoolWindow& columns, std::int64_t start_x) {
    offsets.clear();
    index.clear();
    for (std::int64_t iy = rows.first; iy < rows.last; iy += rows.step)
      for (std::int64_t ix = columns.first; ix < columns.last; ix += columns.step) {
        offsets.push_back(((iy - rows.first) * s.in_width + ix) * s.channels);
        index.push_back(static_cast<std::int32_t>((iy - start_y) / s.dilation_height * s.kernel_width +
                                                  (ix - start_x) / s.dilation_width));
      }
  }
};

/// Calls run(taps, image row, first output column, count, divisor) for the outputs of row `oy`: one call for all that
/// do not touch a border at the left or right.
template <class Run>
void for_each_window_run(const Pool2dShape& s, std::int64_t oy, WindowTaps& taps, const Run& run) {
  const PoolWindow rows = row_window(s, oy);
  const std::int64_t start_y = oy * s.stride_height - s.pad_height, reach = s.dilation_width * (s.kernel_width - 1) + 1;
  for (std::int64_t ox = 0; ox < s.out_width;) {
    const std::int64_t start_x = ox * s.stride_width - s.pad_width;
    std::int64_t count = 1;
    if (!s.adaptive && start_x >= 0 && start_x + reach <= s.in_width)
      count = std::min(s.out_width, (s.in_width - reach + s.pad_width) / s.stride_width + 1) - ox;
    const PoolWindow columns = column_window(s, ox);
    taps.collect(s, rows, start_y, columns, start_x);
    run(rows.first, ox, count, rows.counted * columns.counted);
    ox += count;
  }
}

/// y and, where `tap` is not null, which tap of the window was taken. A NaN in the window is taken.
template <class S>
void max_pool2d_forward(const Pool2dShape& s, const S* x, S* y, std::uint16_t* tap,
                        const KernelSet<S>& kernels = best_kernels<S>()) {
  parallel_for(0, s.batch * s.out_height, 8, [&](std::int64_t first, std::int64_t last) {
    WindowTaps taps;
    for (std::int64_t row = first; row < last; ++row)
      for_each_window_run(s, row % s.out_height, taps, [&](std::int64_t iy, std::int64_t ox, std::int64_t count, std::int64_t) {
        const std::int64_t at = (row * s.out_width + ox) * s.channels;
        kernels.max_pool({x + (row / s.out_height * s.in_height + iy) * s.in_width * s.channels, s.stride_width * s.channels,
                          taps.offsets.data(), taps.index.data(), static_cast<std::int64_t>(taps.offsets.size()), s.channels, count,
                          y + at, tap ? tap + at : nullptr, S(1)});
      });
  });
}

template <class S>
void average_pool2d_forward(const Pool2dShape& s, const S* x, S* y, const KernelSet<S>& kernels = best_kernels<S>()) {
  parallel_for(0, s.batch * s.out_height, 8, [&](std::int64_t first, std::int64_t last) {
    WindowTaps taps;
    for (std::int64_t row = first; row < last; ++row)
      for_each_window_run(s, row % s.out_height, taps, [&](std::int64_t iy, std::int64_t ox, std::int64_t count, std::int64_t counted) {
        kernels.average_pool({x + (row / s.out_height * s.in_height + iy) * s.in_width * s.channels, s.stride_width * s.channels,
                              taps.offsets.data(), taps.index.data(), static_cast<std::int64_t>(taps.offsets.size()), s.channels,
                              count, y + (row * s.out_width + ox) * s.channels, nullptr, static_cast<S>(counted)});
      });
  });
}

/// dx from dy: of max pooling where `tap` is given, else of average pooling.
template <class S>
void pool2d_backward(const Pool2dShape& s, const S* dy, const std::uint16_t* tap, S* dx,
                     const KernelSet<S>& kernels = best_kernels<S>()) {
  const std::int64_t image_size = s.in_height * s.in_width * s.channels;
  const auto kernel = tap ? kernels.max_pool_gradient : kernels.average_pool_gradient;
  parallel_for(0, s.batch, 1, [&](std::int64_t first, std::int64_t last) {
    WindowTaps taps;
    std::fill(dx + first * image_size, dx + last * image_size, S(0));
    for (std::int64_t row = first * s.out_height; row < last * s.out_height; ++row)
      for_each_window_run(s, row % s.out_height, taps, [&](std::int64_t iy, std::int64_t ox, std::int64_t count, std::int64_t counted) {
        const std::int64_t at = (row * s.out_width + ox) * s.channels;
        kernel({dy + at, tap ? tap + at : nullptr, taps.offsets.data(), taps.index.data(),
                static_cast<std::int64_t>(taps.offsets.size()), s.channels, count,
                dx + row / s.out_height * image_size + iy * s.in_width * s.channels, s.stride_width * s.channels,
                static_cast<S>(counted)});
      });
  });
}

MIDTREAD_NAMESPACE_END

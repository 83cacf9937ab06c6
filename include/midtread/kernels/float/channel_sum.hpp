// SPDX-License-Identifier: MIT
// Sums over the rows of a [rows, channels] matrix: the gradient of a bias.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/core/storage.hpp>
#include <midtread/kernels/float/dispatch.hpp>

#include <algorithm>
#include <cstdint>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// Rows summed in S by one thread, 64 KiB of float; such partial sums meet in double. Depends on the shape alone.
inline std::int64_t rows_per_block(std::int64_t rows, std::int64_t channels) {
  const std::int64_t cached = std::max<std::int64_t>(16384 / std::max<std::int64_t>(channels, 1), 16);
  return std::max<std::int64_t>(std::min(rows, cached), 1);
}

/// Calls partial(first_row, last_row, sums) for blocks of rows; `sums` are `width` zeros of S. Adds the sums of all
/// blocks, in their order, to `total` [width], in double.
template <class S, class Partial>
void sum_over_blocks(std::int64_t rows, std::int64_t channels, std::int64_t width, double* total,
                     const Partial& partial) {
  const std::int64_t block = rows_per_block(rows, channels), blocks = (rows + block - 1) / block;
  const Buffer<S> sums(static_cast<std::size_t>(std::max<std::int64_t>(blocks * width, 1)));
  parallel_for(0, blocks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b) {
      S* to = sums.data() + b * width;
      std::fill_n(to, width, S(0));
      partial(b * block, std::min(rows, (b + 1) * block), to);
    }
  });
  std::fill_n(total, width, 0.0);
  for (std::int64_t b = 0; b < blocks; ++b)
    for (std::int64_t i = 0; i < width; ++i) total[i] += static_cast<double>(sums.data()[b * width + i]);
}

/// sum[c] = sum over rows of x[row, c].
template <class S>
void channel_sum(std::int64_t rows, std::int64_t channels, const S* x, S* sum,
                 const KernelSet<S>& kernels = best_kernels<S>()) {
  const Buffer<double> total(static_cast<std::size_t>(std::max<std::int64_t>(channels, 1)));
  sum_over_blocks<S>(rows, channels, channels, total.data(), [&](std::int64_t first, std::int64_t last, S* to) {
    kernels.sum(last - first, channels, x + first * channels, to);
  });
  for (std::int64_t c = 0; c < channels; ++c) sum[c] = static_cast<S>(total.data()[c]);
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Batch normalisation of [rows, channels] and its gradient.
//
//   xhat = (x - mean) / sqrt(var + eps)     y = gamma * xhat + beta
//   dx = gamma / sqrt(var + eps) * (dy - mean(dy) - xhat * mean(dy * xhat))      batch statistics (1502.03167)
#pragma once

#include <midtread/kernels/float/channel_sum.hpp>

#include <cmath>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// Mean and biased variance per channel in one pass. A block of rows sums distances d from its first row, and d * d, in
/// S; blocks meet in double by Chan's formula: a mean far from zero costs no precision.
template <class S>
void batch_statistics(std::int64_t rows, std::int64_t channels, const S* x, double* mean, double* variance,
                      const KernelSet<S>& kernels = best_kernels<S>()) {
  const std::int64_t block = rows_per_block(rows, channels), blocks = (rows + block - 1) / block;
  const Buffer<S> partial(static_cast<std::size_t>(blocks * channels * 2 + 1));
  parallel_for(0, blocks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b) {
      const S* origin = x + b * block * channels;
      S *sum = partial.data() + b * channels * 2, *square = sum + channels;
      std::fill_n(sum, 2 * channels, S(0));
      kernels.moments(std::min(rows, (b + 1) * block) - b * block, channels, origin, origin, sum, square);
    }
  });
  std::fill_n(mean, channels, 0.0);
  std::fill_n(variance, channels, 0.0);
  double seen = 0;
  for (std::int64_t b = 0; b < blocks; ++b) {
    const double count = static_cast<double>(std::min(rows, (b + 1) * block) - b * block), all = seen + count;
    const S *origin = x + b * block * channels, *sum = partial.data() + b * channels * 2, *square = sum + channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      const double shift = static_cast<double>(sum[c]) / count;
      const double spread = std::max(static_cast<double>(square[c]) - shift * shift * count, 0.0);
      const double delta = static_cast<double>(origin[c]) + shift - mean[c];
      mean[c] += delta * (count / all);
      variance[c] += spread + delta * delta * (seen * count / all);
    }
    seen = all;
  }
  for (std::int64_t c = 0; c < channels; ++c) variance[c] /= std::max(seen, 1.0);
}

/// y = (x - mean) * factor + shift per channel.
template <class S>
void normalize(std::int64_t rows, std::int64_t channels, const S* x, const S* mean, const S* factor, const S* shift, S* y,
               const KernelSet<S>& kernels = best_kernels<S>()) {
  parallel_for(0, rows, rows_per_block(rows, channels), [&](std::int64_t first, std::int64_t last) {
    kernels.affine(last - first, channels, x + first * channels, mean, factor, shift, y + first * channels);
  });
}

/// Per channel sum(dy) and sum(dy * (x - mean)).
template <class S>
void batch_norm_sums(std::int64_t rows, std::int64_t channels, const S* x, const S* mean, const S* dy, double* sum_dy,
                     double* sum_dy_x, const KernelSet<S>& kernels = best_kernels<S>()) {
  const Buffer<double> total(static_cast<std::size_t>(2 * channels + 1));
  sum_over_blocks<S>(rows, channels, 2 * channels, total.data(), [&](std::int64_t first, std::int64_t last, S* to) {
    kernels.products(last - first, channels, x + first * channels, mean, dy + first * channels, to, to + channels);
  });
  std::copy_n(total.data(), channels, sum_dy);
  std::copy_n(total.data() + channels, channels, sum_dy_x);
}

/// dx = dy * factor - (x - mean) * slope - offset per channel.
template <class S>
void batch_norm_input_gradient(std::int64_t rows, std::int64_t channels, const S* x, const S* mean, const S* dy,
                               const S* factor, const S* slope, const S* offset, S* dx,
                               const KernelSet<S>& kernels = best_kernels<S>()) {
  parallel_for(0, rows, rows_per_block(rows, channels), [&](std::int64_t first, std::int64_t last) {
    kernels.affine_gradient(last - first, channels, x + first * channels, mean, dy + first * channels, factor, slope, offset,
                            dx + first * channels);
  });
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The sum of a tensor over some of its dimensions: what a broadcast does, backwards.
//
// Sums are double, in an order that depends on the sizes only.
#pragma once

#include <midtread/ops/layout.hpp>

#include <algorithm>
#include <vector>

MIDTREAD_VECTORIZE_BEGIN
MIDTREAD_NAMESPACE_BEGIN(ops::detail)

// Eight partial sums keep the additions independent of each other.
template <class S>
double sum_row(const S* x, std::int64_t n, std::int64_t step) {
  double lane[8] = {};
  std::int64_t i = 0;
  if (step == 1) {
    for (; i + 8 <= n; i += 8)
      for (int k = 0; k < 8; ++k) lane[k] += static_cast<double>(x[i + k]);
  }
  double rest = 0;
  for (; i < n; ++i) rest += static_cast<double>(x[i * step]);
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7])) + rest;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Sum of `x` over the dimensions where `target`, which broadcasts to x's shape, has size 1 (or none), times
/// `factor`.
template <class S>
BasicTensor<S> sum_to(const BasicTensor<S>& x, const Shape& target, double factor = 1.0) {
  if (x.shape() == target && factor == 1.0) return x;
  BasicTensor<S> out(target, channels_last_strides(target));
  const std::int64_t count = out.numel();
  const StridedLoop<2> loop(x.shape(), {x.strides(), expanded_strides(out, x.shape())});
  const std::int64_t outer = loop.size(0), step_x = loop.step(0), step_out = loop.step(1);
  // Along a kept dimension pieces write different sums; along a summed one each piece has its own.
  const bool kept = loop.stride(1, 0) != 0;
  std::int64_t pieces = std::max<std::int64_t>(1, std::min<std::int64_t>(outer, x.numel() / kGrain));
  if (!kept)
    pieces = std::min(
        pieces,
        std::max<std::int64_t>(1, std::min<std::int64_t>(32, (1 << 20) / std::max<std::int64_t>(count, 1))));
  const std::int64_t copies = kept ? 1 : pieces;
  Buffer<double> buffer(static_cast<std::size_t>(std::max<std::int64_t>(1, copies * count)));
  double* sums = buffer.data();
  std::fill_n(sums, copies * count, 0.0);
  const S* from = x.data();
  parallel_for(0, pieces, 1, [&](std::int64_t piece, std::int64_t) {
    double* own = sums + (kept ? 0 : piece * count);
    loop.for_each_row_between(outer * piece / pieces, outer * (piece + 1) / pieces,
                              [&](const std::array<std::int64_t, 2>& at, std::int64_t n) {
                                const S* row = from + at[0];
                                double* to = own + at[1];
                                if (step_out == 0) {
                                  *to += detail::sum_row(row, n, step_x);
                                } else if (step_x == 1 && step_out == 1) {
                                  for (std::int64_t i = 0; i < n; ++i) to[i] += static_cast<double>(row[i]);
                                } else {
                                  for (std::int64_t i = 0; i < n; ++i)
                                    to[i * step_out] += static_cast<double>(row[i * step_x]);
                                }
                              });
  });
  for (std::int64_t piece = 1; piece < copies; ++piece)
    for (std::int64_t i = 0; i < count; ++i) sums[i] += sums[piece * count + i];
  S* to = out.mutable_data();
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<S>(sums[i] * factor);
  return out;
}

/// `x` repeated to `shape` in memory order `strides`.
template <class S>
BasicTensor<S> expand_to(const BasicTensor<S>& x, const Shape& shape, const Shape& strides) {
  BasicTensor<S> out(shape, strides);
  strided_copy(shape, x.data(), expanded_strides(x, shape), out.mutable_data(), strides);
  return out;
}

MIDTREAD_NAMESPACE_END
MIDTREAD_VECTORIZE_END

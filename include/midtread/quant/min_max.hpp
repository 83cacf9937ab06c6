// SPDX-License-Identifier: MIT
// Smallest and largest of many numbers and whether all are finite, in one pass.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fake_quantize/dispatch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct MinMax {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();
  bool finite = true;

  bool empty() const { return min > max; }
  void merge(const MinMax& other) {
    min = std::min(min, other.min);
    max = std::max(max, other.max);
    finite = finite && other.finite;
  }
};

/// Where not all are finite, min and max mean nothing.
inline MinMax min_max(const float* x, std::int64_t n) {
  if (n == 0) return {};
  const kernels::Range range = kernels::row_kernels().range(x, n);
  return {range.min, range.max, range.finite};
}

/// The same on several threads.
inline MinMax parallel_min_max(const float* x, std::int64_t n) {
  constexpr std::int64_t kGrain = 1 << 16;
  if (n <= kGrain) return min_max(x, n);
  std::vector<MinMax> parts(static_cast<std::size_t>((n + kGrain - 1) / kGrain));
  parallel_for(0, n, kGrain, [&](std::int64_t first, std::int64_t last) {
    parts[static_cast<std::size_t>(first / kGrain)] = min_max(x + first, last - first);
  });
  MinMax out;
  for (const MinMax& part : parts) out.merge(part);
  return out;
}

/// The finite ones only.
inline MinMax finite_min_max(const float* x, std::int64_t n) {
  MinMax out;
  for (std::int64_t i = 0; i < n; ++i)
    if (std::isfinite(x[i])) out.merge({x[i], x[i], true});
  return out;
}

MIDTREAD_NAMESPACE_END

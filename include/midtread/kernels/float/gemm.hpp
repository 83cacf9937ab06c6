// SPDX-License-Identifier: MIT
// Products of row-major matrices.
#pragma once

#include <midtread/core/parallel.hpp>

#include <algorithm>
#include <cstdint>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// c [m, n] = a [m, k] b [k, n] + bias [n] (or null).
template <class S>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const S* a, const S* b, const S* bias, S* c) {
  parallel_for(0, m, 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      for (std::int64_t j = 0; j < n; ++j) c[i * n + j] = bias ? bias[j] : S(0);
      for (std::int64_t p = 0; p < k; ++p)
        for (std::int64_t j = 0; j < n; ++j) c[i * n + j] += a[i * k + p] * b[p * n + j];
    }
  });
}

/// c [m, n] = a [m, k] b^T, b [n, k], + bias [n] (or null).
template <class S>
void gemm_nt(std::int64_t m, std::int64_t n, std::int64_t k, const S* a, const S* b, const S* bias, S* c) {
  parallel_for(0, m, 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        S sum = bias ? bias[j] : S(0);
        for (std::int64_t p = 0; p < k; ++p) sum += a[i * k + p] * b[j * k + p];
        c[i * n + j] = sum;
      }
  });
}

/// c [m, n] = a^T b, a [k, m], b [k, n].
template <class S>
void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const S* a, const S* b, S* c) {
  parallel_for(0, m, 16, [&](std::int64_t first, std::int64_t last) {
    std::fill(c + first * n, c + last * n, S(0));
    for (std::int64_t p = 0; p < k; ++p)
      for (std::int64_t i = first; i < last; ++i)
        for (std::int64_t j = 0; j < n; ++j) c[i * n + j] += a[p * m + i] * b[p * n + j];
  });
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Products of row-major matrices. Each element is summed in one order, whatever the number of threads.
#pragma once

#include <midtread/kernels/float/dispatch.hpp>
#include <midtread/kernels/float/panels.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// c [m, n] = a [m, k] b + bias [n] (or null); b's entry (k, n) lies at b[k * k_step + n * n_step].
template <class S>
void gemm_strided(std::int64_t m, std::int64_t n, std::int64_t k, const S* a, const S* b, std::int64_t k_step,
                  std::int64_t n_step, const S* bias, S* c, const KernelSet<S>& kernels) {
  if (m <= 0 || n <= 0) return;
  const PanelLayout layout{n, kernels.lanes};
  const Buffer<S> panels(static_cast<std::size_t>(std::max<std::int64_t>(k * layout.padded(), 1)));
  const Buffer<S> init = padded_bias(layout, bias);
  parallel_for(0, layout.count(), std::max<std::int64_t>((1 << 14) / std::max<std::int64_t>(k * 2 * kernels.lanes, 1), 1),
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t p = first; p < last; ++p)
                   pack_panel(layout, p, k, b, k_step, n_step, panels.data() + k * layout.first(p));
               });
  // Blocks of rows that stay in the first-level cache while the panels pass by.
  const std::int64_t block = std::min<std::int64_t>(192, std::max<std::int64_t>((1 << 14) / std::max<std::int64_t>(k, 1) / 12 * 12, 48));
  const std::int64_t blocks = (m + block - 1) / block, split = blocks >= 4 ? layout.count() : std::max<std::int64_t>((layout.count() + 3) / 4, 1);
  const std::int64_t parts = (layout.count() + split - 1) / split;
  parallel_for(0, blocks * parts, 1, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t offset = 0;
    for (std::int64_t task = first; task < last; ++task) {
      const std::int64_t row = task / parts * block, begin = task % parts * split;
      for (std::int64_t p = begin; p < std::min(layout.count(), begin + split); ++p)
        kernels.conv({a + row * k, 0, k, &offset, 1, k, panels.data() + k * layout.first(p), init.data() + layout.first(p),
                      c + row * n + layout.first(p), 0, n, 1, std::min(block, m - row), layout.vectors(p), layout.width(p)});
    }
  });
}

/// c [m, n] = a [m, k] b [k, n] + bias [n] (or null).
template <class S>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const S* a, const S* b, const S* bias, S* c,
          const KernelSet<S>& kernels = best_kernels<S>()) {
  gemm_strided(m, n, k, a, b, n, 1, bias, c, kernels);
}

/// c [m, n] = a [m, k] b^T, b [n, k], + bias [n] (or null).
template <class S>
void gemm_nt(std::int64_t m, std::int64_t n, std::int64_t k, const S* a, const S* b, const S* bias, S* c,
             const KernelSet<S>& kernels = best_kernels<S>()) {
  gemm_strided(m, n, k, a, b, 1, k, bias, c, kernels);
}

/// How the rows of a long sum are cut: `pieces` partial sums, added in their order. Depends on the sizes alone.
struct SumPieces {
  std::int64_t pieces = 1, rows = 1;
  /// `rows` rows in all, at least `grain` in a piece, sums of `size` elements.
  SumPieces(std::int64_t all, std::int64_t grain, std::int64_t size) {
    const std::int64_t room = std::max<std::int64_t>((std::int64_t{1} << 22) / std::max<std::int64_t>(size, 1), 1);
    const std::int64_t wanted = std::max<std::int64_t>(std::min({std::int64_t{8}, room, all / std::max<std::int64_t>(grain, 1)}), 1);
    rows = std::max<std::int64_t>((all + wanted - 1) / wanted, 1);
    pieces = std::max<std::int64_t>((all + rows - 1) / rows, 1);
  }
};

/// c [m, n] = a^T b, a [k, m], b [k, n].
template <class S>
void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const S* a, const S* b, S* c,
             const KernelSet<S>& kernels = best_kernels<S>()) {
  if (m <= 0 || n <= 0) return;
  constexpr std::int64_t kBlock = 128;  // rows of b's panel: 8 KiB for AVX2
  const PanelLayout layout{n, kernels.lanes};
  const SumPieces cut(k, 2 * kBlock, m * n);
  const std::int64_t size = m * layout.padded();
  const Buffer<S> sums(static_cast<std::size_t>(cut.pieces * size));
  const std::int64_t split = cut.pieces >= 4 ? layout.count() : std::max<std::int64_t>((layout.count() + 7) / 8, 1);
  const std::int64_t parts = (layout.count() + split - 1) / split;
  parallel_for(0, cut.pieces * parts, 1, [&](std::int64_t first, std::int64_t last) {
    const Buffer<S> packed(static_cast<std::size_t>(kBlock * 2 * kernels.lanes));
    const std::int64_t offset = 0;
    for (std::int64_t task = first; task < last; ++task) {
      const std::int64_t begin = task % parts * split, end = std::min(layout.count(), begin + split);
      const std::int64_t from = task / parts * cut.rows, to = std::min(k, from + cut.rows);
      S* sum = sums.data() + task / parts * size;
      std::fill(sum + m * layout.first(begin), end < layout.count() ? sum + m * layout.first(end) : sum + size, S(0));
      for (std::int64_t row = from; row < to; row += kBlock) {
        const std::int64_t rows = std::min(kBlock, to - row);
        for (std::int64_t p = begin; p < end; ++p) {
          pack_panel(layout, p, rows, b + row * n, n, 1, packed.data());
          kernels.outer({a + row * m, 0, m, &offset, 1, m, packed.data(), sum + m * layout.first(p), 1, rows, layout.vectors(p)});
        }
      }
    }
  });
  parallel_for(0, layout.count(), std::max<std::int64_t>(4096 / (m * kernels.lanes), 1), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p)
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < layout.width(p); ++j) {
          const S* sum = sums.data() + m * layout.first(p) + i * layout.padded(p) + j;
          S total = sum[0];
          for (std::int64_t piece = 1; piece < cut.pieces; ++piece) total += sum[piece * size];
          c[i * n + layout.first(p) + j] = total;
        }
  });
}

MIDTREAD_NAMESPACE_END

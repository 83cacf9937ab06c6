// SPDX-License-Identifier: MIT
// Counting in bins: positions of a block of values first, in vectors, then the counts, in four arrays that
// meet at the end, so that equal neighbours do not wait for each other.
#pragma once

#include <midtread/kernels/fake_quantize/dispatch.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quant)

class BinCounter {
 public:
  static constexpr std::int64_t kBlock = 256;

  explicit BinCounter(int bins) : bins_(bins), counts_(4 * static_cast<std::size_t>(bins + 1)) {}

  /// `grid` has the bins that this was made for.
  void count(const float* x, std::int64_t n, const kernels::BinGrid& grid) {
    const kernels::RowKernels& loops = kernels::row_kernels();
    std::int32_t at[kBlock];
    std::uint64_t* to = counts_.data();
    const std::int64_t step = bins_ + 1;
    for (std::int64_t first = 0; first < n; first += kBlock) {
      const std::int64_t size = std::min(kBlock, n - first);
      loops.bins(x + first, at, size, grid);
      std::int64_t i = 0;
      for (; i + 4 <= size; i += 4)
        for (int j = 0; j < 4; ++j) ++to[j * step + at[i + j]];
      for (; i < size; ++i) ++to[at[i]];
    }
  }
  void add_to(std::vector<double>& counts) const {
    const auto step = static_cast<std::size_t>(bins_ + 1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(bins_); ++i)
      counts[i] +=
          static_cast<double>(counts_[i] + counts_[step + i] + counts_[2 * step + i] + counts_[3 * step + i]);
  }

 private:
  int bins_;
  std::vector<std::uint64_t> counts_;
};

MIDTREAD_NAMESPACE_END

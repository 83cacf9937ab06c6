// SPDX-License-Identifier: MIT
// Counts of |x| in equal bins from 0 on:  bin(v) = floor(|v| / width), the last bin closed
#pragma once

#include <midtread/quant/bin_counter.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// The first data with a value other than 0 fixes the width; larger values append whole bins. Past four times
/// the bins wanted, neighbours are added up in pairs.
struct AbsHistogram {
  double width = 0;
  std::vector<double> counts;

  explicit AbsHistogram(int bins = 2048) : counts(static_cast<std::size_t>(bins)) {}

  int bins() const { return static_cast<int>(counts.size()); }
  double edge(int bin) const { return width * bin; }
  double center(int bin) const { return width * (bin + 0.5); }
  double total() const {
    double sum = 0;
    for (double c : counts) sum += c;
    return sum;
  }

  /// The first bin with which the counts from 0 on reach `wanted`, else the last.
  int bin_reaching(double wanted) const {
    double sum = 0;
    int bin = 0;
    for (; bin < bins() - 1; ++bin)
      if ((sum += counts[static_cast<std::size_t>(bin)]) >= wanted) break;
    return bin;
  }

  /// Non-finite values are left out; `largest` is the largest finite |x|, `wanted` the number of bins to
  /// start with.
  void add(const float* x, std::int64_t n, double largest, int wanted) {
    if (width == 0) width = largest / wanted;
    grow(largest, wanted);
    BinCounter counter(bins());
    counter.count(x, n, {true, 0, largest, 0, 1, width > 0 ? width : 1, bins()});
    counter.add_to(counts);
  }

 private:
  void grow(double largest, int wanted) {
    if (width == 0) return;
    while (largest / width > 4.0 * wanted) {
      const std::size_t pairs = (counts.size() + 1) / 2;
      for (std::size_t i = 0; i < pairs; ++i)
        counts[i] = counts[2 * i] + (2 * i + 1 < counts.size() ? counts[2 * i + 1] : 0);
      for (std::size_t i = pairs; i < counts.size(); ++i) counts[i] = 0;
      width *= 2;
    }
    if (largest > edge(bins())) counts.resize(static_cast<std::size_t>(std::ceil(largest / width)));
  }
};

MIDTREAD_NAMESPACE_END

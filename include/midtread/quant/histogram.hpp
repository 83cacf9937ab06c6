// SPDX-License-Identifier: MIT
// Counts of values in equal bins, and the range within them that loses least when its codes replace the
// values (PyTorch's HistogramObserver, version 2.5 and later).
//
//   bin(v) = floor((v - min) * bins / (max - min)), the last bin closed
//   loss of a bin's part u..v around its code:  count / width * (v^3 - u^3) / 3
#pragma once

#include <midtread/quant/bin_counter.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Counts may be fractions: a bin that is moved is cut into parts.
struct Histogram {
  double min = 0, max = 0;
  std::vector<double> counts;

  int bins() const { return static_cast<int>(counts.size()); }
  double total() const {
    double sum = 0;
    for (double c : counts) sum += c;
    return sum;
  }

  /// The bin of `v` in `bins` bins over low..high; a range of one value is one wide on either side of it.
  static int bin(double v, double low, double high, int bins) {
    if (low == high) low -= 1, high += 1;
    return std::min(static_cast<int>((v - low) * bins / (high - low)), bins - 1);
  }

  /// Adds values; those outside min..max, NaN among them, are left out.
  void count(const float* x, std::int64_t n) {
    double low = min, high = max;
    if (low == high) low -= 1, high += 1;
    BinCounter counter(bins());
    counter.count(x, n, {false, min, max, low, static_cast<double>(bins()), high - low, bins()});
    counter.add_to(counts);
  }

  /// Widens to low..high. Every old bin is cut into `parts`, each of which goes where its middle lies.
  void widen(double low, double high, int parts) {
    if (low == min && high == max) return;
    std::vector<double> moved(counts.size());
    const int fine = bins() * parts;
    if (min == max) {
      moved[static_cast<std::size_t>(bin(min, low, high, bins()))] = total();
    } else {
      for (int i = 0; i < fine; ++i) {
        const double middle = min + (i + 0.5) * (max - min) / fine;
        moved[static_cast<std::size_t>(bin(middle, low, high, bins()))] +=
            counts[static_cast<std::size_t>(i / parts)] / parts;
      }
    }
    counts.swap(moved);
    min = low;
    max = high;
  }
};

/// Bins first..last, both kept.
struct BinWindow {
  int first = 0, last = 0;
};

/// The squared error of `codes` equal steps over the window, values outside going to the nearest step's
/// middle.
inline double window_loss(const Histogram& h, BinWindow window, int codes) {
  const double width = (h.max - h.min) / h.bins(), step = width * (window.last - window.first + 1) / codes;
  if (step == 0) return 0;
  const auto part = [](double from, double to) { return (to * to * to - from * from * from) / 3; };
  const auto code = [&](double at) { return std::min(std::max(std::floor(at / step), 0.0), codes - 1.0); };
  const double whole = part(-step / 2, step / 2);
  double loss = 0;
  for (int i = 0; i < h.bins(); ++i) {
    const double begin = (i - window.first) * width, end = begin + width;
    const double first = code(begin), last = code(end);
    loss += h.counts[static_cast<std::size_t>(i)] / width *
            (part(begin - (first + 0.5) * step, step / 2) + (last - first - 1) * whole +
             part(-step / 2, end - (last + 0.5) * step));
  }
  return loss;
}

/// Takes 1e-5 of the mass off one end or the other, the one that drops more bins, while the loss does not
/// grow. Of equal choices the upper end goes.
inline BinWindow least_loss_window(const Histogram& h, int codes) {
  BinWindow window{0, h.bins() - 1};
  const double total = h.total(), step = 1e-5;
  if (!(total > 0)) return window;
  std::vector<double> sum(h.counts.size());
  double running = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = running += h.counts[i];
  double alpha = 0, beta = 1, least = HUGE_VAL;
  while (alpha < beta) {
    int left = window.first, right = window.last;
    while (left < window.last && sum[static_cast<std::size_t>(left)] < (alpha + step) * total) ++left;
    while (right > window.first && sum[static_cast<std::size_t>(right)] > (beta - step) * total) --right;
    BinWindow next = window;
    if (left - window.first > window.last - right)
      next.first = left, alpha += step;
    else
      next.last = right, beta -= step;
    if (next.first == window.first && next.last == window.last) continue;
    const double loss = window_loss(h, next, codes);
    if (loss > least) break;
    least = loss;
    window = next;
  }
  return window;
}

MIDTREAD_NAMESPACE_END

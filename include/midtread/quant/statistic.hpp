// SPDX-License-Identifier: MIT
// One scale for many batches: the largest, the mean, the median or the most frequent of theirs (Vitis AI's
// calib_statistic_method).
#pragma once

#include <midtread/core/error.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quant)

enum class Statistic { kMax, kMean, kMedian, kModal };

inline const char* to_string(Statistic statistic) {
  switch (statistic) {
    case Statistic::kMax: return "max";
    case Statistic::kMean: return "mean";
    case Statistic::kMedian: return "median";
    case Statistic::kModal: return "modal";
  }
  return "?";
}

inline Statistic parse_statistic(const std::string& name) {
  for (Statistic s : {Statistic::kMax, Statistic::kMean, Statistic::kMedian, Statistic::kModal})
    if (name == to_string(s)) return s;
  throw ConfigError("statistic", concat("got '", printable(name), "', allowed max, mean, median, modal"));
}

/// The most frequent of sorted values, one at least; of equally frequent ones the last, or the first.
template <class Number>
Number most_frequent(const std::vector<Number>& sorted, bool last) {
  std::size_t best = 0, count = 0;
  for (std::size_t i = 0, run = 0; i < sorted.size(); ++i) {
    run = i > 0 && !(sorted[i - 1] < sorted[i]) ? run + 1 : 1;
    if (run > count || (last && run == count)) best = i, count = run;
  }
  return sorted[best];
}

/// Of scales, one at least. Equally frequent: the largest, which clips least (of fix positions the smallest).
/// An even number's median: the mean of the middle two.
inline float statistic_of(std::vector<float> scales, Statistic statistic) {
  std::sort(scales.begin(), scales.end());
  const std::size_t n = scales.size();
  double sum = 0;
  switch (statistic) {
    case Statistic::kMax: return scales.back();
    case Statistic::kModal: return most_frequent(scales, true);
    case Statistic::kMean:
      for (float s : scales) sum += static_cast<double>(s);
      return static_cast<float>(sum / static_cast<double>(n));
    case Statistic::kMedian: break;
  }
  return static_cast<float>((static_cast<double>(scales[(n - 1) / 2]) + static_cast<double>(scales[n / 2])) /
                            2);
}

MIDTREAD_NAMESPACE_END

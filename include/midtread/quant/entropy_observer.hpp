// SPDX-License-Identifier: MIT
// Vitis AI's entropy: the range whose codes keep most of the distribution of |x| (Kullback-Leibler
// divergence).
//
//   P = the first i bins, the rest added to the last      Q = the same bins, averaged within each code, 0
//   where empty cost(i) = sum P ln(P / Q),  i = 1536, 1552, .. bins;  t = edge_i
#pragma once

#include <midtread/quant/abs_histogram_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Of equal costs the largest t. Bin 0 counts as bin 1 does, so that many zeros do not decide.
template <class SpecType>
class EntropyObserver : public AbsHistogramObserver {
  static_assert(!SpecType::kPerChannel,
                "EntropyObserver keeps one histogram: give it a per-tensor Spec (UInt8Affine), or use "
                "MaxMinObserver or "
                "DiffsObserver for one scale per channel");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = CalibrationOptions<Owner>;
  using Options = OptionsFor<EntropyObserver>;
  using Settings = CalibrationSettings;
  static constexpr bool kMemorylessWeight = true;
  static constexpr const char* kName = "entropy";

  explicit EntropyObserver(const CalibrationSettings& settings = {})
      : AbsHistogramObserver(Spec::info(), settings, {"entropy", true, false, true, false, true}) {}
  std::string type_name() const override { return "EntropyObserver"; }

 protected:
  double threshold(const AbsHistogram& histogram, const MinMax& range) override {
    AbsHistogram h = histogram;
    h.counts[0] = h.counts[1];
    const int codes = codes_of(range);
    std::vector<RangeCandidate> candidates;
    for (int i = search_start(); i < h.bins(); i += search_stride())
      candidates.push_back({h.edge(i), cost(h, i, codes), false});
    candidates.push_back({h.edge(h.bins()), cost(h, h.bins(), codes), false});
    std::size_t best = 0;
    for (std::size_t i = 1; i < candidates.size(); ++i)
      if (candidates[i].cost <= candidates[best].cost) best = i;
    candidates[best].chosen = true;
    const double found = candidates[best].threshold;
    set_candidates(std::move(candidates));
    return found;
  }
  Pointer shallow_copy() const override { return nn::Module::share(new EntropyObserver(*this)); }

 private:
  /// From 0 to the largest |x|: 128 for symmetric int8, 256 for uint8 of data that is not negative.
  int codes_of(const MinMax& range) const {
    const double largest = static_cast<double>(std::max(std::fabs(range.min), std::fabs(range.max)));
    if (spec().symmetric) return codes_above() + 1;
    return static_cast<int>(
               std::lround(largest / static_cast<double>(threshold_params(range, largest).scale))) +
           1;
  }

  /// Infinite where Q has nothing for the clipped rest.
  static double cost(const AbsHistogram& h, int bins, int codes) {
    const auto code_of = [&](int bin) {
      return static_cast<std::size_t>(static_cast<std::int64_t>(bin) * codes / bins);
    };
    std::vector<double> sum(static_cast<std::size_t>(codes)), filled(sum.size());
    double kept = 0, rest = 0;
    for (int i = 0; i < h.bins(); ++i) {
      const double n = h.counts[static_cast<std::size_t>(i)];
      if (i >= bins) {
        rest += n;
      } else if (n > 0) {
        sum[code_of(i)] += n;
        filled[code_of(i)] += 1;
        kept += n;
      }
    }
    if (kept == 0) return HUGE_VAL;
    double divergence = 0;
    for (int i = 0; i < bins; ++i) {
      const double n = h.counts[static_cast<std::size_t>(i)];
      const double p = (n + (i == bins - 1 ? rest : 0)) / (kept + rest);
      if (p == 0) continue;
      if (n == 0) return HUGE_VAL;
      divergence += p * std::log(p * kept * filled[code_of(i)] / sum[code_of(i)]);
    }
    return divergence;
  }
};

MIDTREAD_NAMESPACE_END

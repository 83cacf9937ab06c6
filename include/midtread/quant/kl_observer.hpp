// SPDX-License-Identifier: MIT
// HAT's kl: the range whose 128 codes keep most of the distribution of |x|, averaged over batches.
//
//   P = the first i of 512 bins, the rest added to the last      Q = the same bins, averaged within each of
//   128 codes, 0 where empty, + 1e-10      d_i = sum P ln(P / Q), i = 128 .. 512;  t = edge of the i whose
//   nine neighbours' sum d_(i-4) + .. + d_(i+4) is least
#pragma once

#include <midtread/quant/abs_histogram.hpp>
#include <midtread/quant/clipped_average_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Of equal sums the smallest t.
template <class SpecType>
class KlObserver : public ClippedAverageObserver {
  static_assert(!SpecType::kPerChannel,
                "KlObserver clips a whole tensor: give it a per-tensor Spec (Int8Symmetric), or use "
                "MovingAverageMinMaxObserver for one scale per channel");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = ClippedAverageOptions<Owner>;
  using Options = OptionsFor<KlObserver>;
  using Settings = ClippedAverageSettings;
  static constexpr const char* kName = "kl";

  /// Throws ConfigError on options that do not fit.
  explicit KlObserver(const ClippedAverageSettings& settings = {})
      : ClippedAverageObserver(Spec::info(), settings, {"kl", false, false, true, true}) {
    if (sums() < 1)
      throw ConfigError("stride",
                        concat("got ", stride(), " with ", bins(),
                               " bins, allowed where nine candidates remain: (bins - 128) / 8 and less"));
  }
  std::string type_name() const override { return "KlObserver"; }

 protected:
  MinMax clipped(const float* x, std::int64_t n, const MinMax& range) override {
    const double largest = largest_of(range);
    if (largest == 0) return range;
    AbsHistogram h(bins());
    h.add(x, n, largest, bins());
    std::vector<double> divergences;
    for (int i = kCodes; i <= bins(); i += stride()) divergences.push_back(divergence(h, i));
    std::vector<RangeCandidate> candidates;
    std::size_t best = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(sums()); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < kWindow; ++j) sum += divergences[i + j];
      candidates.push_back({h.edge(kCodes + static_cast<int>(i + kWindow / 2) * stride()), sum, false});
      if (sum < candidates[best].cost) best = i;
    }
    candidates[best].chosen = true;
    const double found = candidates[best].threshold;
    set_candidates(std::move(candidates));
    return clipped_at(range, found);
  }
  Pointer shallow_copy() const override { return nn::Module::share(new KlObserver(*this)); }

 private:
  static constexpr int kCodes = 128;
  static constexpr std::size_t kWindow = 9;
  static constexpr double kLeast = 1e-10;

  int bins() const { return clipping().bins.value_or(512); }
  int stride() const { return clipping().stride.value_or(1); }
  /// How many windows of nine candidates there are.
  int sums() const { return (bins() - kCodes) / stride() + 2 - static_cast<int>(kWindow); }

  static double divergence(const AbsHistogram& h, int bins) {
    double sum[kCodes] = {}, filled[kCodes] = {}, kept = 0, total = 0;
    const auto code_of = [&](int bin) { return bin * kCodes / bins; };
    for (int i = 0; i < h.bins(); ++i) {
      const double count = h.counts[static_cast<std::size_t>(i)];
      total += count;
      if (i >= bins || count == 0) continue;
      kept += count;
      sum[code_of(i)] += count;
      filled[code_of(i)] += 1;
    }
    const double scale =
        (kept + bins * kLeast) / total;  // P sums to total, Q to kept and the least of each bin
    double out = 0;
    for (int i = 0; i < bins; ++i) {
      const double count = h.counts[static_cast<std::size_t>(i)],
                   p = count + (i == bins - 1 ? total - kept : 0);
      if (p == 0) continue;
      const double q = (count > 0 ? sum[code_of(i)] / filled[code_of(i)] : 0) + kLeast;
      out += p * std::log(p / q * scale);
    }
    return out / total;
  }
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Vitis AI's mse: the range whose codes are nearest to the bins' centres c_i, weighed by their counts n_i.
//
//   cost(t) = mean over i of n_i (c_i - fake_quantize(c_i, t))^2,  t = c_1536, c_1552, .. and the whole range
#pragma once

#include <midtread/quant/abs_histogram_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Of equal costs the smallest t. Affine specs: codes from 0 to t, at the distance that the range clipped at
/// t gives.
template <class SpecType>
class MseObserver : public AbsHistogramObserver {
  static_assert(
      !SpecType::kPerChannel,
      "MseObserver keeps one histogram: give it a per-tensor Spec (UInt8Affine), or use MaxMinObserver or "
      "DiffsObserver for one scale per channel");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = CalibrationOptions<Owner>;
  using Options = OptionsFor<MseObserver>;
  using Settings = CalibrationSettings;
  static constexpr bool kMemorylessWeight = true;
  static constexpr const char* kName = "mse";

  explicit MseObserver(const CalibrationSettings& settings = {})
      : AbsHistogramObserver(Spec::info(), settings, {"MSE", true, false, true, false, true}) {}
  std::string type_name() const override { return "MseObserver"; }

 protected:
  double threshold(const AbsHistogram& h, const MinMax& range) override {
    std::vector<RangeCandidate> candidates;
    for (int i = search_start(); i < h.bins(); i += search_stride())
      candidates.push_back({h.center(i), cost(h, range, h.center(i)), false});
    candidates.push_back({h.edge(h.bins()), cost(h, range, h.edge(h.bins())), false});
    std::size_t best = 0;
    for (std::size_t i = 1; i < candidates.size(); ++i)
      if (candidates[i].cost < candidates[best].cost) best = i;
    candidates[best].chosen = true;
    const double found = candidates[best].threshold;
    set_candidates(std::move(candidates));
    return found;
  }
  Pointer shallow_copy() const override { return nn::Module::share(new MseObserver(*this)); }

 private:
  double cost(const AbsHistogram& h, const MinMax& range, double threshold) const {
    const float scale = threshold_params(range, threshold).scale, inverse = kernels::reciprocal(scale);
    const auto last =
        spec().symmetric ? codes_above() : kernels::round_half_even(static_cast<float>(threshold) * inverse);
    double sum = 0;
    for (int i = 0; i < h.bins(); ++i) {
      const double n = h.counts[static_cast<std::size_t>(i)];
      if (n == 0) continue;
      const auto center = static_cast<float>(h.center(i));
      const std::int32_t code = kernels::quantize_code(center, inverse, 0, {0, last}, rounding());
      const double error = h.center(i) - static_cast<double>(code) * static_cast<double>(scale);
      sum += n * error * error;
    }
    return sum / h.bins();
  }
};

MIDTREAD_NAMESPACE_END

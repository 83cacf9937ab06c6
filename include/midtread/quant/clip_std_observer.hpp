// SPDX-License-Identifier: MIT
// HAT's clip_std: the part of the range within so many standard deviations of the mean, averaged over
// batches.
//
//   max(min, m - 3 sd) .. min(max, m + 3 sd),   sd = sqrt(sum (x - m)^2 / (n - 1))
#pragma once

#include <midtread/quant/clipped_average_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

template <class SpecType>
class ClipStdObserver : public ClippedAverageObserver {
  static_assert(!SpecType::kPerChannel,
                "ClipStdObserver clips a whole tensor: give it a per-tensor Spec (Int8Symmetric), or use "
                "MovingAverageMinMaxObserver for one scale per channel");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = ClippedAverageOptions<Owner>;
  using Options = OptionsFor<ClipStdObserver>;
  using Settings = ClippedAverageSettings;
  static constexpr const char* kName = "clip_std";

  explicit ClipStdObserver(const ClippedAverageSettings& settings = {})
      : ClippedAverageObserver(Spec::info(), settings, {"clip_std", true, false, false, false}) {}
  std::string type_name() const override { return "ClipStdObserver"; }

 protected:
  MinMax clipped(const float* x, std::int64_t n, const MinMax& range) override {
    double sum = 0, square = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
    const double mean = sum / static_cast<double>(n);
    for (std::int64_t i = 0; i < n; ++i) {
      const double distance = static_cast<double>(x[i]) - mean;
      square += distance * distance;
    }
    if (n < 2) return range;
    const double reach = clipping().sigmas.value_or(3) * std::sqrt(square / static_cast<double>(n - 1));
    return {std::max(range.min, static_cast<float>(mean - reach)),
            std::min(range.max, static_cast<float>(mean + reach)), true};
  }
  Pointer shallow_copy() const override { return nn::Module::share(new ClipStdObserver(*this)); }
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// HAT's percentile: clips the largest values of a batch, averaged over batches.
//
//   t = (i + 1/2) max|x| / 2048,  i the first bin of |x| with counts_0 + .. + counts_i >= percentage / 100 *
//   n
#pragma once

#include <midtread/quant/abs_histogram.hpp>
#include <midtread/quant/clipped_average_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

template <class SpecType>
class MovingAveragePercentileObserver : public ClippedAverageObserver {
  static_assert(!SpecType::kPerChannel,
                "MovingAveragePercentileObserver clips a whole tensor: give it a per-tensor Spec "
                "(Int8Symmetric), or use "
                "MovingAverageMinMaxObserver for one scale per channel");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = ClippedAverageOptions<Owner>;
  using Options = OptionsFor<MovingAveragePercentileObserver>;
  using Settings = ClippedAverageSettings;
  static constexpr const char* kName = "moving_average_percentile";

  explicit MovingAveragePercentileObserver(const ClippedAverageSettings& settings = {})
      : ClippedAverageObserver(Spec::info(), settings, {"percentile", false, true, true, false}) {}
  std::string type_name() const override { return "MovingAveragePercentileObserver"; }

 protected:
  MinMax clipped(const float* x, std::int64_t n, const MinMax& range) override {
    const int bins = clipping().bins.value_or(2048);
    AbsHistogram h(bins);
    h.add(x, n, largest_of(range), bins);
    const double wanted = clipping().percentage.value_or(99.99) / 100 * static_cast<double>(n);
    return clipped_at(range, h.center(h.bin_reaching(wanted)));
  }
  Pointer shallow_copy() const override {
    return nn::Module::share(new MovingAveragePercentileObserver(*this));
  }
};

MIDTREAD_NAMESPACE_END

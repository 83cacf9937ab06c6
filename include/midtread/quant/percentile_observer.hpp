// SPDX-License-Identifier: MIT
// Vitis AI's percentile: clips the largest values, so that `percentage` per cent of all stay as they are.
//
//   t = upper edge of the first bin i of |x| with counts_0 + .. + counts_i >= percentage / 100 * total
#pragma once

#include <midtread/quant/abs_histogram_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// percentage 100 clips nothing. lower_edge(true): the lower edge, as Vitis AI has it; 0 where most values
/// are 0.
template <class SpecType>
class PercentileObserver : public AbsHistogramObserver {
  static_assert(!SpecType::kPerChannel,
                "PercentileObserver keeps one histogram: give it a per-tensor Spec (UInt8Affine), or use "
                "MaxMinObserver or "
                "DiffsObserver for one scale per channel");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = CalibrationOptions<Owner>;
  using Options = OptionsFor<PercentileObserver>;
  using Settings = CalibrationSettings;
  static constexpr bool kMemorylessWeight = true;
  static constexpr const char* kName = "percentile";

  explicit PercentileObserver(const CalibrationSettings& settings = {})
      : AbsHistogramObserver(Spec::info(), settings, {"percentile", true, false, true, true}) {}
  std::string type_name() const override { return "PercentileObserver"; }

 protected:
  double threshold(const AbsHistogram& h, const MinMax&) override {
    const int bin = h.bin_reaching(calibration().percentage.value_or(99.99) / 100 * h.total());
    return h.edge(calibration().lower_edge ? bin : bin + 1);
  }
  Pointer shallow_copy() const override { return nn::Module::share(new PercentileObserver(*this)); }
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Vitis AI's maxmin: the range of every batch, as it is.
//
//   float  t = max |x|      power of two  the overflow-free position (power_of_two.hpp)
#pragma once

#include <midtread/quant/calibration_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Per tensor or per channel. Differs from MinMaxObserver in the statistic over batches and, for -128..127,
/// in the divisor: 127, not 127.5.
template <class SpecType>
class MaxMinObserver : public CalibrationObserver {
 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = CalibrationOptions<Owner>;
  using Options = OptionsFor<MaxMinObserver>;
  using Settings = CalibrationSettings;
  static constexpr bool kMemorylessWeight = true;
  static constexpr const char* kName = "max_min";

  explicit MaxMinObserver(const CalibrationSettings& settings = {})
      : CalibrationObserver(Spec::info(), settings, {"max/min", true, true, false}) {}
  std::string type_name() const override { return "MaxMinObserver"; }

 protected:
  kernels::AffineParams search(const Tensor&, const ops::ChannelRuns&, std::int64_t,
                               const MinMax& batch) override {
    if (settings().is_power_of_two())
      return {fix_position_scale(overflow_free_position(batch.min, batch.max, range(), middle())), middle()};
    return threshold_params(batch, static_cast<double>(std::max(std::fabs(batch.min), std::fabs(batch.max))));
  }
  Pointer shallow_copy() const override { return nn::Module::share(new MaxMinObserver(*this)); }
};

MIDTREAD_NAMESPACE_END

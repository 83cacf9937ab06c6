// SPDX-License-Identifier: MIT
// The exponential average of the batches' ranges.
#pragma once

#include <midtread/quant/averaging_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// What activations use: averaging_constant c, 0.01 unless set. A per-channel spec averages per channel.
template <class SpecType>
class MovingAverageMinMaxObserver : public AveragingObserver {
 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = ObserverOptions<Owner>;
  using Options = OptionsFor<MovingAverageMinMaxObserver>;
  using Settings = ObserverSettings;
  static constexpr const char* kName = "moving_average_min_max";

  /// Throws ConfigError for memoryless(true): an average remembers.
  explicit MovingAverageMinMaxObserver(const ObserverSettings& settings = {})
      : AveragingObserver(Spec::info(), settings) {}
  std::string type_name() const override { return "MovingAverageMinMaxObserver"; }

 protected:
  Pointer shallow_copy() const override { return nn::Module::share(new MovingAverageMinMaxObserver(*this)); }
};

MIDTREAD_NAMESPACE_END

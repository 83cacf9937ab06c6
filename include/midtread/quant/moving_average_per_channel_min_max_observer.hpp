// SPDX-License-Identifier: MIT
// PyTorch's name for MovingAverageMinMaxObserver with a per-channel spec.
#pragma once

#include <midtread/quant/moving_average_min_max_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

template <class SpecType>
class MovingAveragePerChannelMinMaxObserver : public MovingAverageMinMaxObserver<SpecType> {
  static_assert(SpecType::kPerChannel,
                "MovingAveragePerChannelMinMaxObserver averages per channel: give it a per-channel "
                "Spec (Int8PerChannel), or use MovingAverageMinMaxObserver");

 public:
  using Options = ObserverOptions<MovingAveragePerChannelMinMaxObserver>;
  static constexpr const char* kName = "moving_average_per_channel_min_max";

  explicit MovingAveragePerChannelMinMaxObserver(const ObserverSettings& settings = {})
      : MovingAverageMinMaxObserver<SpecType>(settings) {}
  std::string type_name() const override { return "MovingAveragePerChannelMinMaxObserver"; }

 protected:
  nn::Module::Pointer shallow_copy() const override {
    return nn::Module::share(new MovingAveragePerChannelMinMaxObserver(*this));
  }
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// PyTorch's name for MinMaxObserver with a per-channel spec.
#pragma once

#include <midtread/quant/min_max_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

template <class SpecType>
class PerChannelMinMaxObserver : public MinMaxObserver<SpecType> {
  static_assert(SpecType::kPerChannel,
                "PerChannelMinMaxObserver keeps one range per channel: give it a per-channel Spec "
                "(Int8PerChannel), or use MinMaxObserver");

 public:
  using Options = ObserverOptions<PerChannelMinMaxObserver>;
  static constexpr const char* kName = "per_channel_min_max";

  explicit PerChannelMinMaxObserver(const ObserverSettings& settings = {})
      : MinMaxObserver<SpecType>(settings) {}
  std::string type_name() const override { return "PerChannelMinMaxObserver"; }

 protected:
  nn::Module::Pointer shallow_copy() const override {
    return nn::Module::share(new PerChannelMinMaxObserver(*this));
  }
};

MIDTREAD_NAMESPACE_END

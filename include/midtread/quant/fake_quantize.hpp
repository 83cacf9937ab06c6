// SPDX-License-Identifier: MIT
// The fake quantizer of an observer: scales by the observer's rule, straight-through gradient (1308.3432,
// 1712.05877).
//
//   using Activation = quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::UInt8Affine>>;
#pragma once

#include <midtread/quant/fake_quantize_base.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

template <class ObserverType>
class FakeQuantize : public FakeQuantizeBase {
 public:
  using Observer = ObserverType;
  using Spec = typename Observer::Spec;
  /// The observer's options; QConfig finds this class through Options::Owner.
  using Options = typename Observer::template OptionsFor<FakeQuantize>;
  static constexpr bool kMemorylessWeight = Observer::kMemorylessWeight;

  /// Throws ConfigError on options that do not fit.
  explicit FakeQuantize(const typename Observer::Settings& settings = {})
      : FakeQuantizeBase(quant::share(new Observer(settings))) {}
  std::string type_name() const override { return "FakeQuantize"; }

 protected:
  Pointer shallow_copy() const override { return nn::Module::share(new FakeQuantize(*this)); }
};

MIDTREAD_NAMESPACE_END

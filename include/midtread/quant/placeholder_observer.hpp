// SPDX-License-Identifier: MIT
// An observer that looks at nothing: it only says which codes a tensor would have.
#pragma once

#include <midtread/quant/observer_base.hpp>
#include <midtread/quant/observer_options.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Never has scales: qparams() throws UnsupportedError.
template <class SpecType>
class PlaceholderObserver : public ObserverBase {
 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = ObserverOptions<Owner>;
  using Options = OptionsFor<PlaceholderObserver>;
  using Settings = ObserverSettings;
  static constexpr bool kMemorylessWeight = false;
  static constexpr const char* kName = "placeholder";

  /// Throws ConfigError on options that do not fit.
  explicit PlaceholderObserver(const ObserverSettings& settings = {})
      : ObserverBase(Spec::info(),
                     (check(settings, Spec::info(), true), resolved_range(Spec::info(), settings.range)),
                     settings.rounding) {}
  std::string type_name() const override { return "PlaceholderObserver"; }
  void observe(const Tensor&) override {}
  bool observe_range(float, float) override { return true; }
  ChannelQParams qparams() const override {
    throw UnsupportedError(where(), type_name() + " computes no scale; use another observer");
  }
  ObserverState state() const override { return ObserverState::kEmpty; }
  void reset() override {}
  void restore(const ChannelQParams&) override {
    throw UnsupportedError(where(), type_name() + " holds no scale; use another observer");
  }

 protected:
  Pointer shallow_copy() const override { return std::make_shared<PlaceholderObserver>(*this); }
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The smallest and largest value of all data:  min <- min(min, batch), max <- max(max, batch)
#pragma once

#include <midtread/quant/range_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// With `memoryless(true)` that of the current tensor only: what weights want. A per-channel spec keeps one
/// range per channel.
template <class SpecType>
class MinMaxObserver : public RangeObserver {
 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = ObserverOptions<Owner>;
  using Options = OptionsFor<MinMaxObserver>;
  using Settings = ObserverSettings;
  static constexpr bool kMemorylessWeight =
      true;  ///< as a QConfig's weight, unless the options say otherwise
  static constexpr const char* kName = "min_max";

  explicit MinMaxObserver(const ObserverSettings& settings = {}) : RangeObserver(Spec::info(), settings) {}
  std::string type_name() const override { return "MinMaxObserver"; }

 protected:
  MinMax merged(const MinMax& before, const MinMax& batch) const override {
    MinMax out = before;
    out.merge(batch);
    return out;
  }
  Pointer shallow_copy() const override { return nn::Module::share(new MinMaxObserver(*this)); }
};

MIDTREAD_NAMESPACE_END

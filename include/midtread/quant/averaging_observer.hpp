// SPDX-License-Identifier: MIT
// Base of observers that keep an exponential average of the batches' ranges.
//
//   m <- m + c * (batch - m), the first batch as it is
#pragma once

#include <midtread/quant/range_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

MIDTREAD_EXACT_BEGIN
/// m + c * (x - m), each step rounded to float32.
inline float moving_average(float m, float x, float c) {
  MIDTREAD_EXACT
  const float step = c * (x - m);
  return m + step;
}
MIDTREAD_EXACT_END

class AveragingObserver : public RangeObserver {
 public:
  static constexpr bool kAverages = true;
  static constexpr bool kMemorylessWeight =
      false;  ///< as a QConfig's weight, unless the options say otherwise

  std::string options_text() const override {
    const std::string rest = RangeObserver::options_text();
    return concat("averaging_constant=", constant(), rest.empty() ? "" : ", ", rest);
  }

 protected:
  /// Throws ConfigError for memoryless(true): an average remembers.
  AveragingObserver(const SpecInfo& spec, const ObserverSettings& settings)
      : RangeObserver(spec, settings, true) {
    if (settings.memoryless.value_or(false))
      throw ConfigError("memoryless", "got true for a moving average, which remembers; use MinMaxObserver");
  }
  AveragingObserver(const AveragingObserver&) = default;

  MinMax merged(const MinMax& before, const MinMax& batch) const override {
    const auto c = static_cast<float>(constant());
    return {moving_average(before.min, batch.min, c), moving_average(before.max, batch.max, c), true};
  }

 private:
  double constant() const { return settings().averaging_constant.value_or(0.01); }
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Base of HAT's calibration observers: a moving average of the batches' ranges, each clipped by the method.
//
//   lo <- lo + c (clipped min - lo),  hi <- hi + c (clipped max - hi),  the first batch as it is
//
// Vitis AI's methods of the same names (calibration_observer.hpp) make a scale of every batch instead, by
// other formulas.
#pragma once

#include <midtread/quant/averaging_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct ClippedAverageSettings : ObserverSettings {
  std::optional<double> sigmas, percentage;
  std::optional<int> bins, stride;
};

/// The options of a method that mean something there.
struct ClippedAverageMethod {
  const char* name;
  bool sigmas, percentage, bins, stride;
};

/// Throws ConfigError naming the option, what was got and what is allowed.
inline const ClippedAverageSettings& checked(const ClippedAverageSettings& settings,
                                             const ClippedAverageMethod& method) {
  const auto demand = [&](bool set, bool known, bool fits, const char* name, double got,
                          const char* allowed) {
    if (set && !known)
      throw ConfigError(name, concat("got ", got, ", but the ", method.name, " method has no such option"));
    if (set && !fits) throw ConfigError(name, concat("got ", got, ", allowed ", allowed));
  };
  const double sigmas = settings.sigmas.value_or(3), percentage = settings.percentage.value_or(99.99);
  const int bins = settings.bins.value_or(512), stride = settings.stride.value_or(1);
  demand(settings.sigmas.has_value(), method.sigmas, sigmas > 0 && sigmas <= 1e6, "sigmas", sigmas,
         "above 0");
  demand(settings.percentage.has_value(), method.percentage, percentage > 0 && percentage <= 100,
         "percentage", percentage, "above 0, up to 100");
  demand(settings.bins.has_value(), method.bins, bins >= 256 && bins <= 65536, "bins", bins, "256..65536");
  demand(settings.stride.has_value(), method.stride, stride >= 1 && stride <= 94, "stride", stride, "1..94");
  return settings;
}

template <class OwnerType>
class ClippedAverageOptions
    : public ObserverSetters<ClippedAverageOptions<OwnerType>, ClippedAverageSettings> {
  using Base = ObserverSetters<ClippedAverageOptions<OwnerType>, ClippedAverageSettings>;

 public:
  using Owner = OwnerType;
  static constexpr const char* kMoreNames = ", sigmas, percentage, bins, stride";

  /// clip_std only: how many standard deviations stay, default 3.
  ClippedAverageOptions& sigmas(double value) { return this->settings_.sigmas = value, *this; }
  /// percentile only: how much of the data is not clipped, above 0 up to 100 per cent, default 99.99.
  ClippedAverageOptions& percentage(double value) { return this->settings_.percentage = value, *this; }
  /// Of the histogram of |x|: 256..65536; kl 512, percentile 2048.
  ClippedAverageOptions& bins(int value) { return this->settings_.bins = value, *this; }
  /// kl: bins from one candidate to the next; mse: hundredths of the range. 1..94, default 1.
  ClippedAverageOptions& stride(int value) { return this->settings_.stride = value, *this; }

  /// By name. Throws ConfigError listing the names.
  ClippedAverageOptions& set(const std::string& name, const OptionValue& value) {
    const OptionReader read(name, value);
    if (name == "sigmas") return sigmas(read.number());
    if (name == "percentage") return percentage(read.number());
    if (name == "bins") return bins(read.integer<int>());
    if (name == "stride") return stride(read.integer<int>());
    return Base::set(name, value);
  }
};

/// Per-tensor specs.
class ClippedAverageObserver : public AveragingObserver {
 public:
  bool observe_range(float, float) override { return false; }
  std::vector<RangeCandidate> candidates() const override { return candidates_; }

 protected:
  ClippedAverageObserver(const SpecInfo& spec, const ClippedAverageSettings& settings,
                         const ClippedAverageMethod& method)
      : AveragingObserver(spec, checked(settings, method)), clipping_(settings) {}
  ClippedAverageObserver(const ClippedAverageObserver&) = default;

  /// What to keep of `range`, that of the n finite numbers at x; n >= 1.
  virtual MinMax clipped(const float* x, std::int64_t n, const MinMax& range) = 0;

  void narrow(const Tensor& x, std::vector<MinMax>& batch) override {
    candidates_.clear();
    if (batch[0].empty()) return;
    if (!settings().skip_nonfinite) {
      batch[0] = clipped(x.data(), x.numel(), batch[0]);
      return;
    }
    std::vector<float> finite;
    for (std::int64_t i = 0; i < x.numel(); ++i)
      if (std::isfinite(x.data()[i])) finite.push_back(x.data()[i]);
    batch[0] = clipped(finite.data(), static_cast<std::int64_t>(finite.size()), batch[0]);
  }
  /// `range` with both ends held to -t..t.
  static MinMax clipped_at(const MinMax& range, double t) {
    const auto limit = static_cast<float>(t);
    return {kernels::clamp_float(range.min, -limit, limit), kernels::clamp_float(range.max, -limit, limit),
            true};
  }
  static double largest_of(const MinMax& range) {
    return static_cast<double>(std::max(std::fabs(range.min), std::fabs(range.max)));
  }
  const ClippedAverageSettings& clipping() const noexcept { return clipping_; }
  void set_candidates(std::vector<RangeCandidate> candidates) { candidates_ = std::move(candidates); }

 private:
  ClippedAverageSettings clipping_;
  std::vector<RangeCandidate> candidates_;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The options of the calibration methods max/min, percentile, MSE, entropy and diffs, with chained setters.
//
//   PercentileObserver<UInt8Affine>::Options().percentage(99.9).statistic(Statistic::kMean)
#pragma once

#include <midtread/quant/observer_options.hpp>
#include <midtread/quant/statistic.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct CalibrationSettings : ObserverSettings {
  std::optional<Statistic> statistic;  ///< not set: max; with power-of-two scales modal
  bool per_batch = true;
  std::optional<int> bins;  ///< not set: 2048
  std::optional<double> percentage;
  bool lower_edge = false;
  std::optional<int> search_start;   ///< not set: three quarters of the bins
  std::optional<int> search_stride;  ///< not set: 16

  int chosen_bins() const { return bins.value_or(2048); }
  Statistic chosen_statistic() const {
    return statistic.value_or(is_power_of_two() ? Statistic::kModal : Statistic::kMax);
  }
};

/// What a method makes of the options.
struct CalibrationMethod {
  const char* name;
  bool float_scale, power_of_two;           ///< which scales it finds
  bool histogram;                           ///< counts |x|: bins, per_batch(false) and float scales only
  bool percentage = false, search = false;  ///< which options mean something
};

/// Throws ConfigError naming the option, what was got and what is allowed.
inline void check(const CalibrationSettings& settings, const CalibrationMethod& method) {
  const std::string name = method.name;
  if (settings.is_power_of_two() && !method.power_of_two)
    throw ConfigError("scale_type",
                      concat("got power_of_two for the ", name, " method, allowed with diffs and max/min"));
  if (!settings.is_power_of_two() && !method.float_scale)
    throw ConfigError("scale_type",
                      concat("got float for the ", name,
                             " method, which finds powers of two; use max/min, percentile, MSE or entropy"));
  if (settings.statistic && (*settings.statistic == Statistic::kModal) != settings.is_power_of_two())
    throw ConfigError(
        "statistic", concat("got ", to_string(*settings.statistic),
                            settings.is_power_of_two()
                                ? " with power-of-two scales, allowed modal"
                                : " with float scales, which hardly ever repeat, allowed max, mean, median"));
  if (!settings.per_batch && !method.histogram && !method.float_scale)
    throw ConfigError("per_batch",
                      concat("got false for the ", name, " method, which searches on a batch's own values"));
  if (settings.percentage && !method.percentage)
    throw ConfigError("percentage", concat("got ", *settings.percentage, " for the ", name,
                                           " method, allowed with percentile"));
  if (settings.percentage && !(*settings.percentage > 0 && *settings.percentage <= 100))
    throw ConfigError("percentage", concat("got ", *settings.percentage, ", allowed above 0, up to 100"));
  if (settings.lower_edge && !method.percentage)
    throw ConfigError("lower_edge", concat("got true for the ", name, " method, allowed with percentile"));
  if (settings.search_start && !method.search)
    throw ConfigError("search_start", concat("got ", *settings.search_start, " for the ", name,
                                             " method, allowed with MSE and entropy"));
  if (settings.search_stride && !method.search)
    throw ConfigError("search_stride", concat("got ", *settings.search_stride, " for the ", name,
                                              " method, allowed with MSE and entropy"));
  if (settings.bins && !method.histogram)
    throw ConfigError("bins",
                      concat("got ", *settings.bins, " for the ", name,
                             " method, which counts no histogram; allowed with percentile, MSE and entropy"));
  const int bins = settings.chosen_bins();
  if (bins < 16 || bins > 65536) throw ConfigError("bins", concat("got ", bins, ", allowed 16..65536"));
  if (settings.search_start && (*settings.search_start < 1 || *settings.search_start > bins))
    throw ConfigError("search_start",
                      concat("got ", *settings.search_start, ", allowed 1..", bins, " (the bins)"));
  if (settings.search_stride && *settings.search_stride < 1)
    throw ConfigError("search_stride", concat("got ", *settings.search_stride, ", allowed 1 or more"));
  if (settings.statistic && !settings.per_batch)
    throw ConfigError("statistic",
                      concat("got ", to_string(*settings.statistic),
                             " with per_batch false, where all batches give one scale; set one of them"));
}

template <class OwnerType>
class CalibrationOptions : public ObserverSetters<CalibrationOptions<OwnerType>, CalibrationSettings> {
  using Base = ObserverSetters<CalibrationOptions<OwnerType>, CalibrationSettings>;

 public:
  using Owner = OwnerType;
  static constexpr const char* kMoreNames =
      ", statistic, per_batch, bins, percentage, lower_edge, search_start, search_stride";

  /// How the batches' scales become one: max, mean or median; modal with power-of-two scales.
  CalibrationOptions& statistic(Statistic value) { return this->settings_.statistic = value, *this; }
  /// True, the default: every batch gives a scale. False: the batches' data is taken together, then gives
  /// one.
  CalibrationOptions& per_batch(bool value) { return this->settings_.per_batch = value, *this; }
  /// Of the histogram of |x|: 16..65536, default 2048.
  CalibrationOptions& bins(int value) { return this->settings_.bins = value, *this; }
  /// Percentile only: how much of the data is not clipped, above 0 up to 100 per cent, default 99.99.
  CalibrationOptions& percentage(double value) { return this->settings_.percentage = value, *this; }
  /// Percentile only: clips at the lower edge of the bin found, as Vitis AI does, instead of the upper.
  CalibrationOptions& lower_edge(bool value) { return this->settings_.lower_edge = value, *this; }
  /// MSE and entropy: the first bin tried as the end of the range, and the distance to the next.
  CalibrationOptions& search_start(int value) { return this->settings_.search_start = value, *this; }
  CalibrationOptions& search_stride(int value) { return this->settings_.search_stride = value, *this; }

  /// By name. Throws ConfigError listing the names.
  CalibrationOptions& set(const std::string& name, const OptionValue& value) {
    const OptionReader read(name, value);
    if (name == "statistic" || name == "calib_statistic_method")
      return statistic(parse_statistic(read.text()));
    if (name == "per_batch") return per_batch(read.boolean());
    if (name == "bins") return bins(read.integer<int>());
    if (name == "percentage") return percentage(read.number());
    if (name == "lower_edge") return lower_edge(read.boolean());
    if (name == "search_start") return search_start(read.integer<int>());
    if (name == "search_stride") return search_stride(read.integer<int>());
    return Base::set(name, value);
  }
};

MIDTREAD_NAMESPACE_END

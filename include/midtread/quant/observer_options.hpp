// SPDX-License-Identifier: MIT
// The run-time options of range observers, with chained setters.
//
//   MinMaxObserver<UInt8Affine>::Options().quant_min(0).quant_max(127).skip_nonfinite(true)
#pragma once

#include <midtread/core/shape.hpp>
#include <midtread/kernels/choose_qparams.hpp>
#include <midtread/quant/code_range.hpp>
#include <midtread/quant/option_value.hpp>
#include <midtread/quant/power_of_two.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct ObserverSettings {
  RangeRequest range;
  std::optional<double> averaging_constant;  ///< not set: 0.01
  double eps = static_cast<double>(kernels::kQParamsEps);
  std::optional<int> axis;  ///< channel axis; not set: that of the layer, else 0
  std::int64_t groups = 1;  ///< see ops/channel_runs.hpp
  Rounding rounding = Rounding::kHalfEven;
  std::optional<ScaleType> scale_type;  ///< not set: float, or what the observer's method needs
  bool skip_nonfinite = false;
  std::optional<bool> memoryless;

  bool is_power_of_two() const { return scale_type == ScaleType::kPowerOfTwo; }
};

/// Where a weight's output channels lie: axis 0 of [O, I/g, kH, kW], axis 1 and g groups of a transposed
/// convolution's [I, O/g, kH, kW].
struct WeightChannels {
  int axis = 0;
  std::int64_t groups = 1;
};

inline const char* to_string(Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfEven: return "half_even";
    case Rounding::kHalfUp: return "half_up";
    case Rounding::kHalfDown: return "half_down";
    case Rounding::kStdRound: return "std_round";
  }
  return "?";
}

inline Rounding parse_rounding(const std::string& name) {
  for (Rounding r : {Rounding::kHalfEven, Rounding::kHalfUp, Rounding::kHalfDown, Rounding::kStdRound})
    if (name == to_string(r)) return r;
  throw ConfigError("rounding",
                    concat("got '", printable(name), "', allowed half_even, half_up, half_down, std_round"));
}

/// Throws ConfigError naming the field, what was got and what is allowed. `averages`: the observer is a
/// moving average.
inline void check(const ObserverSettings& settings, const SpecInfo& spec, bool averages) {
  check_range(spec, settings.range);
  if (settings.averaging_constant) {
    const double c = *settings.averaging_constant;
    if (!(c >= 0 && c <= 1)) throw ConfigError("averaging_constant", concat("got ", c, ", allowed 0..1"));
    if (!averages && !(c == 1 && settings.memoryless.value_or(false)))
      throw ConfigError("averaging_constant", concat("got ", c,
                                                     ", but this observer takes no average of batches; use "
                                                     "MovingAverageMinMaxObserver, or leave it unset"));
  }
  if (!(settings.eps >= 1.17549435e-38 && settings.eps <= 1))
    throw ConfigError("eps",
                      concat("got ", settings.eps, ", allowed 1.17549435e-38..1 (the smallest scale)"));
  if (settings.axis && !spec.per_channel)
    throw ConfigError(
        "axis", concat("got ", *settings.axis, ", but ", spec.name(), " has one scale; leave it unset"));
  if (settings.axis && (*settings.axis < 0 || *settings.axis >= Shape::kMaxRank))
    throw ConfigError("axis", concat("got ", *settings.axis, ", allowed 0..", Shape::kMaxRank - 1));
  if (settings.is_power_of_two() && !spec.symmetric)
    throw ConfigError("scale_type", concat("got power_of_two for ", spec.name(),
                                           ", allowed for symmetric specs (a shift has no zero point)"));
  if (settings.groups < 1)
    throw ConfigError("groups", concat("got ", settings.groups, ", allowed 1 or more"));
}

/// The setters, for option classes `Derived`; `Settings` is ObserverSettings or derives from it.
template <class Derived, class Settings = ObserverSettings>
class ObserverSetters {
 public:
  /// Both ends or none; default: the spec's range.
  Derived& quant_min(std::int32_t value) { return settings_.range.quant_min = value, self(); }
  Derived& quant_max(std::int32_t value) { return settings_.range.quant_max = value, self(); }
  /// b of 2..8: int8 -2^(b-1)..2^(b-1)-1 (symmetric from one code higher: see narrow_range), uint8 0..2^b-1.
  Derived& bit_width(int value) { return settings_.range.bit_width = value, self(); }
  /// Symmetric int8 only. True, the default: from -2^(b-1)+1; false: from -2^(b-1).
  Derived& narrow_range(bool value) { return settings_.range.narrow_range = value, self(); }
  /// Halves the range (PyTorch's choice for fbgemm); our kernels need no headroom.
  Derived& reduce_range(bool value) { return settings_.range.reduce_range = value, self(); }
  /// c of m <- m + c * (batch - m), 0..1, default 0.01. Moving averages only; 1, the newest range alone, is
  /// memoryless(true).
  Derived& averaging_constant(double value) { return settings_.averaging_constant = value, self(); }
  /// Smallest scale.
  Derived& eps(double value) { return settings_.eps = value, self(); }
  /// Channel axis; per-channel specs only. Layers know theirs: needed only for a quantizer that stands alone.
  Derived& axis(int value) { return settings_.axis = value, self(); }
  Derived& ch_axis(int value) { return axis(value); }
  Derived& groups(std::int64_t value) { return settings_.groups = value, self(); }
  Derived& rounding(Rounding value) { return settings_.rounding = value, self(); }
  /// Symmetric specs only: kPowerOfTwo makes every scale 2^-p (power_of_two.hpp).
  Derived& scale_type(ScaleType value) { return settings_.scale_type = value, self(); }
  /// Leaves NaN and infinities out, and counts them, instead of throwing.
  Derived& skip_nonfinite(bool value) { return settings_.skip_nonfinite = value, self(); }
  /// The range of the current tensor only, taken on every forward, in eval too. Not set: true for the weights
  /// of a QConfig (a range that accumulates never shrinks with them), else false. `.memoryless(false)`
  /// accumulates as PyTorch does.
  Derived& memoryless(bool value) { return settings_.memoryless = value, self(); }

  /// By name. Throws ConfigError listing the names.
  Derived& set(const std::string& name, const OptionValue& value) {
    const OptionReader read(name, value);
    if (name == "quant_min") return quant_min(read.integer<std::int32_t>());
    if (name == "quant_max") return quant_max(read.integer<std::int32_t>());
    if (name == "bit_width") return bit_width(read.integer<int>());
    if (name == "narrow_range") return narrow_range(read.boolean());
    if (name == "reduce_range") return reduce_range(read.boolean());
    if (name == "averaging_constant") return averaging_constant(read.number());
    if (name == "eps") return eps(read.number());
    if (name == "axis" || name == "ch_axis") return axis(read.integer<int>());
    if (name == "rounding") return rounding(parse_rounding(read.text()));
    if (name == "scale_type") return scale_type(parse_scale_type(read.text()));
    if (name == "skip_nonfinite") return skip_nonfinite(read.boolean());
    if (name == "memoryless") return memoryless(read.boolean());
    throw ConfigError(
        printable(name),
        "no such option; there is: quant_min, quant_max, bit_width, narrow_range, reduce_range, "
        "averaging_constant, eps, axis, rounding, scale_type, skip_nonfinite, memoryless" +
            std::string(Derived::kMoreNames) + Derived::names_of_observer());
  }

  /// These options for a layer's weight. Throws ConfigError where an axis was set that is not the layer's.
  Derived for_weight(const WeightChannels& channels) const {
    using Owner = typename Derived::Owner;
    Derived out = static_cast<const Derived&>(*this);
    if (settings_.axis && *settings_.axis != channels.axis)
      throw ConfigError("axis",
                        concat("got ", *settings_.axis, ", this layer's output channels lie along axis ",
                               channels.axis, "; leave it unset"));
    if (Owner::Spec::kPerChannel) out.axis(channels.axis).groups(channels.groups);
    if (Owner::kMemorylessWeight && !settings_.memoryless) out.memoryless(true);
    return out;
  }

  static std::string names_of_observer() { return {}; }
  const Settings& settings() const noexcept { return settings_; }
  operator const Settings&() const noexcept {
    return settings_;
  }  // NOLINT: options are settings to an observer

 protected:
  Derived& self() { return static_cast<Derived&>(*this); }
  Settings settings_;
};

/// Options of `OwnerType`, an observer or a fake quantizer.
template <class OwnerType>
class ObserverOptions : public ObserverSetters<ObserverOptions<OwnerType>> {
 public:
  using Owner = OwnerType;
  static constexpr const char* kMoreNames = "";
};

MIDTREAD_NAMESPACE_END

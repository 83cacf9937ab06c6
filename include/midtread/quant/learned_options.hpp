// SPDX-License-Identifier: MIT
// The options that learned fake quantizers share, besides those of their observer.
#pragma once

#include <midtread/quant/observer_base.hpp>
#include <midtread/quant/scale_init.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct LearnedSettings : ObserverSettings {
  std::optional<ScaleInit> init;
  std::int64_t channels = 1;  ///< of a per-channel spec; layers tell theirs
  bool is_weight = false;
  OptionValues observer_options;  ///< what the observer alone knows: a histogram's bins
};

/// Throws ConfigError.
inline void check(const LearnedSettings& settings, const SpecInfo& spec) {
  check(static_cast<const ObserverSettings&>(settings), spec, true);
  if (settings.channels < 1)
    throw ConfigError("channels", concat("got ", settings.channels, ", allowed 1 or more"));
  if (settings.channels > 1 && !spec.per_channel)
    throw ConfigError("channels", concat("got ", settings.channels, ", but ", spec.name(),
                                         " has one scale; leave it unset"));
}

/// Throws ConfigError unless `value` is positive and a normal, finite float32, or not set.
inline void check_positive(const std::optional<double>& value, const char* name) {
  if (value && !(*value >= 1.17549435e-38 && *value <= 3.4e38))
    throw ConfigError(name, concat("got ", *value, ", allowed a positive number"));
}

/// Throws ConfigError where the first scale is given twice.
inline void check_start(const LearnedSettings& settings, const std::optional<double>& value,
                        const char* name) {
  check_positive(value, name);
  if (value && settings.init)
    throw ConfigError("init", concat("got ", to_string(*settings.init), " with ", name, " ", *value,
                                     "; the first scale comes from one of them, set one"));
}

/// Throws ConfigError for power-of-two scales, which `method` does not learn.
inline void refuse_power_of_two(const ObserverSettings& settings, const char* method) {
  if (settings.is_power_of_two())
    throw ConfigError("scale_type",
                      concat("got power_of_two, ", method, " learns any scale; use Tqt for powers of two"));
}

/// The setters, for option classes `Derived` whose `Settings` derive from LearnedSettings.
template <class Derived, class Settings>
class LearnedSetters : public ObserverSetters<Derived, Settings> {
  using Base = ObserverSetters<Derived, Settings>;

 public:
  /// Where the first scale comes from; default kObserver.
  Derived& init(ScaleInit value) { return this->settings_.init = value, this->self(); }
  /// How many channels the tensors have. Needed only for a per-channel quantizer that stands alone and is
  /// loaded from a checkpoint before it saw data.
  Derived& channels(std::int64_t value) { return this->settings_.channels = value, this->self(); }
  Derived& channel_len(std::int64_t value) { return channels(value); }

  /// Any option, also those of the observer alone: observer_option("bins", 4096.0) for a HistogramObserver.
  /// Throws ConfigError.
  Derived& observer_option(const std::string& name, const OptionValue& value) {
    return this->self().set(name, value);
  }

  /// By name. Throws ConfigError listing the names.
  Derived& set(const std::string& name, const OptionValue& value) {
    const OptionReader read(name, value);
    if ((names_of_observer() + ",").find(", " + name + ",") != std::string::npos) {
      typename Derived::Owner::Observer::Options().set(name, value);
      this->settings_.observer_options.assign(name, value);
      return this->self();
    }
    if (name == "init") return init(parse_scale_init(read.text()));
    if (name == "channels" || name == "channel_len") return channels(read.integer<std::int64_t>());
    return Base::set(name, value);
  }
  /// ", bins, upsample_rate" with a HistogramObserver.
  static std::string names_of_observer() { return Derived::Owner::Observer::Options::kMoreNames; }
  Derived for_weight(const WeightChannels& channels) const {
    Derived out = Base::for_weight(channels);
    out.settings_.is_weight = true;
    return out;
  }
};

/// The observer of a learned fake quantizer. It gives the first scale; an average over later batches is asked
/// for only in PyTorch's static phase.
template <class Observer>
std::shared_ptr<ObserverBase> make_observer(const LearnedSettings& settings) {
  typename Observer::Options options;
  for (const auto& option : settings.observer_options) options.set(option.first, option.second);
  typename Observer::Settings own = options.settings();
  static_cast<ObserverSettings&>(own) = settings;
  if (!Observer::kAverages) own.averaging_constant.reset();
  return std::shared_ptr<ObserverBase>(new Observer(own));
}

MIDTREAD_NAMESPACE_END

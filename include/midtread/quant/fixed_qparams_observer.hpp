// SPDX-License-Identifier: MIT
// Constant scale and zero point, for functions whose range is known: sigmoid 1/256 and 0, tanh 2/256 and 128.
#pragma once

#include <midtread/quant/observer_base.hpp>
#include <midtread/quant/observer_options.hpp>
#include <midtread/tensor/factory.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct FixedQParamsSettings {
  RangeRequest range;
  double scale = 1.0 / 256;
  std::int32_t zero_point = 0;
  Rounding rounding = Rounding::kHalfEven;
};

template <class OwnerType>
class FixedQParamsOptions {
 public:
  using Owner = OwnerType;

  FixedQParamsOptions& scale(double value) { return settings_.scale = value, *this; }
  FixedQParamsOptions& zero_point(std::int32_t value) { return settings_.zero_point = value, *this; }
  FixedQParamsOptions& quant_min(std::int32_t value) { return settings_.range.quant_min = value, *this; }
  FixedQParamsOptions& quant_max(std::int32_t value) { return settings_.range.quant_max = value, *this; }
  FixedQParamsOptions& rounding(Rounding value) { return settings_.rounding = value, *this; }

  /// By name. Throws ConfigError listing the names.
  FixedQParamsOptions& set(const std::string& name, const OptionValue& value) {
    const OptionReader read(name, value);
    if (name == "scale") return scale(read.number());
    if (name == "zero_point") return zero_point(read.integer<std::int32_t>());
    if (name == "quant_min") return quant_min(read.integer<std::int32_t>());
    if (name == "quant_max") return quant_max(read.integer<std::int32_t>());
    if (name == "rounding") return rounding(parse_rounding(read.text()));
    throw ConfigError(printable(name),
                      "no such option; there is: scale, zero_point, quant_min, quant_max, rounding");
  }

  FixedQParamsOptions for_weight(const WeightChannels&) const { return *this; }
  operator const FixedQParamsSettings&() const noexcept {
    return settings_;
  }  // NOLINT: options are settings to an observer
  const FixedQParamsSettings& settings() const noexcept { return settings_; }

 private:
  FixedQParamsSettings settings_;
};

/// Buffers: scale float32 [1], zero_point int32 [1].
template <class SpecType>
class FixedQParamsObserver : public ObserverBase {
  static_assert(!SpecType::kPerChannel, "FixedQParamsObserver holds one scale: give it a per-tensor Spec");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = FixedQParamsOptions<Owner>;
  using Options = OptionsFor<FixedQParamsObserver>;
  using Settings = FixedQParamsSettings;
  static constexpr bool kMemorylessWeight = false;
  static constexpr const char* kName = "fixed_qparams";

  /// Throws ConfigError on a range that does not fit, QuantizationError on a scale that is not normal or a
  /// zero point outside the range.
  explicit FixedQParamsObserver(const FixedQParamsSettings& settings = {})
      : ObserverBase(
            Spec::info(),
            (check_range(Spec::info(), settings.range), resolved_range(Spec::info(), settings.range)),
            settings.rounding) {
    if (Spec::kSymmetric && settings.zero_point != symmetric_zero_point(Spec::info(), settings.range))
      throw ConfigError("zero_point", concat("got ", settings.zero_point, ", a symmetric spec allowed ",
                                             symmetric_zero_point(Spec::info(), settings.range)));
    const auto scale = static_cast<float>(settings.scale);
    check(QParams{scale, settings.zero_point, range(), Spec::kDType, rounding()}, "FixedQParamsObserver");
    scale_ = register_buffer("scale", full<float>(Shape{1}, scale));
    zero_point_ = register_buffer("zero_point", full<std::int32_t>(Shape{1}, settings.zero_point));
  }

  std::string type_name() const override { return "FixedQParamsObserver"; }
  std::string options_text() const override {
    return concat("scale=", scale_.data()[0], ", zero_point=", zero_point_.data()[0]);
  }
  void observe(const Tensor&) override {}
  bool observe_range(float, float) override { return true; }
  ChannelQParams qparams() const override {
    return {{scale_.item()}, {zero_point_.item()}, -1, range(), Spec::kDType, rounding()};
  }
  ObserverState state() const override { return ObserverState::kReady; }
  void reset() override {}
  void restore(const ChannelQParams& q) override {
    if (Spec::kSymmetric && q.zero_points.at(0) != zero_point_.item())
      throw QuantizationError(where(), concat("got zero point ", q.zero_points[0], ", ", spec().name(),
                                              " has ", zero_point_.item()));
    scale_.fill_(q.scales.at(0));
    zero_point_.fill_(q.zero_points.at(0));
  }

 protected:
  Pointer shallow_copy() const override { return nn::Module::share(new FixedQParamsObserver(*this)); }
  void rebind() override {
    scale_ = get_tensor<float>(own_buffers().at("scale"), where());
    zero_point_ = get_tensor<std::int32_t>(own_buffers().at("zero_point"), where());
  }

 private:
  Tensor scale_;
  BasicTensor<std::int32_t> zero_point_;
};

MIDTREAD_NAMESPACE_END

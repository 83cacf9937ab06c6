// SPDX-License-Identifier: MIT
// LSQ, a learned step size (1902.08153), and PyTorch's form with a learned zero point
// (_LearnableFakeQuantize).
//
//   ds = g sum dy * { (y - x) / s inside; lo - z below; hi - z above }      dz = g sum dy * { 0 inside; -s
//   outside } g = 1 / sqrt(N Qp),  N elements,  Qp positive levels
#pragma once

#include <midtread/quant/learned_fake_quantize.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Which elements are inside. kRounded: lo <= rne(x / s) + z <= hi, as PyTorch. kExact: lo < x / s + z < hi,
/// as the paper.
enum class Boundary { kRounded, kExact };

struct LsqSettings : LearnedSettings {
  Boundary boundary = Boundary::kRounded;
  bool use_grad_scaling = true;
  bool batch_in_grad_scale = true;
  std::optional<double> scale;
  std::optional<double> offset;  ///< LSQ+; for LSQ the zero point
};

template <class OwnerType>
class LsqOptions : public LearnedSetters<LsqOptions<OwnerType>, LsqSettings> {
  using Base = LearnedSetters<LsqOptions<OwnerType>, LsqSettings>;

 public:
  using Owner = OwnerType;
  static constexpr const char* kMoreNames =
      ", init, channels, boundary, use_grad_scaling, batch_in_grad_scale, scale, zero_point (LSQ+: offset)";

  LsqOptions& boundary(Boundary value) { return this->settings_.boundary = value, *this; }
  /// g as above, else 1. Default true, as in the paper; false in PyTorch and HAT, where scales want a
  /// learning rate some 1 / sqrt(N Qp) of the weights'.
  LsqOptions& use_grad_scaling(bool value) { return this->settings_.use_grad_scaling = value, *this; }
  /// Whether N counts the whole tensor (default, as PyTorch), or one image of an activation's batch.
  LsqOptions& batch_in_grad_scale(bool value) { return this->settings_.batch_in_grad_scale = value, *this; }
  /// The first scale, instead of an estimate.
  LsqOptions& scale(double value) { return this->settings_.scale = value, *this; }
  /// The first zero point, 0 if only the scale is given.
  LsqOptions& zero_point(double value) { return this->settings_.offset = value, *this; }
  /// The same of LSQ+, in units of x.
  LsqOptions& offset(double value) { return this->settings_.offset = value, *this; }

  /// By name. Throws ConfigError listing the names.
  LsqOptions& set(const std::string& name, const OptionValue& value) {
    const OptionReader read(name, value);
    if (name == "boundary") {
      if (read.text() != "rounded" && read.text() != "exact")
        throw ConfigError("boundary", concat("got '", printable(read.text()), "', allowed rounded, exact"));
      return boundary(read.text() == "exact" ? Boundary::kExact : Boundary::kRounded);
    }
    if (name == "use_grad_scaling") return use_grad_scaling(read.boolean());
    if (name == "batch_in_grad_scale") return batch_in_grad_scale(read.boolean());
    if (name == "scale") return scale(read.number());
    if (name == (Owner::kOffset ? "offset" : "zero_point")) return offset(read.number());
    return Base::set(name, value);
  }
};

/// Parameters, PyTorch's names: scale and zero_point, float32 [1] or [C]; the zero point does not learn where
/// the spec is symmetric. LSQ+ has offset in its place.
class LsqBase : public LearnedFakeQuantize {
 public:
  nn::ParameterTag parameter_tag(const std::string& name) const override {
    return name == "scale" ? nn::ParameterTag::kScale : nn::ParameterTag::kOffset;
  }
  Tensor scale() const { return scale_; }
  /// The learned zero point, or LSQ+'s offset.
  Tensor offset() const { return offset_; }
  /// Weights with batch norm folded in are w * m, their scales s * m: the same codes whatever the batch norm
  /// does. Else codes change with every step of its statistics, and the error drives gamma and s apart.
  void set_magnitude(const Tensor& magnitude) override {
    magnitude_ = is_per_channel() && is_symmetric() ? magnitude : Tensor();
  }

 protected:
  LsqBase(std::shared_ptr<ObserverBase> observer, const LsqSettings& settings, bool plus)
      : LearnedFakeQuantize(std::move(observer), settings), settings_(settings), plus_(plus) {
    check_start(settings, settings.scale, "scale");
    refuse_power_of_two(settings, plus ? "LsqPlus" : "Lsq");
    if (settings.offset && !settings.scale)
      throw ConfigError(offset_name(), "set without a scale; give both, or neither for an estimate");
    if (settings.offset && !plus &&
        (*settings.offset < range().quant_min || *settings.offset > range().quant_max))
      throw ConfigError("zero_point", concat("got ", *settings.offset, ", allowed ", range().quant_min, "..",
                                             range().quant_max));
    const std::int32_t middle = symmetric_zero_point(spec(), settings.range);
    if (is_symmetric() && settings.offset.value_or(0) != 0 && *settings.offset != middle)
      throw ConfigError(offset_name(), concat("got ", *settings.offset, ", a symmetric spec has ", middle));
    scale_ = register_parameter("scale", full<float>(Shape{settings.channels}, 1.0f));
    const auto zero = static_cast<float>(is_symmetric() ? middle : 0);
    offset_ = register_parameter(offset_name(), full<float>(Shape{settings.channels}, plus ? 0.0f : zero),
                                 !is_symmetric());
    if (!settings.scale) return;
    scale_.fill_(static_cast<float>(*settings.scale));
    if (!is_symmetric()) offset_.fill_(static_cast<float>(settings.offset.value_or(0)));
    LsqBase::hold_parameters();
    keep_given(LsqBase::held());
  }
  LsqBase(const LsqBase&) = default;

  ChannelQParams held() const override {
    const FpEnvGuard fp_env;
    check_magnitude(scale_.numel());
    ChannelQParams q = without_scales();
    const std::int32_t middle = symmetric_zero_point(spec(), settings_.range);
    for (std::size_t c = 0; c < static_cast<std::size_t>(scale_.numel()); ++c) {
      q.scales.push_back(std::max(kept(scale_, c, floor(), "scale") * magnitude(c), floor()));
      q.zero_points.push_back(is_symmetric() ? middle : zero_point(c, q.scales[c]));
    }
    return q;
  }
  void write_qparams(const ChannelQParams& q) override {
    check_magnitude(static_cast<std::int64_t>(q.scales.size()));
    resize_parameters(static_cast<std::int64_t>(q.scales.size()));
    float* scale = scale_.mutable_data();
    for (std::size_t c = 0; c < q.scales.size(); ++c)
      scale[c] = std::max(q.scales[c] / magnitude(c), floor());
    if (is_symmetric()) return;
    float* to = offset_.mutable_data();
    for (std::size_t c = 0; c < q.scales.size(); ++c) {
      const auto z = static_cast<float>(q.zero_points[c]);
      to[c] = plus_ ? -z * q.scales[c] : z;
    }
  }
  ops::LearnedStep learned_step(const Tensor& x, const ChannelQParams& q) const override {
    const double factor = grad_factor(x);
    const auto lo = static_cast<double>(q.range.quant_min), hi = static_cast<double>(q.range.quant_max);
    ops::LearnedStep step;
    step.band = settings_.boundary == Boundary::kExact ? ops::PassBand::kRatio : ops::PassBand::kCode;
    step.parameters = {{"scale", scale_, {}}};
    if (!is_symmetric()) step.parameters.push_back({offset_name(), offset_, {}});
    for (std::size_t c = 0; c < q.scales.size(); ++c) {
      const auto z = static_cast<double>(q.zero_points[c]), s = static_cast<double>(q.scales[c]);
      auto low = static_cast<float>(lo - z), high = static_cast<float>(hi - z);
      if (settings_.boundary == Boundary::kExact) {
        low = std::nextafter(low, HUGE_VALF);
        high = std::nextafter(high, -HUGE_VALF);
      }
      step.inside.emplace_back(low, high);
      // With LSQ+'s offset fixed, dy/ds of a clipped element is the code; with the zero point fixed, the code
      // less it.
      const double from = plus_ && !is_symmetric() ? 0 : z;
      const double by_scale = factor * static_cast<double>(magnitude(c));
      step.parameters[0].weights.push_back({by_scale, by_scale * (lo - from), by_scale * (hi - from)});
      const double outside = plus_ ? factor : -factor * s;
      if (!is_symmetric()) step.parameters[1].weights.push_back({0, outside, outside});
    }
    if (magnitude_.defined() && magnitude_.requires_grad()) {
      step.parameters.push_back({"magnitude", magnitude_, {}});
      for (std::size_t c = 0; c < q.scales.size(); ++c) {
        const auto s = static_cast<double>(scale_.data()[c]);
        const auto z = static_cast<double>(q.zero_points[c]);
        step.parameters.back().weights.push_back({s, s * (lo - z), s * (hi - z)});
      }
    }
    return step;
  }
  void hold_parameters() override {
    hold(scale_, floor());
    if (plus_ || is_symmetric()) return;
    for (std::int64_t c = 0; c < offset_.numel(); ++c) {
      const float held = clamped(offset_.data()[c]);
      if (offset_.data()[c] != held) offset_.mutable_data()[c] = held;
    }
  }
  void rebind() override {
    LearnedFakeQuantize::rebind();
    scale_ = own_parameters().at("scale");
    offset_ = own_parameters().at(offset_name());
  }

 private:
  float magnitude(std::size_t c) const { return magnitude_.defined() ? magnitude_.data()[c] : 1.0f; }
  // A checkpoint may hold the scales of another layer.
  void check_magnitude(std::int64_t scales) const {
    if (magnitude_.defined() && magnitude_.numel() != scales)
      throw ShapeError(where(), concat("holds ", scales, " scales, the layer's batch norm has ",
                                       magnitude_.numel(), " channels; load the checkpoint of this model"));
  }
  const char* offset_name() const { return plus_ ? "offset" : "zero_point"; }
  float clamped(float code) const {
    const auto lo = static_cast<float>(range().quant_min), hi = static_cast<float>(range().quant_max);
    return code < lo ? lo : code > hi ? hi : code;  // NaN stays
  }
  std::int32_t zero_point(std::size_t c, float scale) const {
    const float value = kept(offset_, c, -HUGE_VALF, offset_name());
    return kernels::round_half_even(clamped(plus_ ? -value * kernels::reciprocal(scale) : value));
  }
  double grad_factor(const Tensor& x) const {
    if (!settings_.use_grad_scaling || x.numel() == 0) return 1;
    const bool per_image = !settings_.batch_in_grad_scale && !settings_.is_weight && x.rank() > 1;
    const auto n = static_cast<double>(per_image ? x.numel() / x.size(0) : x.numel());
    return 1 / std::sqrt(n * positive_levels(range()));
  }

  LsqSettings settings_;
  bool plus_;
  Tensor scale_, offset_, magnitude_;
};

template <class ObserverType>
class Lsq : public LsqBase {
 public:
  using Observer = ObserverType;
  using Spec = typename Observer::Spec;
  using Options = LsqOptions<Lsq>;
  static constexpr bool kMemorylessWeight = Observer::kMemorylessWeight;
  static constexpr bool kOffset = false;
  static constexpr const char* kName = "lsq";

  /// Throws ConfigError on options that do not fit.
  explicit Lsq(const LsqSettings& settings = {})
      : LsqBase(make_observer<Observer>(settings), settings, false) {}
  std::string type_name() const override { return "Lsq"; }

 protected:
  Pointer shallow_copy() const override { return Pointer(new Lsq(*this)); }
};

MIDTREAD_NAMESPACE_END

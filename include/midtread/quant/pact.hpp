// SPDX-License-Identifier: MIT
// PACT, a learned clipping value (1805.06085).
//
//   unsigned (affine specs)    y = Q(clamp(x, 0, a)),   s = a / (hi - lo),      dx = dy where 0 <= x < a
//   signed (symmetric specs)   y = Q(clamp(x, -a, a)),  s = a / ((hi - lo)/2),  dx = dy where -a <= x <= a
//   da = sum dy above a - sum dy below -a
//
// The gradient is that of the clamp on the real x: a itself is half a step above the highest code where lo =
// -hi - 1, and a mask on codes would stop it.
#pragma once

#include <midtread/quant/learned_fake_quantize.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct PactSettings : LearnedSettings {
  std::optional<double> alpha;
};

template <class OwnerType>
class PactOptions : public LearnedSetters<PactOptions<OwnerType>, PactSettings> {
  using Base = LearnedSetters<PactOptions<OwnerType>, PactSettings>;

 public:
  using Owner = OwnerType;
  static constexpr const char* kMoreNames = ", init, channels, alpha";

  /// The first clipping value. Not set: 6, but for weights, or where `init` is set, an estimate (max|w| with
  /// a min-max observer).
  PactOptions& alpha(double value) { return this->settings_.alpha = value, *this; }
  /// By name. Throws ConfigError listing the names.
  PactOptions& set(const std::string& name, const OptionValue& value) {
    if (name == "alpha") return alpha(OptionReader(name, value).number());
    return Base::set(name, value);
  }
};

/// Parameter: alpha, float32 [1] or [C], not below 2^-10.
class PactBase : public LearnedFakeQuantize {
 public:
  static constexpr float kSmallestAlpha = 0.0009765625f;

  nn::ParameterTag parameter_tag(const std::string&) const override { return nn::ParameterTag::kAlpha; }
  Tensor alpha() const { return alpha_; }

 protected:
  PactBase(std::shared_ptr<ObserverBase> observer, const PactSettings& settings)
      : LearnedFakeQuantize(std::move(observer), settings),
        middle_(symmetric_zero_point(spec(), settings.range)) {
    check_start(settings, settings.alpha, "alpha");
    refuse_power_of_two(settings, "Pact");
    alpha_ = register_parameter(
        "alpha", full<float>(Shape{settings.channels}, static_cast<float>(settings.alpha.value_or(6.0))));
    if (!settings.alpha && (settings.is_weight || settings.init)) return;
    PactBase::hold_parameters();
    keep_given(PactBase::held());
  }
  PactBase(const PactBase&) = default;

  ChannelQParams held() const override {
    const FpEnvGuard fp_env;
    ChannelQParams q = without_scales();
    for (std::size_t c = 0; c < static_cast<std::size_t>(alpha_.numel()); ++c) {
      q.scales.push_back(kept(alpha_, c, kSmallestAlpha, "alpha") / steps());
      q.zero_points.push_back(is_symmetric() ? middle_ : q.range.quant_min);
    }
    return q;
  }
  void write_qparams(const ChannelQParams& q) override {
    resize_parameters(static_cast<std::int64_t>(q.scales.size()));
    float* to = alpha_.mutable_data();
    for (std::size_t c = 0; c < q.scales.size(); ++c)
      to[c] =
          std::max(kSmallestAlpha,
                   q.scales[c] *
                       (is_symmetric() ? steps() : static_cast<float>(q.range.quant_max - q.zero_points[c])));
  }
  ops::LearnedStep learned_step(const Tensor&, const ChannelQParams& q) const override {
    ops::LearnedStep step;
    step.band = ops::PassBand::kReal;
    step.parameters = {{"alpha", alpha_, {}}};
    for (std::size_t c = 0; c < q.scales.size(); ++c) {
      const float a = kept(alpha_, c, kSmallestAlpha, "alpha");
      step.inside.emplace_back(is_symmetric() ? -a : 0.0f, is_symmetric() ? a : std::nextafter(a, 0.0f));
      step.parameters[0].weights.push_back({0, is_symmetric() ? -1.0 : 0.0, 1});
    }
    return step;
  }
  void hold_parameters() override { hold(alpha_, kSmallestAlpha); }
  void rebind() override {
    LearnedFakeQuantize::rebind();
    alpha_ = own_parameters().at("alpha");
  }

 private:
  /// alpha / scale.
  float steps() const {
    const auto codes = static_cast<float>(range().quant_max - range().quant_min);
    return is_symmetric() ? codes / 2 : codes;
  }

  std::int32_t middle_;
  Tensor alpha_;
};

template <class ObserverType>
class Pact : public PactBase {
 public:
  using Observer = ObserverType;
  using Spec = typename Observer::Spec;
  using Options = PactOptions<Pact>;
  static constexpr bool kMemorylessWeight = Observer::kMemorylessWeight;
  static constexpr const char* kName = "pact";

  /// Throws ConfigError on options that do not fit.
  explicit Pact(const PactSettings& settings = {}) : PactBase(make_observer<Observer>(settings), settings) {}
  std::string type_name() const override { return "Pact"; }

 protected:
  Pointer shallow_copy() const override { return Pointer(new Pact(*this)); }
};

/// The paper's regularisation, lambda * sum of alpha^2, to be added to the loss: shape [], differentiable.
/// Undefined where the model has no PACT. (Weight decay on the alpha group of an optimizer is the same with
/// lambda = decay / 2.)
inline Tensor alpha_penalty(nn::Module& model, double lambda) {
  if (!(lambda >= 0) || !std::isfinite(lambda))
    throw ConfigError("alpha_penalty", concat("lambda is ", lambda, ", allowed 0 and up"));
  Tensors alphas;
  for_each_fake_quantizer(model, [&](FakeQuantizeBase& f) {
    auto* pact = dynamic_cast<PactBase*>(&f);
    bool known = !pact;
    for (const Tensor& a : alphas) known = known || a.is(pact->alpha());
    if (!known) alphas.push_back(pact->alpha());
  });
  if (alphas.empty()) return {};
  double sum = 0;
  for (const Tensor& a : alphas)
    for (std::int64_t c = 0; c < a.numel(); ++c)
      sum += static_cast<double>(a.data()[c]) * static_cast<double>(a.data()[c]);
  Tensors saved;
  for (const Tensor& a : alphas) saved.push_back(a.clone());
  return autograd::attach("alpha_penalty", scalar<float>(static_cast<float>(lambda * sum)), alphas,
                          [saved, lambda](const Tensor& dy) {
                            Tensors out;
                            for (const Tensor& a : saved) {
                              Tensor gradient(a.shape());
                              for (std::int64_t c = 0; c < a.numel(); ++c)
                                gradient.mutable_data()[c] =
                                    static_cast<float>(2 * lambda * static_cast<double>(a.data()[c])) *
                                    dy.item();
                              out.push_back(gradient);
                            }
                            return out;
                          });
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// TQT, learned thresholds with power-of-two scales (1903.08066), the quantizer of Vitis AI's QAT.
//
//   s = 2^ceil(t) / 2^(b-1),  t = log2 of the threshold
//   dt = s ln2 sum dy * { (y - x) / s inside; lo below; hi above }
#pragma once

#include <midtread/quant/learned_fake_quantize.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct TqtSettings : LearnedSettings {
  std::optional<double> threshold;
};

template <class OwnerType>
class TqtOptions : public LearnedSetters<TqtOptions<OwnerType>, TqtSettings> {
  using Base = LearnedSetters<TqtOptions<OwnerType>, TqtSettings>;

 public:
  using Owner = OwnerType;
  static constexpr const char* kMoreNames = ", init, channels, threshold";

  /// The first threshold 2^t, instead of an estimate (weights: |mean| + 3 sd, unless `init` says otherwise).
  TqtOptions& threshold(double value) { return this->settings_.threshold = value, *this; }
  /// By name. Throws ConfigError listing the names.
  TqtOptions& set(const std::string& name, const OptionValue& value) {
    if (name == "threshold") return threshold(OptionReader(name, value).number());
    return Base::set(name, value);
  }
};

/// Parameter: log_threshold, float32 [1] or [C].
class TqtBase : public LearnedFakeQuantize {
 public:
  nn::ParameterTag parameter_tag(const std::string&) const override { return nn::ParameterTag::kScale; }
  Tensor log_threshold() const { return log_threshold_; }

 protected:
  TqtBase(std::shared_ptr<ObserverBase> observer, const TqtSettings& settings)
      : LearnedFakeQuantize(std::move(observer), settings),
        middle_(symmetric_zero_point(spec(), settings.range)),
        lowest_(static_cast<float>(std::ceil(std::log2(settings.eps * half_levels(range()))))) {
    check_start(settings, settings.threshold, "threshold");
    if (settings.scale_type == ScaleType::kFloat)
      throw ConfigError("scale_type",
                        "got float, Tqt's scales are powers of two; use Lsq, or leave it unset");
    if (settings.is_weight && !settings.init) set_init(ScaleInit::kThreeSigma);
    log_threshold_ = register_parameter("log_threshold", full<float>(Shape{settings.channels}, 0.0f));
    if (!settings.threshold) return;
    log_threshold_.fill_(static_cast<float>(std::log2(*settings.threshold)));
    TqtBase::hold_parameters();
    keep_given(TqtBase::held());
  }
  TqtBase(const TqtBase&) = default;

  ChannelQParams held() const override {
    ChannelQParams q = without_scales();
    for (std::size_t c = 0; c < static_cast<std::size_t>(log_threshold_.numel()); ++c) {
      const float exponent = std::min(std::ceil(kept(log_threshold_, c, lowest_, "log_threshold")), kHighest);
      q.scales.push_back(
          static_cast<float>(std::ldexp(1 / half_levels(range()), static_cast<int>(exponent))));
      q.zero_points.push_back(middle_);
    }
    return q;
  }
  /// The smallest power of two that leaves no more than half a step of the range beyond the codes.
  void write_qparams(const ChannelQParams& q) override {
    resize_parameters(static_cast<std::int64_t>(q.scales.size()));
    const double reach = static_cast<double>(q.range.quant_max - middle_) + 0.5,
                 half = static_cast<double>(q.range.quant_max - q.range.quant_min) / 2;
    float* to = log_threshold_.mutable_data();
    for (std::size_t c = 0; c < q.scales.size(); ++c)
      to[c] = std::max(lowest_, static_cast<float>(std::log2(static_cast<double>(q.scales[c]) *
                                                             (half / reach * half_levels(range())))));
  }
  ops::LearnedStep learned_step(const Tensor&, const ChannelQParams& q) const override {
    ops::LearnedStep step;
    step.parameters = {{"log_threshold", log_threshold_, {}}};
    const int lo = q.range.quant_min - middle_, hi = q.range.quant_max - middle_;
    for (const float scale : q.scales) {
      constexpr double kLn2 = 0.693147180559945309;
      const double k = static_cast<double>(scale) * kLn2;
      step.inside.emplace_back(static_cast<float>(lo), static_cast<float>(hi));
      step.parameters[0].weights.push_back({k, k * lo, k * hi});
    }
    return step;
  }
  void hold_parameters() override { hold(log_threshold_, lowest_); }
  void rebind() override {
    LearnedFakeQuantize::rebind();
    log_threshold_ = own_parameters().at("log_threshold");
  }

 private:
  static constexpr float kHighest = 126.0f;

  std::int32_t middle_;
  float lowest_;  ///< of t: scales stay above eps
  Tensor log_threshold_;
};

template <class ObserverType>
class Tqt : public TqtBase {
  static_assert(
      ObserverType::Spec::kSymmetric,
      "Tqt: a power-of-two scale is a shift and has no zero point; give its observer a symmetric spec "
      "(Int8Symmetric, Int8PerChannel)");

 public:
  using Observer = ObserverType;
  using Spec = typename Observer::Spec;
  using Options = TqtOptions<Tqt>;
  static constexpr bool kMemorylessWeight = Observer::kMemorylessWeight;
  static constexpr const char* kName = "tqt";

  /// Throws ConfigError on options that do not fit.
  explicit Tqt(const TqtSettings& settings = {}) : TqtBase(make_observer<Observer>(settings), settings) {}
  std::string type_name() const override { return "Tqt"; }

 protected:
  Pointer shallow_copy() const override { return Pointer(new Tqt(*this)); }
};

MIDTREAD_NAMESPACE_END

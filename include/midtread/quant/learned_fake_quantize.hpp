// SPDX-License-Identifier: MIT
// Fake quantizers whose scales are parameters: first an observer's estimate, then learned with the weights.
#pragma once

#include <midtread/ops/learned_step.hpp>
#include <midtread/quant/fake_quantize_base.hpp>
#include <midtread/quant/learned_options.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Unless told otherwise the first batch in train mode gives the scale, or calibration before it, and from
/// there it is learned. PyTorch's two phases by hand: enable_static_estimate, then enable_param_learning.
/// Buffers besides the base's switches: static_enabled and learning_enabled (uint8 [1]).
class LearnedFakeQuantize : public FakeQuantizeBase {
 public:
  void observe(const Tensor& x) override {
    if (is_observing()) estimate(x);
    if (!training() || !is_learning() || observer().state() != ObserverState::kReady) return;
    if (is_static()) static_enabled_.fill_(0);
    hold_parameters();
  }
  bool observe_range(float min, float max) override {
    if (settings_.init != ScaleInit::kObserver) return !is_observing();
    if (is_observing()) {
      if (!observer().observe_range(min, max)) return false;
      take_over_qparams();
    }
    observe(Tensor(Shape{0}));
    return true;
  }
  ChannelQParams qparams() const override {
    require_qparams();
    ChannelQParams out = held();
    const std::string name = where();
    for (std::size_t c = 0; c < out.scales.size(); ++c)
      check(QParams{out.scales[c], out.zero_points[c], out.range, out.dtype, out.rounding}, name);
    return out;
  }
  QParams tensor_qparams() const override {
    if (is_per_channel()) throw UnsupportedError(where(), "has one scale per channel; use qparams()");
    const ChannelQParams q = qparams();
    return {q.scales.at(0), q.zero_points.at(0), q.range, q.dtype, q.rounding};
  }
  Tensor fake_quantize(const Tensor& x) const override {
    const ChannelQParams q = qparams();
    ops::LearnedStep step = learned_step(x, q);
    if (!is_learning()) step.parameters.clear();
    try {
      return ops::learned_step(x, q, std::move(step), where());
    } catch (const NumericError& error) {
      throw NumericError(where(), error.detail());
    }
  }

  /// Its observer may forget between tensors; the scale does not.
  bool is_memoryless() const override { return false; }
  bool is_observing() const override {
    if (!is_observer_enabled() || !is_static()) return false;
    return is_calibrating() ||
           (training() && (!is_learning() || observer().state() != ObserverState::kReady));
  }
  /// The observer's phase: learning has not begun.
  bool is_static() const { return flag(static_enabled_, "static_enabled"); }
  /// Whether the parameters get gradients.
  bool is_learning() const { return flag(learning_enabled_, "learning_enabled"); }

  /// Scales follow the observer and get no gradient.
  void enable_static_estimate() { switch_to(true, false, true, true); }
  /// The same, without rounding.
  void enable_static_observation() { switch_to(true, false, false, true); }
  /// Scales are learned from where they are; the observer is off. StateError where there is no scale yet.
  void enable_param_learning() {
    require_data();
    switch_to(false, true, true, false);
  }

  /// Throws ConfigError unless `channels` is positive and what the options say, if they say anything.
  void set_channels(std::int64_t channels) override {
    if (!is_per_channel()) return;
    if (channels < 1 || (settings_.channels > 1 && settings_.channels != channels))
      throw ConfigError(where(), channels < 1
                                     ? concat("set_channels: got ", channels, ", allowed 1 or more")
                                     : concat("channels: got ", settings_.channels, ", the weight has ",
                                              channels, "; leave it unset, layers know theirs"));
    resize_parameters(channels);
    if (observer().state() == ObserverState::kReady) observer().restore(held());
  }
  std::string extra_repr() const override {
    return FakeQuantizeBase::extra_repr() + (!is_learning() ? ", static estimate"
                                             : is_static()  ? ""
                                                            : ", learned");
  }

 protected:
  /// Throws ConfigError on settings that do not fit.
  LearnedFakeQuantize(std::shared_ptr<ObserverBase> observer, const LearnedSettings& settings)
      : FakeQuantizeBase(std::move(observer), false), settings_(settings) {
    check(settings, spec());
    if (!settings_.init) settings_.init = ScaleInit::kObserver;
    static_enabled_ = register_buffer("static_enabled", full<std::uint8_t>(Shape{1}, 1));
    learning_enabled_ = register_buffer("learning_enabled", full<std::uint8_t>(Shape{1}, 1));
  }
  LearnedFakeQuantize(const LearnedFakeQuantize&) = default;

  // What a method defines: its parameters -> scales (held), scales -> its parameters (write_qparams), how
  // gradients pass, and the floor of its parameters.
  ChannelQParams held() const override = 0;
  void write_qparams(const ChannelQParams& q) override = 0;
  virtual ops::LearnedStep learned_step(const Tensor& x, const ChannelQParams& q) const = 0;
  virtual void hold_parameters() = 0;

  void require_qparams() const override {
    require_data();
    std::int64_t count = -1;
    for (const auto& p : own_parameters()) {
      if (count < 0) count = p.second.numel();
      if (p.second.rank() != 1 || p.second.numel() != count || (!is_per_channel() && count != 1))
        throw ShapeError(where(),
                         concat(p.first, " has shape ", p.second.shape(),
                                is_per_channel() ? ", needs one value per channel" : ", needs one value"));
    }
  }
  void rebind() override {
    FakeQuantizeBase::rebind();
    static_enabled_ = get_tensor<std::uint8_t>(own_buffers().at("static_enabled"), where());
    learning_enabled_ = get_tensor<std::uint8_t>(own_buffers().at("learning_enabled"), where());
  }

  const LearnedSettings& learned_settings() const noexcept { return settings_; }
  void set_init(ScaleInit init) noexcept { settings_.init = init; }
  float floor() const { return static_cast<float>(settings_.eps); }
  /// The parameters hold what the user gave: learning begins there.
  void keep_given(const ChannelQParams& q) {
    observer().restore(q);
    static_enabled_.fill_(0);
  }
  void resize_parameters(std::int64_t channels) {
    for (auto& p : own_parameters())
      if (p.second.numel() != channels) {
        p.second.set_data(full<float>(Shape{channels}, p.second.numel() > 0 ? p.second.data()[0] : 1.0f));
        p.second.set_grad(Tensor());
      }
  }
  /// A parameter's value, not below `low`. NumericError on NaN and infinity.
  float kept(const Tensor& parameter, std::size_t channel, float low, const char* name) const {
    const float value = parameter.data()[channel];
    if (!std::isfinite(value))
      throw NumericError(where(), concat("its learned ", name, " is ", value,
                                         "; lower the learning rate, or go back to an earlier checkpoint"));
    return std::max(value, low);
  }
  /// Raises values below `low`, in place.
  static void hold(const Tensor& parameter, float low) {
    for (std::int64_t c = 0; c < parameter.numel(); ++c)
      if (parameter.data()[c] < low) parameter.mutable_data()[c] = low;
  }

 private:
  void estimate(const Tensor& x) {
    observer().observe(x);
    if (observer().state() != ObserverState::kReady) return;
    if (settings_.init == ScaleInit::kObserver || x.numel() == 0) return take_over_qparams();
    const Tensor dense = !is_per_channel() && x.is_dense() ? x : x.contiguous();
    const ops::ChannelRuns runs =
        is_per_channel() ? ops::ChannelRuns(x.shape(), observer().axis(), settings_.groups, where())
                         : ops::ChannelRuns(Shape{1, x.numel()}, 0, 1, where());
    ChannelQParams q = observer().qparams();
    q.scales = moment_scales(dense, runs, *settings_.init, range(), floor());
    observer().restore(q);
    write_qparams(q);
  }
  void switch_to(bool static_phase, bool learning, bool rounding, bool observing) {
    static_enabled_.fill_(static_phase ? 1 : 0);
    learning_enabled_.fill_(learning ? 1 : 0);
    set_fake_quant_enabled(rounding);
    set_observer_enabled(observing);
  }

  LearnedSettings settings_;
  BasicTensor<std::uint8_t> static_enabled_, learning_enabled_;
};

/// Calls visit(fake_quantizer) for every learned one of `module` and below.
template <class Visitor>
void for_each_learned(nn::Module& module, const Visitor& visit) {
  for_each_fake_quantizer(module, [&](FakeQuantizeBase& f) {
    if (auto* found = dynamic_cast<LearnedFakeQuantize*>(&f)) visit(*found);
  });
}

/// PyTorch's phases, for all learned fake quantizers of a model; others stay as they are.
inline void enable_static_estimate(nn::Module& module) {
  for_each_learned(module, [](LearnedFakeQuantize& f) { f.enable_static_estimate(); });
}
inline void enable_static_observation(nn::Module& module) {
  for_each_learned(module, [](LearnedFakeQuantize& f) { f.enable_static_observation(); });
}
inline void enable_param_learning(nn::Module& module) {
  for_each_learned(module, [](LearnedFakeQuantize& f) { f.enable_param_learning(); });
}

MIDTREAD_NAMESPACE_END

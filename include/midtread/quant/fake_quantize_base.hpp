// SPDX-License-Identifier: MIT
// A fake quantizer as the passes see it: one virtual call per tensor. It observes, holds scales, and rounds.
#pragma once

#include <midtread/ops/fake_quantize.hpp>
#include <midtread/quant/observer_base.hpp>
#include <midtread/tensor/factory.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// forward(x) = observe(x), then fake_quantize(x), each where enabled; the batch updates the range it is
/// quantized with. Buffers, named as PyTorch's: fake_quant_enabled, observer_enabled (uint8 [1]), scale
/// (float32 [1] or [C]), zero_point (int32, same shape); the observer is the child `activation_post_process`.
class FakeQuantizeBase : public nn::Module {
 public:
  /// Lets the observer see `x` if is_observing(), and takes over its scales. Throws as ObserverBase::observe.
  virtual void observe(const Tensor& x) {
    if (!is_observing()) return;
    observer_->observe(x);
    take_over_qparams();
  }
  /// The same where the caller knows the range of the tensor already. False: give the tensor to observe().
  virtual bool observe_range(float min, float max) {
    if (!is_observing()) return true;
    if (!observer_->observe_range(min, max)) return false;
    take_over_qparams();
    return true;
  }
  /// The scales and zero points in force; per tensor: one element, axis -1. StateError before any data,
  /// QuantizationError on scales that are not normal (a damaged checkpoint).
  virtual ChannelQParams qparams() const {
    require_qparams();
    ChannelQParams out = held();
    const std::string name = where();
    for (std::size_t c = 0; c < out.scales.size(); ++c)
      check(QParams{out.scales[c], out.zero_points[c], out.range, out.dtype, out.rounding}, name);
    return out;
  }
  /// The only scale and zero point. UnsupportedError per channel, else as qparams().
  virtual QParams tensor_qparams() const {
    if (is_per_channel()) throw UnsupportedError(where(), "has one scale per channel; use qparams()");
    require_qparams();
    const QParams out{scale_.item(), zero_point_.item(), range(), dtype(), observer_->rounding()};
    check(out, where());
    return out;
  }
  /// A weight as the layer sees it, before batch norm is folded in (DoReFa's tanh). Differentiable.
  virtual Tensor bent(const Tensor& weight) const { return weight; }
  /// The tensor whose codes qparams() gives (DoReFa's odd codes times the scale). Differentiable.
  virtual Tensor before_rounding(const Tensor& x) const { return x; }
  /// Rounds `x` with the scales in force, whether enabled or not. Per tensor the result carries its codes.
  /// Differentiable. NumericError on NaN, else as qparams().
  virtual Tensor fake_quantize(const Tensor& x) const {
    try {
      return is_per_channel() ? midtread::fake_quantize(before_rounding(x), qparams())
                              : midtread::fake_quantize(before_rounding(x), tensor_qparams());
    } catch (const NumericError& error) {
      throw NumericError(where(), error.detail());
    }
  }
  Tensor forward(const Tensor& x) override {
    return record_leaf({x},
                       [&]() -> Tensors {
                         const Tensor t = bent(x);
                         observe(t);
                         if (is_enabled()) return {fake_quantize(t)};
                         return {autograd::attach("fake_quantize", x.detach(), Tensors{x},
                                                  [](const Tensor& dy) -> Tensors { return {dy}; })};
                       })
        .at(0);
  }
  /// Sets the scales by hand and stops observing. QuantizationError unless they are normal, finite and of
  /// this range.
  virtual void set_qparams(const ChannelQParams& q) {
    if (q.scales.empty() || q.scales.size() != q.zero_points.size() ||
        (!is_per_channel() && q.scales.size() != 1))
      throw ShapeError(
          where(),
          concat("set_qparams: ", q.scales.size(), " scales and ", q.zero_points.size(), " zero points, ",
                 is_per_channel() ? "needs one of each per channel" : "needs one of each"));
    for (std::size_t c = 0; c < q.scales.size(); ++c)
      check(QParams{q.scales[c], q.zero_points[c], range(), dtype(), observer_->rounding()}, where());
    observer_->restore(q);
    write_qparams(q);
    set_observer_enabled(false);
  }

  /// How many channels the tensors will have. Learned scales take their size; others wait for data.
  virtual void set_channels(std::int64_t channels) { (void)channels; }
  /// Whether fake_quantize(c * x) is about c * fake_quantize(x), channel by channel. Where it is not, batch
  /// norm cannot be folded into x.
  virtual bool follows_magnitude() const { return true; }
  /// abs of the batch norm factor [C] folded into the tensors to come. Learned scales are relative to it;
  /// others do without. Undefined: 1.
  virtual void set_magnitude(const Tensor& magnitude) { (void)magnitude; }
  /// A function of the tensor it is given: computes its scales on every forward, in eval too, unless its
  /// observer is disabled. Any other observes only in train mode or while calibrating.
  virtual bool is_memoryless() const { return observer_->is_memoryless(); }
  /// Whether forward rounds.
  bool is_enabled() const { return flag(fake_quant_enabled_, "fake_quant_enabled"); }
  bool is_observer_enabled() const { return flag(observer_enabled_, "observer_enabled"); }
  /// Whether observe() would look at its tensor now.
  virtual bool is_observing() const {
    return is_observer_enabled() && (is_memoryless() || training() || calibrating_);
  }
  virtual void set_fake_quant_enabled(bool on) { fake_quant_enabled_.fill_(on ? 1 : 0); }
  virtual void set_observer_enabled(bool on) { observer_enabled_.fill_(on ? 1 : 0); }
  /// Observes in eval mode as well.
  void set_calibrating(bool on) noexcept { calibrating_ = on; }
  bool is_calibrating() const noexcept { return calibrating_; }

  DType dtype() const { return observer_->spec().dtype; }
  CodeRange range() const { return observer_->range(); }
  bool is_symmetric() const { return observer_->spec().symmetric; }
  bool is_per_channel() const { return observer_->spec().per_channel; }
  const SpecInfo& spec() const { return observer_->spec(); }
  ObserverBase& observer() const { return *observer_; }
  /// "FakeQuantize(MovingAverageMinMaxObserver, uint8_affine, quant_min=0, quant_max=255,
  /// averaging_constant=0.01)".
  std::string summary() const {
    return type_name() + "(" + observer_->type_name() + ", " + observer_->extra_repr() + ")";
  }
  std::string extra_repr() const override {
    std::string text = concat(spec().name(), ", ", range().quant_min, "..", range().quant_max);
    if (observer_->state() != ObserverState::kReady)
      text += ", no scale yet";
    else if (const ChannelQParams q = held(); q.scales.size() == 1 && q.zero_points.size() == 1)
      text += concat(", scale=", q.scales[0], ", zero_point=", q.zero_points[0]);
    else
      text += concat(", ", q.scales.size(), " scales");
    if (!is_enabled()) text += ", fake quant off";
    if (!is_observer_enabled()) text += ", observer off";
    return text;
  }
  /// The module path, for messages.
  void set_path(const std::string& path) {
    path_ = path;
    observer_->set_path(path);
  }
  std::string where() const { return path_.empty() ? type_name() : path_; }

 protected:
  /// Without `holds_scales` a derived class keeps them: it overrides held, write_qparams and require_qparams.
  explicit FakeQuantizeBase(std::shared_ptr<ObserverBase> observer, bool holds_scales = true)
      : observer_(std::move(observer)) {
    fake_quant_enabled_ = register_buffer("fake_quant_enabled", full<std::uint8_t>(Shape{1}, 1));
    observer_enabled_ = register_buffer("observer_enabled", full<std::uint8_t>(Shape{1}, 1));
    register_module("activation_post_process", observer_);
    if (!holds_scales) return;
    scale_ = register_buffer("scale", full<float>(Shape{1}, 1.0f));
    zero_point_ = register_buffer("zero_point", full<std::int32_t>(Shape{1}, 0));
    if (observer_->state() == ObserverState::kReady) take_over_qparams();
  }
  FakeQuantizeBase(const FakeQuantizeBase&) = default;

  void rebind() override {
    fake_quant_enabled_ = get_tensor<std::uint8_t>(own_buffers().at("fake_quant_enabled"), where());
    observer_enabled_ = get_tensor<std::uint8_t>(own_buffers().at("observer_enabled"), where());
    observer_ = std::dynamic_pointer_cast<ObserverBase>(children().at("activation_post_process"));
    if (!scale_.defined()) return;
    scale_ = get_tensor<float>(own_buffers().at("scale"), where());
    zero_point_ = get_tensor<std::int32_t>(own_buffers().at("zero_point"), where());
  }

  /// Throws unless held() has scales to give.
  virtual void require_qparams() const {
    require_data();
    if (scale_.shape() != zero_point_.shape() || (!is_per_channel() && scale_.numel() != 1))
      throw ShapeError(where(),
                       concat("scale has shape ", scale_.shape(), ", zero_point ", zero_point_.shape(),
                              is_per_channel() ? ", needs one of each per channel" : ", needs one of each"));
  }
  void require_data() const {
    const ObserverState state = observer_->state();
    if (state == ObserverState::kEmpty)
      throw StateError(
          where(),
          "this fake quantizer has seen no data, so it has no scale; run calibrate or a training step "
          "first, with its observer enabled");
    if (state == ObserverState::kPoisoned)
      throw StateError(
          where(),
          "this fake quantizer's observer has seen NaN or infinity; reset it and give it finite data");
  }
  /// The scales and zero points, unchecked.
  virtual ChannelQParams held() const {
    ChannelQParams out = without_scales();
    out.scales = scale_.to_vector();
    out.zero_points = zero_point_.to_vector();
    return out;
  }
  /// Axis, range, dtype and rounding.
  ChannelQParams without_scales() const {
    return {{}, {}, observer_->axis(), range(), dtype(), observer_->rounding()};
  }
  /// Copies the observer's scales into the buffers, if it has any.
  void take_over_qparams() {
    if (observer_->state() == ObserverState::kReady) write_qparams(observer_->qparams());
  }
  virtual void write_qparams(const ChannelQParams& q) {
    const Shape shape{static_cast<std::int64_t>(q.scales.size())};
    if (scale_.shape() != shape) scale_.set_data(Tensor(shape));
    if (zero_point_.shape() != shape) zero_point_.set_data(BasicTensor<std::int32_t>(shape));
    std::copy(q.scales.begin(), q.scales.end(), scale_.mutable_data());
    std::copy(q.zero_points.begin(), q.zero_points.end(), zero_point_.mutable_data());
  }
  bool flag(const BasicTensor<std::uint8_t>& buffer, const char* name) const {
    if (buffer.numel() != 1)
      throw ShapeError(where(), concat(name, " has shape ", buffer.shape(), ", needs one element"));
    return buffer.data()[0] != 0;
  }

 private:
  std::shared_ptr<ObserverBase> observer_;
  BasicTensor<std::uint8_t> fake_quant_enabled_, observer_enabled_;
  Tensor scale_;
  BasicTensor<std::int32_t> zero_point_;
  std::string path_;
  bool calibrating_ = false;
};

/// Owns `made` as a FakeQuantizeBase: one control block class for all, which compiles faster.
inline std::shared_ptr<FakeQuantizeBase> share(FakeQuantizeBase* made) {
  return std::shared_ptr<FakeQuantizeBase>(made);
}

/// Calls visit(fake_quantizer) for every fake quantizer of `module` and below.
template <class Visitor>
void for_each_fake_quantizer(nn::Module& module, const Visitor& visit) {
  module.apply([&](nn::Module& m) {
    if (auto* found = dynamic_cast<FakeQuantizeBase*>(&m)) visit(*found);
  });
}

/// PyTorch's switches, for all fake quantizers of a model.
inline void enable_observer(nn::Module& module) {
  for_each_fake_quantizer(module, [](FakeQuantizeBase& f) { f.set_observer_enabled(true); });
}
inline void disable_observer(nn::Module& module) {
  for_each_fake_quantizer(module, [](FakeQuantizeBase& f) { f.set_observer_enabled(false); });
}
inline void enable_fake_quant(nn::Module& module) {
  for_each_fake_quantizer(module, [](FakeQuantizeBase& f) { f.set_fake_quant_enabled(true); });
}
inline void disable_fake_quant(nn::Module& module) {
  for_each_fake_quantizer(module, [](FakeQuantizeBase& f) { f.set_fake_quant_enabled(false); });
}

MIDTREAD_NAMESPACE_END

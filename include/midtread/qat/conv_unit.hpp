// SPDX-License-Identifier: MIT
// Convolution or linear + batch norm + ReLU + fake quantize as one unit (1712.05877, 1806.08342).
//
// With batch statistics:   y = FQ(relu(BN(conv(x, FQ(w k)) / k + b))),   k = gamma / sqrt(running_var + eps)
// Otherwise, on codes:     acc = sum (q_x - z_x) q_w;  q_y = clamp(rne(float(acc + bq) m), lo - z_y, hi -
// z_y) + z_y
//                          with w' and b' folded; its gradient is that of the float form.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/nn/fused.hpp>
#include <midtread/qat/batch_norm_module.hpp>
#include <midtread/qat/batch_norm_unscale.hpp>
#include <midtread/qat/layer.hpp>
#include <midtread/qat/unit.hpp>

MIDTREAD_NAMESPACE_BEGIN(qat)

/// The codes a fused activation lets through: ReLU lo = z, ReLU6 also hi = Q(6).
MIDTREAD_ON_USE CodeRange fused_range(const QParams& y, nn::FusedActivation activation) {
  CodeRange range = y.range;
  if (activation != nn::FusedActivation::kNone) range.quant_min = y.zero_point;
  if (activation == nn::FusedActivation::kRelu6)
    range.quant_max =
        kernels::quantize_code(6.0f, kernels::reciprocal(y.scale), y.zero_point, y.range, y.rounding);
  return range;
}

MIDTREAD_CLASS_ON_USE(ConvUnit)
class BasicConvUnit final : public Unit {
 public:
  /// `module` is a Linear, Conv1d, Conv2d, ConvTranspose2d or a Fused of one: parameters and batch norm are
  /// shared with it. A second call of the same module passes the first unit's weight quantizer and
  /// `first_call` = false, so that parameters are registered once.
  BasicConvUnit(const std::string& path, const std::shared_ptr<nn::Module>& module,
                std::shared_ptr<quant::FakeQuantizeBase> weight,
                std::shared_ptr<quant::FakeQuantizeBase> post, bool first_call = true)
      : Unit(path, std::move(post)), weight_fake_quant_(std::move(weight)) {
    const auto fused = std::dynamic_pointer_cast<nn::FusedImpl>(module);
    layer_module_ = fused ? fused->layer() : module;
    if (fused) {
      bn_ = fused->bn();
      activation_ = fused->activation();
    }
    const std::optional<Layer> layer = as_layer(*layer_module_);
    if (!layer)
      throw UnsupportedError(path,
                             "a " + module->type_name() + " cannot be quantized; give it qconfig nullptr");
    layer_ = *layer;
    if (bn_ && !weight_fake_quant_->follows_magnitude())
      throw ConfigError(path, weight_fake_quant_->type_name() +
                                  " with one scale takes no batch norm folded into its weights; use a "
                                  "per-channel spec (Int8PerChannel), or do not fuse the batch norm");
    if (first_call) {
      for (const auto& p : layer_module_->own_parameters())
        if (p.second.defined()) register_parameter(p.first, p.second, p.second.requires_grad());
      if (bn_) register_module("bn", bn_);
      register_module("weight_fake_quant", weight_fake_quant_);
      weight_fake_quant_->set_path(path + ".weight_fake_quant");
      weight_fake_quant_->set_channels(layer_.geometry.out_channels);
    }
  }

  std::string type_name() const override {
    return "Qat" + layer_module_->type_name() + (bn_ ? "Bn" : "") + to_string(activation_);
  }
  std::string extra_repr() const override { return layer_module_->extra_repr(); }

  /// Its scales are those of folded().
  quant::FakeQuantizeBase& weight_fake_quant() const {
    const NoGradGuard no_grad;
    if (bn_) factor_of(view_of(*bn_), Vanishing::kZero);
    return *weight_fake_quant_;
  }
  const std::shared_ptr<quant::FakeQuantizeBase>& shared_weight_fake_quant() const {
    return weight_fake_quant_;
  }
  const Layer& layer() const { return layer_; }
  /// The module that owns weight and bias.
  const std::shared_ptr<nn::Module>& layer_module() const { return layer_module_; }
  /// The batch norm module, or null.
  const std::shared_ptr<nn::Module>& bn() const { return bn_; }
  nn::FusedActivation activation() const { return activation_; }

  void train(bool on = true) override {
    Unit::train(on);
    layer_module_->train(on);
  }
  Tensor forward(const Tensor& x) override {
    return record_leaf({x}, [&] { return Tensors{compute(x)}; }).at(0);
  }

  /// Weight and bias with the batch norm's running statistics folded in, the weight output channel first.
  std::pair<Tensor, Tensor> folded() const {
    const Tensor w = layer_.output_major(weight_fake_quant_->bent(weight()));
    if (!bn_) return {w, bias()};
    const BatchNormView view = view_of(*bn_);
    return {scale_weight(w, view, factor_of(view, Vanishing::kZero)), fold_bias(bias(), view)};
  }

  /// Sets the layer's weight so that folded() gives `w`, but for the last bits of a float. Channels whose
  /// batch norm vanishes stay as they are.
  void set_folded_weight(const Tensor& w) const {
    const NoGradGuard no_grad;
    const Tensor now = layer_.output_major(weight()).contiguous();
    const Tensor factor = bn_ ? batch_norm_factor(view_of(*bn_), Vanishing::kZero) : Tensor();
    Tensor unfolded(now.shape());
    const std::int64_t inner = now.size(0) ? now.numel() / now.size(0) : 0;
    for (std::int64_t i = 0; i < now.numel(); ++i) {
      const float s = factor.defined() ? factor.data()[i / inner] : 1.0f;
      unfolded.mutable_data()[i] = s == 0.0f ? now.data()[i] : w.data()[i] / s;
    }
    weight().copy_(layer_.output_major(unfolded));
  }

  std::shared_ptr<const quantized::Operator> lower(const std::vector<QParams>& inputs) const override {
    require_inputs(inputs, 1);
    require_enabled(*weight_fake_quant_, "weight");
    const NoGradGuard no_grad;
    const auto [w, b] = folded();
    if (weight_fake_quant_->is_memoryless()) weight_fake_quant_->observe(w);
    return integer_operator(w, b, inputs[0], output_qparams());
  }

 protected:
  Pointer shallow_copy() const override { return Pointer(new BasicConvUnit(*this)); }
  void clone_references(CloneMap& map) override {
    layer_module_ = layer_module_->clone(map);
    weight_fake_quant_ = std::dynamic_pointer_cast<quant::FakeQuantizeBase>(weight_fake_quant_->clone(map));
    if (bn_) bn_ = bn_->clone(map);
  }

 private:
  Tensor weight() const { return layer_module_->own_parameters().at("weight"); }
  Tensor bias() const {
    const Tensor* found = layer_module_->own_parameters().find("bias");
    return found ? *found : Tensor();
  }

  // The batch norm factor, which the weight quantizer is told of.
  Tensor factor_of(const BatchNormView& view, Vanishing vanishing) const {
    const Tensor factor = batch_norm_factor(view, vanishing);
    weight_fake_quant_->set_magnitude(batch_norm_magnitude(view, factor));
    return factor;
  }

  Tensor compute(const Tensor& x) {
    if (bn_ && uses_batch_statistics(*bn_)) return with_batch_statistics(x);
    const auto [w, b] = folded();
    weight_fake_quant_->observe(w);
    quant::FakeQuantizeBase& post = activation_post_process();
    const bool on_codes = x.codes() && weight_fake_quant_->is_enabled() && post.is_enabled();
    const bool gradient = autograd::needs_grad(Tensors{x, w, b});
    Tensor form;
    if (!on_codes || gradient || post.is_observing())
      form = nn::apply_activation(activation_, layer_.run(x, quantized_weight(w, b, x), b));
    if (!on_codes) return post.forward(form);
    post.observe(form);
    const QParams y = post.tensor_qparams();
    const quantized::Tensor codes = run_integer(w, b, x, y);
    return integer_result(codes, gradient ? post.fake_quantize(form) : Tensor());
  }

  Tensor with_batch_statistics(const Tensor& x) {
    const BatchNormView view = view_of(*bn_);
    const Tensor factor = factor_of(view, Vanishing::kOne);
    const Tensor w = scale_weight(layer_.output_major(weight_fake_quant_->bent(weight())), view, factor);
    weight_fake_quant_->observe(w);
    // The bias that will be folded decides whether a scale is raised, here as in eval.
    const Tensor b = x.codes() ? fold_bias(bias(), view).detach() : Tensor();
    const Tensor y0 = layer_.run(x, quantized_weight(w, b, x), Tensor());
    const Tensor y = unscaled_batch_norm(y0, bias(), view, factor, next_momentum(*bn_), bias_steps(b, x));
    return activation_post_process().forward(nn::apply_activation(activation_, y));
  }

  // What one unit of the integer layer's bias is worth, per channel; empty where it will not be an integer
  // one.
  std::vector<float> bias_steps(const Tensor& b, const Tensor& x) const {
    if (!x.codes() || !weight_fake_quant_->is_enabled() || !activation_post_process().is_enabled()) return {};
    const float sx = x.codes()->qparams.scale;
    std::vector<float> steps =
        quantized::weight_scales(weight_fake_quant_->qparams(), b.numel(), b.contiguous(), sx);
    for (float& step : steps) step *= sx;
    return steps;
  }

  // FQ(w) with the scales the integer layer uses.
  Tensor quantized_weight(const Tensor& w, const Tensor& b, const Tensor& x) const {
    if (!weight_fake_quant_->is_enabled()) return w;
    if (x.codes() && b.defined()) {
      ChannelQParams q = weight_fake_quant_->qparams();
      int raised = 0;
      std::vector<float> scales =
          quantized::weight_scales(q, w.size(0), b.contiguous(), x.codes()->qparams.scale, &raised);
      if (raised > 0) {
        q.scales = std::move(scales);
        q.zero_points.assign(q.scales.size(), 0);
        q.axis = 0;
        return ops::FakeQuantizePerChannel{q}(weight_fake_quant_->before_rounding(w));
      }
    }
    return weight_fake_quant_->fake_quantize(w);
  }

  std::shared_ptr<const quantized::Operator> integer_operator(const Tensor& w, const Tensor& b,
                                                              const QParams& x, const QParams& y) const {
    quantized::ConvWeights weights = quantized::quantize_conv_weights(
        weight_fake_quant_->before_rounding(w), b, weight_fake_quant_->qparams(), x, y, path());
    const BasicTensor<std::int8_t>& codes = weights.codes;
    const Shape shape = layer_.geometry.weight_shape();
    weights.codes =
        BasicTensor<std::int8_t>(codes.storage(), codes.offset(), shape, contiguous_strides(shape));
    return quantized::make_operator<quantized::Conv>(layer_.geometry, std::move(weights), x, y,
                                                     fused_range(y, activation_));
  }

  quantized::Tensor run_integer(const Tensor& w, const Tensor& b, const Tensor& x, const QParams& y) const {
    const FpEnvGuard fp_env;
    const quantized::Value input = carried_codes(x);
    const auto op = integer_operator(w, b, x.codes()->qparams, y)->bind(kernels::select_kernels());
    quantized::Value output = op->allocate({&input});
    op->run({&input}, output, quantized::Workspace::this_thread());
    return std::get<quantized::Tensor>(output);
  }

  std::shared_ptr<nn::Module> layer_module_;
  std::shared_ptr<nn::Module> bn_;
  nn::FusedActivation activation_ = nn::FusedActivation::kNone;
  std::shared_ptr<quant::FakeQuantizeBase> weight_fake_quant_;
  Layer layer_;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// A QAT unit: an operation and the fake quantize of its output, owned by one module.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quant/fake_quantize_base.hpp>
#include <midtread/quantized/operator.hpp>

MIDTREAD_NAMESPACE_BEGIN(qat)

/// Attaches the codes `q` to the real numbers they stand for and, where a gradient is wanted, the history of
/// `form`, the float form of the same computation (straight-through).
MIDTREAD_ON_USE Tensor integer_result(const quantized::Tensor& q, const Tensor& form) {
  Tensor value(q.shape(), q.stored().strides());
  kernels::select_kernels()->dequantize->run(q.stored().data(), value.mutable_data(), q.numel(),
                                             {q.qparams().scale, q.stored_zero_point()});
  value.set_codes(std::make_shared<const Codes>(Codes{q.stored(), q.qparams()}));
  if (!form.defined()) return value;
  return autograd::attach("integer_forward", value, Tensors{form},
                          [](const Tensor& dy) { return Tensors{dy}; });
}

/// The codes a real tensor carries, dense and channels-last.
MIDTREAD_ON_USE quantized::Tensor carried_codes(const Tensor& x) {
  return {x.codes()->values.channels_last(), x.codes()->qparams};
}

/// Base of units. `activation_post_process` quantizes what the unit gives.
class Unit : public nn::Module {
 public:
  quant::FakeQuantizeBase& activation_post_process() const { return *post_; }
  /// The unit's name in the graph, for messages.
  const std::string& path() const { return path_; }
  /// The int8 operator for inputs with these qparams, from the parameters as they are. Never observes.
  /// Throws StateError where a quantizer saw no data or is switched off.
  virtual std::shared_ptr<const quantized::Operator> lower(const std::vector<QParams>& inputs) const = 0;
  /// The output's scale and zero point for the int8 operator. Throws as lower().
  QParams output_qparams() const {
    require_enabled(*post_, "output");
    if (post_->is_memoryless() && post_->is_observer_enabled())
      throw StateError(path_,
                       "its output's scale is taken anew from every batch (memoryless), an int8 model needs "
                       "a constant one: "
                       "set memoryless(false), or disable_observer before convert");
    return post_->tensor_qparams();
  }

 protected:
  Unit(std::string path, std::shared_ptr<quant::FakeQuantizeBase> post)
      : path_(std::move(path)), post_(std::move(post)) {
    register_module("activation_post_process", post_);
    post_->set_path(path_ + ".activation_post_process");
  }
  Unit(const Unit&) = default;
  void rebind() override {
    post_ = std::dynamic_pointer_cast<quant::FakeQuantizeBase>(children().at("activation_post_process"));
  }

  void require_enabled(const quant::FakeQuantizeBase& fake_quantize, const char* what) const {
    if (!fake_quantize.is_enabled())
      throw StateError(
          path_, concat("its ", what, " fake quantize is switched off; enable_fake_quant before convert"));
  }
  void require_inputs(const std::vector<QParams>& inputs, std::size_t count) const {
    if (inputs.size() != count)
      throw StateError(path_, concat("has ", inputs.size(), " inputs, needs ", count));
  }

 private:
  std::string path_;
  std::shared_ptr<quant::FakeQuantizeBase> post_;
};

MIDTREAD_NAMESPACE_END

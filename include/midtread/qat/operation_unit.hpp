// SPDX-License-Identifier: MIT
// A free operation and the fake quantize of its output: add, mul, cat, and functions of one value by table.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/ops/add_relu.hpp>
#include <midtread/ops/concat.hpp>
#include <midtread/qat/unit.hpp>
#include <midtread/quantized/elementwise.hpp>
#include <midtread/quantized/lookup.hpp>

MIDTREAD_NAMESPACE_BEGIN(qat)

/// Add, mul and cat compute in float32 on (q - z) * s and quantize: that is the rule of the int8 kernels, so
/// nothing else is needed. A pointwise function goes through the table that the int8 model stores.
MIDTREAD_CLASS_ON_USE(OperationUnit)
class BasicOperationUnit final : public Unit {
 public:
  BasicOperationUnit(const std::string& path, std::shared_ptr<const ops::Operation> operation,
                     std::shared_ptr<quant::FakeQuantizeBase> post)
      : Unit(path, std::move(post)), operation_(std::move(operation)) {}

  /// Whether an operation can be such a unit.
  static bool supports(const ops::Operation& operation) {
    return ops::as<ops::Add>(operation) || ops::as<ops::Mul>(operation) || ops::as<ops::AddRelu>(operation) ||
           ops::as<ops::Cat>(operation) || operation.pointwise(0.0f).has_value();
  }

  const ops::Operation& operation() const { return *operation_; }
  std::string type_name() const override { return std::string("Qat(") + operation_->name() + ")"; }
  std::string extra_repr() const override { return operation_->attributes(); }

  Tensor forward(const Tensor& x) override { return forward_many({x}).at(0); }
  Tensors forward_many(const Tensors& inputs) override {
    return record_leaf(inputs, [&] { return Tensors{compute(inputs)}; });
  }

  std::shared_ptr<const quantized::Operator> lower(const std::vector<QParams>& inputs) const override {
    const QParams y = output_qparams();
    if (const auto* cat = ops::as<ops::Cat>(*operation_))
      return quantized::make_operator<quantized::Cat>(cat->dim, y);
    if (operation_->pointwise(0.0f)) {
      require_inputs(inputs, 1);
      return quantized::make_operator<quantized::Lookup>(operation_->name(), table(inputs[0], y), y);
    }
    require_inputs(inputs, 2);
    const bool relu = ops::as<ops::AddRelu>(*operation_) != nullptr;
    const auto op = ops::as<ops::Mul>(*operation_) ? quantized::BinaryOp::kMul : quantized::BinaryOp::kAdd;
    return quantized::make_operator<quantized::Binary>(
        op, y, relu ? CodeRange{y.zero_point, y.range.quant_max} : y.range);
  }

 protected:
  Pointer shallow_copy() const override { return Pointer(new BasicOperationUnit(*this)); }

 private:
  Tensor compute(const Tensors& inputs) {
    quant::FakeQuantizeBase& post = activation_post_process();
    const bool by_table =
        post.is_enabled() && inputs.size() == 1 && inputs[0].codes() && operation_->pointwise(0.0f);
    Tensor form;
    if (!by_table || post.is_observing() || autograd::needs_grad(inputs))
      form = operation_->run(inputs, training());
    if (!by_table) return post.forward(form);
    post.observe(form);
    const QParams y = post.tensor_qparams();
    const quantized::Tensor x = carried_codes(inputs[0]);
    quantized::Tensor out(x.shape(), y);
    kernels::select_kernels()->lookup->run(table(x.qparams(), y).data(), x.stored().data(),
                                           out.stored().mutable_data(), x.numel());
    return integer_result(out, autograd::needs_grad(inputs) ? post.fake_quantize(form) : Tensor());
  }
  quantized::Table table(const QParams& x, const QParams& y) const {
    const FpEnvGuard fp_env;
    return quantized::pointwise_table(x, y, [&](float v) { return *operation_->pointwise(v); });
  }

  std::shared_ptr<const ops::Operation> operation_;
};

MIDTREAD_NAMESPACE_END

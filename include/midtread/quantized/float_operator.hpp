// SPDX-License-Identifier: MIT
// A float island inside an int8 model: an operation on real tensors, in eval mode. Weights are constant
// steps.
#pragma once

#include <midtread/autograd/grad_mode.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/ops/operation.hpp>
#include <midtread/quantized/operator.hpp>

#include <algorithm>

MIDTREAD_NAMESPACE_BEGIN(quantized)

MIDTREAD_CLASS_ON_USE(FloatOperation)
class BasicFloatOperation : public Operator {
 public:
  /// `absent[i]`: input i of the operation is not given (a missing bias); the others come in order.
  BasicFloatOperation(std::shared_ptr<const ops::Operation> operation, std::vector<bool> absent)
      : operation_(std::move(operation)), absent_(std::move(absent)) {}
  std::string kind() const override { return std::string(kPrefix) + operation_->name(); }
  bool is_float() const override { return true; }
  const ops::Operation& operation() const { return *operation_; }
  const std::vector<bool>& absent() const { return absent_; }

  /// Runs once, on 0.5 everywhere, to learn the output's shape.
  Form form(const Forms& inputs) const override {
    std::vector<midtread::Tensor> samples;
    for (const Shape& shape : shapes_of(inputs)) {
      samples.emplace_back(shape, channels_last_strides(shape));
      samples.back().fill_(0.5f);
    }
    return {compute(samples).shape(), std::nullopt};
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    std::vector<midtread::Tensor> in;
    for (std::size_t i = 0; i < inputs.size(); ++i) in.push_back(real_input(inputs, i, operation_->name()));
    output = compute(in);
  }

  /// float_file.hpp knows the parameters of operations; io calls that.
  Record save() const override {
    throw UnsupportedError(kind(), "call quantized::save_operator for a float operation");
  }

  static constexpr char kPrefix[] = "float.";

 protected:
  std::vector<Shape> shapes_of(const Forms& inputs) const {
    require_count(inputs, static_cast<std::size_t>(std::count(absent_.begin(), absent_.end(), false)),
                  kind());
    std::vector<Shape> shapes;
    for (std::size_t i = 0; i < inputs.size(); ++i) shapes.push_back(real_form(inputs, i, kind()).shape);
    return shapes;
  }

 private:
  midtread::Tensor compute(const std::vector<midtread::Tensor>& given) const {
    const NoGradGuard no_grad;
    std::vector<midtread::Tensor> in;
    std::size_t next = 0;
    for (bool missing : absent_) in.push_back(missing ? midtread::Tensor() : given[next++]);
    return operation_->run(in, false);
  }

  std::shared_ptr<const ops::Operation> operation_;
  std::vector<bool> absent_;
};

MIDTREAD_NAMESPACE_END

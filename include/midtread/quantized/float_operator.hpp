// SPDX-License-Identifier: MIT
// A float island inside an int8 model: an operation, or a module kept in float, on real tensors.
#pragma once

#include <midtread/nn/module.hpp>
#include <midtread/quantized/operator.hpp>

#include <mutex>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// Runs a free operation in eval mode. Inputs that are not real steps are constants given here (weights).
class FloatOperation final : public Operator {
 public:
  /// `absent[i]`: input i of the operation was not given (a missing bias); the others come in order.
  FloatOperation(std::shared_ptr<const ops::Operation> operation, std::vector<bool> absent)
      : operation_(std::move(operation)), absent_(std::move(absent)) {}
  std::string kind() const override { return std::string("float.") + operation_->name(); }
  bool is_float() const override { return true; }
  const ops::Operation& operation() const { return *operation_; }
  const std::vector<bool>& absent() const { return absent_; }
  Value allocate(const Values& inputs) const override { return compute(inputs, true); }
  void run(const Values& inputs, Value& output, Workspace&) const override { output = compute(inputs, false); }
  Record save() const override {
    throw UnsupportedError(kind(), "a float " + std::string(operation_->name()) + " cannot be saved with an int8 model yet");
  }

 private:
  midtread::Tensor compute(const Values& inputs, bool sizes_only) const {
    const NoGradGuard no_grad;
    std::vector<midtread::Tensor> in;
    std::size_t next = 0;
    for (bool missing : absent_) {
      if (missing) {
        in.emplace_back();
        continue;
      }
      midtread::Tensor x = real_input(inputs, next++, operation_->name());
      if (sizes_only) {  // values are not there yet
        x = midtread::Tensor(x.shape(), x.strides());
        x.fill_(0.5f);
      }
      in.push_back(x);
    }
    return operation_->run(in, false);
  }

  std::shared_ptr<const ops::Operation> operation_;
  std::vector<bool> absent_;
};

/// Runs a module that stays float, in eval mode.
class FloatModule final : public Operator {
 public:
  explicit FloatModule(std::shared_ptr<nn::Module> module) : module_(std::move(module)), guard_(std::make_shared<std::mutex>()) {}
  std::string kind() const override { return "float." + module_->type_name(); }
  bool is_float() const override { return true; }
  const nn::Module& module() const { return *module_; }
  Value allocate(const Values& inputs) const override {
    std::vector<midtread::Tensor> in;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const midtread::Tensor& x = real_input(inputs, i, "module");
      midtread::Tensor sample(x.shape(), x.strides());
      sample.fill_(0.5f);
      in.push_back(sample);
    }
    return compute(in);
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    std::vector<midtread::Tensor> in;
    for (std::size_t i = 0; i < inputs.size(); ++i) in.push_back(real_input(inputs, i, "module"));
    output = compute(in);
  }
  std::int64_t parameter_bytes() const override {
    std::int64_t bytes = 0;
    for (const auto& item : module_->state_dict()) bytes += bytes_of(item.second);
    return bytes;
  }
  Record save() const override {
    throw UnsupportedError(kind(), "a module kept in float cannot be saved with an int8 model yet");
  }

 private:
  // A user's forward may keep state: one thread at a time.
  midtread::Tensor compute(const std::vector<midtread::Tensor>& in) const {
    const std::lock_guard<std::mutex> lock(*guard_);
    const NoGradGuard no_grad;
    return module_->forward_many(in).at(0);
  }

  std::shared_ptr<nn::Module> module_;
  std::shared_ptr<std::mutex> guard_;
};

MIDTREAD_NAMESPACE_END

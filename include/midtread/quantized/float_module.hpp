// SPDX-License-Identifier: MIT
// A user's opaque module inside an int8 model, on real tensors, in eval mode.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/nn/mode_guard.hpp>
#include <midtread/quantized/operator.hpp>

#include <mutex>

MIDTREAD_NAMESPACE_BEGIN(quantized)

MIDTREAD_CLASS_ON_USE(FloatModule)
class BasicFloatModule final : public Operator {
 public:
  explicit BasicFloatModule(std::shared_ptr<nn::Module> module)
      : module_(std::move(module)), guard_(std::make_shared<std::mutex>()) {}
  std::string kind() const override { return "float." + module_->type_name(); }
  bool is_float() const override { return true; }
  const nn::Module& module() const { return *module_; }
  /// Runs it once on 0.5 everywhere.
  Form form(const Forms& inputs) const override {
    std::vector<midtread::Tensor> samples;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Shape& shape = real_form(inputs, i, kind()).shape;
      samples.emplace_back(shape, channels_last_strides(shape));
      samples.back().fill_(0.5f);
    }
    return {compute(samples).shape(), std::nullopt};
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    std::vector<midtread::Tensor> in;
    for (std::size_t i = 0; i < inputs.size(); ++i) in.push_back(real_input(inputs, i, "module"));
    output = compute(in);
  }
  std::int64_t parameter_bytes() const override {
    std::int64_t bytes = 0;
    for (const auto& item : module_->state_dict()) bytes += item.second.bytes();
    return bytes;
  }
  Record save() const override {
    throw UnsupportedError(
        module_->type_name(),
        "an opaque module cannot be saved; let it be traced, or keep it out of the int8 model");
  }

 private:
  // A user's forward may keep state: one thread at a time. The module may be one that is still in training.
  midtread::Tensor compute(const std::vector<midtread::Tensor>& in) const {
    const std::lock_guard<std::mutex> lock(*guard_);
    const NoGradGuard no_grad;
    const nn::ModeGuard modes(*module_);
    module_->eval();
    return module_->forward_many(in).at(0);
  }

  std::shared_ptr<nn::Module> module_;
  std::shared_ptr<std::mutex> guard_;
};

MIDTREAD_NAMESPACE_END

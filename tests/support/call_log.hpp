// SPDX-License-Identifier: MIT
// A recorder that writes down what a tracer would see: "enter ReLU", "relu", "leaf Conv2d", "leave".
#pragma once

#include <midtread/nn/module.hpp>

#include <string>
#include <vector>

namespace midtread::test {

class CallLog final : public ops::Recorder {
 public:
  CallLog() : before_(ops::recorder()) { ops::recorder() = this; }
  ~CallLog() override { ops::recorder() = before_; }

  void enter(nn::Module& module) override { calls.push_back("enter " + module.type_name()); }
  void leave() override { calls.push_back("leave"); }
  void function(std::shared_ptr<const ops::Operation> operation, const Tensors&, const Tensor&) override {
    calls.push_back(operation->name());
    operations.push_back(std::move(operation));
  }
  void leaf(nn::Module& module, const Tensors& inputs, const Tensors& outputs) override {
    calls.push_back(concat("leaf ", module.type_name(), ' ', inputs.size(), "->", outputs.size()));
  }

  std::vector<std::string> calls;
  std::vector<std::shared_ptr<const ops::Operation>> operations;

 private:
  ops::Recorder* before_;
};

using Calls = std::vector<std::string>;

}  // namespace midtread::test

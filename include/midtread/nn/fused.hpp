// SPDX-License-Identifier: MIT
// What fuse_modules makes of convolution or linear + batch norm + ReLU: one module, the same float
// arithmetic.
#pragma once

#include <midtread/nn/batch_norm.hpp>
#include <midtread/ops/activation.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

enum class FusedActivation { kNone, kRelu, kRelu6 };

inline Tensor apply_activation(FusedActivation activation, const Tensor& x) {
  switch (activation) {
    case FusedActivation::kRelu: return ops::Relu{}(x);
    case FusedActivation::kRelu6: return ops::Relu6{}(x);
    case FusedActivation::kNone: break;
  }
  return x;
}

/// Ends the names of fused layers.
inline const char* to_string(FusedActivation activation) {
  switch (activation) {
    case FusedActivation::kRelu: return "ReLU";
    case FusedActivation::kRelu6: return "ReLU6";
    case FusedActivation::kNone: break;
  }
  return "";
}
/// The activation alone; null for none.
inline std::shared_ptr<const ops::Operation> activation_operation(FusedActivation activation) {
  switch (activation) {
    case FusedActivation::kRelu: return ops::make_operation(ops::Relu{});
    case FusedActivation::kRelu6: return ops::make_operation(ops::Relu6{});
    case FusedActivation::kNone: break;
  }
  return nullptr;
}

/// y = activation(batch_norm(layer(x))). Shares the layer's parameters under their names ("weight", "bias")
/// and holds the batch norm as "bn".
class FusedImpl : public Leaf<FusedImpl> {
 public:
  /// `bn` may be null. `layer` is a Linear, Conv1d, Conv2d or ConvTranspose2d.
  FusedImpl(std::shared_ptr<Module> layer, std::shared_ptr<Module> bn, FusedActivation activation)
      : layer_(std::move(layer)), bn_(std::move(bn)), activation_(activation) {
    for (const auto& p : layer_->own_parameters())
      if (p.second.defined()) register_parameter(p.first, p.second, p.second.requires_grad());
    if (bn_) register_module("bn", bn_);
    Module::train(layer_->training());
  }

  void train(bool on = true) override {
    Leaf<FusedImpl>::train(on);
    layer_->train(on);
  }

  Tensor forward(const Tensor& x) override {
    return record_leaf({x},
                       [&] {
                         Tensor y = layer_->forward(x);
                         if (bn_) y = bn_->forward(y);
                         return Tensors{apply_activation(activation_, y)};
                       })
        .at(0);
  }
  std::string type_name() const override {
    return layer_->type_name() + (bn_ ? "Bn" : "") + to_string(activation_);
  }
  std::string extra_repr() const override { return layer_->extra_repr(); }

  const std::shared_ptr<Module>& layer() const { return layer_; }
  const std::shared_ptr<Module>& bn() const { return bn_; }
  FusedActivation activation() const { return activation_; }

 protected:
  // The layer is not a child: its parameters are known under the names of this module.
  void clone_references(CloneMap& map) override { layer_ = layer_->clone(map); }
  void rebind() override {
    if (bn_) bn_ = children().at("bn");
  }

 private:
  std::shared_ptr<Module> layer_;
  std::shared_ptr<Module> bn_;
  FusedActivation activation_;
};

MIDTREAD_NAMESPACE_END

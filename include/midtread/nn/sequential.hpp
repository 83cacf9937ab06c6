// SPDX-License-Identifier: MIT
// Modules called one after the other.
//
//   nn::Sequential net(nn::Conv2d(1, 8, 3), nn::ReLU(), nn::Flatten());
//   nn::Sequential named({{"conv", nn::Conv2d(1, 8, 3)}, {"relu", nn::ReLU()}});
#pragma once

#include <midtread/nn/named_module.hpp>
#include <midtread/nn/scope.hpp>

#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Children are named "0", "1", ... where no name is given.
template <class Scalar>
class BasicSequentialImpl : public Leaf<BasicSequentialImpl<Scalar>, Scalar> {
 public:
  using T = BasicTensor<Scalar>;
  using Ts = std::vector<T>;
  using Pointer = std::shared_ptr<BasicModule<Scalar>>;
  using Named = NamedModule<Scalar>;

  BasicSequentialImpl() = default;
  BasicSequentialImpl(std::initializer_list<Named> modules) {
    for (const Named& module : modules) push_back(module.name, module.module);
  }
  template <class First, class... Rest, class = std::enable_if_t<is_module_v<First, Scalar>>>
  explicit BasicSequentialImpl(const First& first, const Rest&... rest) {
    push_back(first);
    (push_back(rest), ...);
  }

  /// `module` is a holder or a shared_ptr.
  template <class Child>
  void push_back(const Child& module) {
    push_back(concat(this->children().size()), module);
  }
  template <class Child>
  void push_back(const std::string& name, const Child& module) {
    this->register_module(name, pointer_to<Scalar>(module));
  }

  std::size_t size() const noexcept { return this->children().size(); }
  bool is_empty() const noexcept { return size() == 0; }
  /// Throws ConfigError behind the last.
  Pointer operator[](std::size_t i) const { return child_at(*this, i); }
  /// The i-th module as its own class; ConfigError if it is another.
  template <class Impl>
  Impl& at(std::size_t i) const {
    return child_as<Impl>(*this, i);
  }

  T forward(const T& input) override { return forward_many({input}).at(0); }
  Ts forward_many(const Ts& inputs) override {
    const Scope scope(*this);
    Ts values = inputs;
    for (auto& child : this->children()) values = child.second->call(values);
    return values;
  }
  std::string type_name() const override { return "Sequential"; }
};

using SequentialImpl = BasicSequentialImpl<float>;

class Sequential : public ModuleHolder<SequentialImpl> {
 public:
  using ModuleHolder<SequentialImpl>::ModuleHolder;
  Sequential() = default;
  Sequential(std::initializer_list<NamedModule<float>> modules)
      : ModuleHolder<SequentialImpl>(std::make_shared<SequentialImpl>(modules)) {}
};

MIDTREAD_NAMESPACE_END

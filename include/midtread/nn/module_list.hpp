// SPDX-License-Identifier: MIT
// A list of modules that the owner's forward calls as it likes.
#pragma once

#include <midtread/nn/named_module.hpp>

#include <string>
#include <type_traits>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Children are named "0", "1", ... There is no forward.
template <class Scalar>
class BasicModuleListImpl : public Leaf<BasicModuleListImpl<Scalar>, Scalar> {
 public:
  using Pointer = std::shared_ptr<BasicModule<Scalar>>;

  BasicModuleListImpl() = default;
  template <class First, class... Rest, class = std::enable_if_t<is_module_v<First, Scalar>>>
  explicit BasicModuleListImpl(const First& first, const Rest&... rest) {
    push_back(first);
    (push_back(rest), ...);
  }

  /// `module` is a holder or a shared_ptr.
  template <class Child>
  void push_back(const Child& module) {
    this->register_module(concat(this->children().size()), pointer_to<Scalar>(module));
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
  /// Calls the i-th module.
  BasicTensor<Scalar> call(std::size_t i, const BasicTensor<Scalar>& input) const {
    return (*this)[i]->call({input}).at(0);
  }
  using BasicModule<Scalar>::call;

  std::string type_name() const override { return "ModuleList"; }
};

using ModuleListImpl = BasicModuleListImpl<float>;
MIDTREAD_MODULE(ModuleList);

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The handle users write: nn::Conv2d is a shared Conv2dImpl that can be called.
#pragma once

#include <midtread/nn/module.hpp>

#include <initializer_list>
#include <type_traits>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Shared ownership of an `Impl` derived from BasicModule. Arguments of the constructor go to Impl's.
template <class Impl>
class ModuleHolder {
 public:
  using Contained = Impl;
  using T = typename Impl::T;

  ModuleHolder() : impl_(std::make_shared<Impl>()) {}
  ModuleHolder(std::nullptr_t) {}  // NOLINT: empty on purpose, for members that are set later
  ModuleHolder(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}  // NOLINT: converts like a pointer
  template <class First, class... Rest,
            class = std::enable_if_t<!(sizeof...(Rest) == 0 && (std::is_base_of_v<ModuleHolder, std::decay_t<First>> ||
                                                                std::is_same_v<std::decay_t<First>, std::nullptr_t> ||
                                                                std::is_convertible_v<First, std::shared_ptr<Impl>>))>>
  explicit ModuleHolder(First&& first, Rest&&... rest)
      : impl_(std::make_shared<Impl>(std::forward<First>(first), std::forward<Rest>(rest)...)) {}

  Impl* operator->() const { return &get(); }
  Impl& operator*() const { return get(); }
  const std::shared_ptr<Impl>& ptr() const noexcept { return impl_; }
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  T operator()(const T& input) const { return get().call({input}).at(0); }
  std::vector<T> operator()(const std::vector<T>& inputs) const { return get().call(inputs); }

 private:
  Impl& get() const {
    if (!impl_) throw StateError("module", "this holder is empty; assign a module first");
    return *impl_;
  }
  std::shared_ptr<Impl> impl_;
};

MIDTREAD_NAMESPACE_END

/// Defines the holder `Name` of `NameImpl`, as LibTorch's TORCH_MODULE.
#define MIDTREAD_MODULE(Name)                                                       \
  class Name : public ::midtread::nn::ModuleHolder<Name##Impl> {                    \
   public:                                                                          \
    using ::midtread::nn::ModuleHolder<Name##Impl>::ModuleHolder;                   \
  }

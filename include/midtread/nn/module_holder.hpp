// SPDX-License-Identifier: MIT
// The handle users write: nn::Conv2d is a shared Conv2dImpl that can be called.
#pragma once

#include <midtread/nn/module.hpp>

#include <initializer_list>
#include <type_traits>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Whether `Pointer` is a std::shared_ptr to Impl or to a class derived from it.
template <class Impl, class Pointer>
struct OwnsA : std::false_type {};
template <class Impl, class Derived>
struct OwnsA<Impl, std::shared_ptr<Derived>> : std::is_base_of<Impl, Derived> {};

/// Shared ownership of an `Impl` derived from BasicModule. Arguments of the constructor go to Impl's. (Owned
/// as a BasicModule: a shared_ptr class of its own for every Impl is slow to compile.)
template <class Impl>
class ModuleHolder {
 public:
  using Contained = Impl;
  using T = typename Impl::T;
  using Owner = typename Impl::Pointer;

  ModuleHolder() : ModuleHolder(new Impl, Made{}) {}
  ModuleHolder(std::nullptr_t) {}  // NOLINT: empty on purpose, for members that are set later
  /// From a std::shared_ptr<Impl> (or of a class derived from it), or from what Impl's constructor takes.
  template <class First, class... Rest,
            class = std::enable_if_t<!(sizeof...(Rest) == 0 &&
                                       (std::is_base_of_v<ModuleHolder, std::decay_t<First>> ||
                                        std::is_same_v<std::decay_t<First>, std::nullptr_t> ||
                                        OwnsA<Impl, std::decay_t<First>>::value))>>
  explicit ModuleHolder(First&& first, Rest&&... rest)
      : ModuleHolder(new Impl(std::forward<First>(first), std::forward<Rest>(rest)...), Made{}) {}
  template <class Derived, class = std::enable_if_t<std::is_base_of_v<Impl, Derived>>>
  ModuleHolder(std::shared_ptr<Derived> impl) : impl_(impl.get()), owner_(std::move(impl)) {}  // NOLINT

  Impl* operator->() const { return &get(); }
  Impl& operator*() const { return get(); }
  std::shared_ptr<Impl> ptr() const noexcept { return std::shared_ptr<Impl>(owner_, impl_); }
  const Owner& module() const noexcept { return owner_; }
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  T operator()(const T& input) const { return get().call({input}).at(0); }
  std::vector<T> operator()(const std::vector<T>& inputs) const { return get().call(inputs); }

 private:
  struct Made {};
  ModuleHolder(Impl* made, Made) : impl_(made), owner_(made) {}
  Impl& get() const {
    if (!impl_) throw StateError("module", "this holder is empty; assign a module first");
    return *impl_;
  }

  Impl* impl_ = nullptr;
  Owner owner_;
};

MIDTREAD_NAMESPACE_END

/// Defines the holder `Name` of `NameImpl`, as LibTorch's TORCH_MODULE.
#define MIDTREAD_MODULE(Name)                                     \
  class Name : public ::midtread::nn::ModuleHolder<Name##Impl> {  \
   public:                                                        \
    using ::midtread::nn::ModuleHolder<Name##Impl>::ModuleHolder; \
  }

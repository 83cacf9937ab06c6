// SPDX-License-Identifier: MIT
// What containers take: a holder or a shared_ptr, perhaps with a name; and how they give a child back.
#pragma once

#include <midtread/nn/module_holder.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(nn)

template <class Child, class Scalar, class = void>
struct IsModule : std::is_convertible<Child, std::shared_ptr<BasicModule<Scalar>>> {};
template <class Child, class Scalar>
struct IsModule<Child, Scalar, std::void_t<decltype(std::declval<const Child&>().module())>>
    : std::is_convertible<decltype(std::declval<const Child&>().module()),
                          std::shared_ptr<BasicModule<Scalar>>> {};
/// A holder of a module over `Scalar`, or a shared_ptr to one.
template <class Child, class Scalar>
inline constexpr bool is_module_v = IsModule<Child, Scalar>::value;

/// The module behind a holder or a shared_ptr. Throws StateError if it is empty.
template <class Scalar, class Child>
std::shared_ptr<BasicModule<Scalar>> pointer_to(const Child& child) {
  static_assert(is_module_v<Child, Scalar>,
                "a container takes module holders (nn::ReLU()) or shared_ptr<Module>");
  std::shared_ptr<BasicModule<Scalar>> pointer;
  if constexpr (std::is_convertible_v<Child, std::shared_ptr<BasicModule<Scalar>>>)
    pointer = child;
  else
    pointer = child.module();
  if (!pointer)
    throw StateError("module", "an empty holder cannot be put into a container; assign a module first");
  return pointer;
}

/// {"conv", nn::Conv2d(1, 8, 3)}
template <class Scalar>
struct NamedModule {
  template <class Child, class = std::enable_if_t<is_module_v<Child, Scalar>>>
  NamedModule(std::string its_name, const Child& child)
      : name(std::move(its_name)), module(pointer_to<Scalar>(child)) {}
  std::string name;
  std::shared_ptr<BasicModule<Scalar>> module;
};

/// The i-th child of a container. Throws ConfigError behind the last.
template <class Scalar>
std::shared_ptr<BasicModule<Scalar>> child_at(const BasicModule<Scalar>& container, std::size_t i) {
  if (i >= container.children().size())
    throw ConfigError(container.type_name(),
                      concat("no module ", i, ", there are ", container.children().size()));
  return (container.children().begin() + static_cast<std::ptrdiff_t>(i))->second;
}
/// The same as its own class; ConfigError if it is another.
template <class Impl, class Scalar>
Impl& child_as(const BasicModule<Scalar>& container, std::size_t i) {
  const auto child = child_at(container, i);
  if (auto* typed = dynamic_cast<Impl*>(child.get())) return *typed;
  throw ConfigError(container.type_name(),
                    concat("module ", i, " is a ", child->type_name(), ", not of the class asked for"));
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// A module as text, one line per submodule, as PyTorch prints it.
#pragma once

#include <midtread/nn/module_holder.hpp>

#include <ostream>
#include <string>

MIDTREAD_NAMESPACE_BEGIN(nn::detail)

template <class Scalar>
void print_module(std::ostream& out, const BasicModule<Scalar>& module, const std::string& indent) {
  out << module.type_name() << '(';
  const std::string extra = module.extra_repr();
  if (module.children().empty()) {
    out << extra << ')';
    return;
  }
  const std::string inner = indent + "  ";
  if (!extra.empty()) out << '\n' << inner << extra;
  for (const auto& child : module.children()) {
    out << '\n' << inner << '(' << child.first << "): ";
    if (child.second)
      print_module(out, *child.second, inner);
    else
      out << "None";
  }
  out << '\n' << indent << ')';
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(nn)

template <class Scalar>
std::ostream& operator<<(std::ostream& out, const BasicModule<Scalar>& module) {
  detail::print_module(out, module, "");
  return out;
}
template <class Impl>
std::ostream& operator<<(std::ostream& out, const ModuleHolder<Impl>& holder) {
  if (!holder) return out << "None";
  return out << static_cast<const BasicModule<typename Impl::T::scalar_type>&>(*holder);
}

MIDTREAD_NAMESPACE_END

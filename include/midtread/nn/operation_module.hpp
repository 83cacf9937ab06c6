// SPDX-License-Identifier: MIT
// A module without state: its forward is one operation.
#pragma once

#include <midtread/nn/module_holder.hpp>
#include <midtread/nn/scope.hpp>

#include <utility>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// `Op` is one of midtread::ops.
template <class Derived, class Op, class Scalar>
class OperationModule : public Leaf<Derived, Scalar> {
 public:
  using T = BasicTensor<Scalar>;
  explicit OperationModule(Op operation = {}) : operation_(std::move(operation)) {}

  T forward(const T& input) override {
    const Scope scope(*this);
    return ops::record(operation_, input);
  }
  const Op& operation() const noexcept { return operation_; }

 protected:
  Op operation_;
};

MIDTREAD_NAMESPACE_END

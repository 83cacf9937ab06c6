// SPDX-License-Identifier: MIT
// y = relu(a + b), one operation so that it is quantized once.
#pragma once

#include <midtread/ops/activation.hpp>
#include <midtread/ops/elementwise.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Broadcasts as Add.
struct AddRelu {
  static constexpr const char* kName = "add_relu";

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& a, const BasicTensor<S>& b) const {
    return Relu{}(Add{}(a, b));
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> add_relu(const BasicTensor<S>& a, const BasicTensor<S>& b) {
  return ops::record(ops::AddRelu{}, a, b);
}

MIDTREAD_ROOT_NAMESPACE_END

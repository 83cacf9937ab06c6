// SPDX-License-Identifier: MIT
// Flatten as a module: [N, C, H, W] to [N, C * H * W], in logical order.
#pragma once

#include <midtread/nn/operation_module.hpp>
#include <midtread/ops/view.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

template <class Scalar>
class BasicFlattenImpl : public OperationModule<BasicFlattenImpl<Scalar>, ops::Flatten, Scalar> {
 public:
  explicit BasicFlattenImpl(int start_dim = 1, int end_dim = -1)
      : OperationModule<BasicFlattenImpl<Scalar>, ops::Flatten, Scalar>(ops::Flatten{start_dim, end_dim}) {}
  std::string type_name() const override { return "Flatten"; }
  std::string extra_repr() const override {
    return concat("start_dim=", this->operation_.start, ", end_dim=", this->operation_.end);
  }
};

using FlattenImpl = BasicFlattenImpl<float>;
MIDTREAD_MODULE(Flatten);

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Dropout layer: active in train mode, the identity in eval.
#pragma once

#include <midtread/nn/operation_module.hpp>
#include <midtread/ops/dropout.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Throws ConfigError unless 0 <= p <= 1.
template <class Scalar>
class BasicDropoutImpl : public OperationModule<BasicDropoutImpl<Scalar>, ops::Dropout, Scalar> {
 public:
  using T = BasicTensor<Scalar>;
  explicit BasicDropoutImpl(double p = 0.5)
      : OperationModule<BasicDropoutImpl<Scalar>, ops::Dropout, Scalar>(ops::Dropout{p}) {
    if (!(p >= 0.0 && p <= 1.0)) throw ConfigError("Dropout", concat("p is ", p, ", allowed 0..1"));
  }
  T forward(const T& input) override {
    const Scope scope(*this);
    ops::Dropout op = this->operation_;
    op.training = this->training();
    return ops::record(op, input);
  }
  std::string type_name() const override { return "Dropout"; }
  std::string extra_repr() const override { return concat("p=", this->operation_.p); }
};

using DropoutImpl = BasicDropoutImpl<float>;
MIDTREAD_MODULE(Dropout);

MIDTREAD_NAMESPACE_END

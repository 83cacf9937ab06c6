// SPDX-License-Identifier: MIT
// A placeholder: gives its input back.
#pragma once

#include <midtread/nn/module_holder.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

template <class Scalar>
class BasicIdentityImpl : public Leaf<BasicIdentityImpl<Scalar>, Scalar> {
 public:
  BasicTensor<Scalar> forward(const BasicTensor<Scalar>& input) override { return input; }
  std::string type_name() const override { return "Identity"; }
};

using IdentityImpl = BasicIdentityImpl<float>;
MIDTREAD_MODULE(Identity);

MIDTREAD_NAMESPACE_END

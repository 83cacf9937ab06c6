// SPDX-License-Identifier: MIT
// Nearest-neighbour enlargement of [N, C, H, W] by whole factors.
#pragma once

#include <midtread/nn/operation_module.hpp>
#include <midtread/nn/options.hpp>
#include <midtread/ops/upsample.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Throws ConfigError on a factor below 1.
template <class Scalar>
class BasicUpsampleImpl : public OperationModule<BasicUpsampleImpl<Scalar>, ops::UpsampleNearest2d, Scalar> {
 public:
  explicit BasicUpsampleImpl(const Pair& scale_factor)
      : OperationModule<BasicUpsampleImpl<Scalar>, ops::UpsampleNearest2d, Scalar>(
            ops::UpsampleNearest2d{scale_factor[0], scale_factor[1]}) {
    detail::check_at_least("Upsample", "scale_factor", scale_factor, 1);
  }
  std::string type_name() const override { return "Upsample"; }
  std::string extra_repr() const override {
    return concat("scale_factor=", Pair(this->operation_.scale_height, this->operation_.scale_width),
                  ", mode='nearest'");
  }
};

using UpsampleImpl = BasicUpsampleImpl<float>;
MIDTREAD_MODULE(Upsample);

MIDTREAD_NAMESPACE_END

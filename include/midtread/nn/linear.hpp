// SPDX-License-Identifier: MIT
// Fully connected layer: y = x W^T + b
#pragma once

#include <midtread/nn/init.hpp>
#include <midtread/nn/module_holder.hpp>
#include <midtread/nn/options.hpp>
#include <midtread/ops/matmul.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

struct LinearOptions {
  LinearOptions(std::int64_t in, std::int64_t out) : in_features_(in), out_features_(out) {}
  MIDTREAD_OPTION(std::int64_t, in_features);
  MIDTREAD_OPTION(std::int64_t, out_features);
  MIDTREAD_OPTION(bool, bias) = true;
};

/// [..., in_features] to [..., out_features]. Throws ConfigError on sizes below 1.
template <class Scalar>
class BasicLinearImpl : public Leaf<BasicLinearImpl<Scalar>, Scalar> {
 public:
  using T = BasicTensor<Scalar>;
  using Ts = std::vector<T>;

  BasicLinearImpl(std::int64_t in, std::int64_t out) : BasicLinearImpl(LinearOptions(in, out)) {}
  explicit BasicLinearImpl(const LinearOptions& from) : options(from) {
    detail::check_at_least("Linear", "in_features", options.in_features(), 1);
    detail::check_at_least("Linear", "out_features", options.out_features(), 1);
    weight = this->register_parameter("weight", T(Shape{options.out_features(), options.in_features()}));
    bias = this->register_parameter("bias", options.bias() ? T(Shape{options.out_features()}) : T());
    reset_parameters();
  }

  void reset_parameters() { init::reset_layer_(weight, bias); }
  T forward(const T& input) override {
    return this->record_leaf({input}, [&] { return Ts{operation()(input, weight, bias)}; }).at(0);
  }
  ops::Linear operation() const { return {}; }

  std::string type_name() const override { return "Linear"; }
  std::string extra_repr() const override {
    return concat("in_features=", options.in_features(), ", out_features=", options.out_features(),
                  ", bias=", detail::python(options.bias()));
  }

  LinearOptions options;
  T weight;  ///< [out_features, in_features]
  T bias;    ///< [out_features], or undefined

 protected:
  void rebind() override {
    weight = this->own_parameters().at("weight");
    bias = this->own_parameters().at("bias");
  }
};

using LinearImpl = BasicLinearImpl<float>;
MIDTREAD_MODULE(Linear);

MIDTREAD_NAMESPACE_END

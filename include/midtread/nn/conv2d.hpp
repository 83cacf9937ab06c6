// SPDX-License-Identifier: MIT
// Two-dimensional convolution layer.
#pragma once

#include <midtread/nn/init.hpp>
#include <midtread/nn/module_holder.hpp>
#include <midtread/nn/options.hpp>
#include <midtread/ops/conv2d.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

struct Conv2dOptions {
  Conv2dOptions(std::int64_t in, std::int64_t out, const Pair& kernel)
      : in_channels_(in), out_channels_(out), kernel_size_(kernel) {}
  MIDTREAD_OPTION(std::int64_t, in_channels);
  MIDTREAD_OPTION(std::int64_t, out_channels);
  MIDTREAD_OPTION(Pair, kernel_size);
  MIDTREAD_OPTION(Pair, stride) = 1;
  MIDTREAD_OPTION(Pair, padding) = 0;
  MIDTREAD_OPTION(Pair, dilation) = 1;
  MIDTREAD_OPTION(std::int64_t, groups) = 1;
  MIDTREAD_OPTION(bool, bias) = true;
};

/// [N, in_channels, H, W] to [N, out_channels, outH, outW]. Throws ConfigError naming the option.
template <class Scalar>
class BasicConv2dImpl : public Leaf<BasicConv2dImpl<Scalar>, Scalar> {
 public:
  using T = BasicTensor<Scalar>;
  using Ts = std::vector<T>;

  BasicConv2dImpl(std::int64_t in, std::int64_t out, const Pair& kernel)
      : BasicConv2dImpl(Conv2dOptions(in, out, kernel)) {}
  explicit BasicConv2dImpl(const Conv2dOptions& from) : options(from) {
    detail::check_channels("Conv2d", options.in_channels(), options.out_channels(), options.groups());
    detail::check_at_least("Conv2d", "kernel_size", options.kernel_size(), 1);
    detail::check_at_least("Conv2d", "stride", options.stride(), 1);
    detail::check_at_least("Conv2d", "padding", options.padding(), 0);
    detail::check_at_least("Conv2d", "dilation", options.dilation(), 1);
    const Pair& kernel = options.kernel_size();
    weight = this->register_parameter(
        "weight",
        T(Shape{options.out_channels(), options.in_channels() / options.groups(), kernel[0], kernel[1]}));
    bias = this->register_parameter("bias", options.bias() ? T(Shape{options.out_channels()}) : T());
    reset_parameters();
  }

  void reset_parameters() { init::reset_layer_(weight, bias); }
  T forward(const T& input) override {
    return this->record_leaf({input}, [&] { return Ts{operation()(input, weight, bias)}; }).at(0);
  }
  ops::Conv2d operation() const {
    return {options.stride(), options.padding(), options.dilation(), options.groups()};
  }

  std::string type_name() const override { return "Conv2d"; }
  std::string extra_repr() const override {
    std::string text = concat(options.in_channels(), ", ", options.out_channels(),
                              ", kernel_size=", options.kernel_size(), ", stride=", options.stride());
    if (options.padding() != Pair(0)) text += concat(", padding=", options.padding());
    if (options.dilation() != Pair(1)) text += concat(", dilation=", options.dilation());
    if (options.groups() != 1) text += concat(", groups=", options.groups());
    return text + (options.bias() ? "" : ", bias=False");
  }

  Conv2dOptions options;
  T weight;  ///< [out_channels, in_channels / groups, kH, kW]
  T bias;    ///< [out_channels], or undefined

 protected:
  void rebind() override {
    weight = this->own_parameters().at("weight");
    bias = this->own_parameters().at("bias");
  }
};

using Conv2dImpl = BasicConv2dImpl<float>;
MIDTREAD_MODULE(Conv2d);

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// One-dimensional convolution layer.
#pragma once

#include <midtread/nn/init.hpp>
#include <midtread/nn/module_holder.hpp>
#include <midtread/nn/options.hpp>
#include <midtread/ops/conv1d.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

struct Conv1dOptions {
  Conv1dOptions(std::int64_t in, std::int64_t out, std::int64_t kernel)
      : in_channels_(in), out_channels_(out), kernel_size_(kernel) {}
  MIDTREAD_OPTION(std::int64_t, in_channels);
  MIDTREAD_OPTION(std::int64_t, out_channels);
  MIDTREAD_OPTION(std::int64_t, kernel_size);
  MIDTREAD_OPTION(std::int64_t, stride) = 1;
  MIDTREAD_OPTION(std::int64_t, padding) = 0;
  MIDTREAD_OPTION(std::int64_t, dilation) = 1;
  MIDTREAD_OPTION(std::int64_t, groups) = 1;
  MIDTREAD_OPTION(bool, bias) = true;
};

/// [N, in_channels, L] to [N, out_channels, outL]. Throws ConfigError naming the option.
template <class Scalar>
class BasicConv1dImpl : public Leaf<BasicConv1dImpl<Scalar>, Scalar> {
 public:
  using T = BasicTensor<Scalar>;
  using Ts = std::vector<T>;

  BasicConv1dImpl(std::int64_t in, std::int64_t out, std::int64_t kernel)
      : BasicConv1dImpl(Conv1dOptions(in, out, kernel)) {}
  explicit BasicConv1dImpl(const Conv1dOptions& from) : options(from) {
    detail::check_channels("Conv1d", options.in_channels(), options.out_channels(), options.groups());
    detail::check_at_least("Conv1d", "kernel_size", options.kernel_size(), 1);
    detail::check_at_least("Conv1d", "stride", options.stride(), 1);
    detail::check_at_least("Conv1d", "padding", options.padding(), 0);
    detail::check_at_least("Conv1d", "dilation", options.dilation(), 1);
    weight = this->register_parameter(
        "weight",
        T(Shape{options.out_channels(), options.in_channels() / options.groups(), options.kernel_size()}));
    bias = this->register_parameter("bias", options.bias() ? T(Shape{options.out_channels()}) : T());
    reset_parameters();
  }

  void reset_parameters() { init::reset_layer_(weight, bias); }
  T forward(const T& input) override {
    return this->record_leaf({input}, [&] { return Ts{operation()(input, weight, bias)}; }).at(0);
  }
  ops::Conv1d operation() const {
    return {options.stride(), options.padding(), options.dilation(), options.groups()};
  }

  std::string type_name() const override { return "Conv1d"; }
  std::string extra_repr() const override {
    std::string text = concat(options.in_channels(), ", ", options.out_channels(), ", kernel_size=(",
                              options.kernel_size(), ",), stride=(", options.stride(), ",)");
    if (options.padding() != 0) text += concat(", padding=(", options.padding(), ",)");
    if (options.dilation() != 1) text += concat(", dilation=(", options.dilation(), ",)");
    if (options.groups() != 1) text += concat(", groups=", options.groups());
    return text + (options.bias() ? "" : ", bias=False");
  }

  Conv1dOptions options;
  T weight;  ///< [out_channels, in_channels / groups, k]
  T bias;    ///< [out_channels], or undefined

 protected:
  void rebind() override {
    weight = this->own_parameters().at("weight");
    bias = this->own_parameters().at("bias");
  }
};

using Conv1dImpl = BasicConv1dImpl<float>;
MIDTREAD_MODULE(Conv1d);

MIDTREAD_NAMESPACE_END

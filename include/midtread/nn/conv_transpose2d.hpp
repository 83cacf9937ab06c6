// SPDX-License-Identifier: MIT
// Two-dimensional transposed convolution layer.
#pragma once

#include <midtread/nn/init.hpp>
#include <midtread/nn/module_holder.hpp>
#include <midtread/nn/options.hpp>
#include <midtread/ops/conv_transpose2d.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

struct ConvTranspose2dOptions {
  ConvTranspose2dOptions(std::int64_t in, std::int64_t out, const Pair& kernel)
      : in_channels_(in), out_channels_(out), kernel_size_(kernel) {}
  MIDTREAD_OPTION(std::int64_t, in_channels);
  MIDTREAD_OPTION(std::int64_t, out_channels);
  MIDTREAD_OPTION(Pair, kernel_size);
  MIDTREAD_OPTION(Pair, stride) = 1;
  MIDTREAD_OPTION(Pair, padding) = 0;
  MIDTREAD_OPTION(Pair, output_padding) = 0;
  MIDTREAD_OPTION(Pair, dilation) = 1;
  MIDTREAD_OPTION(std::int64_t, groups) = 1;
  MIDTREAD_OPTION(bool, bias) = true;
};

/// [N, in_channels, H, W] to [N, out_channels, outH, outW]. Throws ConfigError naming the option.
template <class Scalar>
class BasicConvTranspose2dImpl : public Leaf<BasicConvTranspose2dImpl<Scalar>, Scalar> {
 public:
  using T = BasicTensor<Scalar>;
  using Ts = std::vector<T>;

  BasicConvTranspose2dImpl(std::int64_t in, std::int64_t out, const Pair& kernel)
      : BasicConvTranspose2dImpl(ConvTranspose2dOptions(in, out, kernel)) {}
  explicit BasicConvTranspose2dImpl(const ConvTranspose2dOptions& from) : options(from) {
    const char* const where = "ConvTranspose2d";
    detail::check_channels(where, options.in_channels(), options.out_channels(), options.groups());
    detail::check_at_least(where, "kernel_size", options.kernel_size(), 1);
    detail::check_at_least(where, "stride", options.stride(), 1);
    detail::check_at_least(where, "padding", options.padding(), 0);
    detail::check_at_least(where, "output_padding", options.output_padding(), 0);
    detail::check_at_least(where, "dilation", options.dilation(), 1);
    for (std::size_t i = 0; i < 2; ++i)
      if (options.output_padding()[i] >= std::max(options.stride()[i], options.dilation()[i]))
        throw ConfigError(where,
                          concat("output_padding is ", options.output_padding(), ", it must be below stride ",
                                 options.stride(), " or dilation ", options.dilation()));
    const Pair& kernel = options.kernel_size();
    weight = this->register_parameter(
        "weight",
        T(Shape{options.in_channels(), options.out_channels() / options.groups(), kernel[0], kernel[1]}));
    bias = this->register_parameter("bias", options.bias() ? T(Shape{options.out_channels()}) : T());
    reset_parameters();
  }

  void reset_parameters() { init::reset_layer_(weight, bias); }
  T forward(const T& input) override {
    return this->record_leaf({input}, [&] { return Ts{operation()(input, weight, bias)}; }).at(0);
  }
  ops::ConvTranspose2d operation() const {
    return {options.stride(), options.padding(), options.output_padding(), options.dilation(),
            options.groups()};
  }

  std::string type_name() const override { return "ConvTranspose2d"; }
  std::string extra_repr() const override {
    std::string text = concat(options.in_channels(), ", ", options.out_channels(),
                              ", kernel_size=", options.kernel_size(), ", stride=", options.stride());
    if (options.padding() != Pair(0)) text += concat(", padding=", options.padding());
    if (options.dilation() != Pair(1)) text += concat(", dilation=", options.dilation());
    if (options.output_padding() != Pair(0)) text += concat(", output_padding=", options.output_padding());
    if (options.groups() != 1) text += concat(", groups=", options.groups());
    return text + (options.bias() ? "" : ", bias=False");
  }

  ConvTranspose2dOptions options;
  T weight;  ///< [in_channels, out_channels / groups, kH, kW]
  T bias;    ///< [out_channels], or undefined

 protected:
  void rebind() override {
    weight = this->own_parameters().at("weight");
    bias = this->own_parameters().at("bias");
  }
};

using ConvTranspose2dImpl = BasicConvTranspose2dImpl<float>;
MIDTREAD_MODULE(ConvTranspose2d);

MIDTREAD_NAMESPACE_END

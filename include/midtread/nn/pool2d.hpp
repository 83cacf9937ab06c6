// SPDX-License-Identifier: MIT
// Pooling layers over [N, C, H, W].
#pragma once

#include <midtread/nn/operation_module.hpp>
#include <midtread/nn/options.hpp>
#include <midtread/ops/pool2d.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

struct MaxPool2dOptions {
  MaxPool2dOptions(const Pair& kernel) : kernel_size_(kernel), stride_(kernel) {}  // NOLINT: MaxPool2d(2)
  MIDTREAD_OPTION(Pair, kernel_size);
  MIDTREAD_OPTION(Pair, stride);  ///< kernel_size if not set
  MIDTREAD_OPTION(Pair, padding) = 0;
  MIDTREAD_OPTION(Pair, dilation) = 1;
  MIDTREAD_OPTION(bool, ceil_mode) = false;
};

struct AvgPool2dOptions {
  AvgPool2dOptions(const Pair& kernel) : kernel_size_(kernel), stride_(kernel) {}  // NOLINT: AvgPool2d(2)
  MIDTREAD_OPTION(Pair, kernel_size);
  MIDTREAD_OPTION(Pair, stride);  ///< kernel_size if not set
  MIDTREAD_OPTION(Pair, padding) = 0;
  MIDTREAD_OPTION(bool, ceil_mode) = false;
  MIDTREAD_OPTION(bool, count_include_pad) = true;
};

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(nn::detail)

inline void check_pool(const char* where, const Pair& kernel, const Pair& stride, const Pair& padding) {
  check_at_least(where, "kernel_size", kernel, 1);
  check_at_least(where, "stride", stride, 1);
  check_at_least(where, "padding", padding, 0);
  for (std::size_t i = 0; i < 2; ++i)
    if (padding[i] > kernel[i] / 2)
      throw ConfigError(where,
                        concat("padding is ", padding, ", allowed up to half of kernel_size ", kernel));
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Throws ConfigError naming the option.
template <class Scalar>
class BasicMaxPool2dImpl : public OperationModule<BasicMaxPool2dImpl<Scalar>, ops::MaxPool2d, Scalar> {
 public:
  explicit BasicMaxPool2dImpl(const Pair& kernel) : BasicMaxPool2dImpl(MaxPool2dOptions(kernel)) {}
  explicit BasicMaxPool2dImpl(const MaxPool2dOptions& from)
      : OperationModule<BasicMaxPool2dImpl<Scalar>, ops::MaxPool2d, Scalar>(ops::MaxPool2d{
            from.kernel_size(), from.stride(), from.padding(), from.dilation(), from.ceil_mode()}),
        options(from) {
    detail::check_pool("MaxPool2d", options.kernel_size(), options.stride(), options.padding());
    detail::check_at_least("MaxPool2d", "dilation", options.dilation(), 1);
  }
  std::string type_name() const override { return "MaxPool2d"; }
  std::string extra_repr() const override {
    return concat("kernel_size=", detail::short_text(options.kernel_size()),
                  ", stride=", detail::short_text(options.stride()),
                  ", padding=", detail::short_text(options.padding()),
                  ", dilation=", detail::short_text(options.dilation()),
                  ", ceil_mode=", detail::python(options.ceil_mode()));
  }

  const MaxPool2dOptions options;
};

/// Throws ConfigError naming the option.
template <class Scalar>
class BasicAvgPool2dImpl : public OperationModule<BasicAvgPool2dImpl<Scalar>, ops::AvgPool2d, Scalar> {
 public:
  explicit BasicAvgPool2dImpl(const Pair& kernel) : BasicAvgPool2dImpl(AvgPool2dOptions(kernel)) {}
  explicit BasicAvgPool2dImpl(const AvgPool2dOptions& from)
      : OperationModule<BasicAvgPool2dImpl<Scalar>, ops::AvgPool2d, Scalar>(ops::AvgPool2d{
            from.kernel_size(), from.stride(), from.padding(), from.ceil_mode(), from.count_include_pad()}),
        options(from) {
    detail::check_pool("AvgPool2d", options.kernel_size(), options.stride(), options.padding());
  }
  std::string type_name() const override { return "AvgPool2d"; }
  std::string extra_repr() const override {
    return concat("kernel_size=", detail::short_text(options.kernel_size()),
                  ", stride=", detail::short_text(options.stride()),
                  ", padding=", detail::short_text(options.padding()));
  }

  const AvgPool2dOptions options;
};

/// Throws ConfigError on an output size below 1.
template <class Scalar>
class BasicAdaptiveAvgPool2dImpl
    : public OperationModule<BasicAdaptiveAvgPool2dImpl<Scalar>, ops::AdaptiveAvgPool2d, Scalar> {
 public:
  explicit BasicAdaptiveAvgPool2dImpl(const Pair& output_size)
      : OperationModule<BasicAdaptiveAvgPool2dImpl<Scalar>, ops::AdaptiveAvgPool2d, Scalar>(
            ops::AdaptiveAvgPool2d{output_size}) {
    detail::check_at_least("AdaptiveAvgPool2d", "output_size", output_size, 1);
  }
  std::string type_name() const override { return "AdaptiveAvgPool2d"; }
  std::string extra_repr() const override {
    return concat("output_size=", detail::short_text(this->operation_.output));
  }
};

using MaxPool2dImpl = BasicMaxPool2dImpl<float>;
using AvgPool2dImpl = BasicAvgPool2dImpl<float>;
using AdaptiveAvgPool2dImpl = BasicAdaptiveAvgPool2dImpl<float>;
MIDTREAD_MODULE(MaxPool2d);
MIDTREAD_MODULE(AvgPool2d);
MIDTREAD_MODULE(AdaptiveAvgPool2d);

MIDTREAD_NAMESPACE_END

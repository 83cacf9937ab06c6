// SPDX-License-Identifier: MIT
// Padding layers over [N, C, H, W].
#pragma once

#include <midtread/nn/operation_module.hpp>
#include <midtread/nn/options.hpp>
#include <midtread/ops/pad.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Left, right, top, bottom; one number fills all.
struct PadWidths {
  PadWidths(std::int64_t all) : PadWidths(all, all, all, all) {}  // NOLINT: ZeroPad2d(1)
  PadWidths(std::int64_t l, std::int64_t r, std::int64_t t, std::int64_t b)
      : left(l), right(r), top(t), bottom(b) {}
  std::int64_t left, right, top, bottom;
};

/// Throws ConfigError on a negative width.
template <class Scalar>
class BasicConstantPad2dImpl : public OperationModule<BasicConstantPad2dImpl<Scalar>, ops::Pad2d, Scalar> {
 public:
  BasicConstantPad2dImpl(const PadWidths& widths, double value)
      : OperationModule<BasicConstantPad2dImpl<Scalar>, ops::Pad2d, Scalar>(
            ops::Pad2d{widths.left, widths.right, widths.top, widths.bottom, value}) {
    for (const std::int64_t width : {widths.left, widths.right, widths.top, widths.bottom})
      detail::check_at_least("ConstantPad2d", "padding", width, 0);
  }
  std::string type_name() const override { return "ConstantPad2d"; }
  std::string extra_repr() const override {
    const ops::Pad2d& op = this->operation_;
    return concat("padding=(", op.left, ", ", op.right, ", ", op.top, ", ", op.bottom, "), value=", op.value);
  }
};

/// ConstantPad2d with 0.
template <class Scalar>
class BasicZeroPad2dImpl : public OperationModule<BasicZeroPad2dImpl<Scalar>, ops::Pad2d, Scalar> {
 public:
  explicit BasicZeroPad2dImpl(const PadWidths& widths)
      : OperationModule<BasicZeroPad2dImpl<Scalar>, ops::Pad2d, Scalar>(
            ops::Pad2d{widths.left, widths.right, widths.top, widths.bottom, 0.0}) {
    for (const std::int64_t width : {widths.left, widths.right, widths.top, widths.bottom})
      detail::check_at_least("ZeroPad2d", "padding", width, 0);
  }
  std::string type_name() const override { return "ZeroPad2d"; }
  std::string extra_repr() const override {
    const ops::Pad2d& op = this->operation_;
    return concat('(', op.left, ", ", op.right, ", ", op.top, ", ", op.bottom, ')');
  }
};

using ConstantPad2dImpl = BasicConstantPad2dImpl<float>;
using ZeroPad2dImpl = BasicZeroPad2dImpl<float>;
MIDTREAD_MODULE(ConstantPad2d);
MIDTREAD_MODULE(ZeroPad2d);

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Two-dimensional convolution (cross-correlation, as PyTorch):  y[n, o] = b[o] + sum over i of w[o, i] * x[n,
// i]
#pragma once

#include <midtread/kernels/float/conv2d_weights.hpp>
#include <midtread/ops/weighted.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Inputs x [N, I, H, W], weight [O, I/groups, kH, kW], bias [O] or undefined; output [N, O, outH, outW] with
/// out = (in + 2 padding - dilation (kernel - 1) - 1) / stride + 1. Throws ShapeError.
struct Conv2d {
  static constexpr const char* kName = "conv2d";
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> padding{0, 0};
  std::array<std::int64_t, 2> dilation{1, 1};
  std::int64_t groups = 1;

  std::string attributes() const {
    return concat("stride ", detail::text(stride), ", padding ", detail::text(padding), ", dilation ",
                  detail::text(dilation), ", groups ", groups);
  }

  /// The sizes of a call, checked.
  kernels::Conv2dShape shape(const Shape& x, const Shape& weight) const {
    if (x.rank() != 4) throw ShapeError(kName, concat("input has shape ", x, ", needs [N, C, H, W]"));
    if (weight.rank() != 4)
      throw ShapeError(kName, concat("weight has shape ", weight, ", needs [O, I/groups, kH, kW]"));
    detail::check_at_least(stride, 1, "stride", kName);
    detail::check_at_least(padding, 0, "padding", kName);
    detail::check_at_least(dilation, 1, "dilation", kName);
    if (groups < 1 || weight[0] % groups != 0)
      throw ShapeError(kName, concat("groups ", groups, " must divide ", weight[0], " output channels"));
    if (weight[0] < 1 || weight[1] < 1 || weight[2] < 1 || weight[3] < 1)
      throw ShapeError(kName, concat("weight has shape ", weight, ", every dimension must be at least 1"));
    if (x[1] != weight[1] * groups)
      throw ShapeError(kName, concat("weight ", weight, " with groups ", groups, " expects ",
                                     weight[1] * groups, " input channels, input has ", x[1]));
    kernels::Conv2dShape s;
    s.batch = x[0], s.in_channels = x[1], s.in_height = x[2], s.in_width = x[3];
    s.out_channels = weight[0], s.kernel_height = weight[2], s.kernel_width = weight[3];
    s.stride_height = stride[0], s.stride_width = stride[1];
    s.pad_height = padding[0], s.pad_width = padding[1];
    s.dilation_height = dilation[0], s.dilation_width = dilation[1];
    s.groups = groups;
    s.out_height = kernels::conv_output_size(x[2], weight[2], stride[0], padding[0], dilation[0]);
    s.out_width = kernels::conv_output_size(x[3], weight[3], stride[1], padding[1], dilation[1]);
    if (s.out_height < 1 || s.out_width < 1)
      throw ShapeError(kName, concat("kernel ", weight[2], "x", weight[3], " with dilation ",
                                     detail::text(dilation), " is larger than the padded input ",
                                     x[2] + 2 * padding[0], "x", x[3] + 2 * padding[1]));
    return s;
  }

  /// The value alone, without history.
  template <class S>
  BasicTensor<S> forward(const BasicTensor<S>& x, const BasicTensor<S>& weight,
                         const BasicTensor<S>& bias) const {
    const kernels::Conv2dShape s = shape(x.shape(), weight.shape());
    detail::check_bias(bias, s.out_channels, kName);
    const BasicTensor<S> input = x.channels_last(), w = weight.contiguous();
    const BasicTensor<S> b = bias.defined() ? bias.contiguous() : bias;
    BasicTensor<S> y = empty_channels_last<S>({s.batch, s.out_channels, s.out_height, s.out_width});
    kernels::floating::conv2d_forward(s, input.data(), w.data(), b.defined() ? b.data() : nullptr,
                                      y.mutable_data());
    return y;
  }
  /// dx [N, I, H, W] of `input_shape` from dy.
  template <class S>
  BasicTensor<S> input_gradient(const BasicTensor<S>& dy, const BasicTensor<S>& weight,
                                const Shape& input_shape) const {
    const kernels::Conv2dShape s = shape(input_shape, weight.shape());
    const BasicTensor<S> g = dy.channels_last(), w = weight.contiguous();
    BasicTensor<S> dx = empty_channels_last<S>(input_shape);
    kernels::floating::conv2d_input_gradient<S>(s, g.data(), w.data(), nullptr, dx.mutable_data());
    return dx;
  }
  /// dw of `weight_shape` from x and dy.
  template <class S>
  BasicTensor<S> weight_gradient(const BasicTensor<S>& x, const BasicTensor<S>& dy,
                                 const Shape& weight_shape) const {
    const kernels::Conv2dShape s = shape(x.shape(), weight_shape);
    const BasicTensor<S> input = x.channels_last(), g = dy.channels_last();
    BasicTensor<S> dw(weight_shape);
    kernels::floating::conv2d_weight_gradient(s, input.data(), g.data(), dw.mutable_data());
    return dw;
  }

  /// db [O] from dy.
  template <class S>
  BasicTensor<S> bias_gradient(const BasicTensor<S>& dy) const {
    return detail::channel_sums(dy);
  }

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x, const BasicTensor<S>& weight,
                            const BasicTensor<S>& bias) const {
    return with_gradient_of(*this, x, weight, bias, forward(x, weight, bias));
  }
};

/// `value` with the history of conv2d(x, weight, bias): for a forward that was computed in another way.
template <class S>
BasicTensor<S> with_gradient_of(const Conv2d& op, const BasicTensor<S>& x, const BasicTensor<S>& weight,
                                const BasicTensor<S>& bias, BasicTensor<S> value) {
  return detail::attach_weighted(op, x, weight, bias, std::move(value));
}

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> conv2d(const BasicTensor<S>& x, const BasicTensor<S>& weight, const BasicTensor<S>& bias = {},
                      const ops::Conv2d& parameters = {}) {
  return ops::record(parameters, x, weight, bias);
}

MIDTREAD_ROOT_NAMESPACE_END

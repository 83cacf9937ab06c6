// SPDX-License-Identifier: MIT
// Transposed two-dimensional convolution: the input gradient of a convolution as a forward.
//
//   y[n, o, iy * stride - padding + ky * dilation] += x[n, i, iy] * w[i, o, ky]
#pragma once

#include <midtread/kernels/float/conv2d_weights.hpp>
#include <midtread/ops/weighted.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Inputs x [N, I, H, W], weight [I, O/groups, kH, kW], bias [O] or undefined; output [N, O, outH, outW] with
/// out = (in - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1. Throws ShapeError.
struct ConvTranspose2d {
  static constexpr const char* kName = "conv_transpose2d";
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> padding{0, 0};
  std::array<std::int64_t, 2> output_padding{0, 0};
  std::array<std::int64_t, 2> dilation{1, 1};
  std::int64_t groups = 1;

  std::string attributes() const {
    return concat("stride ", detail::text(stride), ", padding ", detail::text(padding), ", output_padding ",
                  detail::text(output_padding), ", dilation ", detail::text(dilation), ", groups ", groups);
  }

  /// The sizes of the convolution from the output [N, O, outH, outW] to x whose input gradient this is,
  /// checked.
  kernels::Conv2dShape mirrored_shape(const Shape& x, const Shape& weight) const {
    if (x.rank() != 4) throw ShapeError(kName, concat("input has shape ", x, ", needs [N, C, H, W]"));
    if (weight.rank() != 4)
      throw ShapeError(kName, concat("weight has shape ", weight, ", needs [I, O/groups, kH, kW]"));
    detail::check_at_least(stride, 1, "stride", kName);
    detail::check_at_least(padding, 0, "padding", kName);
    detail::check_at_least(output_padding, 0, "output_padding", kName);
    detail::check_at_least(dilation, 1, "dilation", kName);
    if (groups < 1 || weight[0] % groups != 0)
      throw ShapeError(kName, concat("groups ", groups, " must divide ", weight[0], " input channels"));
    if (weight[0] < 1 || weight[1] < 1 || weight[2] < 1 || weight[3] < 1)
      throw ShapeError(kName, concat("weight has shape ", weight, ", every dimension must be at least 1"));
    if (x[1] != weight[0])
      throw ShapeError(
          kName, concat("weight ", weight, " expects ", weight[0], " input channels, input has ", x[1]));
    if (x[2] < 1 || x[3] < 1)
      throw ShapeError(kName, concat("input has shape ", x, ", needs at least one pixel"));
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}})
      if (output_padding[i] >= std::max(stride[i], dilation[i]))
        throw ShapeError(
            kName, concat("output_padding ", detail::text(output_padding), " must be smaller than stride ",
                          detail::text(stride), " or dilation ", detail::text(dilation)));
    kernels::Conv2dShape s;
    s.batch = x[0], s.out_channels = x[1], s.out_height = x[2], s.out_width = x[3];
    s.in_channels = weight[1] * groups, s.kernel_height = weight[2], s.kernel_width = weight[3];
    s.stride_height = stride[0], s.stride_width = stride[1];
    s.pad_height = padding[0], s.pad_width = padding[1];
    s.dilation_height = dilation[0], s.dilation_width = dilation[1];
    s.groups = groups;
    s.in_height = kernels::conv_transpose_output_size(x[2], weight[2], stride[0], padding[0], dilation[0],
                                                      output_padding[0]);
    s.in_width = kernels::conv_transpose_output_size(x[3], weight[3], stride[1], padding[1], dilation[1],
                                                     output_padding[1]);
    if (s.in_height < 1 || s.in_width < 1)
      throw ShapeError(kName, concat("padding ", detail::text(padding), " leaves an output of ", s.in_height,
                                     "x", s.in_width));
    return s;
  }

  /// The value alone, without history.
  template <class S>
  BasicTensor<S> forward(const BasicTensor<S>& x, const BasicTensor<S>& weight,
                         const BasicTensor<S>& bias) const {
    const kernels::Conv2dShape s = mirrored_shape(x.shape(), weight.shape());
    detail::check_bias(bias, s.in_channels, kName);
    const BasicTensor<S> input = x.channels_last(), w = weight.contiguous();
    const BasicTensor<S> b = bias.defined() ? bias.contiguous() : bias;
    BasicTensor<S> y = empty_channels_last<S>({s.batch, s.in_channels, s.in_height, s.in_width});
    kernels::floating::conv2d_input_gradient<S>(s, input.data(), w.data(), b.defined() ? b.data() : nullptr,
                                                y.mutable_data());
    return y;
  }
  /// dx [N, I, H, W] of `input_shape` from dy.
  template <class S>
  BasicTensor<S> input_gradient(const BasicTensor<S>& dy, const BasicTensor<S>& weight,
                                const Shape& input_shape) const {
    const kernels::Conv2dShape s = mirrored_shape(input_shape, weight.shape());
    const BasicTensor<S> g = dy.channels_last(), w = weight.contiguous();
    BasicTensor<S> dx = empty_channels_last<S>(input_shape);
    kernels::floating::conv2d_forward<S>(s, g.data(), w.data(), nullptr, dx.mutable_data());
    return dx;
  }
  /// dw of `weight_shape` from x and dy.
  template <class S>
  BasicTensor<S> weight_gradient(const BasicTensor<S>& x, const BasicTensor<S>& dy,
                                 const Shape& weight_shape) const {
    const kernels::Conv2dShape s = mirrored_shape(x.shape(), weight_shape);
    const BasicTensor<S> input = x.channels_last(), g = dy.channels_last();
    BasicTensor<S> dw(weight_shape);
    kernels::floating::conv2d_weight_gradient(s, g.data(), input.data(), dw.mutable_data());
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

/// `value` with the history of conv_transpose2d(x, weight, bias).
template <class S>
BasicTensor<S> with_gradient_of(const ConvTranspose2d& op, const BasicTensor<S>& x,
                                const BasicTensor<S>& weight, const BasicTensor<S>& bias,
                                BasicTensor<S> value) {
  return detail::attach_weighted(op, x, weight, bias, std::move(value));
}

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> conv_transpose2d(const BasicTensor<S>& x, const BasicTensor<S>& weight,
                                const BasicTensor<S>& bias = {},
                                const ops::ConvTranspose2d& parameters = {}) {
  return ops::record(parameters, x, weight, bias);
}

MIDTREAD_ROOT_NAMESPACE_END

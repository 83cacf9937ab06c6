// SPDX-License-Identifier: MIT
// What convolutions and linear layers share: checks of parameters and bias, the gradient of a bias, saved
// values.
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/kernels/float/channel_sum.hpp>
#include <midtread/ops/record.hpp>
#include <midtread/tensor/factory.hpp>

#include <array>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

using Pair = std::array<std::int64_t, 2>;

inline std::string text(const Pair& pair) { return concat(pair[0], "x", pair[1]); }

inline void check_at_least(const Pair& pair, std::int64_t low, const char* what, const char* where) {
  constexpr std::int64_t limit = std::int64_t{1} << 31;
  for (const std::int64_t value : pair)
    if (value < low || value > limit)
      throw ShapeError(where, concat(what, " is ", text(pair), ", allowed ", low, "..", limit));
}

/// Throws ShapeError unless `bias` is undefined or [channels].
template <class S>
void check_bias(const BasicTensor<S>& bias, std::int64_t channels, const char* where) {
  if (bias.defined() && bias.shape() != Shape{channels})
    throw ShapeError(where, concat("bias has shape ", bias.shape(), ", ", channels, " output channels need [",
                                   channels, "]"));
}

/// The gradient of a bias [C] that was added to every pixel of dy [N, C, ...].
template <class S>
BasicTensor<S> channel_sums(const BasicTensor<S>& dy) {
  const BasicTensor<S> g = dy.channels_last();
  const std::int64_t channels = g.size(1);
  BasicTensor<S> out(Shape{channels});
  kernels::floating::channel_sum(channels > 0 ? g.numel() / channels : 0, channels, g.data(),
                                 out.mutable_data());
  return out;
}

/// Attaches to `value` the backward of a convolution-like `op` (conv2d, conv_transpose2d, linear): what it
/// needs of x and of the weight is saved, and no more.
template <class S, class Op>
BasicTensor<S> attach_weighted(const Op& op, const BasicTensor<S>& x, const BasicTensor<S>& weight,
                               const BasicTensor<S>& bias, BasicTensor<S> value) {
  const bool need_x = x.requires_grad(), need_w = weight.requires_grad(),
             need_b = bias.defined() && bias.requires_grad();
  if (!grad_enabled() || !(need_x || need_w || need_b)) return value;
  const Shape x_shape = x.shape(), w_shape = weight.shape();
  const BasicTensor<S> saved_x = need_w ? x.detach() : BasicTensor<S>(),
                       saved_w = need_x ? weight.detach() : BasicTensor<S>();
  return autograd::attach(
      Op::kName, std::move(value), {x, weight, bias},
      [op, x_shape, w_shape, saved_x, saved_w, need_x, need_w, need_b](const BasicTensor<S>& dy) {
        std::vector<BasicTensor<S>> gradients(3);
        if (need_x) gradients[0] = op.input_gradient(dy, saved_w, x_shape);
        if (need_w) gradients[1] = op.weight_gradient(saved_x, dy, w_shape);
        if (need_b) gradients[2] = op.bias_gradient(dy);
        return gradients;
      });
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// One-dimensional convolution: conv2d with height 1.
#pragma once

#include <midtread/ops/conv2d.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

/// [A, B, L] as [A, B, 1, L], the same memory. From [A, B, 1, L] back: remove_height.
template <class S>
BasicTensor<S> insert_height(const BasicTensor<S>& t) {
  if (!t.defined()) return t;
  const Shape &shape = t.shape(), &strides = t.strides();
  return BasicTensor<S>(t.storage(), t.offset(), {shape[0], shape[1], 1, shape[2]},
                        {strides[0], strides[1], strides[2] * shape[2], strides[2]});
}
template <class S>
BasicTensor<S> remove_height(const BasicTensor<S>& t) {
  const Shape &shape = t.shape(), &strides = t.strides();
  return BasicTensor<S>(t.storage(), t.offset(), {shape[0], shape[1], shape[3]},
                        {strides[0], strides[1], strides[3]});
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Inputs x [N, I, L], weight [O, I/groups, k], bias [O] or undefined; output [N, O, outL]. Throws
/// ShapeError.
struct Conv1d {
  static constexpr const char* kName = "conv1d";
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t dilation = 1;
  std::int64_t groups = 1;

  std::string attributes() const {
    return concat("stride ", stride, ", padding ", padding, ", dilation ", dilation, ", groups ", groups);
  }
  /// The same with height 1.
  Conv2d conv2d() const { return {{1, stride}, {0, padding}, {1, dilation}, groups}; }

  template <class S>
  BasicTensor<S> forward(const BasicTensor<S>& x, const BasicTensor<S>& weight,
                         const BasicTensor<S>& bias) const {
    if (x.rank() != 3) throw ShapeError(kName, concat("input has shape ", x.shape(), ", needs [N, C, L]"));
    if (weight.rank() != 3)
      throw ShapeError(kName, concat("weight has shape ", weight.shape(), ", needs [O, I/groups, k]"));
    return detail::remove_height(conv2d().forward(detail::insert_height(x.channels_last()),
                                                  detail::insert_height(weight.contiguous()), bias));
  }
  template <class S>
  BasicTensor<S> input_gradient(const BasicTensor<S>& dy, const BasicTensor<S>& weight,
                                const Shape& x) const {
    return detail::remove_height(conv2d().input_gradient(detail::insert_height(dy.channels_last()),
                                                         detail::insert_height(weight.contiguous()),
                                                         Shape{x[0], x[1], 1, x[2]}));
  }
  template <class S>
  BasicTensor<S> weight_gradient(const BasicTensor<S>& x, const BasicTensor<S>& dy,
                                 const Shape& weight) const {
    return detail::remove_height(conv2d().weight_gradient(detail::insert_height(x.channels_last()),
                                                          detail::insert_height(dy.channels_last()),
                                                          Shape{weight[0], weight[1], 1, weight[2]}));
  }
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

/// `value` with the history of conv1d(x, weight, bias).
template <class S>
BasicTensor<S> with_gradient_of(const Conv1d& op, const BasicTensor<S>& x, const BasicTensor<S>& weight,
                                const BasicTensor<S>& bias, BasicTensor<S> value) {
  return detail::attach_weighted(op, x, weight, bias, std::move(value));
}

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> conv1d(const BasicTensor<S>& x, const BasicTensor<S>& weight, const BasicTensor<S>& bias = {},
                      const ops::Conv1d& parameters = {}) {
  return ops::record(parameters, x, weight, bias);
}

MIDTREAD_ROOT_NAMESPACE_END

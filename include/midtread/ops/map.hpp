// SPDX-License-Identifier: MIT
// Element-by-element loops, and the autograd form of a function of one variable: dx = dy * f'(x).
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/ops/layout.hpp>
#include <midtread/ops/record.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops)
MIDTREAD_VECTORIZE_BEGIN

/// f(x), in the memory order of x.
template <class S, class F>
BasicTensor<S> map(const BasicTensor<S>& x, const F& f) {
  const BasicTensor<S> in = dense(x);
  BasicTensor<S> out(x.shape(), dense_strides(x));
  S* to = out.mutable_data();
  const S* from = in.data();
  parallel_for(0, x.numel(), kGrain, [=](std::int64_t first, std::int64_t last) {
    S* MIDTREAD_RESTRICT y = to;
    const S* MIDTREAD_RESTRICT p = from;
    for (std::int64_t i = first; i < last; ++i) y[i] = f(p[i]);
  });
  return out;
}

/// f(a, b) for tensors of one shape, in the memory order of a.
template <class S, class F>
BasicTensor<S> map(const BasicTensor<S>& a, const BasicTensor<S>& b, const F& f) {
  const BasicTensor<S> first_in = dense(a);
  BasicTensor<S> out(a.shape(), dense_strides(a));
  const BasicTensor<S> second_in = with_strides(b, out.strides());
  S* to = out.mutable_data();
  const S *pa = first_in.data(), *pb = second_in.data();
  parallel_for(0, out.numel(), kGrain, [=](std::int64_t first, std::int64_t last) {
    S* MIDTREAD_RESTRICT y = to;
    const S *MIDTREAD_RESTRICT u = pa, *MIDTREAD_RESTRICT v = pb;
    for (std::int64_t i = first; i < last; ++i) y[i] = f(u[i], v[i]);
  });
  return out;
}

/// f(a, b) with numpy broadcasting. The output has the memory order of the input with its shape, else
/// channels-last.
template <class S, class F>
BasicTensor<S> broadcast_map(const BasicTensor<S>& a, const BasicTensor<S>& b, const F& f,
                             const char* where) {
  if (a.shape() == b.shape() &&
      ((a.is_channels_last() && b.is_channels_last()) || (a.is_contiguous() && b.is_contiguous())))
    return map(a, b, f);
  const Shape shape = broadcast(a.shape(), b.shape(), where);
  BasicTensor<S> out(shape, a.shape() == shape   ? dense_strides(a)
                            : b.shape() == shape ? dense_strides(b)
                                                 : channels_last_strides(shape));
  const StridedLoop<3> loop(shape, {out.strides(), expanded_strides(a, shape), expanded_strides(b, shape)});
  const std::int64_t sy = loop.step(0), sa = loop.step(1), sb = loop.step(2);
  S* to = out.mutable_data();
  const S *pa = a.data(), *pb = b.data();
  loop.for_each_row([&](const std::array<std::int64_t, 3>& at, std::int64_t n) {
    S* MIDTREAD_RESTRICT y = to + at[0];
    const S *MIDTREAD_RESTRICT u = pa + at[1], *MIDTREAD_RESTRICT v = pb + at[2];
    if (sy == 1 && sa == 1 && sb == 1) {
      for (std::int64_t i = 0; i < n; ++i) y[i] = f(u[i], v[i]);
    } else if (sy == 1 && sa == 1 && sb == 0) {
      const S right = *v;
      for (std::int64_t i = 0; i < n; ++i) y[i] = f(u[i], right);
    } else if (sy == 1 && sa == 0 && sb == 1) {
      const S left = *u;
      for (std::int64_t i = 0; i < n; ++i) y[i] = f(left, v[i]);
    } else {
      for (std::int64_t i = 0; i < n; ++i) y[i * sy] = f(u[i * sa], v[i * sb]);
    }
  });
  return out;
}

/// Gives `y` = op(x) its backward, dx = dy * op.derivative(saved). `saved` is x, or y where
/// Op::kDerivativeOfOutput.
template <class Op, class S>
BasicTensor<S> attach_pointwise(const Op& op, const BasicTensor<S>& x, BasicTensor<S> y,
                                const BasicTensor<S>& saved) {
  if (!autograd::needs_grad<S>({x})) return y;
  return autograd::attach(Op::kName, std::move(y), {x}, [op, v = saved.detach()](const BasicTensor<S>& dy) {
    return std::vector<BasicTensor<S>>{map(v, dy, [op](S at, S g) { return g * op.derivative(at); })};
  });
}

/// y = op.value(x) with backward: the call operator of every pointwise operation.
template <class Op, class S>
BasicTensor<S> pointwise(const Op& op, const BasicTensor<S>& x) {
  BasicTensor<S> y = map(x, [op](S v) { return op.value(v); });
  const BasicTensor<S> saved = Op::kDerivativeOfOutput ? y : x;
  return attach_pointwise(op, x, std::move(y), saved);
}

MIDTREAD_VECTORIZE_END
MIDTREAD_NAMESPACE_END

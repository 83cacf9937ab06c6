// SPDX-License-Identifier: MIT
// softmax and log_softmax along one dimension, shifted by the largest element.
//
//   y_i = exp(x_i - m) / sum_j exp(x_j - m)      log y_i = x_i - m - log(sum_j exp(x_j - m))
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/ops/layout.hpp>
#include <midtread/ops/record.hpp>

#include <cmath>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

/// Calls line(offset) for every line of dense `shape` along `dim`, in parallel.
template <class Line>
void for_each_line(const Shape& shape, const Shape& strides, int dim, const Line& line) {
  if (shape[dim] == 0) return;
  Shape starts = shape;
  starts[dim] = 1;
  const StridedLoop<1> loop(starts, {strides});
  loop.for_each_row([&](const std::array<std::int64_t, 1>& at, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) line(at[0] + i * loop.step(0));
  });
}

/// Shifted by this, no exponential overflows.
template <class S>
S largest(const S* x, std::int64_t n, std::int64_t step) {
  S m = x[0];
  for (std::int64_t i = 1; i < n; ++i) m = x[i * step] > m ? x[i * step] : m;
  return m;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// dx = y * (dy - sum(dy * y))
struct Softmax {
  static constexpr const char* kName = "softmax";
  int dim = -1;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    const int along = wrap_dim(dim, x.rank(), kName);
    const BasicTensor<S> in = dense(x);
    const Shape shape = x.shape(), strides = dense_strides(x);
    BasicTensor<S> y(shape, strides);
    const std::int64_t n = shape[along], step = strides[along];
    S* to = y.mutable_data();
    const S* from = in.data();
    detail::for_each_line(shape, strides, along, [=](std::int64_t at) {
      const S m = detail::largest(from + at, n, step);
      S sum = 0;
      for (std::int64_t i = 0; i < n; ++i) sum += to[at + i * step] = std::exp(from[at + i * step] - m);
      for (std::int64_t i = 0; i < n; ++i) to[at + i * step] /= sum;
    });
    if (!autograd::needs_grad<S>({x})) return y;
    return autograd::attach(kName, y, {x}, [=, saved = y.detach()](const BasicTensor<S>& dy) {
      const BasicTensor<S> g = with_strides(dy, strides);
      BasicTensor<S> dx(shape, strides);
      S* out = dx.mutable_data();
      const S *py = saved.data(), *pg = g.data();
      detail::for_each_line(shape, strides, along, [=](std::int64_t at) {
        S dot = 0;
        for (std::int64_t i = 0; i < n; ++i) dot += pg[at + i * step] * py[at + i * step];
        for (std::int64_t i = 0; i < n; ++i)
          out[at + i * step] = py[at + i * step] * (pg[at + i * step] - dot);
      });
      return std::vector<BasicTensor<S>>{dx};
    });
  }
  std::string attributes() const { return concat("dim ", dim); }
};

/// dx = dy - exp(y) * sum(dy)
struct LogSoftmax {
  static constexpr const char* kName = "log_softmax";
  int dim = -1;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    const int along = wrap_dim(dim, x.rank(), kName);
    const BasicTensor<S> in = dense(x);
    const Shape shape = x.shape(), strides = dense_strides(x);
    BasicTensor<S> y(shape, strides);
    const std::int64_t n = shape[along], step = strides[along];
    S* to = y.mutable_data();
    const S* from = in.data();
    detail::for_each_line(shape, strides, along, [=](std::int64_t at) {
      const S m = detail::largest(from + at, n, step);
      S sum = 0;
      for (std::int64_t i = 0; i < n; ++i) sum += std::exp(from[at + i * step] - m);
      const S log_sum = std::log(sum);
      for (std::int64_t i = 0; i < n; ++i) to[at + i * step] = from[at + i * step] - m - log_sum;
    });
    if (!autograd::needs_grad<S>({x})) return y;
    return autograd::attach(kName, y, {x}, [=, saved = y.detach()](const BasicTensor<S>& dy) {
      const BasicTensor<S> g = with_strides(dy, strides);
      BasicTensor<S> dx(shape, strides);
      S* out = dx.mutable_data();
      const S *py = saved.data(), *pg = g.data();
      detail::for_each_line(shape, strides, along, [=](std::int64_t at) {
        S sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += pg[at + i * step];
        for (std::int64_t i = 0; i < n; ++i)
          out[at + i * step] = pg[at + i * step] - std::exp(py[at + i * step]) * sum;
      });
      return std::vector<BasicTensor<S>>{dx};
    });
  }
  std::string attributes() const { return concat("dim ", dim); }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> softmax(const BasicTensor<S>& x, int dim = -1) {
  return ops::record(ops::Softmax{dim}, x);
}
template <class S>
BasicTensor<S> log_softmax(const BasicTensor<S>& x, int dim = -1) {
  return ops::record(ops::LogSoftmax{dim}, x);
}

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Matrix products.  matmul: y = a b      linear: y = x w^T + b
#pragma once

#include <midtread/kernels/float/gemm.hpp>
#include <midtread/ops/weighted.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

/// The matrices of a batched product: for each product of the output, which matrix of a and which of b.
struct MatmulPlan {
  std::int64_t m = 0, n = 0, k = 0;
  Shape output;
  std::vector<std::int64_t> a, b;
};

inline std::vector<std::int64_t> batch_indices(const Shape& batch, const Shape& operand) {
  Shape own(operand.begin(), operand.end() - 2), strides = contiguous_strides(own), aligned = batch;
  for (int i = 0; i < batch.rank(); ++i) {
    const int j = i - (batch.rank() - own.rank());
    aligned[i] = j < 0 || own[j] == 1 ? 0 : strides[j];
  }
  std::vector<std::int64_t> out;
  BasicTensor<float>::for_each_offset(batch, aligned, [&](std::int64_t at) { out.push_back(at); });
  return out;
}

inline MatmulPlan plan_matmul(const Shape& a, const Shape& b) {
  if (a.rank() < 2 || b.rank() < 2)
    throw ShapeError(
        "matmul", concat("shapes ", a, " and ", b, ", needs [.., M, K] and [.., K, N]; unsqueeze a vector"));
  if (a[-1] != b[-2])
    throw ShapeError("matmul", concat("shapes ", a, " and ", b, ": the inner dimensions ", a[-1], " and ",
                                      b[-2], " differ"));
  MatmulPlan plan;
  plan.m = a[-2], plan.k = a[-1], plan.n = b[-1];
  const Shape batch = broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2), "matmul");
  plan.output = batch;
  plan.output.push_back(plan.m);
  plan.output.push_back(plan.n);
  plan.a = batch_indices(batch, a);
  plan.b = batch_indices(batch, b);
  return plan;
}

/// Adds the products that share a matrix, in order: sum[index[i]] += product(i) of `count` elements.
template <class S, class Product>
BasicTensor<S> sum_products(const Shape& shape, const std::vector<std::int64_t>& index,
                            const Product& product) {
  BasicTensor<S> out(shape);
  out.fill_(S(0));
  const std::int64_t count = shape[-1] * shape[-2];
  const Buffer<S> one(static_cast<std::size_t>(std::max<std::int64_t>(count, 1)));
  S* to = out.mutable_data();
  for (std::size_t i = 0; i < index.size(); ++i) {
    product(i, one.data());
    S* sum = to + index[i] * count;
    for (std::int64_t j = 0; j < count; ++j) sum[j] += one[static_cast<std::size_t>(j)];
  }
  return out;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Inputs [.., M, K] and [.., K, N], output [.., M, N]; leading dimensions broadcast. Throws ShapeError.
struct Matmul {
  static constexpr const char* kName = "matmul";

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& a, const BasicTensor<S>& b) const {
    const detail::MatmulPlan plan = detail::plan_matmul(a.shape(), b.shape());
    const BasicTensor<S> left = a.contiguous().detach(), right = b.contiguous().detach();
    BasicTensor<S> y(plan.output);
    S* to = y.mutable_data();
    for (std::size_t i = 0; i < plan.a.size(); ++i)
      kernels::floating::gemm<S>(plan.m, plan.n, plan.k, left.data() + plan.a[i] * plan.m * plan.k,
                                 right.data() + plan.b[i] * plan.k * plan.n, nullptr,
                                 to + static_cast<std::int64_t>(i) * plan.m * plan.n);
    const bool need_a = a.requires_grad(), need_b = b.requires_grad();
    if (!grad_enabled() || !(need_a || need_b)) return y;
    const Shape a_shape = a.shape(), b_shape = b.shape();
    const BasicTensor<S> saved_a = need_b ? left : BasicTensor<S>(),
                         saved_b = need_a ? right : BasicTensor<S>();
    return autograd::attach(kName, y, {a, b}, [=](const BasicTensor<S>& dy) {
      const BasicTensor<S> g = dy.contiguous();
      const auto gradient = [&](std::size_t i) {
        return g.data() + static_cast<std::int64_t>(i) * plan.m * plan.n;
      };
      std::vector<BasicTensor<S>> gradients(2);
      if (need_a)
        gradients[0] = detail::sum_products<S>(a_shape, plan.a, [&](std::size_t i, S* out) {
          kernels::floating::gemm_nt<S>(plan.m, plan.k, plan.n, gradient(i),
                                        saved_b.data() + plan.b[i] * plan.k * plan.n, nullptr, out);
        });
      if (need_b)
        gradients[1] = detail::sum_products<S>(b_shape, plan.b, [&](std::size_t i, S* out) {
          kernels::floating::gemm_tn<S>(plan.k, plan.n, plan.m, saved_a.data() + plan.a[i] * plan.m * plan.k,
                                        gradient(i), out);
        });
      return gradients;
    });
  }
};

/// Inputs x [.., I], weight [O, I], bias [O] or undefined; output [.., O]. Throws ShapeError.
struct Linear {
  static constexpr const char* kName = "linear";

  /// The value alone, without history.
  template <class S>
  BasicTensor<S> forward(const BasicTensor<S>& x, const BasicTensor<S>& weight,
                         const BasicTensor<S>& bias) const {
    if (weight.rank() != 2)
      throw ShapeError(kName, concat("weight has shape ", weight.shape(), ", needs [O, I]"));
    const std::int64_t in = weight.size(1), out = weight.size(0);
    if (x.rank() < 1 || x.size(-1) != in)
      throw ShapeError(kName, concat("weight ", weight.shape(), " expects ", in,
                                     " input features, input has shape ", x.shape()));
    detail::check_bias(bias, out, kName);
    const BasicTensor<S> input = x.contiguous(), w = weight.contiguous(),
                         b = bias.defined() ? bias.contiguous() : bias;
    Shape shape = x.shape();
    shape[-1] = out;
    BasicTensor<S> y(shape);
    kernels::floating::gemm_nt<S>(rows_of(x.shape()), out, in, input.data(), w.data(),
                                  b.defined() ? b.data() : nullptr, y.mutable_data());
    return y;
  }
  /// dx of `input_shape` from dy [.., O].
  template <class S>
  BasicTensor<S> input_gradient(const BasicTensor<S>& dy, const BasicTensor<S>& weight,
                                const Shape& input_shape) const {
    const BasicTensor<S> g = dy.contiguous(), w = weight.contiguous();
    BasicTensor<S> dx(input_shape);
    kernels::floating::gemm<S>(rows_of(input_shape), w.size(1), w.size(0), g.data(), w.data(), nullptr,
                               dx.mutable_data());
    return dx;
  }
  /// dw [O, I] from x and dy.
  template <class S>
  BasicTensor<S> weight_gradient(const BasicTensor<S>& x, const BasicTensor<S>& dy,
                                 const Shape& weight_shape) const {
    const BasicTensor<S> input = x.contiguous(), g = dy.contiguous();
    BasicTensor<S> dw(weight_shape);
    kernels::floating::gemm_tn<S>(weight_shape[0], weight_shape[1], rows_of(x.shape()), g.data(),
                                  input.data(), dw.mutable_data());
    return dw;
  }
  /// db [O] from dy.
  template <class S>
  BasicTensor<S> bias_gradient(const BasicTensor<S>& dy) const {
    const BasicTensor<S> g = dy.contiguous();
    BasicTensor<S> db(Shape{g.size(-1)});
    kernels::floating::channel_sum(rows_of(g.shape()), g.size(-1), g.data(), db.mutable_data());
    return db;
  }

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x, const BasicTensor<S>& weight,
                            const BasicTensor<S>& bias) const {
    return with_gradient_of(*this, x, weight, bias, forward(x, weight, bias));
  }

 private:
  static std::int64_t rows_of(const Shape& shape) {
    std::int64_t rows = 1;
    for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
    return rows;
  }
};

/// `value` with the history of linear(x, weight, bias).
template <class S>
BasicTensor<S> with_gradient_of(const Linear& op, const BasicTensor<S>& x, const BasicTensor<S>& weight,
                                const BasicTensor<S>& bias, BasicTensor<S> value) {
  return detail::attach_weighted(op, x, weight, bias, std::move(value));
}

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> matmul(const BasicTensor<S>& a, const BasicTensor<S>& b) {
  return ops::record(ops::Matmul{}, a, b);
}

template <class S>
BasicTensor<S> linear(const BasicTensor<S>& x, const BasicTensor<S>& weight,
                      const BasicTensor<S>& bias = {}) {
  return ops::record(ops::Linear{}, x, weight, bias);
}

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Batch norm folded into weight and bias, differentiably.
//
//   s = gamma / sqrt(var + eps),  w' = w * s,  b' = (b - mean) * s + beta
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/kernels/batch_norm.hpp>

#include <vector>

MIDTREAD_NAMESPACE_BEGIN(qat)

/// Running statistics and affine parameters of a batch norm, each [C]; gamma and beta may be undefined.
struct BatchNormView {
  Tensor gamma, beta, mean, variance;
  float eps = 1e-5f;

  kernels::BatchNormParams params() const {
    kernels::BatchNormParams p;
    p.channels = mean.numel();
    p.gamma = gamma.defined() ? gamma.data() : nullptr;
    p.beta = beta.defined() ? beta.data() : nullptr;
    p.mean = mean.data();
    p.variance = variance.data();
    p.eps = eps;
    return p;
  }
};

/// What a vanishing factor (abs(s) < 1e-12) becomes: 1 while training divides by it, 0 where it is folded for
/// good.
enum class Vanishing { kOne, kZero };

/// s per channel from the running statistics as they are now.
MIDTREAD_ON_USE Tensor batch_norm_factor(const BatchNormView& bn, Vanishing vanishing) {
  const kernels::BatchNormParams p = bn.params();
  Tensor factor(Shape{p.channels});
  float* s = factor.mutable_data();
  kernels::batch_norm_factor(p, s);
  for (std::int64_t c = 0; c < p.channels; ++c)
    if (kernels::is_vanishing_factor(s[c])) s[c] = vanishing == Vanishing::kOne ? 1.0f : 0.0f;
  return factor;
}

/// w' = w * s for a row-major weight [C, ...]. Gradients to w and gamma; a vanishing channel gives gamma
/// none.
MIDTREAD_ON_USE Tensor scale_weight(const Tensor& weight, const BatchNormView& bn, const Tensor& factor) {
  const Tensor w = weight.contiguous().detach();
  const std::int64_t channels = w.size(0), inner = channels ? w.numel() / channels : 0;
  Tensor out(w.shape());
  kernels::fold_weights(w.data(), factor.data(), channels, inner, out.mutable_data());
  const Tensor gamma = bn.gamma;
  // Values now: the running statistics move before backward.
  Tensor reciprocal_deviation(Shape{channels});
  float* r = reciprocal_deviation.mutable_data();
  for (std::int64_t c = 0; c < channels; ++c) {
    const float natural =
        (gamma.defined() ? gamma.data()[c] : 1.0f) / std::sqrt(bn.variance.data()[c] + bn.eps);
    r[c] = kernels::is_vanishing_factor(natural) ? 0.0f : 1.0f / std::sqrt(bn.variance.data()[c] + bn.eps);
  }
  return autograd::attach("scale_weight", out, Tensors{weight, gamma}, [=](const Tensor& dy) -> Tensors {
    const Tensor g = dy.contiguous();
    Tensor dw(w.shape()), dgamma(Shape{channels});
    float *to = dw.mutable_data(), *dg = dgamma.mutable_data();
    for (std::int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      for (std::int64_t i = c * inner; i < (c + 1) * inner; ++i) {
        to[i] = g.data()[i] * factor.data()[c];
        sum += static_cast<double>(g.data()[i]) * static_cast<double>(w.data()[i]);
      }
      dg[c] = static_cast<float>(sum * static_cast<double>(reciprocal_deviation.data()[c]));
    }
    return {dw, gamma.defined() ? dgamma : Tensor()};
  });
}

/// abs(s) [C], 1 where `factor` vanishes. Gradient to gamma.
MIDTREAD_ON_USE Tensor batch_norm_magnitude(const BatchNormView& bn, const Tensor& factor) {
  const std::int64_t channels = factor.numel();
  Tensor out(Shape{channels}), slope(Shape{channels});  // sign(s) / sqrt(var + eps)
  float *m = out.mutable_data(), *r = slope.mutable_data();
  for (std::int64_t c = 0; c < channels; ++c) {
    const float s = factor.data()[c], deviation = std::sqrt(bn.variance.data()[c] + bn.eps),
                natural = (bn.gamma.defined() ? bn.gamma.data()[c] : 1.0f) / deviation;
    const bool vanishes = kernels::is_vanishing_factor(natural);
    m[c] = vanishes ? 1.0f : std::abs(s);
    r[c] = vanishes ? 0.0f : std::copysign(1.0f / deviation, s);
  }
  if (!bn.gamma.defined()) return out;
  return autograd::attach("batch_norm_magnitude", out, Tensors{bn.gamma}, [=](const Tensor& dy) -> Tensors {
    const Tensor g = dy.contiguous();
    Tensor dgamma(Shape{channels});
    for (std::int64_t c = 0; c < channels; ++c) dgamma.mutable_data()[c] = g.data()[c] * slope.data()[c];
    return {dgamma};
  });
}

/// b' = (b - mean) * s + beta, [C]; `bias` may be undefined. Gradients to bias, gamma and beta.
MIDTREAD_ON_USE Tensor fold_bias(const Tensor& bias, const BatchNormView& bn) {
  const kernels::BatchNormParams p = bn.params();
  const Tensor b = bias.defined() ? bias.contiguous().detach() : Tensor();
  Tensor factor(Shape{p.channels}), out(Shape{p.channels});
  kernels::fold_batch_norm(p, b.defined() ? b.data() : nullptr, factor.mutable_data(), out.mutable_data());
  const Tensor gamma = bn.gamma, beta = bn.beta, mean = bn.mean.clone(), variance = bn.variance.clone();
  const float eps = bn.eps;
  return autograd::attach("fold_bias", out, Tensors{bias, gamma, beta}, [=](const Tensor& dy) -> Tensors {
    const std::int64_t channels = mean.numel();
    Tensor db(Shape{channels}), dgamma(Shape{channels});
    float *to_bias = db.mutable_data(), *to_gamma = dgamma.mutable_data();
    for (std::int64_t c = 0; c < channels; ++c) {
      const float g = dy.data()[c], s = factor.data()[c];
      to_bias[c] = g * s;
      to_gamma[c] = s == 0.0f ? 0.0f
                              : g * ((b.defined() ? b.data()[c] : 0.0f) - mean.data()[c]) /
                                    std::sqrt(variance.data()[c] + eps);
    }
    return {bias.defined() ? db : Tensor(), gamma.defined() ? dgamma : Tensor(),
            beta.defined() ? dy : Tensor()};
  });
}

MIDTREAD_NAMESPACE_END

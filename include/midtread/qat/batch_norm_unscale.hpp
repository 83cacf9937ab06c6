// SPDX-License-Identifier: MIT
// The batch norm of a QAT convolution in training: y = BN(y0 / s + bias) with batch statistics, in the passes
// of an ordinary batch norm (1806.08342; PyTorch's ConvBn).
//
//   mean1 = mean0 / s + bias, var1 = var0 / s^2, r = 1 / sqrt(var1 + eps)
//   y = gamma (y0 - mean0) r / s + beta
//
// The int8 layer adds its bias in steps of bs = s_x s_w, coarse below 8 bits: with steps given, so does this.
//
//   B = beta - mean0 gamma r / s;  B <- rne(B / u) u, u = bs abs(gamma r / s)
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/kernels/float/batch_norm.hpp>
#include <midtread/qat/batch_norm_fold.hpp>
#include <midtread/tensor/factory.hpp>

MIDTREAD_NAMESPACE_BEGIN(qat)

/// `y0` [N, C, ...] was computed with weights scaled by `factor`. Moves bn's running statistics by
/// `momentum`. `bias_steps`: bs per channel, or empty. Gradients to y0, gamma and beta. The bias shifts every
/// value of a channel alike, so its gradient is zero.
MIDTREAD_ON_USE Tensor unscaled_batch_norm(const Tensor& y0, const Tensor& bias, const BatchNormView& bn,
                                           const Tensor& factor, double momentum,
                                           const std::vector<float>& bias_steps = {}) {
  const std::int64_t channels = factor.numel(), rows = channels ? y0.numel() / channels : 0;
  if (rows < 2)
    throw ShapeError("batch_norm", concat("input ", y0.shape(), " has ", rows,
                                          " values per channel, batch statistics need at least 2"));
  const auto size = static_cast<std::size_t>(channels);
  const Tensor x = y0.channels_last().detach();
  std::vector<double> mean(size), variance(size), r(size), gamma(size), reciprocal_deviation(size);
  kernels::floating::batch_statistics(rows, channels, x.data(), mean.data(), variance.data());
  std::vector<float> centre(size), scale(size), shift(size);
  const double unbiased = static_cast<double>(rows) / static_cast<double>(rows - 1);
  {
    float *running_mean = bn.mean.mutable_data(), *running_variance = bn.variance.mutable_data();
    for (std::size_t c = 0; c < size; ++c) {
      const double s = static_cast<double>(factor.data()[c]),
                   old_bias = bias.defined() ? static_cast<double>(bias.data()[c]) : 0.0;
      const double mean1 = mean[c] / s + old_bias, variance1 = variance[c] / (s * s);
      gamma[c] = bn.gamma.defined() ? static_cast<double>(bn.gamma.data()[c]) : 1.0;
      r[c] = 1.0 / std::sqrt(variance1 + static_cast<double>(bn.eps));
      // ds/dgamma, zero where s was replaced; from the statistics before they move
      const double deviation =
          std::sqrt(static_cast<double>(running_variance[c]) + static_cast<double>(bn.eps));
      reciprocal_deviation[c] =
          kernels::is_vanishing_factor(static_cast<float>(gamma[c] / deviation)) ? 0.0 : 1.0 / deviation;
      running_mean[c] =
          static_cast<float>((1.0 - momentum) * static_cast<double>(running_mean[c]) + momentum * mean1);
      running_variance[c] = static_cast<float>((1.0 - momentum) * static_cast<double>(running_variance[c]) +
                                               momentum * variance1 * unbiased);
      centre[c] = static_cast<float>(mean[c]);
      scale[c] = static_cast<float>(gamma[c] * r[c] / s);
      const double slope = gamma[c] * r[c] / s,
                   beta = bn.beta.defined() ? static_cast<double>(bn.beta.data()[c]) : 0.0,
                   b = beta - mean[c] * slope,
                   step = bias_steps.empty() ? 0.0 : static_cast<double>(bias_steps[c]) * std::abs(slope);
      shift[c] = static_cast<float>((step > 0 ? std::nearbyint(b / step) * step : b) +
                                    static_cast<double>(centre[c]) * slope);
    }
  }
  Tensor y = empty_channels_last(y0.shape());
  kernels::floating::normalize(rows, channels, x.data(), centre.data(), scale.data(), shift.data(),
                               y.mutable_data());

  const bool has_gamma = bn.gamma.defined(), has_beta = bn.beta.defined(), has_bias = bias.defined();
  const double eps = static_cast<double>(bn.eps);
  return autograd::attach(
      "unscaled_batch_norm", y, Tensors{y0, bn.gamma, bn.beta, bias}, [=](const Tensor& gradient) -> Tensors {
        const Tensor dy = gradient.channels_last();
        std::vector<double> sum_dy(size), sum_dy_x(size);
        kernels::floating::batch_norm_sums(rows, channels, x.data(), centre.data(), dy.data(), sum_dy.data(),
                                           sum_dy_x.data());
        std::vector<float> slope(size), offset(size);
        Tensor dgamma(Shape{channels}), dbeta(Shape{channels});
        float *to_gamma = dgamma.mutable_data(), *to_beta = dbeta.mutable_data();
        for (std::size_t c = 0; c < size; ++c) {
          const double s = static_cast<double>(factor.data()[c]), rs = r[c] / s,
                       along = gamma[c] * rs / static_cast<double>(rows);
          slope[c] = static_cast<float>(along * rs * rs * sum_dy_x[c]);
          offset[c] = static_cast<float>(along * sum_dy[c]);
          const double ds = -gamma[c] * rs / s * sum_dy_x[c] * eps * r[c] * r[c];
          to_gamma[c] = static_cast<float>(sum_dy_x[c] * rs + ds * reciprocal_deviation[c]);
          to_beta[c] = static_cast<float>(sum_dy[c]);
        }
        Tensor dx = empty_channels_last(dy.shape());
        kernels::floating::batch_norm_input_gradient(rows, channels, x.data(), centre.data(), dy.data(),
                                                     scale.data(), slope.data(), offset.data(),
                                                     dx.mutable_data());
        return {dx, has_gamma ? dgamma : Tensor(), has_beta ? dbeta : Tensor(),
                has_bias ? zeros(Shape{channels}) : Tensor()};
      });
}

MIDTREAD_NAMESPACE_END

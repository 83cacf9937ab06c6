// SPDX-License-Identifier: MIT
// Batch norm folded into the convolution before it: the one function of QAT eval, frozen BN and convert.
//
//   s = gamma / sqrt(var + eps),  w' = w * s,  b' = (b - mean) * s + beta          where abs(s) < 1e-12: w' =
//   0, b' = beta
#pragma once

#include <midtread/kernels/target.hpp>

#include <cmath>
#include <cstdint>

MIDTREAD_NAMESPACE_BEGIN(kernels)
MIDTREAD_EXACT_BEGIN

/// Statistics and affine parameters, `channels` floats each. gamma null: ones; beta null: zeros.
struct BatchNormParams {
  std::int64_t channels = 0;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  const float* mean = nullptr;
  const float* variance = nullptr;
  float eps = 1e-5f;
};

inline constexpr float kMinBatchNormFactor = 1e-12f;

/// Below this a channel has no weights: training divides by 1 instead, folding gives zeros.
inline bool is_vanishing_factor(float s) { return std::fabs(s) < kMinBatchNormFactor; }

/// s per channel, as it is (vanishing ones too).
MIDTREAD_NOINLINE inline void batch_norm_factor(const BatchNormParams& p, float* factor) {
  MIDTREAD_EXACT
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const float deviation = std::sqrt(p.variance[c] + p.eps);
    factor[c] = (p.gamma ? p.gamma[c] : 1.0f) / deviation;
  }
}

/// Writes per channel the factor for the weights (0 where s vanishes) and the folded bias. bias null: zeros.
MIDTREAD_NOINLINE inline void fold_batch_norm(const BatchNormParams& p, const float* bias, float* factor,
                                              float* folded_bias) {
  MIDTREAD_EXACT
  batch_norm_factor(p, factor);
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const float beta = p.beta ? p.beta[c] : 0.0f;
    if (is_vanishing_factor(factor[c])) {
      factor[c] = 0.0f;
      folded_bias[c] = beta;
      continue;
    }
    const float centred = (bias ? bias[c] : 0.0f) - p.mean[c];
    float scaled = centred * factor[c];
    MIDTREAD_KEEP_PRODUCT(scaled);
    folded_bias[c] = scaled + beta;
  }
}

/// w' = w * s for weights [O, inner]: channel axis 0.
MIDTREAD_NOINLINE inline void fold_weights(const float* w, const float* factor, std::int64_t channels,
                                           std::int64_t inner, float* folded) {
  MIDTREAD_EXACT
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < inner; ++i)
      folded[c * inner + i] = factor[c] == 0.0f ? 0.0f : w[c * inner + i] * factor[c];
}

/// w' = w * s for transposed weights [I, O/groups, kernel]: input channel i belongs to group i / (I/groups),
/// so its j-th output channel is group * O/groups + j.
MIDTREAD_NOINLINE inline void fold_transposed_weights(const float* w, const float* factor,
                                                      std::int64_t in_channels, std::int64_t out_channels,
                                                      std::int64_t groups, std::int64_t kernel,
                                                      float* folded) {
  MIDTREAD_EXACT
  const std::int64_t in_group = in_channels / groups, out_group = out_channels / groups;
  for (std::int64_t i = 0; i < in_channels; ++i)
    for (std::int64_t j = 0; j < out_group; ++j) {
      const float s = factor[i / in_group * out_group + j];
      const std::int64_t at = (i * out_group + j) * kernel;
      for (std::int64_t k = 0; k < kernel; ++k) folded[at + k] = s == 0.0f ? 0.0f : w[at + k] * s;
    }
}

MIDTREAD_EXACT_END
MIDTREAD_NAMESPACE_END

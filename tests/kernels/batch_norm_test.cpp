// SPDX-License-Identifier: MIT
// Folding batch norm: values by hand, vanishing channels, transposed weights.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <midtread/kernels/batch_norm.hpp>

namespace batch_norm_test {

using namespace midtread::kernels;

TEST(FoldBatchNorm, FactorAndBiasByHand) {
  const float gamma[] = {2.0f, -1.0f}, beta[] = {0.5f, 3.0f}, mean[] = {1.0f, -2.0f},
              variance[] = {3.0f, 0.0f};
  const float bias[] = {5.0f, 1.0f};
  BatchNormParams p{2, gamma, beta, mean, variance, 1.0f};
  float factor[2], folded[2];
  fold_batch_norm(p, bias, factor, folded);
  EXPECT_EQ(factor[0], 1.0f);
  EXPECT_EQ(factor[1], -1.0f);
  EXPECT_EQ(folded[0], 4.5f);
  EXPECT_EQ(folded[1], 0.0f);
  p.gamma = p.beta = nullptr;
  fold_batch_norm(p, nullptr, factor, folded);
  EXPECT_EQ(factor[0], 0.5f);
  EXPECT_EQ(folded[0], -0.5f);
}

TEST(FoldBatchNorm, EachStepIsRoundedByItself) {
  int different = 0;
  for (int i = 1; i <= 200; ++i) {
    const float gamma = 1.0f + 0.001f * static_cast<float>(i), beta = 0.1f * static_cast<float>(i),
                mean = 0.37f;
    const float variance = 0.9f + 0.01f * static_cast<float>(i);
    float factor, folded;
    fold_batch_norm({1, &gamma, &beta, &mean, &variance, 1e-5f}, nullptr, &factor, &folded);
    volatile float deviation = std::sqrt(variance + 1e-5f);
    volatile float s = gamma / deviation;
    volatile float centred = 0.0f - mean;
    volatile float product = centred * s;
    volatile float expected = product + beta;
    EXPECT_EQ(factor, s);
    EXPECT_EQ(folded, expected);
    if (std::fma(centred, s, beta) != expected) ++different;
  }
  EXPECT_GT(different, 10);  // the test can tell a fused multiply-add
}

TEST(FoldBatchNorm, VanishingChannelsHaveNoWeights) {
  const float gamma[] = {9e-13f, -9e-13f, 2e-12f}, beta[] = {1.0f, 2.0f, 3.0f}, mean[] = {7.0f, 7.0f, 7.0f};
  const float variance[] = {1.0f, 1.0f, 1.0f};
  float factor[3], folded[3];
  fold_batch_norm({3, gamma, beta, mean, variance, 0.0f}, nullptr, factor, folded);
  EXPECT_EQ(factor[0], 0.0f);
  EXPECT_EQ(folded[0], 1.0f);
  EXPECT_EQ(factor[1], 0.0f);
  EXPECT_EQ(folded[1], 2.0f);
  EXPECT_EQ(factor[2], 2e-12f);
  const float w[] = {INFINITY, 1.0f, 3.0f};
  float out[3];
  fold_weights(w, factor, 3, 1, out);
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_EQ(out[2], 6e-12f);
}

TEST(FoldBatchNorm, WeightsAlongBothAxes) {
  const float factor[] = {2.0f, 3.0f, 5.0f, 7.0f};
  const std::vector<float> ones(8, 1.0f);
  float out[8];
  fold_weights(ones.data(), factor, 4, 2, out);
  const float rows[] = {2, 2, 3, 3, 5, 5, 7, 7};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(out[i], rows[i]);
  // [I = 4, O/g = 2, 1], 2 groups: inputs 0 and 1 feed outputs 0 and 1.
  fold_transposed_weights(ones.data(), factor, 4, 4, 2, 1, out);
  const float columns[] = {2, 3, 2, 3, 5, 7, 5, 7};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(out[i], columns[i]);
}

}  // namespace batch_norm_test

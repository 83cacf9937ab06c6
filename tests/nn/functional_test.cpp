// SPDX-License-Identifier: MIT
// The names users write, used as they use them.
#include <midtread/nn/functional.hpp>

#include <support/call_log.hpp>
#include <support/random_tensor.hpp>

namespace midtread {
namespace functional_test {

using namespace test;
namespace F = midtread::nn::functional;

TEST(Functional, PoolsTakeNumbersPairsAndParameters) {
  Generator g(1);
  const Tensor x = randn({1, 2, 6, 6}, g);
  EXPECT_EQ(F::max_pool2d(x, 2).shape(), (Shape{1, 2, 3, 3}));
  EXPECT_EQ(F::max_pool2d(x, {3, 2}, {1, 2}, {1, 0}).shape(), (Shape{1, 2, 6, 3}));
  EXPECT_TRUE(identical(F::max_pool2d(x, {2, 3}), (ops::MaxPool2d{{2, 3}, {2, 3}}(x))));
  EXPECT_TRUE(identical(F::avg_pool2d(x, 3, 1, 1, false, false),
                        (ops::AvgPool2d{{3, 3}, {1, 1}, {1, 1}, false, false}(x))));
  EXPECT_EQ(F::adaptive_avg_pool2d(x, 1).shape(), (Shape{1, 2, 1, 1}));
  EXPECT_EQ(F::adaptive_avg_pool2d(x, {2, 3}).shape(), (Shape{1, 2, 2, 3}));
  EXPECT_TRUE(identical(F::pad(x, {1, 0, 2, 0}, 3.0), (ops::Pad2d{1, 0, 2, 0, 3.0}(x))));
  EXPECT_TRUE(identical(F::upsample(x, 2), (ops::UpsampleNearest2d{2, 2}(x))));
}

TEST(Functional, ResidualBlockIsRecordedOperationByOperation) {
  Generator g(2);
  const Tensor x = randn({2, 4, 5, 5}, g), w = randn({4, 4, 3, 3}, g), gamma = ones({4}), mean = zeros({4});
  CallLog log;
  Tensor y = F::conv2d(x, w, {}, {{1, 1}, {1, 1}});
  y = F::relu(F::batch_norm(y, gamma, mean, mean, gamma));
  y = F::relu(y + x) * 0.5 + 1.0;
  y = F::cat({y, F::sigmoid(y)}, 1);
  y = F::flatten(F::adaptive_avg_pool2d(F::dropout(y, 0.1, false), 1));
  y = F::softmax(F::linear(y, randn({3, 8}, g)), 1);
  EXPECT_EQ(log.calls,
            (Calls{"conv2d", "batch_norm", "relu", "add", "relu", "mul_scalar", "add_scalar", "sigmoid",
                   "cat", "dropout", "adaptive_avg_pool2d", "flatten", "linear", "softmax"}));
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
}

TEST(Functional, LossesAreNotRecorded) {
  CallLog log;
  F::cross_entropy(ones({1, 2}), tensor<std::int64_t>({0}));
  F::mse_loss(ones({2}), ones({2}));
  F::nll_loss(ones({1, 2}), tensor<std::int64_t>({0}));
  F::argmax(ones({2}));
  EXPECT_TRUE(log.calls.empty());
}

}  // namespace functional_test
}  // namespace midtread

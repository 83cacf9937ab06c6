// SPDX-License-Identifier: MIT
#include <midtread/ops/batch_norm.hpp>

#include <midtread/autograd/grad_check.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>
#include <cstdio>

namespace midtread {
namespace batch_norm_test {

/// [N, C, pixels] of any input, in double.
struct Plain {
  std::int64_t n, c, pixels;
  std::vector<double> values;
  explicit Plain(const Tensor& x) : n(x.size(0)), c(x.size(1)), pixels(n * c > 0 ? x.numel() / (n * c) : 0) {
    for (const float v : x.to_vector()) values.push_back(static_cast<double>(v));
  }
  double& at(std::int64_t i, std::int64_t channel, std::int64_t p) {
    return values[static_cast<std::size_t>((i * c + channel) * pixels + p)];
  }
};

TEST(BatchNorm, TrainingNormalisesAndMovesRunningStatistics) {
  Generator g(1);
  int cases = 0;
  for (const Shape& shape : {Shape{8, 5}, Shape{3, 4, 7}, Shape{2, 3, 5, 4}, Shape{64, 33, 5, 5},
                             Shape{2, 1, 1, 1}, Shape{1, 17, 9, 9}}) {
    const std::int64_t channels = shape[1];
    Tensor x = randn(shape, g);
    for (std::int64_t i = 0; i < x.numel(); ++i) x.mutable_data()[i] = x.data()[i] * 3.0f + 5.0f;
    const Tensor gamma = randn({channels}, g), beta = randn({channels}, g);
    const Tensor mean = randn({channels}, g), var = full({channels}, 2.0f);
    const Tensor mean_before = mean.clone(), var_before = var.clone();
    ops::BatchNorm op;
    op.training = true;
    op.momentum = 0.3;
    const Tensor y = batch_norm(x, gamma, beta, mean, var, op);
    Plain px(x), py(y);
    const double count = static_cast<double>(px.n * px.pixels);
    for (std::int64_t c = 0; c < channels; ++c) {
      double m = 0, v = 0;
      for (std::int64_t n = 0; n < px.n; ++n)
        for (std::int64_t p = 0; p < px.pixels; ++p) m += px.at(n, c, p) / count;
      for (std::int64_t n = 0; n < px.n; ++n)
        for (std::int64_t p = 0; p < px.pixels; ++p) v += (px.at(n, c, p) - m) * (px.at(n, c, p) - m) / count;
      for (std::int64_t n = 0; n < px.n; ++n)
        for (std::int64_t p = 0; p < px.pixels; ++p) {
          const double expected =
              (px.at(n, c, p) - m) / std::sqrt(v + 1e-5) * static_cast<double>(gamma.at({c})) +
              static_cast<double>(beta.at({c}));
          EXPECT_NEAR(py.at(n, c, p), expected, 2e-5 * (1 + std::abs(expected)));
        }
      EXPECT_NEAR(static_cast<double>(mean.at({c})), 0.7 * static_cast<double>(mean_before.at({c})) + 0.3 * m,
                  1e-5);
      EXPECT_NEAR(static_cast<double>(var.at({c})),
                  0.7 * static_cast<double>(var_before.at({c})) + 0.3 * v * count / (count - 1), 1e-4);
    }
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(BatchNorm, EvalUsesRunningStatisticsAndLeavesThem) {
  Generator g(2);
  const Tensor x = randn({2, 3, 4, 5}, g), gamma = randn({3}, g), beta = randn({3}, g), mean = randn({3}, g),
               var = full({3}, 0.7f);
  const Tensor mean_before = mean.clone(), var_before = var.clone();
  const Tensor y = batch_norm(x, gamma, beta, mean, var);
  EXPECT_TRUE(identical(mean, mean_before));
  EXPECT_TRUE(identical(var, var_before));
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t i = 0; i < 4; ++i)
        for (std::int64_t j = 0; j < 5; ++j) {
          const double d = static_cast<double>(x.at({n, c, i, j})) - static_cast<double>(mean.at({c}));
          const double expected =
              d / std::sqrt(static_cast<double>(0.7f) + 1e-5) * static_cast<double>(gamma.at({c})) +
              static_cast<double>(beta.at({c}));
          EXPECT_NEAR(static_cast<double>(y.at({n, c, i, j})), expected, 1e-5);
        }
}

TEST(BatchNorm, KeepsPrecisionFarFromZero) {
  Generator g(3);
  Tensor x = randn({16, 3, 9, 9}, g);
  for (std::int64_t i = 0; i < x.numel(); ++i) x.mutable_data()[i] = x.data()[i] + 4096.0f;
  ops::BatchNorm op;
  op.training = true;
  Tensor mean = zeros({3}), var = zeros({3});
  op.momentum = 1.0;
  Plain px(x);
  const Tensor y = batch_norm(x, Tensor(), Tensor(), mean, var, op);
  for (std::int64_t c = 0; c < 3; ++c) {
    double m = 0, v = 0;
    for (std::int64_t n = 0; n < 16; ++n)
      for (std::int64_t p = 0; p < 81; ++p) m += px.at(n, c, p) / (16 * 81);
    for (std::int64_t n = 0; n < 16; ++n)
      for (std::int64_t p = 0; p < 81; ++p) v += (px.at(n, c, p) - m) * (px.at(n, c, p) - m) / (16 * 81 - 1);
    EXPECT_NEAR(static_cast<double>(var.at({c})) / v, 1.0, 1e-5);
  }
}

TEST(BatchNorm, GradientsKeepPrecisionFarFromZero) {
  Generator g(6);
  Tensor x = randn({4, 5, 3, 3}, g), dy = rand({4, 5, 3, 3}, g);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    dy.mutable_data()[i] += 5.0f * x.data()[i];  // so that dx depends on x
    x.mutable_data()[i] = x.data()[i] + 4096.1f;
  }
  ops::BatchNorm op;
  op.training = true;
  const auto run = [&](auto in, auto gradient, auto gamma) {
    using T = decltype(in);
    in.requires_grad_();
    gamma.requires_grad_();
    const T y = batch_norm(in, gamma, T(), T(), T(), op);
    y.backward(gradient);
    return std::vector<BasicTensor<double>>{cast<double>(y), cast<double>(in.grad()),
                                            cast<double>(gamma.grad())};
  };
  const auto single = run(x, dy, ones({5})),
             exact = run(cast<double>(x), cast<double>(dy), ones<double>({5}));
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(allclose(single[i], exact[i], 1e-5, 1e-5))
        << i << " " << closeness(single[i], exact[i], 1e-5, 1e-5);
}

TEST(BatchNorm, GradientsAgreeWithDifferences) {
  Generator g(4);
  int cases = 0;
  for (const Shape& shape : {Shape{4, 3}, Shape{2, 3, 4}, Shape{3, 2, 3, 2}, Shape{1, 1, 2, 2},
                             Shape{2, 5, 1, 1}, Shape{2, 9, 2, 3}})
    for (const bool training : {false, true})
      for (const int affine : {0, 1, 2, 3}) {
        ops::BatchNorm op;
        op.training = training;
        std::vector<BasicTensor<double>> inputs{randn<double>(shape, g)};
        if (affine & 1) inputs.push_back(randn<double>({shape[1]}, g));
        if (affine & 2) inputs.push_back(randn<double>({shape[1]}, g));
        const BasicTensor<double> running_mean = randn<double>({shape[1]}, g),
                                  running_var = full({shape[1]}, 0.8);
        const auto result = autograd::grad_check(
            [&](const std::vector<BasicTensor<double>>& t) {
              return batch_norm(t[0], affine & 1 ? t[1] : BasicTensor<double>(),
                                affine & 2 ? t.back() : BasicTensor<double>(), running_mean.clone(),
                                running_var.clone(), op);
            },
            inputs, 1e-5, 1e-5);
        EXPECT_TRUE(result.ok) << shape << training << affine << " " << result.where;
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(BatchNorm, SameBitsForAnyNumberOfThreads) {
  Generator g(5);
  const Tensor x = randn({16, 24, 14, 14}, g).channels_last();
  const int before = num_threads();
  std::vector<Tensor> results;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    Tensor leaf = x.clone().requires_grad_(), gamma = ones({24}).requires_grad_();
    ops::BatchNorm op;
    op.training = true;
    const Tensor y = batch_norm(leaf, gamma, Tensor(), Tensor(), Tensor(), op);
    y.backward(x);
    results.push_back(y.detach());
    results.push_back(leaf.grad());
    results.push_back(gamma.grad());
  }
  set_num_threads(before);
  for (std::size_t i = 3; i < results.size(); ++i) EXPECT_TRUE(identical(results[i], results[i % 3])) << i;
}

TEST(BatchNorm, RejectsWhatDoesNotFit) {
  const Tensor c3 = zeros({3}), c2 = zeros({2});
  ops::BatchNorm training;
  training.training = true;
  EXPECT_THROW(batch_norm(zeros({4}), c3, c3, c3, c3), ShapeError);
  EXPECT_THROW(batch_norm(zeros({2, 3, 2, 2, 2}), c3, c3, c3, c3), ShapeError);
  EXPECT_THROW(batch_norm(zeros({2, 3}), c2, c3, c3, c3), ShapeError);
  EXPECT_THROW(batch_norm(zeros({2, 3}), c3, c2, c3, c3), ShapeError);
  EXPECT_THROW(batch_norm(zeros({2, 3}), c3, c3, c2, c3), ShapeError);
  EXPECT_THROW(batch_norm(zeros({2, 3}), c3, c3, c3, c2), ShapeError);
  EXPECT_THROW(batch_norm(zeros({2, 3}), c3, c3, c3, Tensor()), ShapeError);
  EXPECT_THROW(batch_norm(zeros({1, 3}), c3, c3, c3, c3, training), ShapeError);
  EXPECT_NO_THROW(batch_norm(zeros({1, 3}), c3, c3, c3, c3));
}

}  // namespace batch_norm_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
#include <midtread/ops/matmul.hpp>

#include <midtread/autograd/grad_check.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>
#include <cstdio>

#include <data/expect_error.hpp>

namespace midtread {
namespace matmul_test {

TEST(Matmul, EqualsPlainLoops) {
  Generator g(1);
  int cases = 0;
  for (; cases < 200; ++cases) {
    const std::int64_t m = 1 + g.below(40), n = 1 + g.below(40), k = 1 + g.below(70);
    const Tensor a = randn({m, k}, g), b = randn({k, n}, g), y = matmul(a, b);
    ASSERT_EQ(y.shape(), (Shape{m, n}));
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::int64_t p = 0; p < k; ++p)
          sum += static_cast<double>(a.at({i, p})) * static_cast<double>(b.at({p, j}));
        EXPECT_NEAR(static_cast<double>(y.at({i, j})), sum, 1e-4);
      }
  }
  std::printf("cases=%d\n", cases);
}

TEST(Matmul, BroadcastsLeadingDimensions) {
  Generator g(2);
  const Tensor a = randn({2, 1, 3, 4}, g), b = randn({5, 4, 2}, g), y = matmul(a, b);
  ASSERT_EQ(y.shape(), (Shape{2, 5, 3, 2}));
  for (std::int64_t u = 0; u < 2; ++u)
    for (std::int64_t v = 0; v < 5; ++v)
      for (std::int64_t i = 0; i < 3; ++i)
        for (std::int64_t j = 0; j < 2; ++j) {
          double sum = 0;
          for (std::int64_t p = 0; p < 4; ++p)
            sum += static_cast<double>(a.at({u, 0, i, p})) * static_cast<double>(b.at({v, p, j}));
          EXPECT_NEAR(static_cast<double>(y.at({u, v, i, j})), sum, 1e-5);
        }
}

TEST(Matmul, GradientsAgreeWithDifferences) {
  Generator g(3);
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{3, 4}, {4, 5}},          {{1, 1}, {1, 1}},
      {{7, 1}, {1, 6}},          {{2, 3, 4}, {2, 4, 5}},
      {{3, 4}, {2, 4, 5}},       {{2, 3, 4}, {4, 5}},
      {{2, 1, 3, 4}, {3, 4, 2}}, {{1, 2, 3}, {4, 3, 2}},
      {{2, 9}, {9, 17}},         {{2, 2, 3, 2}, {2, 2, 2, 3}}};
  for (const auto& s : shapes) {
    const auto result =
        autograd::grad_check([](const std::vector<BasicTensor<double>>& t) { return matmul(t[0], t[1]); },
                             {randn<double>(s.first, g), randn<double>(s.second, g)});
    EXPECT_TRUE(result.ok) << s.first << s.second << " " << result.where;
  }
  std::printf("cases=%d\n", static_cast<int>(shapes.size()));
}

TEST(Matmul, RejectsWhatDoesNotFit) {
  expect_error<ShapeError>(
      [] {
        return matmul(zeros({2, 3}), zeros({2, 3}));
      },
      {"the inner dimensions 3 and 2 differ"});
  expect_error<ShapeError>(
      [] {
        return matmul(zeros({3}), zeros({3, 2}));
      },
      {"shapes [3] and [3, 2]", "unsqueeze a vector"});
  EXPECT_THROW(matmul(zeros({2, 2, 3}), zeros({3, 3, 2})), ShapeError);
}

TEST(Linear, EqualsPlainLoopsForEveryRank) {
  Generator g(4);
  int cases = 0;
  for (const Shape& shape : {Shape{7}, Shape{5, 7}, Shape{2, 3, 7}, Shape{2, 1, 3, 7}, Shape{0, 7}})
    for (const bool bias : {false, true}) {
      const Tensor x = randn(shape, g), w = randn({19, 7}, g), b = bias ? randn({19}, g) : Tensor(),
                   y = linear(x, w, b);
      Shape expected = shape;
      expected[-1] = 19;
      ASSERT_EQ(y.shape(), expected);
      const std::vector<float> in = x.to_vector(), out = y.to_vector();
      for (std::size_t r = 0; r < in.size() / 7; ++r)
        for (std::int64_t o = 0; o < 19; ++o) {
          double sum = bias ? static_cast<double>(b.at({o})) : 0;
          for (std::int64_t i = 0; i < 7; ++i)
            sum += static_cast<double>(in[r * 7 + static_cast<std::size_t>(i)]) *
                   static_cast<double>(w.at({o, i}));
          EXPECT_NEAR(static_cast<double>(out[r * 19 + static_cast<std::size_t>(o)]), sum, 1e-5);
        }
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

TEST(Linear, GradientsAgreeWithDifferences) {
  Generator g(5);
  int cases = 0;
  for (; cases < 40; ++cases) {
    Shape shape{1 + g.below(5), 1 + g.below(20)};
    if (g.below(3) == 0) shape = Shape{1 + g.below(3), 1 + g.below(3), shape[1]};
    std::vector<BasicTensor<double>> inputs{randn<double>(shape, g),
                                            randn<double>({1 + g.below(18), shape[-1]}, g)};
    const bool bias = g.below(2) == 0;
    if (bias) inputs.push_back(randn<double>({inputs[1].size(0)}, g));
    const auto result = autograd::grad_check(
        [&](const std::vector<BasicTensor<double>>& t) {
          return linear(t[0], t[1], bias ? t[2] : BasicTensor<double>());
        },
        inputs);
    EXPECT_TRUE(result.ok) << shape << " " << result.where;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Linear, RejectsWhatDoesNotFit) {
  EXPECT_THROW(linear(zeros({2, 3}), zeros({4, 2})), ShapeError);
  EXPECT_THROW(linear(zeros({2, 3}), zeros({4, 3}), zeros({3})), ShapeError);
  EXPECT_THROW(linear(zeros({2, 3}), zeros({3})), ShapeError);
  EXPECT_THROW(linear(zeros({}), zeros({4, 3})), ShapeError);
}

}  // namespace matmul_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
#include <midtread/ops/reduce.hpp>

#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>
#include <limits>
#include <map>

namespace midtread {
namespace reduce_test {

using namespace test;

std::vector<int> random_dims(int rank, Generator& g) {
  std::vector<int> dims;
  for (int i = 0; i < rank; ++i)
    if (g.below(2) == 0) dims.push_back(g.below(2) == 0 ? i : i - rank);
  return dims;
}

TEST(Reduce, SumsAndMeansOverAnyDimensions) {
  Generator g(1);
  int cases = 0;
  for (; cases < 500; ++cases) {
    const Shape shape = random_shape(g, static_cast<int>(g.below(6)), 5);
    const Double x = in_order(randn<double>(shape, g), static_cast<int>(g.below(4)));
    const std::vector<int> dims = random_dims(shape.rank(), g);
    const bool keepdim = g.below(2) == 0;
    std::vector<bool> reduced(static_cast<std::size_t>(shape.rank()), dims.empty());
    for (int d : dims) reduced[static_cast<std::size_t>(d < 0 ? d + shape.rank() : d)] = true;
    std::map<std::vector<std::int64_t>, double> sums;
    double count = 1;
    Shape expected;
    for (int i = 0; i < shape.rank(); ++i) {
      const bool gone = reduced[static_cast<std::size_t>(i)];
      if (gone) count *= static_cast<double>(shape[i]);
      if (!gone || keepdim) expected.push_back(gone ? 1 : shape[i]);
    }
    for (std::int64_t k = 0; k < x.numel(); ++k) {
      const auto at = index_of(shape, k);
      std::vector<std::int64_t> to;
      for (std::size_t i = 0; i < at.size(); ++i)
        if (!reduced[i] || keepdim) to.push_back(reduced[i] ? 0 : at[i]);
      sums[to] += element(x, at);
    }
    const Double s = sum(x, dims, keepdim), m = mean(x, dims, keepdim);
    ASSERT_EQ(s.shape(), expected);
    ASSERT_EQ(m.shape(), expected);
    for (const auto& item : sums) {
      EXPECT_NEAR(element(s, item.first), item.second, 1e-12);
      EXPECT_NEAR(element(m, item.first), item.second / count, 1e-12);
    }
    if (cases % 10 == 0) {
      expect_gradients([&](const Doubles& t) { return sum(t[0], dims, keepdim); }, {x});
      expect_gradients([&](const Doubles& t) { return mean(t[0], dims, keepdim); }, {x});
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(Reduce, LargeSumsAreRoundedOnce) {
  const std::int64_t n = 3000001;
  const Tensor x = full({n}, 0.1f);
  const double exact = static_cast<double>(0.1f) * static_cast<double>(n);
  EXPECT_EQ(sum(x).item(), static_cast<float>(exact));
  EXPECT_EQ(mean(x).item(), 0.1f);
  const Tensor image = full({8, 3, 100, 100}, 0.1f).channels_last();
  for (const float v : sum(image, {0, 2, 3}).to_vector())
    EXPECT_EQ(v, static_cast<float>(static_cast<double>(0.1f) * 80000));
  for (const float v : mean(image, {2, 3}).to_vector()) EXPECT_EQ(v, 0.1f);
}

TEST(Reduce, BitsDoNotDependOnThreads) {
  Generator g(2);
  const Tensor x = randn({9, 7, 50, 51}, g).channels_last();
  for (const std::vector<int>& dims : {std::vector<int>{}, {0}, {1}, {2, 3}, {0, 2, 3}, {3}, {0, 1}})
    expect_same_on_threads([&] { return sum(x, dims); });
}

// The rule written out: integers, half to even.
TEST(Reduce, TheMeanOverHeightAndWidthIsExactOnCodes) {
  Generator g(3);
  int cases = 0, ties = 0;
  for (; cases < 400; ++cases) {
    const Shape shape{1 + g.below(3), 1 + g.below(5), 1 + g.below(5), 1 + g.below(5)};
    const QParams q = random_qparams(g);
    const std::int32_t z = stored(q).zero_point;
    const Tensor x = with_codes(in_order(random_codes(shape, g), static_cast<int>(g.below(4))), q);
    const bool keepdim = g.below(2) == 0;
    const Tensor y = mean(x, g.below(2) == 0 ? std::vector<int>{2, 3} : std::vector<int>{-1, -2}, keepdim);
    ASSERT_EQ(y.shape(), keepdim ? (Shape{shape[0], shape[1], 1, 1}) : (Shape{shape[0], shape[1]}));
    expect_consistent_codes(y);
    EXPECT_EQ(y.codes()->qparams, q);
    const auto codes = y.codes()->values.to_vector();
    const std::int64_t n = shape[2] * shape[3];
    for (std::int64_t image = 0; image < shape[0]; ++image)
      for (std::int64_t c = 0; c < shape[1]; ++c) {
        std::int64_t total = 0;
        for (std::int64_t i = 0; i < shape[2]; ++i)
          for (std::int64_t j = 0; j < shape[3]; ++j) total += x.codes()->values.at({image, c, i, j}) - z;
        std::int64_t mean_code = -300;
        for (std::int64_t m = -256; m <= 256; ++m) {  // the integer nearest to total / n, the even one of two
          const std::int64_t twice = 2 * std::abs(total - m * n);
          if (twice < n || (twice == n && m % 2 == 0)) mean_code = m;
          ties += twice == n ? 1 : 0;
        }
        EXPECT_EQ(codes[static_cast<std::size_t>(image * shape[1] + c)], mean_code + z);
      }
  }
  EXPECT_GT(ties, 10);
  std::printf("cases=%d ties=%d\n", cases, ties);
}

TEST(Reduce, TheMeanOnCodesHasTheGradientOfTheMean) {
  QParams q;
  q.scale = 0.5f;
  Generator g(4);
  const Tensor x = with_codes(random_codes({2, 3, 2, 2}, g).channels_last(), q).requires_grad_();
  mean(x, {2, 3}).backward(ones({2, 3}));
  EXPECT_TRUE(identical(x.grad(), full({2, 3, 2, 2}, 0.25f)));
}

TEST(Reduce, OtherReductionsDropCodes) {
  QParams q;
  Generator g(5);
  const Tensor x = with_codes(random_codes({2, 3, 2, 2}, g), q);
  EXPECT_FALSE(mean(x).codes());
  EXPECT_FALSE(mean(x, {1, 2, 3}).codes());
  EXPECT_FALSE(sum(x, {2, 3}).codes());
  EXPECT_FALSE(mean(with_codes(random_codes({2, 3, 2}, g), q), {2}).codes());
}

TEST(Reduce, MaxMinAndArgmax) {
  Generator g(6);
  int cases = 0;
  for (; cases < 200; ++cases) {
    const Shape shape = random_shape(g, 1 + static_cast<int>(g.below(4)), 5);
    const Tensor x = in_order(between_corners<float>(shape, g), static_cast<int>(g.below(4)));
    const auto values = x.to_vector();
    EXPECT_EQ(max(x).item(), *std::max_element(values.begin(), values.end()));
    EXPECT_EQ(min(x).item(), *std::min_element(values.begin(), values.end()));
    const int dim = static_cast<int>(g.below(shape.rank()));
    const BasicTensor<std::int64_t> best = argmax(x, dim);
    for (std::int64_t k = 0; k < best.numel(); ++k) {
      auto at = index_of(best.shape(), k);
      const std::int64_t found = element(best, at);
      at.insert(at.begin() + dim, 0);
      for (std::int64_t i = 0; i < shape[dim]; ++i) {
        auto other = at, own = at;
        other[static_cast<std::size_t>(dim)] = i;
        own[static_cast<std::size_t>(dim)] = found;
        if (i < found)
          EXPECT_LT(element(x, other), element(x, own));
        else
          EXPECT_LE(element(x, other), element(x, own));
      }
    }
  }
  EXPECT_EQ(argmax(tensor({1.0f, 3.0f, 3.0f})).item(), 1);
  const float nan = std::nanf("");
  EXPECT_EQ(argmax(tensor({1.0f, nan, 3.0f, nan})).item(), 1);
  EXPECT_TRUE(std::isnan(max(tensor({1.0f, nan, 3.0f})).item()));
  EXPECT_TRUE(std::isnan(min(tensor({nan, 1.0f, 3.0f})).item()));
  std::printf("cases=%d\n", cases);
}

TEST(Reduce, EmptyTensors) {
  EXPECT_EQ(sum(Tensor({0, 3})).item(), 0.0f);
  EXPECT_EQ(sum(Tensor({0, 3}), {0}).to_vector(), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(sum(Tensor({0, 3}), {1}).shape(), (Shape{0}));
  expect_error<ShapeError>([] { return mean(Tensor({0, 3})); }, {"mean", "[0, 3]"});
  expect_error<ShapeError>([] { return max(Tensor({0, 3})); }, {"max", "no elements"});
  expect_error<ShapeError>([] { return min(Tensor({0})); }, {"min", "no elements"});
  expect_error<ShapeError>([] { return argmax(Tensor({3, 0})); }, {"argmax", "empty"});
}

TEST(Reduce, RejectsWrongDimensions) {
  expect_error<ShapeError>([] { return sum(ones({2, 3}), {2}); }, {"sum", "dimension 2"});
  expect_error<ShapeError>(
      [] {
        return mean(ones({2, 3}), {0, -2});
      },
      {"mean", "dimension -2 is named twice"});
  expect_error<ShapeError>([] { return argmax(ones({2}), 1); }, {"argmax"});
  EXPECT_EQ((ops::Sum{{}, false}.attributes()), "all");
  EXPECT_EQ((ops::Mean{{2, 3}, true}.attributes()), "dims 2, 3, keepdim");
}

}  // namespace reduce_test
}  // namespace midtread

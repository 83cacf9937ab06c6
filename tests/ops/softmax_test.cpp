// SPDX-License-Identifier: MIT
#include <midtread/ops/softmax.hpp>

#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>
#include <limits>

namespace midtread {
namespace softmax_test {

using namespace test;

TEST(Softmax, ValuesAlongEveryDimension) {
  Generator g(1);
  int cases = 0;
  for (; cases < 200; ++cases) {
    const Shape shape = random_shape(g, 1 + static_cast<int>(g.below(5)), 5);
    const int dim = static_cast<int>(g.below(2 * shape.rank())) - shape.rank(),
              along = dim < 0 ? dim + shape.rank() : dim;
    const Double x = in_order(randn<double>(shape, g), static_cast<int>(g.below(4)));
    const Double y = softmax(x, dim), l = log_softmax(x, dim);
    for (std::int64_t k = 0; k < x.numel(); ++k) {
      auto at = index_of(shape, k);
      const double own = std::exp(element(x, at));
      const double value = element(y, at), log_value = element(l, at);
      double sum = 0;
      for (at[static_cast<std::size_t>(along)] = 0; at[static_cast<std::size_t>(along)] < shape[along];
           ++at[static_cast<std::size_t>(along)])
        sum += std::exp(element(x, at));
      EXPECT_NEAR(value, own / sum, 1e-14);
      EXPECT_NEAR(log_value, std::log(own / sum), 1e-13);
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(Softmax, GradientsAgreeWithDifferences) {
  Generator g(2);
  int cases = 0;
  for (; cases < 25; ++cases) {
    const Shape shape = random_shape(g, 1 + static_cast<int>(g.below(4)), 4);
    const int dim = static_cast<int>(g.below(shape.rank()));
    const Double x = randn<double>(shape, g);
    expect_gradients([&](const Doubles& t) { return softmax(t[0], dim); }, {x});
    expect_gradients([&](const Doubles& t) { return log_softmax(t[0], dim); }, {x});
  }
  std::printf("cases=%d\n", 2 * cases);
}

TEST(Softmax, LargeLogitsDoNotOverflow) {
  const Tensor x = tensor({10000.0f, 10000.0f, -10000.0f});
  EXPECT_EQ(softmax(x).to_vector(), (std::vector<float>{0.5f, 0.5f, 0.0f}));
  const Tensor l = log_softmax(x);
  EXPECT_FLOAT_EQ(l.at({0}), -std::log(2.0f));
  EXPECT_FLOAT_EQ(l.at({2}), -20000.0f - std::log(2.0f));
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(softmax(tensor({-inf, 0.0f})).to_vector(), (std::vector<float>{0, 1}));
  EXPECT_TRUE(std::isnan(softmax(tensor({std::nanf(""), 0.0f})).at({1})));
}

TEST(Softmax, ManyLinesOnManyThreads) {
  Generator g(3);
  const Tensor x = randn({40, 11, 13, 17}, g).channels_last();
  expect_same_on_threads([&] { return softmax(x, 1); });
  expect_same_on_threads([&] { return log_softmax(x, 3); });
}

TEST(Softmax, RejectsADimensionThatIsNotThere) {
  expect_error<ShapeError>([] { return softmax(ones({2, 3}), 2); }, {"softmax", "dimension 2", "-2..1"});
  expect_error<ShapeError>([] { return log_softmax(ones({2, 3}), -3); }, {"log_softmax", "-3"});
  EXPECT_EQ(softmax(Tensor({0, 3}), 1).shape(), (Shape{0, 3}));
  EXPECT_EQ(ops::Softmax{1}.attributes(), "dim 1");
}

}  // namespace softmax_test
}  // namespace midtread

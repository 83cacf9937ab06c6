// SPDX-License-Identifier: MIT
#include <midtread/ops/pointwise.hpp>

#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>

namespace midtread {
namespace pointwise_test {

using namespace test;

template <class Op, class F>
int check_pointwise(const Op& op, const F& f, std::uint64_t seed) {
  Generator g(seed);
  int cases = 0;
  for (; cases < 40; ++cases) {
    const Shape shape = random_shape(g, static_cast<int>(g.below(6)), 4);
    const Tensor x = in_order(positive<float>(shape, g), static_cast<int>(g.below(4))), y = op(x);
    EXPECT_EQ(y.shape(), shape);
    for (std::int64_t k = 0; k < x.numel(); ++k) {
      const auto at = index_of(shape, k);
      EXPECT_EQ(element(y, at), op.value(element(x, at)));
      EXPECT_NEAR(element(y, at), f(static_cast<double>(element(x, at))),
                  2e-6 * (1 + std::abs(f(static_cast<double>(element(x, at))))));
    }
    if (cases % 4 == 0)
      expect_gradients([&](const Doubles& t) { return op(t[0]); }, {positive<double>(shape, g)});
  }
  return cases;
}

TEST(Pointwise, ValuesAndGradients) {
  int cases = check_pointwise(
      ops::Exp{}, [](double x) { return std::exp(x); }, 1);
  cases += check_pointwise(
      ops::Log{}, [](double x) { return std::log(x); }, 2);
  cases += check_pointwise(
      ops::Sqrt{}, [](double x) { return std::sqrt(x); }, 3);
  cases += check_pointwise(
      ops::Abs{}, [](double x) { return std::abs(x); }, 4);
  for (const double e : {-1.0, 0.0, 0.5, 1.0, 2.0, 3.0})
    cases += check_pointwise(
        ops::Pow{e}, [e](double x) { return std::pow(x, e); }, 5);
  Generator g(6);
  for (int i = 0; i < 5; ++i) {
    const Double x = between_corners<double>({3, 4}, g);
    expect_gradients([](const Doubles& t) { return abs(t[0]); }, {x});
    expect_gradients([](const Doubles& t) { return pow(t[0], 2.0) + pow(t[0], 3.0); }, {x});
    expect_gradients([](const Doubles& t) { return 2.0 / t[0]; }, {x});
    cases += 3;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Pointwise, FreeFunctionsCallTheOperations) {
  const Tensor x = tensor({0.25f, 4.0f});
  EXPECT_EQ(sqrt(x).to_vector(), (std::vector<float>{0.5f, 2.0f}));
  EXPECT_EQ(log(exp(tensor({0.0f}))).item(), 0.0f);
  EXPECT_EQ(abs(-x).to_vector(), x.to_vector());
  EXPECT_EQ(pow(x, 0.5).to_vector(), (std::vector<float>{0.5f, 2.0f}));
  EXPECT_EQ((1.0 / x).to_vector(), (std::vector<float>{4.0f, 0.25f}));
  EXPECT_EQ(ops::Pow{2}.attributes(), "exponent 2");
}

TEST(Pointwise, TheGradientOfAbsIsZeroAtZero) {
  Tensor x = tensor({0.0f, -1.0f, 2.0f});
  x.requires_grad_();
  abs(x).backward(ones({3}));
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{0, -1, 1}));
}

}  // namespace pointwise_test
}  // namespace midtread

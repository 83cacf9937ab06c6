// SPDX-License-Identifier: MIT
// A user's own operation, and the check that finds a wrong gradient.
#include <midtread/autograd/function.hpp>

#include <midtread/ops/elementwise.hpp>
#include <support/random_tensor.hpp>

#include <cstdio>

namespace midtread {
namespace function_test {

using namespace test;

struct Square : autograd::Function<Square, double> {
  static Double forward(Context& context, const Double& x) {
    context.save(x);
    return x * x;
  }
  static Doubles backward(Context& context, const Double& dy) { return {context.saved(0) * dy * 2.0}; }
};

/// factor * a * b; the gradient is wrong on purpose where `error` is not 0.
struct Product : autograd::Function<Product, double> {
  static Double forward(Context& context, const Double& a, double factor, const Double& b, double error) {
    context.save(a);
    context.save(b);
    context.save(scalar(factor));
    context.save(scalar(error));
    return a * b * factor;
  }
  static Doubles backward(Context& context, const Double& dy) {
    const Double scaled = dy * context.saved(2).item();
    return {scaled * context.saved(1), scaled * context.saved(0) + context.saved(3).item()};
  }
};

struct Same : autograd::Function<Same> {
  static Tensor forward(Context&, const Tensor& x) { return x; }
  static Tensors backward(Context&, const Tensor& dy) { return {dy * 3.0}; }
};

struct Forgetful : autograd::Function<Forgetful> {
  static Tensor forward(Context&, const Tensor& x) { return x * 2.0; }
  static Tensors backward(Context& context, const Tensor&) { return {context.saved(0)}; }
};

TEST(Function, GradientsAgreeWithDifferences) {
  Generator g(1);
  int cases = 0;
  for (; cases < 20; ++cases) {
    const Shape shape = random_shape(g, static_cast<int>(g.below(5)), 3);
    const Double a = randn<double>(shape, g), b = randn<double>(shape, g);
    expect_gradients([](const Doubles& t) { return Square::apply(t[0]); }, {a});
    expect_gradients([](const Doubles& t) { return Product::apply(t[0], 1.5, t[1], 0.0); }, {a, b});
    expect_gradients([](const Doubles& t) { return Product::apply(Square::apply(t[0]), 2.0, t[0], 0.0); },
                     {a});
  }
  std::printf("cases=%d\n", 3 * cases);
}

TEST(GradCheck, FindsAWrongGradient) {
  Generator g(2);
  const Double a = randn<double>({4}, g), b = randn<double>({4}, g);
  for (const double error : {1e-3, -0.5}) {
    const auto result = autograd::grad_check(
        [=](const Doubles& t) { return Product::apply(t[0], 1.0, t[1], error); }, {a, b});
    EXPECT_FALSE(result.ok);
    EXPECT_NE(result.where.find("input 1"), std::string::npos) << result.where;
    EXPECT_EQ(result.checked, 8);
    EXPECT_NEAR(result.worst, std::abs(error), std::abs(error) * 0.9);
  }
  const auto unused = autograd::grad_check([](const Doubles& t) { return t[0] * 1.0; }, {a, b});
  EXPECT_TRUE(unused.ok);
}

TEST(Function, RecordsNothingInsideAndNothingWithoutNeed) {
  const Double x = ones<double>({2});
  EXPECT_FALSE(Square::apply(x).requires_grad());
  Double leaf = x.clone();
  leaf.requires_grad_();
  const NoGradGuard off;
  EXPECT_FALSE(Square::apply(leaf).requires_grad());
}

TEST(Function, MayReturnItsInput) {
  Tensor x = ones({2});
  x.requires_grad_();
  const Tensor y = Same::apply(x);
  EXPECT_FALSE(y.is(x));
  y.backward(ones({2}));
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{3, 3}));
}

TEST(Function, NamesASavedTensorThatIsNotThere) {
  Tensor x = ones({1});
  x.requires_grad_();
  expect_error<StateError>([&] { Forgetful::apply(x).backward(); }, {"saved(0)", "0 tensors were saved"});
}

}  // namespace function_test
}  // namespace midtread

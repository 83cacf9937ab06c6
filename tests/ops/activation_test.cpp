// SPDX-License-Identifier: MIT
#include <midtread/ops/activation.hpp>

#include <midtread/ops/view.hpp>
#include <support/random_tensor.hpp>

#include <cfenv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace midtread {
namespace activation_test {

using namespace test;

template <class Op, class F>
int check(const Op& op, const F& f, std::uint64_t seed) {
  Generator g(seed);
  int cases = 0;
  for (; cases < 40; ++cases) {
    const Shape shape = random_shape(g, static_cast<int>(g.below(6)), 4);
    const Tensor x = in_order(between_corners<float>(shape, g), static_cast<int>(g.below(4))), y = op(x);
    EXPECT_EQ(y.shape(), shape);
    EXPECT_EQ(y.is_contiguous(), x.is_dense() ? x.is_contiguous() : y.is_contiguous());
    for (std::int64_t k = 0; k < x.numel(); ++k) {
      const auto at = index_of(shape, k);
      const auto v = static_cast<double>(element(x, at));
      EXPECT_EQ(element(y, at), op.value(element(x, at))) << Op::kName << " at " << v;
      EXPECT_NEAR(element(y, at), f(v), 1e-6 * (1 + std::abs(f(v)))) << Op::kName << " at " << v;
    }
    if (cases % 2 == 0)
      expect_gradients([&](const Doubles& t) { return op(t[0]); }, {between_corners<double>(shape, g)});
  }
  return cases;
}

double clamped(double x, double low, double high) { return std::min(std::max(x, low), high); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Activation, ValuesAndGradients) {
  int cases = check(
      ops::Relu{}, [](double x) { return std::max(x, 0.0); }, 1);
  cases += check(
      ops::Relu6{}, [](double x) { return clamped(x, 0, 6); }, 2);
  cases += check(
      ops::Clamp{-3, 1}, [](double x) { return clamped(x, -3, 1); }, 3);
  cases += check(
      ops::LeakyRelu{}, [](double x) { return x > 0 ? x : 0.01 * x; }, 4);
  cases += check(
      ops::LeakyRelu{0.3}, [](double x) { return x > 0 ? x : 0.3 * x; }, 5);
  cases += check(
      ops::Elu{}, [](double x) { return x > 0 ? x : std::exp(x) - 1; }, 6);
  cases += check(
      ops::Elu{1.7}, [](double x) { return x > 0 ? x : 1.7 * (std::exp(x) - 1); }, 7);
  cases += check(
      ops::Silu{}, [](double x) { return x * logistic(x); }, 8);
  cases += check(
      ops::Gelu{}, [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }, 9);
  cases += check(
      ops::Hardswish{}, [](double x) { return x * clamped(x + 3, 0, 6) / 6; }, 10);
  cases += check(
      ops::Hardsigmoid{}, [](double x) { return clamped(x + 3, 0, 6) / 6; }, 11);
  cases += check(
      ops::Sigmoid{}, [](double x) { return logistic(x); }, 12);
  cases += check(
      ops::Tanh{}, [](double x) { return std::tanh(x); }, 13);
  std::printf("cases=%d\n", cases);
}

TEST(Activation, FreeFunctionsCallTheOperations) {
  const Tensor x = tensor({-4.0f, -1.0f, 0.5f, 7.0f});
  EXPECT_TRUE(identical(relu(x), ops::Relu{}(x)));
  EXPECT_TRUE(identical(relu6(x), ops::Relu6{}(x)));
  EXPECT_TRUE(identical(clamp(x, -2, 3), tensor({-2.0f, -1.0f, 0.5f, 3.0f})));
  EXPECT_TRUE(identical(leaky_relu(x, 0.5), tensor({-2.0f, -0.5f, 0.5f, 7.0f})));
  EXPECT_TRUE(identical(elu(x, 2.0), ops::Elu{2.0}(x)));
  EXPECT_TRUE(identical(silu(x), ops::Silu{}(x)));
  EXPECT_TRUE(identical(gelu(x), ops::Gelu{}(x)));
  EXPECT_TRUE(identical(hardswish(x), ops::Hardswish{}(x)));
  EXPECT_TRUE(identical(hardsigmoid(x), ops::Hardsigmoid{}(x)));
  EXPECT_TRUE(identical(sigmoid(x), ops::Sigmoid{}(x)));
  EXPECT_TRUE(identical(tanh(x), ops::Tanh{}(x)));
  EXPECT_EQ((ops::Clamp{0, 1}.attributes()), "min 0, max 1");
}

// PyTorch: relu and relu6 pass nothing at their corners, clamp passes at both ends.
TEST(Activation, GradientsAtTheCorners) {
  const auto gradient = [](const auto& op, float at) {
    Tensor x = tensor({at});
    x.requires_grad_();
    op(x).backward(ones({1}));
    return x.grad().item();
  };
  EXPECT_EQ(gradient(ops::Relu{}, 0.0f), 0.0f);
  EXPECT_EQ(gradient(ops::Relu6{}, 0.0f), 0.0f);
  EXPECT_EQ(gradient(ops::Relu6{}, 6.0f), 0.0f);
  EXPECT_EQ(gradient(ops::Clamp{-1, 2}, -1.0f), 1.0f);
  EXPECT_EQ(gradient(ops::Clamp{-1, 2}, 2.0f), 1.0f);
  EXPECT_EQ(gradient(ops::Clamp{-1, 2}, 2.5f), 0.0f);
  EXPECT_EQ(gradient(ops::LeakyRelu{0.25}, 0.0f), 0.25f);
}

TEST(Activation, NaNStaysNaN) {
  const Tensor x = tensor({std::numeric_limits<float>::quiet_NaN()});
  for (const Tensor& y : {relu(x), relu6(x), clamp(x, 0, 1), leaky_relu(x), elu(x), silu(x), gelu(x),
                          hardswish(x), hardsigmoid(x), sigmoid(x), tanh(x)})
    EXPECT_TRUE(std::isnan(y.item()));
}

TEST(Activation, LargeArgumentsStayFinite) {
  for (const float at : {-200.0f, 200.0f}) {
    Tensor x = tensor({at});
    x.requires_grad_();
    for (const Tensor& y : {sigmoid(x), tanh(x), gelu(x), elu(x), hardswish(x)}) {
      EXPECT_TRUE(std::isfinite(y.item())) << at;
      x.set_grad({});
      y.backward();
      EXPECT_TRUE(std::isfinite(x.grad().item())) << at;
    }
  }
  EXPECT_EQ(silu(tensor({-200.0f})).item(), 0.0f);
}

TEST(Activation, FixedQParams) {
  for (const auto& q :
       {ops::Sigmoid{}.fixed_qparams(DType::kUInt8), ops::Hardsigmoid{}.fixed_qparams(DType::kUInt8)}) {
    EXPECT_EQ(q->scale, 1.0f / 256.0f);
    EXPECT_EQ(q->zero_point, 0);
    EXPECT_EQ(q->range, (CodeRange{0, 255}));
  }
  const QParams sigmoid8 = *ops::Sigmoid{}.fixed_qparams(DType::kInt8);
  EXPECT_EQ(sigmoid8.zero_point, -128);
  EXPECT_EQ(sigmoid8.range, (CodeRange{-128, 127}));
  const QParams tanh_u8 = *ops::Tanh{}.fixed_qparams(DType::kUInt8),
                tanh_s8 = *ops::Tanh{}.fixed_qparams(DType::kInt8);
  EXPECT_EQ(tanh_u8.scale, 2.0f / 256.0f);
  EXPECT_EQ(tanh_u8.zero_point, 128);
  EXPECT_EQ(tanh_s8.zero_point, 0);
  EXPECT_EQ(tanh_s8.dtype, DType::kInt8);
  for (const QParams& q : {sigmoid8, tanh_u8, tanh_s8}) EXPECT_NO_THROW(check(q, "test"));
}

// All 256 codes through relu, relu6 and clamp, against the rule written out.
TEST(Activation, WorksOnCodes) {
  Generator g(20);
  BasicTensor<std::uint8_t> all({4, 4, 4, 4});
  for (std::int64_t i = 0; i < 256; ++i) all.mutable_data()[i] = static_cast<std::uint8_t>(i);
  int cases = 0;
  for (; cases < 300; ++cases) {
    const QParams q = random_qparams(g);
    const std::int32_t z = stored(q).zero_point;
    const Tensor x = with_codes(in_order(all, static_cast<int>(g.below(4))), q);
    const double low = g.uniform(-3, 1), high = low + g.uniform(0, 4);
    const auto code = [&](double bound) {
      const float scaled = static_cast<float>(bound) * (1.0f / q.scale);
      const float held = std::min(std::max(scaled, static_cast<float>(0 - z)), static_cast<float>(255 - z));
      return static_cast<int>(std::nearbyint(held)) + z;
    };
    const auto check = [&](const Tensor& y, int from, int to) {
      expect_consistent_codes(y);
      EXPECT_EQ(y.codes()->qparams, q);
      for (std::int64_t k = 0; k < 256; ++k) {
        const auto at = index_of(x.shape(), k);
        EXPECT_EQ(element(y.codes()->values, at),
                  std::min(std::max<int>(element(x.codes()->values, at), from), to));
      }
    };
    check(relu(x), z, 255);
    check(relu6(x), code(0), code(6));
    check(clamp(x, low, high), code(low), code(high));
  }
  std::printf("cases=%d\n", 3 * cases);
}

TEST(Activation, TheGradientOnCodesIsThatOfTheRealFunction) {
  QParams q;
  q.scale = 0.13f;  // 6 is not a multiple: Q(6) stands for 5.98, where relu6 has a slope
  const Tensor x = with_codes(full<std::uint8_t>({1, 1, 1, 1}, 80), q).requires_grad_();
  const Tensor y = relu6(x);
  EXPECT_EQ(y.codes()->values.item(), 46);
  y.backward(ones({1, 1, 1, 1}));
  EXPECT_EQ(x.grad().item(), 0.0f);
  const Tensor inside = with_codes(full<std::uint8_t>({1}, 46), q).requires_grad_();
  relu6(inside).backward();
  EXPECT_EQ(inside.grad().item(), 1.0f);
}

TEST(Activation, CodesDoNotDependOnTheCallersRounding) {
  QParams q;
  q.scale = 0.13f;
  Generator g(22);
  const Tensor x = with_codes(random_codes({100}, g), q), expected = relu6(x);
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    const Tensor y = relu6(x);
    std::fesetround(FE_TONEAREST);
    EXPECT_TRUE(identical(y, expected));
    EXPECT_TRUE(identical(y.codes()->values, expected.codes()->values));
  }
}

TEST(Activation, OtherFunctionsDropCodes) {
  QParams q;
  const Tensor x = with_codes(full<std::uint8_t>({2}, 1), q);
  for (const Tensor& y :
       {leaky_relu(x), elu(x), silu(x), gelu(x), hardswish(x), hardsigmoid(x), sigmoid(x), tanh(x)})
    EXPECT_FALSE(y.codes());
}

TEST(Activation, BitsDoNotDependOnThreads) {
  Generator g(21);
  const Tensor x = randn({3, 5, 90, 91}, g).channels_last();
  expect_same_on_threads([&] { return relu(gelu(x)); });
}

TEST(Activation, RejectsAnEmptyInterval) {
  expect_error<ConfigError>([] { return clamp(ones({1}), 2, 1); },
                            {"clamp", "min 2 must not be above max 1"});
  expect_error<ConfigError>([] { return clamp(ones({1}), 0, std::nan("")); }, {"clamp"});
}

}  // namespace activation_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
// PACT: values and gradients against the paper's formula, the gradient of alpha at every alpha, the penalty,
// refusals.
#include <midtread/nn/parameter_groups.hpp>
#include <midtread/quant/min_max_observer.hpp>
#include <midtread/quant/moving_average_min_max_observer.hpp>
#include <midtread/quant/pact.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace pact_test {

using Activation = quant::Pact<quant::MovingAverageMinMaxObserver<quant::UInt8Affine>>;
using Int8Activation = quant::Pact<quant::MovingAverageMinMaxObserver<quant::Int8Affine>>;
using Signed = quant::Pact<quant::MovingAverageMinMaxObserver<quant::Int8Symmetric>>;
using SignedUInt8 = quant::Pact<quant::MovingAverageMinMaxObserver<quant::UInt8Symmetric>>;
using Weight = quant::Pact<quant::MinMaxObserver<quant::Int8PerChannel>>;

/// x with elements on, next to and far beyond the ends.
mt::Tensor probes(float alpha, mt::Generator& g) {
  mt::Tensor x = mt::randn({200}, g);
  const float special[] = {0.0f,
                           -0.0f,
                           alpha,
                           -alpha,
                           std::nextafter(alpha, 0.0f),
                           std::nextafter(alpha, 100.0f),
                           -std::nextafter(alpha, 100.0f),
                           alpha * 1.002f,
                           1e30f,
                           -1e30f,
                           1e-40f,
                           -1e-40f};
  std::copy(std::begin(special), std::end(special), x.mutable_data());
  return x;
}

TEST(Pact, UnsignedAsInThePaper) {
  int cases = 0;
  mt::Generator g(1);
  const auto run = [&](auto& f, int bits, float alpha) {
    mt::Tensor x = probes(alpha, g);
    x.requires_grad_();
    const mt::Tensor dy = mt::randn(x.shape(), g), y = f.forward(x);
    y.backward(dy);
    const double top = (1 << bits) - 1;
    double d_alpha = 0;
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const double v = static_cast<double>(x.data()[i]), a = static_cast<double>(alpha);
      const double want = std::nearbyint(std::min(std::max(v, 0.0), a) * top / a) * a / top;
      EXPECT_NEAR(
          y.data()[i], want,
          std::abs(v / a * top - std::nearbyint(v / a * top - 0.5) - 0.5) < 1e-4 ? a / top * 1.001 : 1e-6 * a)
          << v;
      EXPECT_EQ(x.grad().data()[i], v >= 0 && v < a ? dy.data()[i] : 0.0f) << v;
      if (v >= a) d_alpha += static_cast<double>(dy.data()[i]);
    }
    EXPECT_NEAR(f.alpha().grad().item(), d_alpha, 1e-5);
    EXPECT_EQ(f.tensor_qparams().scale, alpha / static_cast<float>(top));
    ++cases;
  };
  for (int bits : {2, 3, 4, 8})
    for (float alpha : {0.7f, 1.0f, 1.37f, 6.0f}) {
      SCOPED_TRACE(mt::concat("bits ", bits, " alpha ", alpha));
      Activation f(Activation::Options().bit_width(bits).alpha(static_cast<double>(alpha)));
      run(f, bits, alpha);
      EXPECT_EQ(f.tensor_qparams().zero_point, 0);
      Int8Activation i(Int8Activation::Options().bit_width(bits).alpha(static_cast<double>(alpha)));
      run(i, bits, alpha);
      EXPECT_EQ(i.tensor_qparams().zero_point, -(1 << (bits - 1)));
    }
  std::printf("cases=%d\n", cases);
}

TEST(Pact, SignedClipsBothEnds) {
  int cases = 0;
  mt::Generator g(2);
  const auto run = [&](auto& f, float alpha, double steps, int zero_point) {
    mt::Tensor x = probes(alpha, g);
    x.requires_grad_();
    const mt::Tensor dy = mt::randn(x.shape(), g), y = f.forward(x);
    y.backward(dy);
    EXPECT_FLOAT_EQ(f.tensor_qparams().scale, static_cast<float>(static_cast<double>(alpha) / steps));
    EXPECT_EQ(f.tensor_qparams().zero_point, zero_point);
    EXPECT_TRUE(mt::identical(y, mt::fake_quantize(x.detach(), f.tensor_qparams())));
    double d_alpha = 0;
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const float v = x.data()[i];
      EXPECT_EQ(x.grad().data()[i], std::abs(v) <= alpha ? dy.data()[i] : 0.0f) << v;
      EXPECT_LE(std::abs(y.data()[i]), alpha * 1.334f);
      if (std::abs(v) > alpha) d_alpha += static_cast<double>(v > 0 ? dy.data()[i] : -dy.data()[i]);
    }
    EXPECT_NEAR(f.alpha().grad().item(), d_alpha, 1e-5);
    ++cases;
  };
  for (int bits : {2, 3, 4, 8})
    for (float alpha : {0.8f, 2.5f}) {
      SCOPED_TRACE(mt::concat("bits ", bits, " alpha ", alpha));
      const double a = static_cast<double>(alpha), codes = (1 << bits) - 1;
      Signed full(Signed::Options().bit_width(bits).narrow_range(false).alpha(a));
      run(full, alpha, codes / 2, 0);
      Signed narrow(Signed::Options().bit_width(bits).alpha(a));
      run(narrow, alpha, (codes - 1) / 2, 0);
      SignedUInt8 u(SignedUInt8::Options().bit_width(bits).alpha(a));
      run(u, alpha, codes / 2, 1 << (bits - 1));
    }
  std::printf("cases=%d\n", cases);
}

// alpha / s = 127.5 is a tie that rounds to 128, a code that does not exist: a mask on codes loses the
// gradient.
TEST(Pact, AlphaHasItsGradientAtEveryAlpha) {
  int cases = 0;
  for (int i = 0; i < 1950; ++i) {
    const float alpha = static_cast<float>(0.5 + 0.01 * i);
    Signed f(Signed::Options().narrow_range(false).alpha(static_cast<double>(alpha)));
    mt::Tensor x = mt::tensor({alpha * 1.5f, -alpha * 2.0f, alpha, 0.5f * alpha});
    x.requires_grad_();
    f.forward(x).backward(mt::tensor({1.0f, 8.0f, 64.0f, 512.0f}));
    ASSERT_EQ(f.alpha().grad().item(), 1.0f - 8.0f) << alpha;
    ASSERT_EQ(x.grad().to_vector(), (std::vector<float>{0, 0, 64, 512})) << alpha;
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Pact, WeightsHaveOneAlphaPerChannel) {
  Weight f(Weight::Options().bit_width(4).for_weight({0, 1}));
  const mt::Tensor w = mt::from_vector<float>({0.5f, -2.0f, 1.0f, 0.25f, 3.0f, -1.0f}, {3, 2});
  expect_error<mt::StateError>([&] { f.qparams(); }, {"has seen no data"});
  f.forward(w);
  EXPECT_EQ(f.alpha().to_vector(), (std::vector<float>{2, 1, 3}));  // max|w|
  EXPECT_EQ(f.qparams().scales, (std::vector<float>{2.0f / 7, 1.0f / 7, 3.0f / 7}));
  f.alpha().mutable_data()[0] = 1.0f;
  f.forward(w).backward(mt::from_vector<float>({1, 2, 4, 8, 16, 32}, {3, 2}));
  EXPECT_EQ(f.alpha().grad().to_vector(), (std::vector<float>{-2, 0, 0}));
}

TEST(Pact, FirstAlphas) {
  Activation six;
  six.forward(mt::tensor({100.0f}));
  EXPECT_EQ(six.alpha().item(), 6.0f);
  six.set_calibrating(true);
  six.forward(mt::tensor({100.0f}));
  EXPECT_EQ(six.alpha().item(), 6.0f);
  Activation given(Activation::Options().alpha(2));
  given.eval();
  given.set_calibrating(true);
  given.forward(mt::tensor({100.0f}));
  EXPECT_EQ(given.alpha().item(), 2.0f);
  Activation estimated(Activation::Options().init(quant::ScaleInit::kObserver));
  estimated.forward(mt::tensor({0.0f, 3.0f}));
  EXPECT_FLOAT_EQ(estimated.alpha().item(), 3.0f);
  six.enable_static_estimate();
  six.forward(mt::tensor({0.0f, 3.0f}));
  EXPECT_FLOAT_EQ(six.alpha().item(), 6.0f * 0.99f + 0.03f);  // the average began at 6
}

TEST(Pact, AlphaHasAFloor) {
  Activation f;
  f.alpha().fill_(-1.0f);
  EXPECT_EQ(f.tensor_qparams().scale, 0.0009765625f / 255);
  f.forward(mt::ones({2}));
  EXPECT_EQ(f.alpha().item(), 0.0009765625f);
  f.alpha().fill_(std::nanf(""));
  f.set_path("conv");
  expect_error<mt::NumericError>([&] { f.forward(mt::ones({2})); }, {"conv", "its learned alpha is nan"});
}

TEST(Pact, Penalty) {
  mt::nn::Module tree;
  EXPECT_FALSE(quant::alpha_penalty(tree, 0.1).defined());
  const auto a = tree.register_module("a", std::make_shared<Activation>(Activation::Options().alpha(2)));
  const auto w = tree.register_module("w", std::make_shared<Weight>(Weight::Options().alpha(3).channels(2)));
  tree.register_module("again", a);
  const mt::Tensor loss = quant::alpha_penalty(tree, 0.5);
  EXPECT_FLOAT_EQ(loss.item(), 0.5f * (4 + 9 + 9));
  loss.backward(mt::scalar(2.0f));
  EXPECT_FLOAT_EQ(a->alpha().grad().item(), 2 * 0.5f * 2 * 2);
  EXPECT_EQ(w->alpha().grad().to_vector(), (std::vector<float>{6, 6}));
  expect_error<mt::ConfigError>([&] { quant::alpha_penalty(tree, -1); }, {"lambda is -1"});
  expect_error<mt::ConfigError>([&] { quant::alpha_penalty(tree, std::nan("")); }, {"lambda is nan"});
}

TEST(Pact, TagsKeysCopiesAndOptions) {
  Activation f;
  const auto groups = mt::nn::parameter_groups(f);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].tag, mt::nn::ParameterTag::kAlpha);
  EXPECT_EQ(f.state_dict().begin()->first, "alpha");
  mt::nn::Module::CloneMap map;
  const auto copy = std::dynamic_pointer_cast<Activation>(std::make_shared<Activation>()->clone(map));
  copy->alpha().fill_(2.0f);
  EXPECT_EQ(copy->tensor_qparams().scale, 2.0f / 255);
  Activation loaded;
  loaded.load_state_dict(copy->state_dict());
  EXPECT_EQ(loaded.tensor_qparams(), copy->tensor_qparams());
  for (double bad : {0.0, -6.0, std::nan(""), HUGE_VAL})
    expect_error<mt::ConfigError>([&] { Activation g(Activation::Options().alpha(bad)); },
                                  {"alpha", "allowed a positive number"});
  expect_error<mt::ConfigError>([] { Signed g(Signed::Options().scale_type(quant::ScaleType::kPowerOfTwo)); },
                                {"scale_type", "use Tqt"});
  Activation::Options options;
  options.set("alpha", 2.5).set("bit_width", 4.0);
  EXPECT_EQ(Activation(options).tensor_qparams().scale, 2.5f / 15);
  expect_error<mt::ConfigError>([&] { options.set("boundary", std::string("exact")); },
                                {"boundary", "channels, alpha"});
}

}  // namespace pact_test

// SPDX-License-Identifier: MIT
// TQT: scales are powers of two, the gradient of the log threshold against the paper's formula, first
// thresholds, refusals.
#include <midtread/quant/min_max_observer.hpp>
#include <midtread/quant/moving_average_min_max_observer.hpp>
#include <midtread/quant/tqt.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace tqt_test {

using Activation = quant::Tqt<quant::MovingAverageMinMaxObserver<quant::Int8Symmetric>>;
using UInt8Activation = quant::Tqt<quant::MovingAverageMinMaxObserver<quant::UInt8Symmetric>>;
using Weight = quant::Tqt<quant::MinMaxObserver<quant::Int8Symmetric>>;
using ChannelWeight = quant::Tqt<quant::MinMaxObserver<quant::Int8PerChannel>>;

bool is_power_of_two(float x) {
  int exponent = 0;
  return std::frexp(x, &exponent) == 0.5f;
}

TEST(Tqt, ScalesArePowersOfTwo) {
  int cases = 0;
  for (int bits : {2, 3, 4, 8})
    for (bool narrow : {false, true})
      for (double threshold : {1e-3, 0.3, 0.5, 0.500001, 1.0, 3.0, 1e4}) {
        Activation f(Activation::Options().bit_width(bits).narrow_range(narrow).threshold(threshold));
        EXPECT_EQ(f.tensor_qparams().scale, std::exp2(std::ceil(std::log2(static_cast<float>(threshold)))) /
                                                static_cast<float>(1 << (bits - 1)))
            << threshold;
        EXPECT_EQ(f.tensor_qparams().zero_point, 0);
        UInt8Activation u(UInt8Activation::Options().bit_width(bits).threshold(threshold));
        EXPECT_EQ(u.tensor_qparams().scale, f.tensor_qparams().scale);
        EXPECT_EQ(u.tensor_qparams().zero_point, 1 << (bits - 1));
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(Tqt, GradientOfTheLogThreshold) {
  int cases = 0;
  mt::Generator g(1);
  for (int bits : {2, 3, 4, 8})
    for (bool narrow : {false, true})
      for (double threshold : {0.4, 1.0, 1.9}) {
        Activation f(Activation::Options().bit_width(bits).narrow_range(narrow).threshold(threshold));
        mt::Tensor x = mt::randn({7, 40}, g);
        x.requires_grad_();
        const mt::Tensor dy = mt::randn(x.shape(), g), y = f.forward(x);
        y.backward(dy);
        const double s = std::exp2(std::ceil(std::log2(threshold))) / (1 << (bits - 1)),
                     hi = (1 << (bits - 1)) - 1, lo = -hi - (narrow ? 0 : 1);
        double want = 0;
        for (std::int64_t i = 0; i < x.numel(); ++i) {
          const double v = static_cast<double>(x.data()[i]) / s, r = std::nearbyint(v),
                       d = static_cast<double>(dy.data()[i]);
          want += d * s * std::log(2.0) * (r < lo ? lo : r > hi ? hi : r - v);
          EXPECT_EQ(x.grad().data()[i], r < lo || r > hi ? 0.0f : dy.data()[i]);
          EXPECT_EQ(static_cast<double>(y.data()[i]), std::min(std::max(r, lo), hi) * s);
        }
        EXPECT_NEAR(f.log_threshold().grad().item(), want, 1e-5 * (1 + std::abs(want)));
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(Tqt, FirstThresholds) {
  int cases = 0;
  mt::Generator g(3);
  for (int bits : {2, 3, 4, 8})
    for (bool narrow : {false, true})
      for (float largest : {0.3f, 0.999f, 1.0f, 1.001f, 6.3f}) {
        // The smallest power of two that leaves no value more than half a step beyond the codes.
        Activation f(Activation::Options().bit_width(bits).narrow_range(narrow));
        f.observe(mt::tensor({-largest, largest}));
        const float s = f.tensor_qparams().scale, hi = static_cast<float>((1 << (bits - 1)) - 1);
        EXPECT_TRUE(is_power_of_two(s));
        EXPECT_LE(largest, (hi + 0.5f) * s * 1.000001f) << bits << " " << narrow;
        EXPECT_GT(largest, (hi + 0.5f) * s / 2 * 0.999999f);
        ++cases;
      }
  // Weights: |mean| + 3 sd, one outlier does not count.
  mt::Tensor w = mt::randn({1000}, g);
  w.mutable_data()[0] = 100.0f;
  double sum = 0, square = 0;
  for (float v : w.to_vector())
    sum += static_cast<double>(v), square += static_cast<double>(v) * static_cast<double>(v);
  const double mean = sum / 1000, threshold = std::abs(mean) + 3 * std::sqrt(square / 1000 - mean * mean);
  Weight f(Weight::Options().for_weight({}));
  f.observe(w);
  EXPECT_EQ(f.tensor_qparams().scale, std::exp2(std::ceil(std::log2(threshold))) / 128);
  Weight observer(Weight::Options().init(quant::ScaleInit::kObserver).for_weight({}));
  observer.observe(w);
  EXPECT_EQ(observer.tensor_qparams().scale, 1.0f);
  std::printf("cases=%d\n", cases);
}

TEST(Tqt, ScalesByHandComeOutAgain) {
  int cases = 0;
  for (int bits : {2, 3, 4, 8})
    for (bool narrow : {false, true})
      for (int p = -10; p <= 5; ++p) {
        Activation f(Activation::Options().bit_width(bits).narrow_range(narrow).threshold(1));
        mt::ChannelQParams q = f.qparams();
        q.scales[0] = std::ldexp(1.0f, p);
        f.set_qparams(q);
        EXPECT_EQ(f.tensor_qparams().scale, q.scales[0]) << bits << " " << narrow;
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(Tqt, OneThresholdPerChannel) {
  ChannelWeight f(ChannelWeight::Options().init(quant::ScaleInit::kObserver));
  f.set_channels(2);
  const mt::Tensor w = mt::from_vector<float>({0.4f, -0.2f, 3.0f, 0.1f}, {2, 2});
  f.forward(w);
  EXPECT_EQ(f.qparams().scales, (std::vector<float>{0.5f / 128, 4.0f / 128}));
  f.log_threshold().mutable_data()[1] = 0.5f;
  f.forward(w).backward(mt::ones({2, 2}));
  EXPECT_NEAR(f.log_threshold().grad().data()[1],
              2.0 / 128 * std::log(2.0) * (127 + std::nearbyint(6.4) - 6.4), 1e-6);
}

TEST(Tqt, TheScaleHasAFloorAndACeiling) {
  Activation f(Activation::Options().threshold(1));
  f.log_threshold().fill_(-1000.0f);
  EXPECT_EQ(f.tensor_qparams().scale, std::ldexp(1.0f, -23));
  f.forward(mt::ones({2}));
  EXPECT_EQ(f.log_threshold().item(), -16.0f);
  f.log_threshold().fill_(1000.0f);
  EXPECT_EQ(f.tensor_qparams().scale, std::ldexp(1.0f, 119));
  f.log_threshold().fill_(std::nanf(""));
  f.set_path("conv");
  expect_error<mt::NumericError>([&] { f.forward(mt::ones({2})); },
                                 {"conv", "its learned log_threshold is nan"});
}

TEST(Tqt, TagsCopiesAndOptions) {
  Activation f(Activation::Options().threshold(3));
  EXPECT_EQ(f.parameter_tag("log_threshold"), mt::nn::ParameterTag::kScale);
  EXPECT_EQ(f.state_dict().begin()->first, "log_threshold");
  Activation loaded;
  loaded.load_state_dict(f.state_dict());
  EXPECT_EQ(loaded.tensor_qparams(), f.tensor_qparams());
  mt::nn::Module::CloneMap map;
  const auto copy = std::dynamic_pointer_cast<Activation>(
      std::make_shared<Activation>(Activation::Options().threshold(1))->clone(map));
  copy->log_threshold().fill_(3.0f);
  EXPECT_EQ(copy->tensor_qparams().scale, 8.0f / 128);
  expect_error<mt::ConfigError>([] { Activation g(Activation::Options().threshold(-1)); },
                                {"threshold", "allowed a positive number"});
  expect_error<mt::ConfigError>(
      [] { Activation g(Activation::Options().scale_type(quant::ScaleType::kFloat)); },
      {"scale_type", "powers of two"});
  EXPECT_NO_THROW(Activation(Activation::Options().scale_type(quant::ScaleType::kPowerOfTwo)));
  Activation::Options options;
  options.set("threshold", 2.0);
  EXPECT_EQ(Activation(options).tensor_qparams().scale, 2.0f / 128);
  expect_error<mt::ConfigError>([&] { options.set("alpha", 2.0); }, {"alpha", "threshold"});
}

}  // namespace tqt_test

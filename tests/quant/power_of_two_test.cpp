// SPDX-License-Identifier: MIT
// Fix positions, and power-of-two scales of the range observers.
#include <midtread/quant/moving_average_min_max_observer.hpp>
#include <midtread/quant/per_channel_min_max_observer.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace power_of_two_test {

using quant::ScaleType;

constexpr mt::CodeRange kInt8{-128, 127};

TEST(FixPosition, VitisTable) {
  EXPECT_EQ(quant::overflow_free_position(-1, 1, kInt8, 0), 6);
  EXPECT_EQ(quant::overflow_free_position(-1, 0, kInt8, 0), 7);
  EXPECT_EQ(quant::overflow_free_position(0, 0.99609375f, kInt8, 0), 7);  // 127.5 / 128
  EXPECT_EQ(quant::overflow_free_position(0, 1000, kInt8, 0), -3);
  EXPECT_EQ(quant::overflow_free_position(0, 0, kInt8, 0), 18);
  EXPECT_EQ(quant::fix_position_scale(18), std::ldexp(1.0f, -12));
  EXPECT_EQ(quant::fix_position_scale(-3), 8);
}

// The largest p at which no value lies more than half a step outside, by trying all.
TEST(FixPosition, IsTheLargestWithoutOverflow) {
  mt::Generator random(7);
  int cases = 0;
  const auto check = [&](float min, float max, mt::CodeRange range, int zero_point) {
    const auto fits = [&](int p) {
      const double step = std::ldexp(1.0, -p);
      return static_cast<double>(min) >= (range.quant_min - zero_point - 0.5) * step &&
             static_cast<double>(max) <= (range.quant_max - zero_point + 0.5) * step;
    };
    const int p = quant::overflow_free_position(min, max, range, zero_point);
    EXPECT_TRUE(fits(p)) << min << ".." << max;
    EXPECT_FALSE(fits(p + 1)) << min << ".." << max;
    ++cases;
  };
  for (int i = 0; i < 500; ++i) {
    const float size = static_cast<float>(std::exp2(random.uniform(-20, 20)));
    const auto min = static_cast<float>(-random.uniform()) * size,
               max = static_cast<float>(random.uniform()) * size;
    for (const int bits : {2, 4, 8}) {
      check(min, max, {-(1 << (bits - 1)), (1 << (bits - 1)) - 1}, 0);
      check(min, max, {-(1 << (bits - 1)) + 1, (1 << (bits - 1)) - 1}, 0);
      check(min, max, {0, (1 << bits) - 1}, 1 << (bits - 1));
    }
  }
  for (int power = -30; power < 30; ++power)  // exact powers, and the floats beside them
    for (float edge : {127.5f, -128.5f}) {
      const float x = std::ldexp(edge, power);
      for (float y : {x, std::nextafterf(x, HUGE_VALF), std::nextafterf(x, -HUGE_VALF)})
        check(std::min(y, 0.0f), std::max(y, 0.0f), kInt8, 0);
    }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 4860);
}

bool is_power_of_two(float scale) {
  int exponent = 0;
  return std::frexp(scale, &exponent) == 0.5f;
}

TEST(PowerOfTwo, RangeObserversTakeIt) {
  using Average = quant::MovingAverageMinMaxObserver<quant::UInt8Symmetric>;
  Average average(Average::Options().scale_type(ScaleType::kPowerOfTwo));
  average.observe(mt::tensor({-1.0f, 1.0f}));
  EXPECT_EQ(average.qparams().scales[0], 1.0f / 64);
  EXPECT_EQ(average.qparams().zero_points[0], 128);
  EXPECT_NE(average.extra_repr().find("scale_type=power_of_two"), std::string::npos);
  using Channels = quant::PerChannelMinMaxObserver<quant::Int8PerChannel>;
  Channels channels(Channels::Options().scale_type(ScaleType::kPowerOfTwo));
  channels.observe(mt::from_vector<float>({1, -2, 0.3f, 0.2f, 0, 0, 100, 7}, {4, 2}));
  EXPECT_EQ(channels.qparams().scales, (std::vector<float>{1.0f / 32, 1.0f / 256, 1.0f / 4096, 1}));
}

TEST(PowerOfTwo, RestoredScalesComeOutAgain) {
  using Observer = quant::MinMaxObserver<quant::Int8Symmetric>;
  int cases = 0;
  for (int bits = 2; bits <= 8; ++bits)
    for (const bool narrow : {false, true})
      for (int power = -12; power <= 12; ++power) {
        Observer observer(
            Observer::Options().bit_width(bits).narrow_range(narrow).scale_type(ScaleType::kPowerOfTwo));
        observer.observe(mt::ones({1}));
        mt::ChannelQParams q = observer.qparams();
        EXPECT_TRUE(is_power_of_two(q.scales[0]));
        q.scales[0] = std::ldexp(1.0f, power);
        observer.restore(q);
        EXPECT_EQ(observer.qparams().scales[0], q.scales[0]) << bits << " " << narrow;
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(PowerOfTwo, NeedsASymmetricSpec) {
  using Observer = quant::MinMaxObserver<quant::UInt8Affine>;
  expect_error<mt::ConfigError>(
      [] { Observer(Observer::Options().scale_type(ScaleType::kPowerOfTwo)); },
      {"scale_type", "got power_of_two for uint8_affine", "symmetric", "no zero point"});
  EXPECT_NO_THROW(Observer(Observer::Options().scale_type(ScaleType::kFloat)));
  Observer::Options options;
  options.set("scale_type", std::string("poweroftwo"));
  EXPECT_TRUE(options.settings().is_power_of_two());
  expect_error<mt::ConfigError>([&] { options.set("scale_type", std::string("shift")); },
                                {"got 'shift', allowed float, power_of_two"});
}

}  // namespace power_of_two_test

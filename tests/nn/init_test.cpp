// SPDX-License-Identifier: MIT
#include <midtread/nn/init.hpp>

#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>

namespace midtread {
namespace init_test {

using namespace test;
namespace init = nn::init;

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};
Moments moments(const Tensor& t) {
  Moments m;
  const auto n = static_cast<double>(t.numel());
  for (const float v : t.to_vector()) {
    m.mean += static_cast<double>(v) / n;
    m.largest = std::max(m.largest, std::abs(static_cast<double>(v)));
  }
  for (const float v : t.to_vector()) m.deviation += std::pow(static_cast<double>(v) - m.mean, 2) / n;
  m.deviation = std::sqrt(m.deviation);
  return m;
}
void expect_uniform(const Tensor& t, double bound) {
  const Moments m = moments(t);
  EXPECT_LE(m.largest, bound * 1.000001);
  EXPECT_GT(m.largest, bound * 0.99);
  EXPECT_NEAR(m.deviation, bound / std::sqrt(3.0), 0.02 * bound);
  EXPECT_NEAR(m.mean, 0.0, 0.03 * bound);
}
void expect_normal(const Tensor& t, double deviation) {
  const Moments m = moments(t);
  EXPECT_NEAR(m.deviation, deviation, 0.03 * deviation);
  EXPECT_NEAR(m.mean, 0.0, 0.05 * deviation);
  EXPECT_GT(m.largest, 2.5 * deviation);
}

// [O, I, kH, kW] = [50, 20, 3, 4]: fan_in 240, fan_out 600.
TEST(Init, FollowsTheFans) {
  manual_seed(1);
  const Tensor w(Shape{50, 20, 3, 4});
  EXPECT_EQ(init::fans(w).in, 240);
  EXPECT_EQ(init::fans(w).out, 600);
  expect_uniform(init::kaiming_uniform_(w), std::sqrt(2.0) * std::sqrt(3.0 / 240));
  expect_uniform(init::kaiming_uniform_(w, std::sqrt(5.0)), 1 / std::sqrt(240.0));
  expect_uniform(init::kaiming_uniform_(w, 0.0, init::FanMode::kFanOut, init::Nonlinearity::kReLU),
                 std::sqrt(6.0 / 600));
  expect_uniform(init::kaiming_uniform_(w, 0.0, init::FanMode::kFanIn, init::Nonlinearity::kLinear),
                 std::sqrt(3.0 / 240));
  expect_normal(init::kaiming_normal_(w), std::sqrt(2.0 / 240));
  expect_normal(init::kaiming_normal_(w, 0.0, init::FanMode::kFanOut, init::Nonlinearity::kTanh),
                5.0 / 3.0 / std::sqrt(600.0));
  expect_uniform(init::xavier_uniform_(w), std::sqrt(6.0 / 840));
  expect_uniform(init::xavier_uniform_(w, 3.0), 3 * std::sqrt(6.0 / 840));
  expect_normal(init::xavier_normal_(w), std::sqrt(2.0 / 840));
}

TEST(Init, GainsArePyTorchs) {
  EXPECT_EQ(init::gain(init::Nonlinearity::kLinear), 1.0);
  EXPECT_EQ(init::gain(init::Nonlinearity::kSigmoid), 1.0);
  EXPECT_DOUBLE_EQ(init::gain(init::Nonlinearity::kTanh), 5.0 / 3.0);
  EXPECT_DOUBLE_EQ(init::gain(init::Nonlinearity::kReLU), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(init::gain(init::Nonlinearity::kLeakyReLU), std::sqrt(2.0 / 1.0001));
}

TEST(Init, FillsInPlaceAndFollowsTheGenerator) {
  const Tensor t(Shape{2, 3});
  EXPECT_TRUE(init::zeros_(t).is(t));
  EXPECT_EQ(t.at({1, 2}), 0.0f);
  EXPECT_EQ(init::ones_(t).at({0, 0}), 1.0f);
  EXPECT_EQ(init::constant_(t, 2.5).at({1, 1}), 2.5f);
  Generator a(5), b(5);
  const Tensor last = Tensor({2, 3, 2, 2}, channels_last_strides({2, 3, 2, 2})), plain(Shape{2, 3, 2, 2});
  EXPECT_TRUE(identical(init::uniform_(last, 2, 3, a), init::uniform_(plain, 2, 3, b)));
  for (const float v : plain.to_vector()) EXPECT_TRUE(v >= 2.0f && v <= 3.0f);
  const Moments m = moments(init::normal_(Tensor(Shape{20000}), 4.0, 0.5, a));
  EXPECT_NEAR(m.mean, 4.0, 0.02);
  EXPECT_NEAR(m.deviation, 0.5, 0.02);
}

TEST(Init, NeedsTwoDimensionsForAFan) {
  expect_error<ShapeError>([] { init::kaiming_uniform_(Tensor(Shape{3})); },
                           {"init", "needs a weight of rank 2 and up", "[3]"});
}

}  // namespace init_test
}  // namespace midtread

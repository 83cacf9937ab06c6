// SPDX-License-Identifier: MIT
// Quantize, dequantize, requantize and the rounding policies, element by element.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include <midtread/kernels/affine.hpp>

namespace affine_test {

using namespace midtread;
using namespace midtread::kernels;

TEST(Affine, RoundHalfEvenOnTies) {
  const float x[] = {-3.5f, -2.5f, -1.5f, -0.5f,       0.0f,         0.5f,
                     1.5f,  2.5f,  3.5f,  0.49999997f, -0.50000006f, 8388609.0f};
  const int expected[] = {-4, -2, -2, 0, 0, 0, 2, 2, 4, 0, -1, 8388609};
  for (std::size_t i = 0; i < std::size(x); ++i) EXPECT_EQ(round_half_even(x[i]), expected[i]) << x[i];
}

TEST(Affine, OtherRoundingsOnTies) {
  const float x[] = {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 1.25f, -1.25f, 1.75f, -1.75f};
  const int up[] = {-2, -1, 0, 1, 2, 3, 1, -1, 2, -2};
  const int down[] = {-2, -1, 0, 0, 1, 2, 1, -1, 2, -2};  // towards zero
  const int away[] = {-3, -2, -1, 1, 2, 3, 1, -1, 2, -2};
  for (std::size_t i = 0; i < std::size(x); ++i) {
    EXPECT_EQ(kernels::round(x[i], Rounding::kHalfUp), up[i]) << x[i];
    EXPECT_EQ(kernels::round(x[i], Rounding::kHalfDown), down[i]) << x[i];
    EXPECT_EQ(kernels::round(x[i], Rounding::kStdRound), away[i]) << x[i];
  }
}

// Against doubles, which hold x + 0.5 exactly: the floats around every tie and every power of two.
TEST(Affine, OtherRoundingsNextToTies) {
  int cases = 0;
  const auto check = [&](float x) {
    const double v = static_cast<double>(x), size = std::fabs(v);
    EXPECT_EQ(kernels::round(x, Rounding::kHalfUp), static_cast<int>(std::floor(v + 0.5))) << v;
    EXPECT_EQ(kernels::round(x, Rounding::kHalfDown),
              static_cast<int>(std::copysign(std::ceil(size - 0.5), v)))
        << v;
    EXPECT_EQ(kernels::round(x, Rounding::kStdRound),
              static_cast<int>(std::copysign(std::floor(size + 0.5), v)))
        << v;
    ++cases;
  };
  for (int half = -600; half <= 600; ++half) {
    const float x = static_cast<float>(half) / 2;
    for (float y : {x, std::nextafterf(x, HUGE_VALF), std::nextafterf(x, -HUGE_VALF)}) check(y);
  }
  for (int power = -30; power <= 22; ++power)
    for (float sign : {1.0f, -1.0f})
      for (float add : {0.0f, 0.5f}) {
        const float x = sign * (std::ldexp(1.0f, power) + add);
        for (float y : {x, std::nextafterf(x, HUGE_VALF), std::nextafterf(x, -HUGE_VALF)}) check(y);
      }
  EXPECT_EQ(kernels::round(0.49999997f, Rounding::kHalfUp), 0);
  std::printf("cases=%d\n", cases);
}

TEST(Affine, QuantizeMultipliesByTheReciprocal) {
  // Dividing by s would give 127.
  const float s = 0.00214854861f;
  EXPECT_EQ(quantize_code(0.273939937f, reciprocal(s), 0, {0, 255}), 128);
}

TEST(Affine, QuantizeRoundsBeforeTheZeroPoint) {
  EXPECT_EQ(quantize_code(0.5f, 1.0f, 3, {0, 255}), 3);
  EXPECT_EQ(quantize_code(1.5f, 1.0f, 3, {0, 255}), 5);
  EXPECT_EQ(quantize_code(-0.5f, 1.0f, 3, {0, 255}), 3);
}

TEST(Affine, QuantizeClampsEverythingAbroad) {
  const float inf = std::numeric_limits<float>::infinity();
  for (float x : {1e30f, inf, 3e38f, 256.0f, 1e10f})
    EXPECT_EQ(quantize_code(x, 1.0f, 10, {2, 250}), 250) << x;
  for (float x : {-1e30f, -inf, -3e38f, -256.0f, -1e10f})
    EXPECT_EQ(quantize_code(x, 1.0f, 10, {2, 250}), 2) << x;
  EXPECT_EQ(quantize_code(3e38f, 3e38f, 0, {-128, 127}), 127);  // the product overflows
  EXPECT_EQ(quantize_code(std::nanf(""), 1.0f, 10, {2, 250}), 2);
}

TEST(Affine, EveryCodeComesBack) {
  int cases = 0;
  for (float scale : {1.1754944e-38f, 1e-6f, 0.1f, 1.0f, 0.3333333f, 1e30f})
    for (int z : {0, 3, 128, 255})
      for (int q = 0; q <= 255; ++q, ++cases)
        ASSERT_EQ(quantize_code(dequantize(q, z, scale), reciprocal(scale), z, {0, 255}), q)
            << scale << " " << z;
  std::printf("cases=%d\n", cases);
}

TEST(Affine, RequantizeRoundsAndClamps) {
  EXPECT_EQ(requantize(5, 0.5f, 3, 0, 255), 5);     // 2.5 -> 2
  EXPECT_EQ(requantize(7, 0.5f, 3, 0, 255), 7);     // 3.5 -> 4
  EXPECT_EQ(requantize(-100, 1.0f, 3, 3, 255), 3);  // fused ReLU
  EXPECT_EQ(requantize(1 << 30, 3e38f, 3, 0, 200), 200);
  EXPECT_EQ(requantize(-(1 << 30), 3e38f, 3, 1, 200), 1);
  EXPECT_EQ(requantize(5, 0.5f, 3, 0, 255, Rounding::kHalfUp), 6);
}

TEST(Affine, ArraysOfBothSigns) {
  const std::vector<float> x = {-1.0f, -0.26f, 0.0f, 0.25f, 100.0f};
  std::uint8_t u[5];
  std::int8_t s[5];
  quantize(x.data(), u, 5, {0.5f, 10, {0, 255}, Rounding::kHalfEven});
  quantize(x.data(), s, 5, {0.5f, 0, {-127, 127}, Rounding::kHalfEven});
  const std::uint8_t expected_u[] = {8, 9, 10, 10, 210};
  const std::int8_t expected_s[] = {-2, -1, 0, 0, 127};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(u[i], expected_u[i]);
    EXPECT_EQ(s[i], expected_s[i]);
  }
  float back[5];
  dequantize(s, back, 5, {0.5f, 0});
  EXPECT_EQ(back[0], -1.0f);
  EXPECT_EQ(back[4], 63.5f);
}

TEST(Affine, SignedCodesMoveUpBy128) {
  QParams q;
  q.scale = 0.5f;
  q.zero_point = -3;
  q.range = {-127, 127};
  q.dtype = DType::kInt8;
  const QuantizeParams p = engine_params(q);
  EXPECT_EQ(p.zero_point, 125);
  EXPECT_EQ(p.range.quant_min, 1);
  EXPECT_EQ(p.range.quant_max, 255);
  q.dtype = DType::kUInt8;
  EXPECT_EQ(engine_params(q).zero_point, -3);
}

}  // namespace affine_test

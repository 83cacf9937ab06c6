// SPDX-License-Identifier: MIT
// Scales and zero points from ranges, bias codes, raised weight scales: cases worked out by hand.
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstdio>
#include <limits>

#include <midtread/kernels/choose_qparams.hpp>

namespace choose_qparams_test {

using namespace midtread;
using namespace midtread::kernels;

constexpr CodeRange kU8{0, 255}, kS8{-128, 127}, kNarrow{-127, 127};

TEST(ChooseQParams, AffineRangesHoldZero) {
  AffineParams p = choose_qparams(-1.0f, 3.0f, false, kU8, DType::kUInt8);
  EXPECT_EQ(p.scale, 4.0f / 255.0f);
  EXPECT_EQ(p.zero_point, 64);  // 63.75
  p = choose_qparams(2.0f, 5.0f, false, kU8, DType::kUInt8);
  EXPECT_EQ(p.scale, 5.0f / 255.0f);
  EXPECT_EQ(p.zero_point, 0);
  p = choose_qparams(-5.0f, -2.0f, false, kU8, DType::kUInt8);
  EXPECT_EQ(p.scale, 5.0f / 255.0f);
  EXPECT_EQ(p.zero_point, 255);
  p = choose_qparams(-1.0f, 3.0f, false, kS8, DType::kInt8);
  EXPECT_EQ(p.zero_point, -64);
}

TEST(ChooseQParams, ZeroPointsRoundHalfToEven) {
  // n / s = -0.5 and -1.5 exactly: 255 steps of 1.
  EXPECT_EQ(choose_qparams(-0.5f, 254.5f, false, kU8, DType::kUInt8).zero_point, 0);
  EXPECT_EQ(choose_qparams(-1.5f, 253.5f, false, kU8, DType::kUInt8).zero_point, 2);
}

TEST(ChooseQParams, SymmetricScales) {
  EXPECT_EQ(choose_qparams(-1.0f, 3.0f, true, kS8, DType::kInt8).scale, 3.0f / 127.5f);
  EXPECT_EQ(choose_qparams(-1.0f, 3.0f, true, kNarrow, DType::kInt8).scale, 3.0f / 127.0f);
  EXPECT_EQ(choose_qparams(-4.0f, 3.0f, true, kNarrow, DType::kInt8).scale, 4.0f / 127.0f);
  EXPECT_EQ(choose_qparams(-4.0f, 3.0f, true, kNarrow, DType::kInt8).zero_point, 0);
  EXPECT_EQ(choose_qparams(-4.0f, 3.0f, true, kU8, DType::kUInt8).zero_point, 128);
  EXPECT_EQ(choose_qparams(-4.0f, 3.0f, true, {0, 127}, DType::kUInt8).zero_point, 63);
}

TEST(ChooseQParams, TinyAndEmptyRangesTakeEps) {
  EXPECT_EQ(choose_qparams(0.0f, 0.0f, false, kU8, DType::kUInt8).scale, FLT_EPSILON);
  EXPECT_EQ(choose_qparams(0.0f, 0.0f, false, kU8, DType::kUInt8).zero_point, 0);
  EXPECT_EQ(choose_qparams(0.0f, 0.0f, true, kNarrow, DType::kInt8).scale, FLT_EPSILON);
  EXPECT_EQ(choose_qparams(-1e-30f, 1e-30f, false, kU8, DType::kUInt8).scale, FLT_EPSILON);
  EXPECT_EQ(choose_qparams(0.0f, 1.0f, false, kU8, DType::kUInt8, 0.25f).scale, 0.25f);
}

TEST(ChooseQParams, WidthsThatOverflowFloat) {
  const AffineParams p = choose_qparams(-FLT_MAX, FLT_MAX, false, kU8, DType::kUInt8);
  EXPECT_EQ(p.scale, static_cast<float>(2.0 * static_cast<double>(FLT_MAX) / 255.0));
  EXPECT_EQ(p.zero_point, 128);  // 127.5
  EXPECT_TRUE(std::isfinite(choose_qparams(-FLT_MAX, FLT_MAX, true, kNarrow, DType::kInt8).scale));
}

TEST(ChooseQParams, ZeroIsAlwaysACode) {
  int cases = 0;
  for (float low : {-1e20f, -7.3f, -1.0f, -1e-5f, 0.0f, 0.1f})
    for (float high : {-0.5f, 0.0f, 1e-7f, 0.37f, 12.0f, 3e25f})
      for (const CodeRange& range : {kU8, kS8, kNarrow, CodeRange{0, 127}, CodeRange{0, 15}}) {
        const AffineParams p = choose_qparams(low, high, false, range, DType::kUInt8);
        EXPECT_GE(p.zero_point, range.quant_min);
        EXPECT_LE(p.zero_point, range.quant_max);
        EXPECT_EQ(quantize_code(0.0f, reciprocal(p.scale), p.zero_point, range), p.zero_point);
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(BiasCode, RoundsAndSaturates) {
  EXPECT_EQ(bias_code(0.5f, 0.2f), 2);    // 2.5
  EXPECT_EQ(bias_code(-0.7f, 0.2f), -4);  // -3.5 or so
  EXPECT_EQ(bias_code(0.0f, 1e-30f), 0);
  EXPECT_EQ(bias_code(1e30f, 1e-30f), 1073741760);
  EXPECT_EQ(bias_code(-1e30f, 1e-30f), -1073741824);
  // The largest accumulator of the contract plus the largest bias fits an int32.
  EXPECT_LE(std::int64_t{1 << 30} + bias_code(1e30f, 1e-30f), std::numeric_limits<std::int32_t>::max());
  EXPECT_GE(-std::int64_t{1 << 30} + bias_code(-1e30f, 1e-30f), std::numeric_limits<std::int32_t>::min());
}

TEST(BiasCode, WeightScaleIsRaisedForALargeBias) {
  EXPECT_EQ(raised_weight_scale(0.01f, 5.0f, 0.1f), 0.01f);
  EXPECT_EQ(raised_weight_scale(0.01f, -5.0f, 0.1f), 0.01f);
  const float raised = raised_weight_scale(1e-12f, -4.0f, 1e-3f);
  EXPECT_EQ(raised, 4.0f / (1073741824.0f * 1e-3f));
  const float scale = 1e-3f * raised;
  EXPECT_NEAR(static_cast<double>(bias_code(-4.0f, scale)), -1073741824.0, 256.0);
  EXPECT_EQ(raised_weight_scale(0.5f, 3e38f, 3e38f), 0.5f);  // nothing overflows into a smaller scale
}

}  // namespace choose_qparams_test

// SPDX-License-Identifier: MIT
// Fake quantize against the element-wise primitives of kernels/affine.hpp, and its gradient against integer
// codes.
#include <midtread/ops/fake_quantize.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cfenv>
#include <cstdio>
#include <limits>

namespace mt = midtread;

namespace fake_quantize_test {

constexpr mt::Rounding kRoundings[] = {mt::Rounding::kHalfEven, mt::Rounding::kHalfUp,
                                       mt::Rounding::kHalfDown, mt::Rounding::kStdRound};

struct Setting {
  float scale;
  int zero_point;
  mt::CodeRange range;
  mt::DType dtype;
};

const Setting kSettings[] = {
    {0.037f, 131, {0, 255}, mt::DType::kUInt8},   {1.0f, 3, {0, 255}, mt::DType::kUInt8},
    {0.5f, 0, {0, 127}, mt::DType::kUInt8},       {0.25f, -128, {-128, 127}, mt::DType::kInt8},
    {0.011f, 0, {-127, 127}, mt::DType::kInt8},   {3e30f, 17, {-64, 63}, mt::DType::kInt8},
    {1.2e-38f, 255, {0, 255}, mt::DType::kUInt8}, {3e38f, 1, {0, 1}, mt::DType::kUInt8},
    {1.0f / 256, -8, {-8, 7}, mt::DType::kInt8}};

mt::QParams qparams(const Setting& s, mt::Rounding rounding) {
  return {s.scale, s.zero_point, s.range, s.dtype, rounding};
}

/// Ties and their neighbours around every code, and the ends of float.
std::vector<float> interesting(const Setting& s) {
  std::vector<float> x = {0.0f, -0.0f, 1e-45f, -1e-45f, 3.4e38f, -3.4e38f, HUGE_VALF, -HUGE_VALF};
  for (int code = s.range.quant_min - s.zero_point - 3; code <= s.range.quant_max - s.zero_point + 3; ++code)
    for (float offset : {-0.5f, -0.25f, 0.0f, 0.5f}) {
      const float v = (static_cast<float>(code) + offset) * s.scale;
      x.insert(x.end(), {v, std::nextafter(v, HUGE_VALF), std::nextafter(v, -HUGE_VALF)});
    }
  mt::Generator generator(7);
  for (int i = 0; i < 70000; ++i) x.push_back(static_cast<float>(generator.normal()) * s.scale * 80.0f);
  return x;
}

TEST(FakeQuantize, ForwardEqualsThePrimitives) {
  long elements = 0;
  for (const Setting& s : kSettings)
    for (mt::Rounding rounding : kRoundings) {
      const mt::QParams q = qparams(s, rounding);
      const std::vector<float> x = interesting(s);
      const mt::Tensor y =
          mt::fake_quantize(mt::from_vector(x, mt::Shape{static_cast<std::int64_t>(x.size())}), q);
      ASSERT_NE(y.codes(), nullptr);
      EXPECT_EQ(y.codes()->qparams, q);
      const float inverse = mt::kernels::reciprocal(q.scale);
      const std::int32_t shift = mt::storage_shift(q.dtype);
      for (std::size_t i = 0; i < x.size(); ++i, ++elements) {
        const std::int32_t code = mt::kernels::quantize_code(x[i], inverse, q.zero_point, q.range, rounding);
        ASSERT_EQ(y.codes()->values.data()[i], code + shift) << x[i] << " scale " << q.scale;
        const float value = mt::kernels::dequantize(code, q.zero_point, q.scale);
        ASSERT_EQ(std::memcmp(y.data() + i, &value, sizeof value), 0) << x[i] << " scale " << q.scale;
      }
    }
  std::printf("cases=%ld\n", elements);
}

/// Codes in 64 bits, without a clamp in float.
std::int64_t unbounded_code(float x, const mt::QParams& q) {
  const volatile float product = x * mt::kernels::reciprocal(q.scale);
  const double v = std::max(-1e15, std::min(1e15, static_cast<double>(product)));
  double r = std::nearbyint(v);
  if (q.rounding == mt::Rounding::kHalfUp && v - std::floor(v) == 0.5) r = std::ceil(v);
  if (q.rounding == mt::Rounding::kHalfDown && v - std::floor(v) == 0.5) r = std::trunc(v);
  if (q.rounding == mt::Rounding::kStdRound) r = std::round(v);
  return static_cast<std::int64_t>(r) + q.zero_point;
}

TEST(FakeQuantize, GradientPassesWhereTheRoundedCodeIsInRange) {
  long elements = 0, stopped = 0;
  for (const Setting& s : kSettings)
    for (mt::Rounding rounding : kRoundings) {
      const mt::QParams q = qparams(s, rounding);
      std::vector<float> values;
      for (int code = s.range.quant_min - s.zero_point - 4; code <= s.range.quant_max - s.zero_point + 4;
           ++code)
        for (float offset : {-0.5f, -0.375f, 0.0f, 0.25f})
          values.push_back((static_cast<float>(code) + offset) * s.scale);
      values.insert(values.end(), {3e38f, -3e38f, HUGE_VALF, -HUGE_VALF});
      const mt::Shape shape{static_cast<std::int64_t>(values.size())};
      mt::Tensor x = mt::from_vector(values, shape);
      x.requires_grad_();
      const mt::Tensor gradient = mt::randn(shape);
      mt::fake_quantize(x, q).backward(gradient);
      for (std::size_t i = 0; i < values.size(); ++i, ++elements) {
        const std::int64_t code = unbounded_code(values[i], q);
        const bool inside = code >= s.range.quant_min && code <= s.range.quant_max;
        stopped += inside ? 0 : 1;
        ASSERT_EQ(x.grad().data()[i], inside ? gradient.data()[i] : 0.0f)
            << values[i] << " scale " << q.scale << " code " << code;
      }
    }
  std::printf("cases=%ld stopped=%ld\n", elements, stopped);
  EXPECT_GT(stopped, 100);
}

TEST(FakeQuantize, KeepsTheMemoryOrder) {
  const mt::QParams q{0.02f, 120, {0, 255}, mt::DType::kUInt8, mt::Rounding::kHalfEven};
  const mt::Tensor plain = mt::randn({2, 3, 5, 4});
  mt::Tensor last = plain.channels_last();
  last.requires_grad_();
  const mt::Tensor y = mt::fake_quantize(last, q);
  EXPECT_TRUE(y.is_channels_last());
  EXPECT_TRUE(y.codes()->values.is_channels_last());
  EXPECT_TRUE(mt::identical(y, mt::fake_quantize(plain, q)));
  const mt::Tensor gradient = mt::randn({2, 3, 5, 4});  // row-major
  y.backward(gradient);
  mt::Tensor other = plain.clone();
  other.requires_grad_();
  mt::fake_quantize(other, q).backward(gradient);
  EXPECT_TRUE(mt::identical(last.grad(), other.grad()));

  const mt::Tensor transposed(plain.storage(), 0, mt::Shape{4, 5, 3, 2}, mt::Shape{1, 4, 20, 60});
  const mt::Tensor z = mt::fake_quantize(transposed, q);
  EXPECT_TRUE(mt::identical(z, mt::fake_quantize(transposed.contiguous(), q)));
  EXPECT_EQ(mt::fake_quantize(mt::Tensor(mt::Shape{0, 3}), q).shape(), (mt::Shape{0, 3}));
}

TEST(FakeQuantize, IsANewTensorAndIdempotent) {
  const mt::QParams q{0.037f, 131, {0, 255}, mt::DType::kUInt8, mt::Rounding::kHalfEven};
  const mt::Tensor y = mt::fake_quantize(mt::randn({1000}), q), z = mt::fake_quantize(y, q);
  EXPECT_FALSE(z.is(y));
  EXPECT_TRUE(mt::identical(y, z));
  EXPECT_TRUE(mt::identical(y.codes()->values, z.codes()->values));
}

TEST(FakeQuantize, SameBitsForAnyThreadCountAndRoundingMode) {
  const mt::QParams q{0.013f, 100, {0, 255}, mt::DType::kUInt8, mt::Rounding::kHalfEven};
  const mt::Tensor x = mt::randn({300007});
  const int before = mt::num_threads();
  mt::set_num_threads(1);
  const mt::Tensor one = mt::fake_quantize(x, q);
  mt::set_num_threads(4);
  const mt::Tensor four = mt::fake_quantize(x, q);
  mt::set_num_threads(before);
  std::fesetround(FE_UPWARD);
  const mt::Tensor upward = mt::fake_quantize(x, q);
  const mt::ChannelQParams channel{{0.013f}, {0}, -1, {-127, 127}, mt::DType::kInt8, mt::Rounding::kHalfEven};
  const mt::BasicTensor<std::int8_t> codes = mt::quantize_weight(x, channel);
  std::fesetround(FE_TONEAREST);
  EXPECT_TRUE(mt::identical(one, four));
  EXPECT_TRUE(mt::identical(one, upward));
  EXPECT_TRUE(mt::identical(one.codes()->values, upward.codes()->values));
  EXPECT_TRUE(mt::identical(codes, mt::quantize_weight(x, channel)));
}

/// The channel of every element by plain indexing.
TEST(FakeQuantizePerChannel, EveryAxisAndGroup) {
  int cases = 0;
  mt::Generator generator(3);
  const mt::Shape shape{6, 4, 3, 2};
  for (int axis = 0; axis < 4; ++axis)
    for (std::int64_t groups : {1, 2, 3, 6}) {
      if (axis == 0 && groups > 1) continue;
      const std::int64_t channels = groups * shape[axis];
      mt::ChannelQParams q;
      q.axis = axis;
      for (std::int64_t c = 0; c < channels; ++c) {
        q.scales.push_back(static_cast<float>(generator.uniform(0.004, 0.04)));
        q.zero_points.push_back(static_cast<std::int32_t>(generator.uniform(-20, 20)));
      }
      mt::Tensor x = mt::randn(shape, generator);
      x.requires_grad_();
      const mt::Tensor gradient = mt::randn(shape, generator);
      const mt::Tensor y = mt::fake_quantize(x, q);
      EXPECT_EQ(y.codes(), nullptr);
      y.backward(gradient);
      const mt::BasicTensor<std::int8_t> codes = mt::quantize_weight(x, q);
      for (std::int64_t a = 0, i = 0; a < shape[0]; ++a)
        for (std::int64_t b = 0; b < shape[1]; ++b)
          for (std::int64_t c = 0; c < shape[2]; ++c)
            for (std::int64_t d = 0; d < shape[3]; ++d, ++i) {
              const std::int64_t position[] = {a, b, c, d};
              const auto channel =
                  static_cast<std::size_t>(a / (shape[0] / groups) * shape[axis] + position[axis]);
              const std::size_t at = groups == 1 ? static_cast<std::size_t>(position[axis]) : channel;
              const mt::QParams one{q.scales[at], q.zero_points[at], q.range, q.dtype, q.rounding};
              const std::int64_t code = unbounded_code(x.data()[i], one);
              const bool inside = code >= -127 && code <= 127;
              const auto held =
                  static_cast<std::int32_t>(std::min<std::int64_t>(127, std::max<std::int64_t>(-127, code)));
              ASSERT_EQ(codes.data()[i], held);
              ASSERT_EQ(y.data()[i], mt::kernels::dequantize(held, one.zero_point, one.scale));
              ASSERT_EQ(x.grad().data()[i], inside ? gradient.data()[i] : 0.0f);
            }
      // The memory order of the input does not matter.
      EXPECT_TRUE(mt::identical(mt::fake_quantize(x.channels_last(), q), y));
      EXPECT_TRUE(mt::identical(mt::quantize_weight(x.channels_last(), q), codes));
      ++cases;
    }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 13);
}

TEST(FakeQuantize, RefusesBadInput) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  mt::Tensor x = mt::ones({2, 3, 2, 2}).channels_last();
  x.set({1, 2, 0, 1}, nan);
  x.set({0, 1, 1, 1}, nan);
  const mt::QParams q{0.1f, 10, {0, 255}, mt::DType::kUInt8, mt::Rounding::kHalfEven};
  expect_error<mt::NumericError>([&] { mt::fake_quantize(x, q); },
                                 {"2 NaN of 24 values", "first at index 7"});
  const mt::ChannelQParams w{{0.1f, 0.2f, 0.3f}, {0, 0, 0},        1,
                             {-127, 127},        mt::DType::kInt8, mt::Rounding::kHalfEven};
  expect_error<mt::NumericError>([&] { mt::fake_quantize(x, w); },
                                 {"2 NaN of 24 values", "first at index 7"});
  expect_error<mt::NumericError>([&] { mt::quantize_weight(x, w); }, {"2 NaN of 24 values"});

  const mt::Tensor ok = mt::ones({2, 3});
  for (float scale : {0.0f, -1.0f, nan, HUGE_VALF, 1e-39f}) {
    mt::QParams bad = q;
    bad.scale = scale;
    expect_error<mt::QuantizationError>([&] { mt::fake_quantize(ok, bad); }, {"scale"});
    mt::ChannelQParams bad_channel = w;
    bad_channel.scales[1] = scale;
    expect_error<mt::QuantizationError>([&] { mt::fake_quantize(ok, bad_channel); }, {"channel 1: scale"});
    expect_error<mt::QuantizationError>([&] { mt::quantize_weight(ok, bad_channel); }, {"channel 1: scale"});
  }
  mt::QParams outside = q;
  outside.zero_point = 300;
  expect_error<mt::QuantizationError>([&] { mt::fake_quantize(ok, outside); }, {"zero point 300"});
  const auto with = [&](std::vector<float> scales, std::vector<std::int32_t> zero_points, int axis) {
    return mt::ChannelQParams{scales,      zero_points,      axis,
                              {-127, 127}, mt::DType::kInt8, mt::Rounding::kHalfEven};
  };
  expect_error<mt::ShapeError>(
      [&] {
        mt::fake_quantize(ok, with({1, 1}, {0}, 0));
      },
      {"2 scales and 1 zero points"});
  expect_error<mt::ShapeError>(
      [&] {
        mt::fake_quantize(ok, with({1, 1}, {0, 0}, 1));
      },
      {"2 scales for 3 channels along axis 1"});
  expect_error<mt::ShapeError>(
      [&] {
        mt::fake_quantize(ok, with({1, 1}, {0, 0}, -1));
      },
      {"per tensor means one scale"});
  expect_error<mt::ShapeError>(
      [&] {
        mt::fake_quantize(ok, with({1, 1}, {0, 0}, 5));
      },
      {"channel axis 5 of shape [2, 3]"});
  expect_error<mt::ShapeError>(
      [&] {
        mt::fake_quantize(ok, with({1, 1, 1, 1}, {0, 0, 0, 0}, 0));
      },
      {"groups do not divide"});
  expect_error<mt::ShapeError>([&] { mt::fake_quantize(ok, with({}, {}, 0)); }, {"0 scales for 2 channels"});
  mt::ChannelQParams uint8 = with({1, 1}, {0, 0}, 0);
  uint8.dtype = mt::DType::kUInt8;
  expect_error<mt::DTypeError>([&] { mt::quantize_weight(ok, uint8); },
                               {"qparams are uint8, weights are int8"});
}

TEST(FakeQuantize, IsRecordedAsAnOperation) {
  const mt::ops::FakeQuantizePerTensor op{{0.5f, 3, {0, 255}, mt::DType::kUInt8, mt::Rounding::kHalfEven}};
  const mt::ops::OperationOf<mt::ops::FakeQuantizePerTensor> erased(op);
  EXPECT_STREQ(erased.name(), "fake_quantize");
  EXPECT_EQ(erased.attributes(), "uint8 0..255, scale 0.5, zero_point 3");
  const mt::Tensor x = mt::randn({5});
  EXPECT_TRUE(mt::identical(erased.run({x}, false), mt::fake_quantize(x, op.qparams)));
  const mt::ops::FakeQuantizePerChannel channel{
      {{1.0f, 2.0f}, {0, 0}, 0, {-127, 127}, mt::DType::kInt8, mt::Rounding::kHalfEven}};
  EXPECT_EQ(mt::ops::OperationOf<mt::ops::FakeQuantizePerChannel>(channel).attributes(),
            "int8 -127..127, 2 scales, axis 0");
}

}  // namespace fake_quantize_test

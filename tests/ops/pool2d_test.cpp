// SPDX-License-Identifier: MIT
#include <midtread/ops/pool2d.hpp>

#include <midtread/autograd/grad_check.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>
#include <cstdio>

#include <data/expect_error.hpp>
#include <limits>

namespace midtread {
namespace pool2d_test {

template <class Op>
Shape random_input(Generator& g, Op& op) {
  for (;;) {
    op.kernel = {1 + g.below(4), 1 + g.below(4)};
    op.stride = {g.below(4), g.below(4)};
    op.padding = {g.below(op.kernel[0] / 2 + 1), g.below(op.kernel[1] / 2 + 1)};
    op.ceil_mode = g.below(2) == 0;
    const Shape x{1 + g.below(2), 1 + g.below(18), 1 + g.below(9), 1 + g.below(9)};
    try {
      op.shape(x);
      return x;
    } catch (const ShapeError&) {
    }
  }
}

/// The taps of a window that lie in the input, by the definition.
struct Taps {
  std::vector<std::array<std::int64_t, 2>> inside;
  std::int64_t with_padding = 0;
};
Taps taps_of(const kernels::Pool2dShape& s, std::int64_t oy, std::int64_t ox) {
  Taps taps;
  for (std::int64_t u = 0; u < s.kernel_height; ++u)
    for (std::int64_t v = 0; v < s.kernel_width; ++v) {
      const std::int64_t y = oy * s.stride_height - s.pad_height + u * s.dilation_height;
      const std::int64_t x = ox * s.stride_width - s.pad_width + v * s.dilation_width;
      if (y < s.in_height + s.pad_height && x < s.in_width + s.pad_width) ++taps.with_padding;
      if (y >= 0 && y < s.in_height && x >= 0 && x < s.in_width) taps.inside.push_back({y, x});
    }
  return taps;
}

template <class Visit>
void for_each_output(const kernels::Pool2dShape& s, const Visit& visit) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t c = 0; c < s.channels; ++c)
      for (std::int64_t oy = 0; oy < s.out_height; ++oy)
        for (std::int64_t ox = 0; ox < s.out_width; ++ox) visit(n, c, oy, ox);
}

TEST(MaxPool2d, EqualsTheDefinition) {
  Generator g(1);
  int cases = 0;
  for (; cases < 300; ++cases) {
    ops::MaxPool2d op;
    op.dilation = {1 + g.below(2), 1 + g.below(3)};
    const Tensor x = randn(random_input(g, op), g), y = max_pool2d(x, op);
    const kernels::Pool2dShape s = op.shape(x.shape());
    for_each_output(s, [&](std::int64_t n, std::int64_t c, std::int64_t oy, std::int64_t ox) {
      float largest = -std::numeric_limits<float>::infinity();
      for (const auto& t : taps_of(s, oy, ox).inside) largest = std::max(largest, x.at({n, c, t[0], t[1]}));
      EXPECT_EQ(y.at({n, c, oy, ox}), largest);
    });
  }
  std::printf("cases=%d\n", cases);
}

TEST(MaxPool2d, GradientsAgreeWithDifferences) {
  Generator g(2);
  int cases = 0;
  for (; cases < 40; ++cases) {
    ops::MaxPool2d op;
    const Shape shape = random_input(g, op);
    BasicTensor<double> x = arange<double>(element_count(shape));  // no ties
    std::vector<double> values = x.to_vector();
    g.shuffle(values);
    for (double& v : values) v *= 0.01;
    const auto result =
        autograd::grad_check([&](const std::vector<BasicTensor<double>>& t) { return max_pool2d(t[0], op); },
                             {from_vector(values, shape)});
    EXPECT_TRUE(result.ok) << shape << op.attributes() << " " << result.where;
  }
  std::printf("cases=%d\n", cases);
}

TEST(MaxPool2d, LargeWindowsCountTapsBeyondAByte) {
  Generator g(3);
  ops::MaxPool2d op;
  op.kernel = {1, 300};
  std::vector<double> values(600);
  for (std::size_t i = 0; i < 600; ++i)
    values[i] = static_cast<double>(i % 300 == 290) + 1e-3 * static_cast<double>(i);
  BasicTensor<double> x = from_vector(values, Shape{1, 1, 1, 600}).requires_grad_();
  max_pool2d(x, op).backward(ones<double>({1, 1, 1, 2}));
  for (std::int64_t i = 0; i < 600; ++i) EXPECT_EQ(x.grad().at({0, 0, 0, i}), i % 300 == 290 ? 1.0 : 0.0);
}

TEST(MaxPool2d, TakesNaNAndTheFirstOfEqualElements) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::int64_t channels : {1, 37})
    for (std::int64_t at = 0; at < 4; ++at) {
      Tensor x = full({1, channels, 2, 2}, 2.0f);
      for (std::int64_t c = 0; c < channels; ++c) x.set({0, c, at / 2, at % 2}, nan);
      for (const float v : max_pool2d(x).to_vector()) EXPECT_TRUE(std::isnan(v));
      x = full({1, channels, 2, 2}, 2.0f);
      x.requires_grad_();
      max_pool2d(x).backward(ones({1, channels, 1, 1}));
      EXPECT_EQ(x.grad().at({0, channels - 1, at / 2, at % 2}), at == 0 ? 1.0f : 0.0f);
      EXPECT_EQ(x.grad().at({0, 0, at / 2, at % 2}), at == 0 ? 1.0f : 0.0f);
    }
}

TEST(MaxPool2d, RejectsWhatDoesNotFit) {
  ops::MaxPool2d op;
  EXPECT_THROW(max_pool2d(zeros({2, 3, 4}), op), ShapeError);
  EXPECT_THROW(max_pool2d(zeros({1, 1, 1, 4}), op), ShapeError);
  op.padding = {2, 0};
  EXPECT_THROW(max_pool2d(zeros({1, 1, 4, 4}), op), ShapeError);
  op = {};
  op.kernel = {0, 2};
  expect_error<ShapeError>(
      [&] {
        return max_pool2d(zeros({1, 1, 4, 4}), op);
      },
      {"max_pool2d", "kernel is 0, allowed 1.."});
  op = {};
  op.stride = {-1, 2};
  EXPECT_THROW(max_pool2d(zeros({1, 1, 4, 4}), op), ShapeError);
  op = {};
  op.dilation = {0, 1};
  EXPECT_THROW(max_pool2d(zeros({1, 1, 4, 4}), op), ShapeError);
  op = {};
  op.padding = {1, 0};
  op.dilation = {3, 1};
  // taps at -1 and 2 of two rows
  expect_error<ShapeError>(
      [&] {
        return max_pool2d(zeros({1, 1, 2, 4}), op);
      },
      {"a window covers only padding", "[1, 1, 2, 4]"});
  op = {};
  op.kernel = {257, 256};
  expect_error<ShapeError>(
      [&] {
        return max_pool2d(zeros({1, 1, 260, 260}), op);
      },
      {"kernel 257x256 has more than 65536 elements"});
}

TEST(AvgPool2d, EqualsTheDefinition) {
  Generator g(4);
  int cases = 0;
  for (; cases < 300; ++cases) {
    ops::AvgPool2d op;
    op.count_include_pad = g.below(2) == 0;
    const Tensor x = randn(random_input(g, op), g), y = avg_pool2d(x, op);
    const kernels::Pool2dShape s = op.shape(x.shape());
    for_each_output(s, [&](std::int64_t n, std::int64_t c, std::int64_t oy, std::int64_t ox) {
      const Taps taps = taps_of(s, oy, ox);
      double sum = 0;
      for (const auto& t : taps.inside) sum += static_cast<double>(x.at({n, c, t[0], t[1]}));
      const auto counted =
          op.count_include_pad ? taps.with_padding : static_cast<std::int64_t>(taps.inside.size());
      EXPECT_NEAR(static_cast<double>(y.at({n, c, oy, ox})), sum / static_cast<double>(counted), 1e-5)
          << op.attributes();
    });
  }
  std::printf("cases=%d\n", cases);
}

TEST(AvgPool2d, GradientsAgreeWithDifferences) {
  Generator g(5);
  int cases = 0;
  for (; cases < 40; ++cases) {
    ops::AvgPool2d op;
    op.count_include_pad = g.below(2) == 0;
    const auto result =
        autograd::grad_check([&](const std::vector<BasicTensor<double>>& t) { return avg_pool2d(t[0], op); },
                             {randn<double>(random_input(g, op), g)});
    EXPECT_TRUE(result.ok) << op.attributes() << " " << result.where;
  }
  std::printf("cases=%d\n", cases);
}

TEST(AdaptiveAvgPool2d, EqualsTheDefinitionAndItsGradientDifferences) {
  Generator g(6);
  int cases = 0;
  for (; cases < 60; ++cases) {
    ops::AdaptiveAvgPool2d op;
    op.output = {1 + g.below(7), 1 + g.below(7)};
    const BasicTensor<double> x =
        randn<double>({1 + g.below(2), 1 + g.below(5), 1 + g.below(8), 1 + g.below(8)}, g);
    const BasicTensor<double> y = adaptive_avg_pool2d(x, op);
    for_each_output(
        op.shape(x.shape()), [&](std::int64_t n, std::int64_t c, std::int64_t oy, std::int64_t ox) {
          const std::int64_t y0 = oy * x.size(2) / op.output[0], x0 = ox * x.size(3) / op.output[1];
          const auto y1 = static_cast<std::int64_t>(
              std::ceil(static_cast<double>((oy + 1) * x.size(2)) / static_cast<double>(op.output[0])));
          const auto x1 = static_cast<std::int64_t>(
              std::ceil(static_cast<double>((ox + 1) * x.size(3)) / static_cast<double>(op.output[1])));
          double sum = 0;
          for (std::int64_t i = y0; i < y1; ++i)
            for (std::int64_t j = x0; j < x1; ++j) sum += x.at({n, c, i, j});
          EXPECT_NEAR(y.at({n, c, oy, ox}), sum / static_cast<double>((y1 - y0) * (x1 - x0)), 1e-12);
        });
    const auto result = autograd::grad_check(
        [&](const std::vector<BasicTensor<double>>& t) { return adaptive_avg_pool2d(t[0], op); }, {x});
    EXPECT_TRUE(result.ok) << op.attributes() << " " << result.where;
  }
  std::printf("cases=%d\n", cases);
  ops::AdaptiveAvgPool2d op;
  op.output = {0, 1};
  EXPECT_THROW(adaptive_avg_pool2d(zeros({1, 1, 4, 4}), op), ShapeError);
  EXPECT_THROW(adaptive_avg_pool2d(zeros({1, 4, 4})), ShapeError);
}

/// A tensor with random codes.
Tensor coded(const Shape& shape, const QParams& qparams, Generator& g) {
  BasicTensor<std::uint8_t> q = empty_channels_last<std::uint8_t>(shape);
  Tensor x = empty_channels_last(shape);
  std::uint8_t* codes = q.mutable_data();
  float* values = x.mutable_data();
  for (std::int64_t i = 0; i < q.numel(); ++i) {
    codes[i] = static_cast<std::uint8_t>(g.below(256));
    values[i] = static_cast<float>(codes[i] - stored(qparams).zero_point) * qparams.scale;
  }
  x.set_codes(std::make_shared<const Codes>(Codes{q, qparams}));
  return x;
}

void expect_value_of_codes(const Tensor& y, const QParams& qparams) {
  ASSERT_TRUE(y.codes());
  EXPECT_EQ(y.codes()->qparams, qparams);
  ASSERT_EQ(y.codes()->values.shape(), y.shape());
  ASSERT_EQ(y.codes()->values.strides(), y.strides());
  for (std::int64_t i = 0; i < y.numel(); ++i)
    ASSERT_EQ(y.data()[i],
              static_cast<float>(y.codes()->values.data()[i] - stored(qparams).zero_point) * qparams.scale);
}

TEST(Pools, KeepCodes) {
  Generator g(7);
  int cases = 0;
  for (const DType dtype : {DType::kUInt8, DType::kInt8})
    for (int i = 0; i < 50; ++i) {
      QParams qparams;
      qparams.scale = 0.037f;
      qparams.dtype = dtype;
      qparams.range = dtype == DType::kInt8 ? CodeRange{-128, 127} : CodeRange{0, 255};
      qparams.zero_point = static_cast<std::int32_t>(g.below(256)) + qparams.range.quant_min;
      ops::MaxPool2d max;
      Tensor x = coded(random_input(g, max), qparams, g);
      const Tensor largest = max_pool2d(x, max);
      expect_value_of_codes(largest, qparams);
      EXPECT_TRUE(identical(largest, max_pool2d(x.clone(), max)));

      ops::AvgPool2d average;
      average.count_include_pad = g.below(2) == 0;
      x = coded(random_input(g, average), qparams, g);
      const kernels::Pool2dShape s = average.shape(x.shape());
      const Tensor mean = avg_pool2d(x, average);
      expect_value_of_codes(mean, qparams);
      for_each_output(s, [&](std::int64_t n, std::int64_t c, std::int64_t oy, std::int64_t ox) {
        const Taps taps = taps_of(s, oy, ox);
        std::int64_t sum = 0;
        const std::int64_t z = stored(qparams).zero_point;
        for (const auto& t : taps.inside) sum += x.codes()->values.at({n, c, t[0], t[1]}) - z;
        const auto counted =
            average.count_include_pad ? taps.with_padding : static_cast<std::int64_t>(taps.inside.size());
        const auto rounded = static_cast<std::int64_t>(
            std::nearbyint(static_cast<double>(sum) / static_cast<double>(counted)));
        EXPECT_EQ(mean.codes()->values.at({n, c, oy, ox}), rounded + z);
      });
      x = coded({2, 3, 5, 4}, qparams, g);
      expect_value_of_codes(adaptive_avg_pool2d(x), qparams);
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

TEST(Pools, TheGradientOfCodesIsThatOfTheRealPool) {
  Generator g(8);
  QParams qparams;
  qparams.scale = 0.25f;
  qparams.zero_point = 100;
  Tensor x = coded({2, 3, 6, 6}, qparams, g), plain = x.clone();
  x.requires_grad_();
  plain.requires_grad_();
  const Tensor dy = randn({2, 3, 3, 3}, g);
  avg_pool2d(x).backward(dy);
  avg_pool2d(plain).backward(dy);
  EXPECT_TRUE(identical(x.grad(), plain.grad()));
}

}  // namespace pool2d_test
}  // namespace midtread

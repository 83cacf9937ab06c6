// SPDX-License-Identifier: MIT
// The learned step: dx and the three sums against plain loops in double, for every band, rounding, layout and
// length.
#include <midtread/ops/learned_step.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
using mt::ops::PassBand;

namespace learned_step_test {

float rounded(float v, mt::Rounding rounding) {
  switch (rounding) {
    case mt::Rounding::kHalfUp: return std::floor(v) + (v - std::floor(v) >= 0.5f ? 1.0f : 0.0f);
    case mt::Rounding::kHalfDown: return v < 0 ? -std::ceil(-v - 0.5f) : std::ceil(v - 0.5f);
    case mt::Rounding::kStdRound: return std::round(v);
    case mt::Rounding::kHalfEven: break;
  }
  return std::nearbyint(v);
}

struct Expected {
  std::vector<float> dx;
  std::vector<double> inside, below, above, magnitude;
};

/// Row-major x; `channel(i)` of element i.
template <class Channel>
Expected expected(const std::vector<float>& x, const std::vector<float>& dy, const mt::ChannelQParams& q,
                  const mt::ops::LearnedStep& step, const Channel& channel) {
  const std::size_t channels = q.scales.size();
  Expected e{{},
             std::vector<double>(channels),
             std::vector<double>(channels),
             std::vector<double>(channels),
             std::vector<double>(channels, 1e-30)};
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c = channel(i);
    const float s = q.scales[c], z = static_cast<float>(q.zero_points[c]), v = x[i] * (1.0f / s);
    const float lo = static_cast<float>(q.range.quant_min) - z,
                hi = static_cast<float>(q.range.quant_max) - z;
    const float r = rounded(std::min(std::max(v, lo - 1), hi + 1), q.rounding);
    const float u = step.band == PassBand::kCode ? r : step.band == PassBand::kRatio ? v : x[i];
    const double g = static_cast<double>(dy[i]);
    e.magnitude[c] += std::abs(g) * 256;
    if (u < step.inside[c].first)
      e.below[c] += g;
    else if (u > step.inside[c].second)
      e.above[c] += g;
    else
      e.inside[c] += g * (static_cast<double>(r) - static_cast<double>(x[i]) / static_cast<double>(s));
    e.dx.push_back(u < step.inside[c].first || u > step.inside[c].second ? 0.0f : dy[i]);
  }
  return e;
}

struct Example {
  mt::ChannelQParams q;
  mt::ops::LearnedStep step;
};

/// Three parameters whose gradients are the three sums.
Example example(std::size_t channels, int axis, PassBand band, mt::Rounding rounding, mt::Generator& g) {
  Example s;
  s.q.axis = axis;
  s.q.range = {0, 15};
  s.q.dtype = mt::DType::kUInt8;
  s.q.rounding = rounding;
  s.step.band = band;
  const mt::Shape shape{static_cast<std::int64_t>(channels)};
  for (const char* name : {"inside", "below", "above"})
    s.step.parameters.push_back({name, mt::ones(shape).requires_grad_(), {}});
  for (std::size_t c = 0; c < channels; ++c) {
    const float scale = static_cast<float>(g.uniform(0.05, 0.3));
    const int z = static_cast<int>(g.uniform(0, 16));
    s.q.scales.push_back(scale);
    s.q.zero_points.push_back(z);
    const float lo = static_cast<float>(-z), hi = static_cast<float>(15 - z);
    if (band == PassBand::kReal)
      s.step.inside.emplace_back(lo * scale * 0.7f, hi * scale * 1.1f);
    else
      s.step.inside.emplace_back(lo, hi);
    s.step.parameters[0].weights.push_back({1, 0, 0});
    s.step.parameters[1].weights.push_back({0, 1, 0});
    s.step.parameters[2].weights.push_back({0, 0, 1});
  }
  return s;
}

const PassBand kBands[] = {PassBand::kCode, PassBand::kRatio, PassBand::kReal};
const mt::Rounding kStepRoundings[] = {mt::Rounding::kHalfEven, mt::Rounding::kHalfUp,
                                       mt::Rounding::kHalfDown, mt::Rounding::kStdRound};

TEST(LearnedStep, GradientsAreTheSums) {
  int cases = 0;
  mt::Generator g(3);
  struct Layout {
    mt::Shape shape;
    int axis;
    std::size_t channels;
  };
  for (const Layout& layout :
       {Layout{{1}, -1, 1}, Layout{{7}, -1, 1}, Layout{{255}, -1, 1}, Layout{{257}, -1, 1},
        Layout{{3, 5, 7, 9}, -1, 1}, Layout{{70001}, -1, 1}, Layout{{5, 3, 3, 3}, 0, 5},
        Layout{{2, 40000}, 0, 2}, Layout{{6, 4, 5}, 1, 4}, Layout{{6, 2, 3}, 1, 4}, Layout{{0, 3}, -1, 1}})
    for (PassBand band : kBands)
      for (mt::Rounding rounding : kStepRoundings) {
        SCOPED_TRACE(mt::concat(layout.shape, " axis ", layout.axis, " band ", static_cast<int>(band),
                                " rounding ", static_cast<int>(rounding)));
        Example s = example(layout.channels, layout.axis, band, rounding, g);
        mt::Tensor x = mt::randn(layout.shape, g);
        for (std::int64_t i = 0; i < x.numel(); i += 3)  // ties
          x.mutable_data()[i] = s.q.scales[0] * (std::floor(x.data()[i] / s.q.scales[0]) + 0.5f);
        x.requires_grad_();
        const mt::Tensor dy = mt::randn(layout.shape, g);
        const mt::Tensor y = mt::ops::learned_step(x, s.q, s.step, "test");
        EXPECT_TRUE(mt::identical(y, mt::fake_quantize(x.detach(), s.q)));
        EXPECT_EQ(y.codes() != nullptr, layout.axis < 0);
        y.backward(dy);
        const std::int64_t size = layout.axis < 0 ? 1 : layout.shape[layout.axis];
        std::int64_t inner = 1, outer = 1;
        for (int d = layout.axis + 1; d < layout.shape.rank(); ++d) inner *= layout.shape[d];
        for (int d = 0; d < layout.axis; ++d) outer *= layout.shape[d];
        const std::int64_t groups = static_cast<std::int64_t>(layout.channels) / size;
        const Expected e = expected(x.to_vector(), dy.to_vector(), s.q, s.step, [&](std::size_t i) {
          if (layout.axis < 0) return std::size_t{0};
          const auto at = static_cast<std::int64_t>(i);
          return static_cast<std::size_t>(at / inner / size * groups / outer * size + at / inner % size);
        });
        EXPECT_EQ(x.grad().to_vector(), e.dx);
        for (std::size_t c = 0; c < layout.channels; ++c) {
          EXPECT_NEAR(s.step.parameters[0].value.grad().data()[c], e.inside[c], 1e-6 * e.magnitude[c]);
          EXPECT_NEAR(s.step.parameters[1].value.grad().data()[c], e.below[c],
                      1e-9 * e.magnitude[c] + 1e-7 * std::abs(e.below[c]));
          EXPECT_NEAR(s.step.parameters[2].value.grad().data()[c], e.above[c],
                      1e-9 * e.magnitude[c] + 1e-7 * std::abs(e.above[c]));
        }
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(LearnedStep, TheThreadCountChangesNoBit) {
  const int before = mt::num_threads();
  int cases = 0;
  for (int axis : {-1, 0, 1}) {
    std::vector<std::vector<float>> results;
    for (int threads : {1, 2, 3, 7}) {
      mt::set_num_threads(threads);
      mt::Generator g(5);
      Example s = example(axis < 0    ? 1
                          : axis == 0 ? 40
                                      : 300,
                          axis, PassBand::kCode, mt::Rounding::kHalfEven, g);
      mt::Tensor x = mt::randn({40, 300, 11}, g);
      x.requires_grad_();
      mt::ops::learned_step(x, s.q, s.step, "test").backward(mt::randn(x.shape(), g));
      std::vector<float> all = x.grad().to_vector();
      for (const auto& p : s.step.parameters)
        for (float v : p.value.grad().to_vector()) all.push_back(v);
      results.push_back(all);
      EXPECT_EQ(results[0], results.back());
      ++cases;
    }
  }
  mt::set_num_threads(before);
  std::printf("cases=%d\n", cases);
}

TEST(LearnedStep, MemoryOrderIsKept) {
  mt::Generator g(9);
  Example s = example(1, -1, PassBand::kCode, mt::Rounding::kHalfEven, g);
  const mt::Tensor values = mt::randn({2, 3, 4, 5}, g), gradient = mt::randn({2, 3, 4, 5}, g);
  mt::Tensor plain = values.clone(), last = values.channels_last();
  plain.requires_grad_(), last.requires_grad_();
  const mt::Tensor y = mt::ops::learned_step(last, s.q, s.step, "test");
  EXPECT_TRUE(y.is_channels_last());
  y.backward(gradient);
  EXPECT_TRUE(last.grad().is_channels_last());
  mt::ops::learned_step(plain, s.q, s.step, "test").backward(gradient.channels_last());
  EXPECT_EQ(plain.grad().to_vector(), last.grad().to_vector());
}

TEST(LearnedStep, InfinitiesSaturateAndStayOutOfTheSums) {
  mt::Generator g(2);
  int cases = 0;
  for (PassBand band : kBands) {
    Example s = example(1, -1, band, mt::Rounding::kHalfEven, g);
    mt::Tensor x = mt::tensor({0.01f, HUGE_VALF, -HUGE_VALF, 3e38f});
    x.requires_grad_();
    mt::ops::learned_step(x, s.q, s.step, "test").backward(mt::tensor({1.0f, 2.0f, 4.0f, 8.0f}));
    EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{1, 0, 0, 0}));
    EXPECT_LT(std::abs(s.step.parameters[0].value.grad().item()), 1.0f);
    EXPECT_EQ(s.step.parameters[1].value.grad().item(), 4.0f);
    EXPECT_EQ(s.step.parameters[2].value.grad().item(), 10.0f);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(LearnedStep, RefusesWhatWouldSpoilAParameter) {
  mt::Generator g(2);
  Example s = example(1, -1, PassBand::kCode, mt::Rounding::kHalfEven, g);
  const mt::Tensor x = mt::tensor({0.1f, 100.0f});
  expect_error<mt::NumericError>(
      [&] {
        mt::ops::learned_step(x, s.q, s.step, "net.conv").backward(mt::tensor({std::nanf(""), 1.0f}));
      },
      {"net.conv", "gradient of inside is nan"});
  expect_error<mt::NumericError>(
      [&] {
        mt::ops::learned_step(x, s.q, s.step, "net.conv").backward(mt::tensor({1.0f, HUGE_VALF}));
      },
      {"net.conv", "gradient of above is inf"});
  s.step.parameters[1].weights.clear();
  expect_error<mt::ShapeError>([&] { mt::ops::learned_step(x, s.q, s.step, "net.conv"); },
                               {"net.conv", "each of 1 scales"});
  expect_error<mt::NumericError>(
      [&] {
        mt::ops::learned_step(mt::tensor({std::nanf("")}), s.q, {PassBand::kCode, s.step.inside, {}},
                              "net.conv");
      },
      {"1 NaN of 1 values"});
}

TEST(LearnedStep, WithoutGradientThereIsNoHistory) {
  mt::Generator g(2);
  Example s = example(1, -1, PassBand::kCode, mt::Rounding::kHalfEven, g);
  const mt::NoGradGuard no_grad;
  EXPECT_FALSE(mt::ops::learned_step(mt::ones({3}), s.q, s.step, "test").requires_grad());
}

}  // namespace learned_step_test

// SPDX-License-Identifier: MIT
// DoReFa: odd codes and their exact values, the gradient against differences of the smooth formula, refusals.
#include <midtread/quant/dorefa.hpp>
#include <midtread/quant/qconfig.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace dorefa_test {

using Weight = quant::DoReFaWeight<quant::Int8Symmetric>;
using ChannelWeight = quant::DoReFaWeight<quant::Int8PerChannel>;
using Activation = quant::DoReFaActivation;

double top_of(const mt::Tensor& w) {
  double top = 0;
  for (float v : w.to_vector()) top = std::max(top, std::abs(std::tanh(static_cast<double>(v))));
  return top;
}
mt::Tensor scaled(mt::Tensor w, double factor) {
  for (std::int64_t i = 0; i < w.numel(); ++i) w.mutable_data()[i] *= static_cast<float>(factor);
  return w;
}

// 2 quantize_k(tanh(w) / (2 max|tanh w|) + 1/2) - 1, bit for bit code * (1/n).
TEST(DoReFa, WeightsAsInThePaper) {
  int cases = 0;
  mt::Generator g(1);
  for (int bits = 2; bits <= 7; ++bits)
    for (double spread : {0.01, 1.0, 5.0}) {
      SCOPED_TRACE(mt::concat("bits ", bits, " spread ", spread));
      Weight f(Weight::Options().bits(bits));
      const mt::Tensor w = scaled(mt::randn({20, 3, 3, 3}, g), spread), y = f.forward(w);
      const int n = (1 << bits) - 1;
      const double top = top_of(w);
      const mt::ChannelQParams q = f.qparams();
      EXPECT_EQ(q.range, (mt::CodeRange{-n, n}));
      EXPECT_EQ(q.scales.at(0), 1.0f / static_cast<float>(n));
      const mt::BasicTensor<std::int8_t> codes = mt::quantize_weight(f.before_rounding(f.bent(w)), q);
      int extremes = 0;
      for (std::int64_t i = 0; i < w.numel(); ++i) {
        const int code = 2 * static_cast<int>(std::nearbyint(
                                 n * (std::tanh(static_cast<double>(w.data()[i])) / (2 * top) + 0.5))) -
                         n;
        ASSERT_EQ(static_cast<int>(codes.data()[i]), code);
        ASSERT_EQ(code & 1, 1);
        ASSERT_EQ(y.data()[i], static_cast<float>(code) * q.scales[0]);
        extremes += std::abs(code) == n;
      }
      EXPECT_GT(extremes, 0);
      ASSERT_NE(y.codes(), nullptr);
      EXPECT_EQ(y.codes()->qparams, f.tensor_qparams());
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

TEST(DoReFa, OneScalePerChannel) {
  int cases = 0;
  mt::Generator g(6);
  for (int bits = 2; bits <= 7; ++bits)
    for (int axis : {0, 1}) {
      ChannelWeight f(ChannelWeight::Options().bits(bits).for_weight({axis, 1}));
      const mt::Tensor w = mt::randn({4, 5, 6}, g), y = f.forward(w);
      const double top = top_of(w), n = (1 << bits) - 1;
      const std::int64_t channels = w.size(axis), inner = axis == 0 ? 30 : 6;
      const mt::ChannelQParams q = f.qparams();
      ASSERT_EQ(static_cast<std::int64_t>(q.scales.size()), channels);
      std::vector<double> largest(static_cast<std::size_t>(channels));
      const auto channel = [&](std::int64_t i) { return static_cast<std::size_t>(i / inner % channels); };
      for (std::int64_t i = 0; i < w.numel(); ++i)
        largest[channel(i)] =
            std::max(largest[channel(i)], std::abs(std::tanh(static_cast<double>(w.data()[i])) / top));
      for (std::int64_t i = 0; i < w.numel(); ++i) {
        const double m = largest[channel(i)], t = std::tanh(static_cast<double>(w.data()[i])) / top;
        EXPECT_FLOAT_EQ(q.scales[channel(i)], static_cast<float>(m / n));
        EXPECT_EQ(y.data()[i],
                  static_cast<float>(2 * std::nearbyint(n * (t / (2 * m) + 0.5)) - n) * q.scales[channel(i)]);
      }
      // A channel's factor, as folding brings it, moves its scale only.
      mt::Tensor t = f.bent(w).clone();
      for (std::int64_t i = 0; i < t.numel(); ++i)
        if (channel(i) == 2) t.mutable_data()[i] *= 64.0f;
      f.observe(t);
      const mt::Tensor folded = f.fake_quantize(t);
      for (std::int64_t i = 0; i < t.numel(); ++i)
        EXPECT_EQ(folded.data()[i], channel(i) == 2 ? 64.0f * y.data()[i] : y.data()[i]);
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

// y without its rounding is tanh(w) / max|tanh w|: the gradient is that of this function.
TEST(DoReFa, GradientOfTheWeights) {
  int cases = 0;
  mt::Generator g(2);
  const auto run = [&](auto f) {
    mt::Tensor w = mt::randn({5, 7}, g);
    w.requires_grad_();
    const mt::Tensor dy = mt::randn({5, 7}, g);
    f.forward(w).backward(dy);
    const auto loss = [&](std::size_t at, double step) {
      double top = 0, sum = 0;
      std::vector<double> t;
      for (std::size_t i = 0; i < 35; ++i)
        t.push_back(std::tanh(static_cast<double>(w.data()[i]) + (i == at ? step : 0)));
      for (double v : t) top = std::max(top, std::abs(v));
      for (std::size_t i = 0; i < 35; ++i) sum += static_cast<double>(dy.data()[i]) * t[i] / top;
      return sum;
    };
    for (std::size_t i = 0; i < 35; ++i)
      EXPECT_NEAR(w.grad().data()[i], (loss(i, 1e-5) - loss(i, -1e-5)) / 2e-5, 1e-5) << i;
    ++cases;
  };
  for (int bits : {2, 4, 7}) {
    run(Weight(Weight::Options().bits(bits)));
    run(ChannelWeight(ChannelWeight::Options().bits(bits)));
  }
  std::printf("cases=%d\n", cases);
}

TEST(DoReFa, TheThreadCountChangesNoBit) {
  const int before = mt::num_threads();
  std::vector<std::vector<float>> results;
  for (int threads : {1, 2, 5}) {
    mt::set_num_threads(threads);
    mt::Generator g(3);
    Weight f;
    mt::Tensor w = mt::randn({50000}, g);
    w.requires_grad_();
    const mt::Tensor y = f.forward(w);
    y.backward(mt::randn({50000}, g));
    results.push_back(y.to_vector());
    for (float v : w.grad().to_vector()) results.back().push_back(v);
    EXPECT_EQ(results[0], results.back());
  }
  mt::set_num_threads(before);
}

TEST(DoReFa, WeightsOfZerosAndOfNothing) {
  Weight f;
  mt::Tensor w = mt::zeros({4});
  w.requires_grad_();
  const mt::Tensor y = f.forward(w);
  for (float v : y.to_vector()) EXPECT_LE(std::abs(v), 1e-5f);
  y.backward(mt::ones({4}));
  EXPECT_EQ(w.grad().to_vector(), (std::vector<float>(4, 1.0f)));  // so that they can leave zero
  EXPECT_EQ(f.forward(mt::Tensor(mt::Shape{0, 3})).numel(), 0);
  f.set_path("conv.weight_fake_quant");
  expect_error<mt::NumericError>(
      [&] {
        f.forward(mt::tensor({1.0f, std::nanf("")}));
      },
      {"conv.weight_fake_quant"});
}

TEST(DoReFa, ActivationsAreClippedToOne) {
  int cases = 0;
  mt::Generator g(4);
  for (int bits = 2; bits <= 8; ++bits) {
    Activation f(Activation::Options().bits(bits));
    mt::Tensor x = mt::randn({300}, g);
    const float special[] = {0.0f, 1.0f, std::nextafter(1.0f, 2.0f), -1e-30f, HUGE_VALF, -HUGE_VALF};
    std::copy(std::begin(special), std::end(special), x.mutable_data());
    x.requires_grad_();
    const mt::Tensor dy = mt::randn({300}, g), y = f.forward(x);
    y.backward(dy);
    const float n = static_cast<float>((1 << bits) - 1), s = 1.0f / n;
    for (std::int64_t i = 0; i < 300; ++i) {
      const float v = x.data()[i], held = std::min(std::max(v, 0.0f), 1.0f);
      EXPECT_EQ(y.data()[i], std::nearbyint(std::min(held * (1.0f / s), n)) * s);
      EXPECT_EQ(x.grad().data()[i], v >= 0 && v <= 1 ? dy.data()[i] : 0.0f);
    }
    EXPECT_EQ(f.tensor_qparams(),
              (mt::QParams{s, 0, {0, (1 << bits) - 1}, mt::DType::kUInt8, mt::Rounding::kHalfEven}));
    ++cases;
  }
  Activation f;
  f.set_path("relu");
  expect_error<mt::NumericError>([&] { f.forward(mt::tensor({std::nanf("")})); }, {"relu", "1 NaN of 1"});
  std::printf("cases=%d\n", cases);
}

TEST(DoReFa, BitsThatDoNotFit) {
  expect_error<mt::ConfigError>([] { Weight f(Weight::Options().bits(8)); },
                                {"bits", "got 8", "odd codes -255..255", "int8 holds -127..127"});
  for (int bits : {-1, 0, 1, 9, 32}) {
    expect_error<mt::ConfigError>([&] { Weight f(Weight::Options().bits(bits)); },
                                  {"bits", "allowed 2..7 for DoReFa's weights"});
    expect_error<mt::ConfigError>([&] { Activation f(Activation::Options().bits(bits)); },
                                  {"bits", "allowed 2..8 for DoReFa's activations"});
  }
  Weight::Options options;
  options.set("bits", 3.0);
  EXPECT_EQ(Weight(options).range(), (mt::CodeRange{-7, 7}));
  EXPECT_FALSE(Weight(options).follows_magnitude());
  EXPECT_TRUE(ChannelWeight().follows_magnitude());
  expect_error<mt::ConfigError>([&] { options.set("alpha", 1.0); }, {"alpha", "there is: bits"});
  const quant::AnyQConfig q = quant::QConfig<Activation, Weight>{};
  EXPECT_EQ(quant::AnyQConfig(quant::QConfig<Activation, ChannelWeight>{}).make_weight(1)->observer().axis(),
            1);
  EXPECT_EQ(q.weight_name(),
            "DoReFaWeight(MinMaxObserver, int8_symmetric, quant_min=-15, quant_max=15, memoryless)");
}

}  // namespace dorefa_test

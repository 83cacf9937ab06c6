// SPDX-License-Identifier: MIT
// A learned weight step behind batch norm: it is relative to the batch norm factor, so that neither
// statistics nor gamma change a code, and gamma's gradient is that of an unfolded batch norm.
#include <midtread/midtread.hpp>
#include <midtread/quant/lsq.hpp>

#include <gtest/gtest.h>

#include <support/exactness.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
namespace qat = midtread::qat;
namespace quant = midtread::quant;
using namespace midtread::test;

namespace learned_step_unit_test {

using Weight = quant::Lsq<quant::MinMaxObserver<quant::Int8PerChannel>>;

struct Subject {
  explicit Subject(int bits, int output_bits = 8) {
    layer->weight.copy_(mt::randn(layer->weight.shape(), generator));
    for (int c = 0; c < 6; ++c) {
      bn->weight.mutable_data()[c] = c == 2 ? -0.75f : 0.5f + 0.25f * static_cast<float>(c);
      bn->running_var.mutable_data()[c] = 0.5f + static_cast<float>(c);
      bn->running_mean.mutable_data()[c] = 0.1f * static_cast<float>(c);
    }
    const auto options = Weight::Options().for_weight({}).bit_width(bits).init(quant::ScaleInit::kMeanAbs);
    auto fused = std::make_shared<mt::nn::FusedImpl>(layer.ptr(), bn.ptr(), mt::nn::FusedActivation::kNone);
    unit = std::make_shared<qat::ConvUnit>("conv", fused, std::make_shared<Weight>(options),
                                           std::make_shared<quant::DefaultActivation>(
                                               quant::DefaultActivation::Options().bit_width(output_bits)));
    x = mt::fake_quantize(mt::randn({4, 3, 7, 7}, generator), input);
  }
  mt::quantized::ConvWeights integers() const {
    return dynamic_cast<const mt::quantized::Conv&>(*unit->lower({input})).weights();
  }

  mt::Generator generator{5};
  const mt::QParams input{0.03f, 120, {}, mt::DType::kUInt8, mt::Rounding::kHalfEven};
  mt::nn::Conv2d layer{mt::nn::Conv2dOptions(3, 6, 3).bias(false)};
  mt::nn::BatchNorm2d bn{6};
  std::shared_ptr<qat::ConvUnit> unit;
  mt::Tensor x;
};

TEST(LearnedStepUnit, BatchNormChangesNoCode) {
  int cases = 0;
  for (int bits : {2, 4, 8}) {
    Subject s(bits);
    s.unit->forward(s.x);
    const mt::quantized::ConvWeights before = s.integers();
    for (int c = 0; c < 6; ++c) {
      s.bn->weight.mutable_data()[c] *= c % 2 ? 8.0f : 0.25f;  // exact in floats
      s.bn->running_mean.mutable_data()[c] = -0.3f;
    }
    const mt::quantized::ConvWeights after = s.integers();
    for (std::int64_t i = 0; i < before.codes.numel(); ++i, ++cases)
      ASSERT_EQ(before.codes.data()[i], after.codes.data()[i]) << bits << " bits, " << i;
    for (std::size_t c = 0; c < 6; ++c)
      EXPECT_EQ(after.scales[c], before.scales[c] * (c % 2 ? 8.0f : 0.25f)) << c;
  }
  std::printf("cases=%d\n", cases);
}

/// dL/dgamma = sum dy * (u - mean u) / sqrt(var u + eps) with u = conv(x, FQ(w)): nothing by way of the fold.
TEST(LearnedStepUnit, GammasGradientIsThatOfAnUnfoldedBatchNorm) {
  for (int bits : {2, 3, 8}) {
    Subject s(bits);
    s.unit->train();
    s.unit->activation_post_process().set_fake_quant_enabled(false);
    s.unit->forward(s.x);  // the first batch gives the scale
    const qat::BatchNormView view = qat::view_of(*s.unit->bn());
    const mt::Tensor factor = qat::batch_norm_factor(view, qat::Vanishing::kZero);
    const mt::Tensor dy = mt::randn({4, 6, 5, 5}, s.generator);

    s.bn->weight.set_grad(mt::Tensor());
    const mt::ChannelQParams q = s.unit->weight_fake_quant().qparams();
    const mt::Tensor folded = mt::fake_quantize(s.unit->folded().first.detach(), q);
    mt::sum(s.unit->forward(s.x) * dy).backward();

    const mt::Tensor u = mt::nn::functional::conv2d(s.x.detach(), folded, mt::Tensor()).contiguous();
    for (int c = 0; c < 6; ++c) {
      const double f = static_cast<double>(factor.data()[c]);
      double sum = 0, squares = 0, product = 0;
      const auto each = [&](auto&& visit) {
        for (int n = 0; n < 4; ++n)
          for (int i = 0; i < 25; ++i)
            visit(static_cast<double>(u.data()[(n * 6 + c) * 25 + i]) / f,
                  static_cast<double>(dy.data()[(n * 6 + c) * 25 + i]));
      };
      each([&](double v, double) { sum += v, squares += v * v; });
      const double mean = sum / 100, deviation = std::sqrt(squares / 100 - mean * mean + 1e-5);
      each([&](double v, double g) { product += g * (v - mean) / deviation; });
      EXPECT_NEAR(s.bn->weight.grad().data()[c], product, 2e-4 * std::max(1.0, std::abs(product)))
          << bits << " bits, channel " << c;
    }
  }
}

/// The gradient of the factor's size: sum over weights of dy * FQ(w) / m.
TEST(LearnedStepUnit, MagnitudesGradient) {
  mt::Generator g(9);
  Weight f(Weight::Options().for_weight({}).bit_width(3).init(quant::ScaleInit::kMeanAbs));
  f.set_channels(4);
  mt::Tensor m = mt::tensor({0.5f, 2.0f, 1.0f, 4.0f});
  m.requires_grad_(true);
  f.set_magnitude(m);
  const mt::Tensor w = mt::randn({4, 10}, g), dy = mt::randn({4, 10}, g);
  f.observe(w);
  const mt::Tensor y = f.fake_quantize(w);
  mt::sum(y * dy).backward();
  const mt::ChannelQParams q = f.qparams();
  for (int c = 0; c < 4; ++c) {
    double expected = 0;  // dy/dm at fixed w: (y - x) inside, y outside, over m
    for (int i = 0; i < 10; ++i) {
      const float x = w.data()[c * 10 + i], out = y.data()[c * 10 + i],
                  u = x / q.scales[static_cast<std::size_t>(c)];
      const bool inside = u > -4.5f && u < 3.5f;
      expected += static_cast<double>(dy.data()[c * 10 + i]) * static_cast<double>(inside ? out - x : out);
    }
    EXPECT_NEAR(m.grad().data()[c], expected / static_cast<double>(m.data()[c]), 1e-5) << c;
  }
}

/// With the batch's statistics as the running ones, train mode and the integer layer give the same codes, but
/// for a rare tie: at two bits a bias code is worth half an output code, and training knows of it.
TEST(LearnedStepUnit, TrainModeGivesTheIntegerLayersCodes) {
  for (int bits : {2, 3, 4, 8}) {
    Subject s(bits, bits);
    s.bn->options.momentum(1.0);
    const std::int64_t n = 64 * 25;
    const mt::QParams coarse{
        bits < 8 ? 0.5f : 0.03f, 0, {0, (1 << bits) - 1}, mt::DType::kUInt8, mt::Rounding::kHalfEven};
    const mt::Tensor x = mt::fake_quantize(mt::abs(mt::randn({64, 3, 7, 7}, s.generator)), coarse);
    s.unit->train();
    for (int i = 0; i < 3; ++i) s.unit->forward(x);
    s.unit->activation_post_process().set_observer_enabled(false);
    const mt::Tensor trained = s.unit->forward(x);
    for (int c = 0; c < 6; ++c)
      s.bn->running_var.mutable_data()[c] *= static_cast<float>(n - 1) / static_cast<float>(n);
    s.unit->eval();
    const mt::Tensor integer = s.unit->forward(x);
    ASSERT_TRUE(integer.codes() && trained.codes());
    std::int64_t differing = 0;
    const mt::Tensor a = trained.contiguous(), b = integer.contiguous();
    for (std::int64_t i = 0; i < a.numel(); ++i) differing += a.data()[i] != b.data()[i];
    EXPECT_LE(differing, a.numel() / 1000) << bits << " bits";
    std::printf("%d bits: cases=%lld differing=%lld\n", bits, static_cast<long long>(a.numel()),
                static_cast<long long>(differing));
  }
}

/// Another layer's checkpoint: refused, and nothing is read behind the batch norm's six channels.
TEST(LearnedStepUnit, RefusesScalesOfAnotherLayer) {
  for (const std::int64_t count : {1, 5, 7, 100000}) {
    Subject s(4);
    s.unit->forward(s.x);
    for (auto& parameter : s.unit->weight_fake_quant().own_parameters())
      parameter.second.set_data(mt::full<float>({count}, 0.1f));
    expect_error<mt::ShapeError>([&] { s.unit->lower({s.input}); }, {"6", std::to_string(count)});
  }
}

}  // namespace learned_step_unit_test

// SPDX-License-Identifier: MIT
// Units: when they observe, when they compute on codes, what they refuse; frozen batch norm statistics;
// gradients.
#include <midtread/qat/quantize_unit.hpp>

#include <gtest/gtest.h>

#include <support/exactness.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
namespace qat = midtread::qat;
namespace quant = midtread::quant;
using namespace midtread::test;

namespace conv_unit_test {

std::shared_ptr<quant::FakeQuantizeBase> output() { return std::make_shared<quant::DefaultActivation>(); }
std::shared_ptr<quant::FakeQuantizeBase> weights() {
  return std::make_shared<quant::DefaultWeight>(quant::DefaultWeight::Options().for_weight({}));
}
/// Random values that carry codes.
mt::Tensor quantized_input(const mt::Shape& shape, std::uint64_t seed) {
  mt::Generator g(seed);
  return mt::fake_quantize(mt::randn(shape, g),
                           mt::QParams{0.03f, 120, {}, mt::DType::kUInt8, mt::Rounding::kHalfEven});
}

TEST(ConvUnit, ObservesInTrainModeOnly) {
  qat::ConvUnit unit("fc", mt::nn::Linear(4, 3).ptr(), weights(), output());
  const mt::Tensor x = quantized_input(mt::Shape{8, 4}, 1);
  unit.eval();
  expect_error<mt::StateError>([&] { unit.forward(x); }, {"fc.activation_post_process", "seen no data"});
  unit.train();
  unit.forward(x);
  const float scale = unit.activation_post_process().tensor_qparams().scale;
  unit.eval();
  unit.forward(x * 3.0);
  EXPECT_EQ(unit.activation_post_process().tensor_qparams().scale, scale);
  unit.train();
  unit.forward(quantized_input(mt::Shape{8, 4}, 2));
  EXPECT_NE(unit.activation_post_process().tensor_qparams().scale, scale);
}

TEST(ConvUnit, WeightScalesFollowTheWeightInEvalToo) {
  const mt::nn::Linear fc(4, 3);
  qat::ConvUnit unit("fc", fc.ptr(), weights(), output());
  const mt::Tensor x = quantized_input(mt::Shape{8, 4}, 1);
  unit.forward(x);
  unit.eval();
  fc->weight.fill_(2.54f);
  unit.forward(x);
  EXPECT_EQ(unit.weight_fake_quant().qparams().scales.at(0), 2.54f / 127.0f);
  unit.weight_fake_quant().set_observer_enabled(false);
  fc->weight.fill_(1.0f);
  unit.forward(x);
  EXPECT_EQ(unit.weight_fake_quant().qparams().scales.at(0), 2.54f / 127.0f);
}

TEST(ConvUnit, CodesComeOutWhereQuantizersAreOn) {
  qat::ConvUnit unit("fc", mt::nn::Linear(4, 3).ptr(), weights(), output());
  const mt::Tensor x = quantized_input(mt::Shape{8, 4}, 1);
  EXPECT_TRUE(unit.forward(x).codes());
  EXPECT_TRUE(unit.forward(x * 1.0).codes());  // a real input: still a quantized output
  unit.activation_post_process().set_fake_quant_enabled(false);
  EXPECT_FALSE(unit.forward(x).codes());
  unit.activation_post_process().set_fake_quant_enabled(true);
  unit.weight_fake_quant().set_fake_quant_enabled(false);
  EXPECT_TRUE(unit.forward(x).codes());
  // A float forward stands for the integer one up to rounding.
  unit.weight_fake_quant().set_fake_quant_enabled(true);
  unit.eval();
  const mt::Tensor integer = unit.forward(x);
  mt::Tensor plain = x.detach();
  plain.set_codes(nullptr);
  const float step = unit.activation_post_process().tensor_qparams().scale;
  const std::vector<float> a = integer.to_vector(), b = unit.forward(plain).to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_LE(std::abs(a[i] - b[i]), 1.01f * step);
}

// The gradient of the integer forward is that of the float form.
TEST(ConvUnit, IntegerForwardHasTheFloatFormsGradient) {
  int cases = 0;
  for (const bool relu6 : {false, true}) {
    const auto layer = mt::nn::Conv2d(conv(3, 4, 3)).ptr();
    const auto bn = mt::nn::BatchNorm2d(4).ptr();
    const auto fused = std::make_shared<mt::nn::FusedImpl>(
        layer, bn, relu6 ? mt::nn::FusedActivation::kRelu6 : mt::nn::FusedActivation::kRelu);
    scatter(*fused, 3);
    qat::ConvUnit unit("conv", fused, weights(), output());
    mt::Tensor x = quantized_input(mt::Shape{2, 3, 6, 6}, 4);
    unit.forward(x);
    qat::freeze_bn_stats(unit);
    quant::disable_observer(unit);
    unit.weight_fake_quant().set_observer_enabled(true);
    mt::Generator g(5);
    const mt::Tensor dy = mt::randn(mt::Shape{2, 4, 4, 4}, g);
    std::vector<mt::Tensors> gradients;
    for (const bool with_codes : {true, false}) {
      mt::Tensor input = x.detach();
      if (!with_codes) input.set_codes(nullptr);
      input.requires_grad_();
      unit.zero_grad();
      unit.forward(input).backward(dy);
      gradients.push_back({input.grad()});
      for (const auto& p : unit.named_parameters()) gradients.back().push_back(p.second.grad());
    }
    for (std::size_t i = 0; i < gradients[0].size(); ++i)
      EXPECT_TRUE(mt::identical(gradients[0][i], gradients[1][i])) << i;
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(ConvUnit, FusedRangesHoldReluAndRelu6) {
  mt::QParams q{0.05f, 17, {0, 255}, mt::DType::kUInt8, mt::Rounding::kHalfEven};
  EXPECT_EQ(qat::fused_range(q, mt::nn::FusedActivation::kNone), (mt::CodeRange{0, 255}));
  EXPECT_EQ(qat::fused_range(q, mt::nn::FusedActivation::kRelu), (mt::CodeRange{17, 255}));
  EXPECT_EQ(qat::fused_range(q, mt::nn::FusedActivation::kRelu6), (mt::CodeRange{17, 137}));
  q.scale = 0.01f;
  EXPECT_EQ(qat::fused_range(q, mt::nn::FusedActivation::kRelu6), (mt::CodeRange{17, 255}));
}

TEST(ConvUnit, RefusesWhatIsNoLayer) {
  expect_error<mt::UnsupportedError>(
      [] { qat::ConvUnit("x", mt::nn::BatchNorm2d(3).ptr(), weights(), output()); },
      {"x", "BatchNorm2d", "qconfig nullptr"});
  qat::ConvUnit unit("fc", mt::nn::Linear(4, 3).ptr(), weights(), output());
  EXPECT_THROW(unit.lower({}), mt::StateError);
  EXPECT_EQ(unit.type_name(), "QatLinear");
  EXPECT_EQ(unit.extra_repr(), "in_features=4, out_features=3, bias=True");
}

TEST(BatchNormModule, FreezeAndUpdate) {
  Trained t = trained(resnet(), default_mapping(), 1);
  const auto mean = [&] { return t.prepared.state_dict().at("stem.bn.running_mean").get<float>().clone(); };
  qat::freeze_bn_stats(t.prepared);
  t.prepared.train();  // does not thaw them
  mt::Tensor before = mean();
  train(t, resnet(), 1);
  EXPECT_TRUE(mt::identical(before, mean()));
  const auto* unit = dynamic_cast<const qat::ConvUnit*>(t.prepared.find("stem")->module.get());
  EXPECT_FALSE(qat::uses_batch_statistics(*unit->bn()));
  const mt::Tensor gamma = qat::view_of(*unit->bn()).gamma.clone();
  train(t, resnet(), 1);
  EXPECT_FALSE(mt::identical(gamma, qat::view_of(*unit->bn()).gamma));  // gamma still learns
  qat::update_bn_stats(t.prepared);
  EXPECT_TRUE(qat::uses_batch_statistics(*unit->bn()));
  train(t, resnet(), 1);
  EXPECT_FALSE(mt::identical(before, mean()));
  EXPECT_FALSE(qat::visit_batch_norm(*t.prepared.find("fc")->module, [](auto&) {}));
}

// momentum nullopt: the plain average of all batches, counted across units.
TEST(BatchNormModule, CumulativeAverage) {
  mt::nn::BatchNorm1d bn(mt::nn::BatchNormOptions(3).momentum(std::nullopt));
  EXPECT_DOUBLE_EQ(qat::next_momentum(*bn), 1.0);
  EXPECT_DOUBLE_EQ(qat::next_momentum(*bn), 0.5);
  EXPECT_DOUBLE_EQ(qat::next_momentum(*bn), 1.0 / 3);
  EXPECT_EQ(bn->num_batches_tracked.item(), 3);
}

TEST(OperationUnit, KnowsWhatItCanBe) {
  using mt::ops::OperationOf;
  EXPECT_TRUE(qat::OperationUnit::supports(OperationOf<mt::ops::Add>({})));
  EXPECT_TRUE(qat::OperationUnit::supports(OperationOf<mt::ops::Cat>({})));
  EXPECT_TRUE(qat::OperationUnit::supports(OperationOf<mt::ops::Hardswish>({})));
  EXPECT_FALSE(qat::OperationUnit::supports(OperationOf<mt::ops::Sub>({})));
  EXPECT_FALSE(qat::OperationUnit::supports(OperationOf<mt::ops::Softmax>({})));
  qat::OperationUnit unit("act", std::make_shared<OperationOf<mt::ops::LeakyRelu>>(mt::ops::LeakyRelu{0.25}),
                          output());
  EXPECT_EQ(unit.type_name(), "Qat(leaky_relu)");
  EXPECT_EQ(unit.extra_repr(), "slope 0.25");
  EXPECT_THROW(unit.lower({mt::QParams{}, mt::QParams{}}), mt::StateError);
}

TEST(QuantizeUnit, RefusesNonFiniteInput) {
  qat::QuantizeUnit unit("input_0", output());
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    mt::Tensor x = mt::ones(mt::Shape{2, 3});
    x.set({1, 2}, bad);
    expect_error<mt::NumericError>([&] { unit.forward(x); },
                                   {"input_0", "1 non-finite of 6", "index 5", "[2, 3]"});
    x = mt::ones(mt::Shape{3, 2});
    x.set({1, 0}, bad);
    expect_error<mt::NumericError>([&] { unit.forward(midtread::transpose(x, 0, 1)); }, {"index 1"});
  }
  // Its observer was not touched.
  EXPECT_THROW(unit.lower({}), mt::StateError);
  unit.forward(mt::ones(mt::Shape{2}));
  EXPECT_NO_THROW(unit.lower({}));
}

}  // namespace conv_unit_test

// SPDX-License-Identifier: MIT
// QAT convolution and linear units against PyTorch's modules: outputs, gradients, statistics and quantizers
// over two steps of SGD. PyTorch's observers run in eval mode too: there ours are set to calibrate.
#include <midtread/qat/conv_unit.hpp>
#include <midtread/quant/default_qconfig.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>

namespace mt = midtread;
namespace nn = midtread::nn;
namespace quant = midtread::quant;

namespace qat_modules_test {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

std::shared_ptr<quant::FakeQuantizeBase> weight_quantizer(const std::string& kind) {
  using Tensorwise = quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::Int8Symmetric>>;
  using Channelwise =
      quant::FakeQuantize<quant::MovingAveragePerChannelMinMaxObserver<quant::Int8PerChannel>>;
  std::shared_ptr<quant::FakeQuantizeBase> out;
  if (kind == "fq_pc")
    out = std::make_shared<Channelwise>(Channelwise::Options().quant_min(-128).quant_max(127));
  else
    out = std::make_shared<Tensorwise>(Tensorwise::Options().quant_min(-128).quant_max(127));
  out->set_fake_quant_enabled(kind != "none");
  out->set_observer_enabled(kind != "none");
  return out;
}

std::shared_ptr<nn::Module> fused_module(const golden::Case& c) {
  const bool bias = c.attrs.at("bias");
  const std::int64_t groups = c.attrs.at("groups"), padding = c.attrs.at("padding");
  std::shared_ptr<nn::Module> layer, bn;
  if (has(c.op, "Linear"))
    layer = nn::Linear(nn::LinearOptions(6, 4).bias(bias)).ptr();
  else if (has(c.op, "1d"))
    layer = nn::Conv1d(nn::Conv1dOptions(3, 4, 3).padding(padding).bias(bias)).ptr();
  else
    layer = nn::Conv2d(nn::Conv2dOptions(2, 4, 3).padding(padding).groups(groups).bias(bias)).ptr();
  const nn::BatchNormOptions options =
      nn::BatchNormOptions(4).eps(c.attrs.at("eps")).momentum(c.attrs.at("momentum").get<double>());
  if (has(c.op, "Bn"))
    bn = has(c.op, "2d") ? std::shared_ptr<nn::Module>(nn::BatchNorm2d(options).ptr())
                         : nn::BatchNorm1d(options).ptr();
  const nn::FusedActivation activation =
      has(c.op, "ReLU") ? nn::FusedActivation::kRelu : nn::FusedActivation::kNone;
  if (!bn && activation == nn::FusedActivation::kNone) return layer;
  return std::make_shared<nn::FusedImpl>(layer, bn, activation);
}

/// The named tensors of a JSON object that `state` has; with PyTorch's names they are the same.
void compare_state(const nn::StateDict& state, const golden::Json& expected,
                   const golden::Tolerance& tolerance) {
  for (const auto& item : expected.items()) {
    SCOPED_TRACE(item.key());
    ASSERT_TRUE(state.contains(item.key()));
    state.at(item.key()).visit([&](const auto& t) {
      using Scalar = typename std::decay_t<decltype(t)>::scalar_type;
      EXPECT_EQ(golden::difference(t, golden::tensor<Scalar>(item.value()), tolerance), "");
    });
  }
}

TEST(GoldenQatModules, TwoStepsOfTraining) {
  int cases = 0, steps = 0;
  for (const golden::Case& c : golden::load("qat_modules")) {
    if (c.op == "fold_conv_bn") continue;
    const std::string kind = c.attrs.at("weight_fake_quant"), mode = c.attrs.at("mode");
    if (kind.rfind("fused", 0) == 0 || has(mode, "slow"))
      continue;  // documents: PyTorch's other rule, and its other formula
    SCOPED_TRACE(c.id + " " + kind + " " + mode);
    auto post = std::make_shared<quant::DefaultActivation>();
    post->set_fake_quant_enabled(false);
    post->set_observer_enabled(false);
    auto unit = std::make_shared<mt::qat::ConvUnit>("unit", fused_module(c), weight_quantizer(kind), post);
    nn::StateDict initial;
    const nn::StateDict own = unit->state_dict();
    for (const auto& item : c.inputs.at("state").items()) {
      ASSERT_TRUE(own.contains(item.key())) << item.key();
      own.at(item.key()).visit([&](const auto& t) {
        using Scalar = typename std::decay_t<decltype(t)>::scalar_type;
        initial.insert(item.key(), mt::AnyTensor(golden::tensor<Scalar>(item.value())));
      });
    }
    unit->load_state_dict(initial, false);
    if (mode == "frozen") mt::qat::freeze_bn_stats(*unit);
    if (mode == "eval") {
      unit->eval();
      unit->weight_fake_quant().set_calibrating(true);
    }
    for (const golden::Json& step : c.expected.at("steps")) {
      SCOPED_TRACE("step");
      mt::Tensor x = golden::tensor(step.at("x"));
      x.requires_grad_();
      unit->zero_grad();
      const mt::Tensor y = unit->forward(x);
      y.backward(golden::tensor(step.at("dy")));
      EXPECT_EQ(golden::difference(y, golden::tensor(step.at("y")), c.tolerance), "") << "y";
      EXPECT_EQ(golden::difference(x.grad(), golden::tensor(step.at("dx")), c.tolerance), "") << "dx";
      nn::StateDict gradients;
      for (const auto& p : unit->named_parameters())
        if (p.second.grad().defined()) gradients.insert(p.first, mt::AnyTensor(p.second.grad()));
      compare_state(gradients, step.at("grads"), c.tolerance);
      for (const auto& p : unit->named_parameters()) {
        if (!p.second.grad().defined()) continue;
        const mt::Tensor gradient = p.second.grad().contiguous();
        float* value = p.second.mutable_data();
        for (std::int64_t i = 0; i < gradient.numel(); ++i) value[i] -= 0.05f * gradient.data()[i];
      }
      compare_state(unit->state_dict(), step.at("state_after"), c.tolerance);
      ++steps;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 36);
  std::printf("cases=%d steps=%d\n", cases, steps);
}

TEST(GoldenQatModules, FoldConvBn) {
  int cases = 0;
  for (const golden::Case& c : golden::load("qat_modules")) {
    if (c.op != "fold_conv_bn") continue;
    SCOPED_TRACE(c.id);
    mt::qat::BatchNormView bn;
    bn.gamma = golden::tensor(c.inputs.at("gamma"));
    bn.beta = golden::tensor(c.inputs.at("beta"));
    bn.mean = golden::tensor(c.inputs.at("mean"));
    bn.variance = golden::tensor(c.inputs.at("var"));
    bn.eps = c.attrs.at("eps").get<float>();
    const mt::Tensor factor = mt::qat::batch_norm_factor(bn, mt::qat::Vanishing::kZero);
    EXPECT_EQ(golden::difference(mt::qat::scale_weight(golden::tensor(c.inputs.at("weight")), bn, factor),
                                 golden::tensor(c.expected.at("weight")), c.tolerance),
              "");
    EXPECT_EQ(golden::difference(mt::qat::fold_bias(golden::tensor(c.inputs.at("bias")), bn),
                                 golden::tensor(c.expected.at("bias")), c.tolerance),
              "");
    ++cases;
  }
  EXPECT_EQ(cases, 2);
  std::printf("cases=%d\n", cases);
}

}  // namespace qat_modules_test

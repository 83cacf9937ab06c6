// SPDX-License-Identifier: MIT
// Other specs, bits, rounding policies and switches: the codes of prepared, converted and simulated models
// stay equal.
#include <support/exactness.hpp>

#include <midtread/quant/default_qconfig.hpp>

namespace mt = midtread;
namespace quant = midtread::quant;
using namespace midtread::test;

namespace qconfigs_test {

using Int8Activation = quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::Int8Affine>>;
using MinMaxActivation = quant::FakeQuantize<quant::MinMaxObserver<quant::UInt8Affine>>;
using SymmetricActivation = quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::UInt8Symmetric>>;
using TensorWeight = quant::FakeQuantize<quant::MinMaxObserver<quant::Int8Symmetric>>;
using Activation = quant::DefaultActivation;
using Weight = quant::DefaultWeight;

struct Choice {
  std::string name;
  std::shared_ptr<const quant::AnyQConfig> qconfig;
};

std::vector<Choice> choices() {
  const auto rounded = [](mt::Rounding r) {
    return quant::erase(quant::QConfig(Activation::Options().rounding(r), Weight::Options()));
  };
  return {
      {"int8", quant::erase(quant::QConfig<Int8Activation, Weight>{})},
      {"int8_narrow", quant::erase(quant::QConfig(Int8Activation::Options().quant_min(-100).quant_max(90),
                                                  Weight::Options()))},
      {"minmax_per_tensor", quant::erase(quant::QConfig<MinMaxActivation, TensorWeight>{})},
      {"symmetric_uint8", quant::erase(quant::QConfig<SymmetricActivation, Weight>{})},
      {"four_bits", quant::erase(quant::QConfig(Activation::Options().quant_min(0).quant_max(15),
                                                Weight::Options().quant_min(-7).quant_max(7)))},
      {"int8_four_bits", quant::erase(quant::QConfig(Int8Activation::Options().quant_min(-8).quant_max(7),
                                                     Weight::Options().quant_min(-8).quant_max(7)))},
      {"one_bit_weights",
       quant::erase(quant::QConfig(Activation::Options(), Weight::Options().quant_min(-1).quant_max(1)))},
      {"half_up", rounded(mt::Rounding::kHalfUp)},
      {"half_down", rounded(mt::Rounding::kHalfDown)},
      {"std_round", rounded(mt::Rounding::kStdRound)},
      {"int8_half_up", quant::erase(quant::QConfig(Int8Activation::Options().rounding(mt::Rounding::kHalfUp),
                                                   Weight::Options().rounding(mt::Rounding::kStdRound)))},
      {"accumulated_weights", quant::erase(quant::QConfig(Activation::Options().averaging_constant(0.5),
                                                          Weight::Options().memoryless(false)))},
      {"pytorch_fbgemm", quant::pytorch_qat_qconfig("fbgemm")},
      {"pytorch_qnnpack", quant::pytorch_qat_qconfig("qnnpack")},
  };
}

class QConfigs : public testing::TestWithParam<Choice> {};

TEST_P(QConfigs, AllNodesAgree) {
  Tally tally;
  for (const Network& network : {resnet(), average_pools(), pool_then_activation(), squeeze_excite(true),
                                 transposed(), standing_activations(), cat_of_ranges(), linear_bn()}) {
    SCOPED_TRACE(network.name);
    Trained t = trained(network, quant::QConfigMapping().set_global(GetParam().qconfig), 2);
    EXPECT_TRUE(t.finite);
    expect_exact(t.prepared, network, {3}, tally);
  }
  tally.print();
}

INSTANTIATE_TEST_SUITE_P(All, QConfigs, testing::ValuesIn(choices()),
                         [](const auto& which) { return which.param.name; });

// Scales that are powers of two put sums on exact ties, where rounding policies and engines could part.
TEST(PowerOfTwoScales, AllNodesAgreeOnTies) {
  Tally tally;
  for (const mt::Rounding rounding :
       {mt::Rounding::kHalfEven, mt::Rounding::kHalfUp, mt::Rounding::kHalfDown, mt::Rounding::kStdRound})
    for (const Network& network : {resnet(), depthwise(), average_pools(), squeeze_excite(true), transposed(),
                                   cat_of_ranges(), linear_bn(), movers()}) {
      SCOPED_TRACE(network.name + " " + quant::to_string(rounding));
      const auto qconfig =
          quant::erase(quant::QConfig(Activation::Options().rounding(rounding), Weight::Options()));
      Trained t = trained(network, quant::QConfigMapping().set_global(qconfig), 1);
      quant::for_each_fake_quantizer(t.prepared, [](quant::FakeQuantizeBase& f) {
        mt::ChannelQParams q = f.qparams();
        for (float& scale : q.scales) scale = std::exp2(std::round(std::log2(scale)));
        f.set_qparams(q);
      });
      expect_exact(t.prepared, network, {3}, tally);
    }
  tally.print();
}

// Gamma goes to zero after training: the channel's weights are zero and its output is beta.
TEST(DeadChannels, AllNodesAgree) {
  Tally tally;
  Trained t = trained(dead_channels(), default_mapping(), 1);
  const float factors[] = {0.0f, 1e-14f, -1e-13f, 1e-11f, 1e-6f, -1.0f};
  for (const char* name : {"c1.bn.weight", "c2.bn.weight"})
    for (std::int64_t i = 0; i < 6; ++i) t.prepared.state_dict().at(name).get<float>().set({i}, factors[i]);
  expect_exact(t.prepared, dead_channels(), {3}, tally);
  t.prepared.train();
  train(t, dead_channels(), 1);
  EXPECT_TRUE(t.finite);
  tally.print();
}

// A bias far outside the layer's range raises the weight scale, in training, eval and conversion alike.
TEST(RaisedScale, AllNodesAgree) {
  Tally tally;
  for (const Network& network : {cnn_max_pool(), linear_bn(), transposed(), conv1d_net()}) {
    SCOPED_TRACE(network.name);
    mt::manual_seed(7);
    Trained t;
    t.model = network.make();
    t.model->apply([](mt::nn::Module& m) {
      for (auto& p : m.own_parameters())
        if (p.second.defined() && p.first == "bias" && p.second.numel() > 2) {
          p.second.mutable_data()[1] = 3e6f;
          p.second.mutable_data()[2] = -5e7f;
        }
    });
    t.prepared = mt::passes::prepare_qat(
        mt::passes::fuse_modules(mt::graph::trace(t.model, random_inputs(network, 2, 1))), default_mapping());
    train(t, network, 2, 1e-12);
    EXPECT_TRUE(t.finite);
    t.prepared.eval();
    int raised = 0;
    const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
    for (const auto& step : int8.steps())
      if (const auto* layer = dynamic_cast<const mt::quantized::Conv*>(step.op.get()))
        raised += layer->weights().raised;
    EXPECT_GT(raised, 0);
    expect_exact(t.prepared, network, {3}, tally);
  }
  tally.print();
}

// With frozen batch norms and observers off, the forward in train mode gives the same codes too.
TEST(TrainForward, FrozenEqualsInt8) {
  std::int64_t codes = 0, mismatches = 0, cases = 0;
  for (const Network& network : all_networks()) {
    if (network.name == "dropout") continue;  // random in train mode
    SCOPED_TRACE(network.name);
    Trained t = trained(network);
    mt::qat::freeze_bn_stats(t.prepared);
    t.prepared.eval();
    t.prepared.forward_many(
        random_inputs(network, 2, 90));  // weights changed in the last step: their scales follow
    quant::disable_observer(t.prepared);
    const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
    t.prepared.train();
    mt::passes::ConvertVerifier verifier(t.prepared, int8);
    verifier.add(random_inputs(network, 4, 91));
    codes += verifier.report().compared_codes;
    mismatches += verifier.report().mismatched_codes;
    EXPECT_EQ(verifier.report().mismatched_codes, 0) << verifier.report();
    // With gradients wanted the same codes, and every gradient finite.
    const mt::Tensors inputs = random_inputs(network, 4, 91);
    t.prepared.zero_grad();
    const mt::Tensors outputs = t.prepared.forward_many(inputs);
    const mt::Tensors want = int8.forward_many(inputs);
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_TRUE(mt::identical(outputs[i], want[i])) << "output " << i;
    distance(outputs, 5).backward();
    for (const mt::Tensor& p : t.prepared.parameters())
      EXPECT_TRUE(!p.grad().defined() || all_finite(p.grad()));
    ++cases;
  }
  EXPECT_EQ(mismatches, 0);
  std::printf("cases=%lld codes=%lld mismatches=%lld\n", static_cast<long long>(cases),
              static_cast<long long>(codes), static_cast<long long>(mismatches));
}

}  // namespace qconfigs_test

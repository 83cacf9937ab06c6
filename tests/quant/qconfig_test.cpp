// SPDX-License-Identifier: MIT
// QConfig, its erased form and the ready-made ones.
#include <midtread/quant/default_qconfig.hpp>
#include <midtread/quant/per_channel_min_max_observer.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace qconfig_test {

using Activation = quant::DefaultActivation;
using Weight = quant::DefaultWeight;

TEST(QConfig, IsAssignedToModules) {
  mt::nn::Module module;
  EXPECT_FALSE(module.qconfig.is_set());
  module.qconfig = quant::QConfig<Activation, Weight>{};
  ASSERT_NE(module.qconfig.value(), nullptr);
  EXPECT_EQ(module.qconfig.value()->activation_name(),
            "FakeQuantize(MovingAverageMinMaxObserver, uint8_affine, quant_min=0, quant_max=255, "
            "averaging_constant=0.01)");
  module.qconfig =
      quant::QConfig(Activation::Options().averaging_constant(0.05), Weight::Options().eps(0.25));
  EXPECT_NE(module.qconfig.value()->str().find("averaging_constant=0.05"), std::string::npos);
  const auto weight = module.qconfig.value()->make_weight();
  weight->forward(mt::zeros({2, 2}));
  EXPECT_EQ(weight->qparams().scales.at(0), 0.25f);
  module.qconfig = nullptr;
  EXPECT_TRUE(module.qconfig.is_set());
  EXPECT_EQ(module.qconfig.value(), nullptr);
  module.qconfig = quant::get_default_qat_qconfig("qnnpack");
  EXPECT_NE(module.qconfig.value(), nullptr);
  module.qconfig = quant::AnyQConfig(quant::QConfig<Activation, Weight>{});
  EXPECT_NE(module.qconfig.value(), nullptr);
}

TEST(QConfig, MakesANewQuantizerEveryTime) {
  const quant::AnyQConfig q = quant::QConfig<Activation, Weight>{};
  const auto a = q.make_activation(), b = q.make_activation();
  a->forward(mt::ones({2}));
  EXPECT_NE(a, b);
  EXPECT_THROW(b->qparams(), mt::StateError);
}

TEST(QConfig, WeightsForgetUnlessToldOtherwise) {
  const auto memoryless = [](const quant::AnyQConfig& q) { return q.make_weight()->is_memoryless(); };
  EXPECT_TRUE(memoryless(quant::QConfig<Activation, Weight>{}));
  EXPECT_FALSE(memoryless(quant::QConfig(Activation::Options(), Weight::Options().memoryless(false))));
  EXPECT_TRUE(memoryless(
      quant::QConfig<Activation, quant::FakeQuantize<quant::MinMaxObserver<quant::Int8Symmetric>>>{}));
  EXPECT_TRUE(memoryless(
      quant::QConfig<Activation,
                     quant::FakeQuantize<quant::PerChannelMinMaxObserver<quant::Int8PerChannel>>>{}));
  EXPECT_FALSE(memoryless(
      quant::QConfig<Activation,
                     quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::Int8PerChannel>>>{}));
  const quant::AnyQConfig both =
      quant::QConfig<quant::FakeQuantize<quant::MinMaxObserver<quant::UInt8Affine>>, Weight>{};
  EXPECT_FALSE(both.make_activation()->is_memoryless());
}

TEST(QConfig, WeightsFollowTheLayersChannels) {
  const quant::AnyQConfig q = quant::QConfig<Activation, Weight>{};
  const auto transposed = q.make_weight(1, 2);
  transposed->forward(mt::randn({4, 3, 2, 2}));
  EXPECT_EQ(transposed->qparams().scales.size(), 6u);
  EXPECT_EQ(transposed->qparams().axis, 1);
  const quant::AnyQConfig fixed_axis = quant::QConfig(Activation::Options(), Weight::Options().axis(0));
  EXPECT_NO_THROW(fixed_axis.make_weight(0));
  expect_error<mt::ConfigError>([&] { fixed_axis.make_weight(1); },
                                {"axis", "output channels lie along axis 1"});
  const quant::AnyQConfig per_tensor =
      quant::QConfig<Activation, quant::FakeQuantize<quant::MinMaxObserver<quant::Int8Symmetric>>>{};
  const auto whole = per_tensor.make_weight(1, 2);
  whole->forward(mt::randn({4, 3, 2, 2}));
  EXPECT_EQ(whole->qparams().scales.size(), 1u);
  EXPECT_EQ(whole->qparams().axis, -1);
}

TEST(QConfig, OutputsMayStayFloat) {
  const quant::AnyQConfig q = quant::QConfig<quant::FloatOutput, Weight>{};
  EXPECT_EQ(q.make_activation(), nullptr);
  EXPECT_EQ(q.activation_name(), "float");
  EXPECT_NE(q.make_weight(), nullptr);
  const quant::AnyQConfig deduced = quant::QConfig(quant::FloatOutput::Options(), Weight::Options());
  EXPECT_EQ(deduced.str(), q.str());
}

TEST(QConfig, BadOptionsThrowWhereTheyAreSet) {
  mt::nn::Module module;
  expect_error<mt::ConfigError>(
      [&] { module.qconfig = quant::QConfig(Activation::Options().quant_min(0), Weight::Options()); },
      {"quant_max", "set both or none"});
  EXPECT_FALSE(module.qconfig.is_set());
  const auto make = [](auto tag) { return std::make_shared<typename decltype(tag)::type>(); };
  struct ActivationTag {
    using type = Activation;
  };
  struct WeightTag {
    using type = Weight;
  };
  const auto activation = [&] { return quant::AnyQConfig::Pointer(make(ActivationTag{})); };
  const auto weight = [&](const quant::WeightChannels&) {
    return quant::AnyQConfig::Pointer(make(WeightTag{}));
  };
  EXPECT_NO_THROW(quant::AnyQConfig(activation, weight));
  expect_error<mt::ConfigError>([&] { quant::AnyQConfig([&] { return weight({}); }, weight); },
                                {"activation", "an activation has one scale"});
  expect_error<mt::ConfigError>(
      [&] { quant::AnyQConfig(activation, [&](const quant::WeightChannels&) { return activation(); }); },
      {"weight", "allowed symmetric int8"});
  expect_error<mt::ConfigError>(
      [&] { quant::AnyQConfig(activation, [](const quant::WeightChannels&) { return nullptr; }); },
      {"weight", "no fake quantizer"});
}

TEST(DefaultQConfig, EveryEngine) {
  int cases = 0;
  for (const char* engine : {"auto", "fbgemm", "qnnpack", "reference"}) {
    const auto q = quant::get_default_qat_qconfig(engine);
    const auto activation = q->make_activation(), weight = q->make_weight();
    EXPECT_EQ(activation->range(), (mt::CodeRange{0, 255}));
    EXPECT_EQ(activation->dtype(), mt::DType::kUInt8);
    EXPECT_FALSE(activation->is_symmetric());
    EXPECT_FALSE(activation->is_memoryless());
    EXPECT_EQ(weight->range(), (mt::CodeRange{-127, 127}));
    EXPECT_TRUE(weight->is_per_channel());
    EXPECT_TRUE(weight->is_symmetric());
    EXPECT_TRUE(weight->is_memoryless());
    ++cases;
  }
  EXPECT_EQ(quant::get_default_qat_qconfig()->str(), quant::get_default_qat_qconfig("fbgemm")->str());
  expect_error<mt::EngineError>([] { quant::get_default_qat_qconfig("fbgem"); },
                                {"get_default_qat_qconfig", "'fbgem'", "fbgemm, qnnpack"});
  std::printf("cases=%d\n", cases);
}

TEST(DefaultQConfig, PyTorchs) {
  struct Expected {
    const char* backend;
    int activation_max;
    bool per_channel;
  };
  int cases = 0;
  for (const Expected& e : {Expected{"fbgemm", 127, true}, Expected{"x86", 127, true},
                            Expected{"qnnpack", 255, false}, Expected{"onednn", 255, true}}) {
    const auto q = quant::pytorch_qat_qconfig(e.backend);
    const auto activation = q->make_activation(), weight = q->make_weight();
    EXPECT_EQ(activation->range(), (mt::CodeRange{0, e.activation_max}));
    EXPECT_EQ(weight->range(), (mt::CodeRange{-128, 127}));
    EXPECT_EQ(weight->is_per_channel(), e.per_channel);
    EXPECT_FALSE(weight->is_memoryless());
    weight->forward(mt::ones({2, 2}));
    weight->forward(mt::full<float>({2, 2}, 2.0f));
    EXPECT_FLOAT_EQ(weight->qparams().scales.at(0), 1.01f / 127.5f);
    ++cases;
  }
  expect_error<mt::ConfigError>([] { quant::pytorch_qat_qconfig("qnpack"); },
                                {"unknown backend 'qnpack'", "onednn"});
  std::printf("cases=%d\n", cases);
}

}  // namespace qconfig_test

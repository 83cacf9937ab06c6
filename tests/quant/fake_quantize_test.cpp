// SPDX-License-Identifier: MIT
// Fake quantizers: when they observe, what they hold, what they refuse, copies and checkpoints.
#include <midtread/quant/fake_quantize.hpp>
#include <midtread/quant/fixed_qparams_observer.hpp>
#include <midtread/quant/min_max_observer.hpp>
#include <midtread/quant/moving_average_min_max_observer.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>
#include <memory>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace fake_quantize_test {

using Activation = quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::UInt8Affine>>;
using Weight = quant::FakeQuantize<quant::MinMaxObserver<quant::Int8PerChannel>>;

const float kNan = std::nanf("");

float first_scale(const quant::FakeQuantizeBase& f) { return f.qparams().scales.at(0); }

TEST(FakeQuantize, ObservesInTrainModeOrWhileCalibratingOnly) {
  int cases = 0;
  for (bool training : {false, true})
    for (bool calibrating : {false, true})
      for (bool enabled : {false, true}) {
        Activation f;
        f.observe(mt::tensor({0.0f, 1.0f}));
        const float before = first_scale(f);
        f.train(training);
        f.set_calibrating(calibrating);
        f.set_observer_enabled(enabled);
        EXPECT_EQ(f.is_observing(), enabled && (training || calibrating));
        f.forward(mt::tensor({0.0f, 9.0f}));
        EXPECT_EQ(first_scale(f) != before, enabled && (training || calibrating));
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(FakeQuantize, MemorylessIsAFunctionOfItsTensor) {
  Weight f(Weight::Options().memoryless(true));
  f.eval();
  f.forward(mt::ones({4, 2}));
  f.forward(mt::full<float>({3, 2}, 0.5f));
  EXPECT_EQ(f.qparams().scales, std::vector<float>(3, 0.5f / 127.0f));
  quant::disable_observer(f);
  f.forward(mt::ones({3, 2}));
  EXPECT_EQ(f.qparams().scales, std::vector<float>(3, 0.5f / 127.0f));

  Weight accumulates(Weight::Options().memoryless(false));
  accumulates.forward(mt::ones({3, 2}));
  accumulates.forward(mt::full<float>({3, 2}, 0.5f));
  EXPECT_EQ(accumulates.qparams().scales, std::vector<float>(3, 1.0f / 127.0f));
}

TEST(FakeQuantize, TheBatchUpdatesTheRangeItIsQuantizedWith) {
  Activation f;
  const mt::Tensor x = mt::randn({500});
  const mt::Tensor y = f.forward(x);
  EXPECT_TRUE(mt::identical(y, mt::fake_quantize(x, f.tensor_qparams())));
  ASSERT_NE(y.codes(), nullptr);
  EXPECT_EQ(y.codes()->qparams, f.tensor_qparams());
  const mt::kernels::AffineParams expected = mt::kernels::choose_qparams(
      *std::min_element(x.data(), x.data() + 500), *std::max_element(x.data(), x.data() + 500), false,
      {0, 255}, mt::DType::kUInt8);
  EXPECT_EQ(f.tensor_qparams().scale, expected.scale);
  EXPECT_EQ(f.tensor_qparams().zero_point, expected.zero_point);
}

TEST(FakeQuantize, WithoutFakeQuantTheTensorPasses) {
  Activation f;
  quant::disable_fake_quant(f);
  mt::Tensor x = mt::randn({10});
  x.requires_grad_();
  const mt::Tensor y = f.forward(x);
  EXPECT_FALSE(y.is(x));
  EXPECT_TRUE(mt::identical(x, y));
  const mt::Tensor gradient = mt::randn({10});
  y.backward(gradient);
  EXPECT_TRUE(mt::identical(x.grad(), gradient));
  EXPECT_NO_THROW(f.qparams());  // it observed
}

TEST(FakeQuantize, NoScaleBeforeAnyData) {
  Activation f;
  f.set_path("block.conv1.activation_post_process");
  const auto refused = [&] {
    expect_error<mt::StateError>([&] { f.forward(mt::ones({2})); },
                                 {"block.conv1.activation_post_process", "has seen no data"});
  };
  f.eval();
  refused();
  f.train();
  quant::disable_observer(f);
  refused();
  expect_error<mt::StateError>([&] { f.qparams(); }, {"has seen no data"});
  quant::enable_observer(f);
  EXPECT_NO_THROW(f.forward(mt::ones({2})));
  f.eval();
  EXPECT_NO_THROW(f.forward(mt::ones({2})));
}

TEST(FakeQuantize, NanIsAnErrorThatNamesTheModule) {
  Activation f;
  f.set_path("conv");
  f.forward(mt::ones({2}));
  f.eval();
  expect_error<mt::NumericError>([&] { f.forward(mt::tensor({1.0f, kNan})); }, {"conv", "1 NaN of 2 values"});
  EXPECT_NO_THROW(f.forward(mt::tensor({1.0f, HUGE_VALF})));  // saturates
  f.train();
  expect_error<mt::NumericError>(
      [&] {
        f.forward(mt::tensor({1.0f, HUGE_VALF}));
      },
      {"conv", "1 non-finite of 2 values"});
  expect_error<mt::StateError>([&] { f.qparams(); }, {"conv", "has seen NaN or infinity"});
  f.observer().reset();
  EXPECT_NO_THROW(f.forward(mt::ones({2})));
}

TEST(FakeQuantize, SwitchesReachWholeTrees) {
  struct Tree : mt::nn::Module {
    Tree() {
      a = register_module("a", std::make_shared<Activation>());
      inner = register_module("inner", std::make_shared<mt::nn::Module>());
      b = inner->register_module("b", std::make_shared<Weight>());
    }
    std::shared_ptr<Activation> a;
    std::shared_ptr<mt::nn::Module> inner;
    std::shared_ptr<Weight> b;
  };
  Tree tree;
  quant::disable_observer(tree);
  quant::disable_fake_quant(tree);
  EXPECT_FALSE(tree.a->is_enabled() || tree.b->is_enabled() || tree.a->is_observer_enabled() ||
               tree.b->is_observer_enabled());
  quant::enable_observer(tree);
  EXPECT_TRUE(tree.a->is_observer_enabled() && tree.b->is_observer_enabled() && !tree.a->is_enabled());
  quant::enable_fake_quant(tree);
  EXPECT_TRUE(tree.a->is_enabled() && tree.b->is_enabled());
}

TEST(FakeQuantize, ScalesByHand) {
  Activation f;
  const mt::ChannelQParams q{{0.1f}, {7}, -1, {0, 255}, mt::DType::kUInt8, mt::Rounding::kHalfEven};
  f.set_qparams(q);
  EXPECT_FALSE(f.is_observer_enabled());
  f.forward(mt::tensor({-100.0f, 100.0f}));
  EXPECT_EQ(f.tensor_qparams().scale, 0.1f);
  EXPECT_EQ(f.tensor_qparams().zero_point, 7);
  Activation loaded;
  loaded.load_state_dict(f.state_dict());
  EXPECT_EQ(loaded.tensor_qparams(), f.tensor_qparams());

  Weight w;
  const mt::ChannelQParams channels{{0.1f, 0.3f}, {0, 0},           0,
                                    {-127, 127},  mt::DType::kInt8, mt::Rounding::kHalfEven};
  w.set_qparams(channels);
  EXPECT_EQ(w.qparams().scales, channels.scales);
  EXPECT_EQ(w.qparams().axis, 0);

  mt::ChannelQParams bad = q;
  bad.scales[0] = 1e-40f;
  expect_error<mt::QuantizationError>([&] { f.set_qparams(bad); }, {"FakeQuantize", "scale"});
  bad = q;
  bad.zero_points[0] = 256;
  expect_error<mt::QuantizationError>([&] { f.set_qparams(bad); }, {"zero point 256"});
  expect_error<mt::ShapeError>([&] { f.set_qparams(channels); },
                               {"2 scales and 2 zero points", "needs one of each"});
  bad = channels;
  bad.zero_points.pop_back();
  expect_error<mt::ShapeError>([&] { w.set_qparams(bad); }, {"one of each per channel"});
  EXPECT_EQ(f.tensor_qparams().scale, 0.1f);
}

TEST(FakeQuantize, FixedQParamsAreReadyAtOnce) {
  using Fixed = quant::FakeQuantize<quant::FixedQParamsObserver<quant::UInt8Affine>>;
  Fixed f(Fixed::Options().scale(2.0 / 256).zero_point(128));
  f.eval();
  EXPECT_EQ(f.forward(mt::tensor({0.5f})).item(), 0.5f);
  f.train();
  f.forward(mt::tensor({100.0f}));
  EXPECT_EQ(f.tensor_qparams().scale, 2.0f / 256);
}

TEST(FakeQuantize, TensorQParamsNeedOneScale) {
  Weight w;
  w.forward(mt::ones({2, 2}));
  expect_error<mt::UnsupportedError>([&] { w.tensor_qparams(); }, {"one scale per channel", "use qparams()"});
}

TEST(FakeQuantize, CheckpointsResumeExactly) {
  Activation a, b;
  for (int i = 0; i < 3; ++i) a.forward(mt::randn({100}));
  b.load_state_dict(a.state_dict());
  const mt::Tensor x = mt::randn({100});
  EXPECT_TRUE(mt::identical(a.forward(x), b.forward(x)));
  EXPECT_EQ(a.tensor_qparams(), b.tensor_qparams());

  Weight w, v;
  w.forward(mt::randn({5, 3}));
  v.load_state_dict(w.state_dict());  // [1] and [0] become [5]
  EXPECT_EQ(v.qparams().scales, w.qparams().scales);
  std::string keys;
  for (const auto& item : w.state_dict()) keys += item.first + " ";
  EXPECT_EQ(keys,
            "fake_quant_enabled observer_enabled scale zero_point activation_post_process.eps "
            "activation_post_process.min_val activation_post_process.max_val ");
}

TEST(FakeQuantize, DamagedCheckpointsAreRefused) {
  int cases = 0;
  const auto damaged = [&](const std::string& key, const mt::AnyTensor& value) {
    Activation f;
    f.forward(mt::tensor({-1.0f, 1.0f}));
    f.eval();
    mt::nn::StateDict state;
    for (const auto& item : f.state_dict()) state.insert(item.first, item.second.clone());
    state.at(key) = value;
    EXPECT_THROW(
        {
          f.load_state_dict(state);
          f.forward(mt::ones({2}));
        },
        mt::Error)
        << key;
    ++cases;
  };
  for (float scale : {0.0f, -1.0f, kNan, HUGE_VALF, 1e-40f})
    damaged("scale", mt::AnyTensor(mt::full<float>({1}, scale)));
  damaged("scale", mt::AnyTensor(mt::ones({3})));
  damaged("scale", mt::AnyTensor(mt::Tensor(mt::Shape{0})));
  for (int zero_point : {-1, 256, 2147483647})
    damaged("zero_point", mt::AnyTensor(mt::full<std::int32_t>({1}, zero_point)));
  damaged("zero_point", mt::AnyTensor(mt::full<std::int32_t>({2}, 1)));
  damaged("activation_post_process.min_val", mt::AnyTensor(mt::full<float>({}, kNan)));
  damaged("activation_post_process.max_val", mt::AnyTensor(mt::full<float>({}, HUGE_VALF)));
  damaged("fake_quant_enabled", mt::AnyTensor(mt::BasicTensor<std::uint8_t>(mt::Shape{0})));
  damaged("observer_enabled", mt::AnyTensor(mt::BasicTensor<std::uint8_t>(mt::Shape{0})));
  std::printf("cases=%d\n", cases);
}

TEST(FakeQuantize, DamagedStatisticsAreRefused) {
  const auto refused = [](const std::string& key, const mt::Tensor& value, const std::string& word) {
    Weight f;
    f.forward(mt::ones({3, 2}));
    mt::nn::StateDict state;
    for (const auto& item : f.state_dict()) state.insert(item.first, item.second.clone());
    state.at("activation_post_process." + key) = value;
    f.load_state_dict(state);
    try {
      f.forward(mt::ones({3, 2}));
      ADD_FAILURE() << key << " passed";
    } catch (const mt::Error& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  refused("eps", mt::zeros({1}), "one positive number");
  refused("eps", mt::Tensor(mt::Shape{0}), "one positive number");
  refused("min_val", mt::zeros({2}), "min_val has shape [2] and max_val [3]");
  refused("max_val", mt::zeros({}), "min_val has shape [3] and max_val [], needs one value per channel");
}

TEST(FakeQuantize, CopiesAreIndependent) {
  const auto a = std::make_shared<Activation>(Activation::Options().averaging_constant(0.5));
  a->forward(mt::tensor({-1.0f, 1.0f}));
  mt::nn::Module::CloneMap map;
  const auto b = std::dynamic_pointer_cast<Activation>(a->clone(map));
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->summary(), a->summary());
  EXPECT_NE(&a->observer(), &b->observer());
  const mt::QParams before = a->tensor_qparams();
  b->forward(mt::tensor({-3.0f, 3.0f}));
  EXPECT_EQ(a->tensor_qparams(), before);
  EXPECT_EQ(b->tensor_qparams().scale, (2.0f + 2.0f) / 255.0f);
  quant::disable_fake_quant(*b);
  EXPECT_TRUE(a->is_enabled());
}

TEST(FakeQuantize, ObservesARangeInsteadOfATensor) {
  Activation a, b;
  a.observe(mt::tensor({-1.0f, 3.0f}));
  EXPECT_TRUE(b.observe_range(-1.0f, 3.0f));
  EXPECT_EQ(a.tensor_qparams(), b.tensor_qparams());
  b.eval();
  EXPECT_TRUE(b.observe_range(-9.0f, 9.0f));  // nothing to do
  EXPECT_EQ(a.tensor_qparams(), b.tensor_qparams());
  Weight w;
  EXPECT_FALSE(w.observe_range(-1, 1));
}

TEST(FakeQuantize, Prints) {
  Activation f(Activation::Options().quant_min(0).quant_max(127));
  EXPECT_EQ(f.summary(),
            "FakeQuantize(MovingAverageMinMaxObserver, uint8_affine, quant_min=0, quant_max=127, "
            "averaging_constant=0.01)");
  EXPECT_EQ(f.extra_repr(), "uint8_affine, 0..127, no scale yet");
  f.observe(mt::tensor({0.0f, 127.0f}));
  quant::disable_observer(f);
  quant::disable_fake_quant(f);
  EXPECT_EQ(f.extra_repr(), "uint8_affine, 0..127, scale=1, zero_point=0, fake quant off, observer off");
  Weight w;
  w.observe(mt::ones({4, 2}));
  EXPECT_EQ(w.extra_repr(), "int8_symmetric_per_channel, -127..127, 4 scales");
}

}  // namespace fake_quantize_test

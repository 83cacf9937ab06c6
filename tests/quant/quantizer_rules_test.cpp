// SPDX-License-Identifier: MIT
// Settings that contradict each other: a sentence for every rule.
#include <midtread/quant/default_qconfig.hpp>
#include <midtread/quant/recording_observer.hpp>
#include <midtread/quant/vitis_tensor_config.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace quantizer_rules_test {

using mt::ConfigError;
using quant::ScaleType;
using quant::Statistic;
using quant::VitisMethod;
using quant::VitisTarget;
using quant::VitisTensor;
using quant::VitisTensorConfig;

using Symmetric = quant::MinMaxObserver<quant::Int8Symmetric>;
using Affine = quant::MinMaxObserver<quant::UInt8Affine>;

TEST(QuantizerRules, BitWidthAndNarrowRange) {
  int cases = 0;
  for (int bits = 2; bits <= 8; ++bits, ++cases) {
    const int half = 1 << (bits - 1);
    EXPECT_EQ(Symmetric(Symmetric::Options().bit_width(bits)).range(), (mt::CodeRange{-half + 1, half - 1}));
    EXPECT_EQ(Symmetric(Symmetric::Options().bit_width(bits).narrow_range(false)).range(),
              (mt::CodeRange{-half, half - 1}));
    EXPECT_EQ(Affine(Affine::Options().bit_width(bits)).range(), (mt::CodeRange{0, 2 * half - 1}));
    using Signed = quant::MinMaxObserver<quant::Int8Affine>;
    EXPECT_EQ(Signed(Signed::Options().bit_width(bits)).range(), (mt::CodeRange{-half, half - 1}));
    using Middle = quant::MinMaxObserver<quant::UInt8Symmetric>;
    Middle middle(Middle::Options().bit_width(bits));
    middle.observe(mt::ones({2}));
    EXPECT_EQ(middle.qparams().zero_points[0], half);
  }
  EXPECT_EQ(Symmetric(Symmetric::Options().narrow_range(false)).range(), (mt::CodeRange{-128, 127}));
  for (int bits : {-8, 0, 1, 9, 16, 1000})
    expect_error<ConfigError>(
        [=] { Symmetric(Symmetric::Options().bit_width(bits)); },
        {"bit_width", mt::concat("got ", bits), "allowed 2..8 (codes are stored in 8 bits)"});
  expect_error<ConfigError>([] { Affine(Affine::Options().bit_width(4).quant_min(0).quant_max(15)); },
                            {"bit_width", "got 4 with quant_min 0, quant_max 15", "not both"});
  expect_error<ConfigError>([] { Affine(Affine::Options().narrow_range(true)); },
                            {"narrow_range", "got true for uint8_affine", "symmetric int8"});
  using Signed = quant::MinMaxObserver<quant::Int8Affine>;
  expect_error<ConfigError>([] { Signed(Signed::Options().narrow_range(true)); },
                            {"narrow_range", "got true for int8_affine"});
  expect_error<ConfigError>(
      [] { Symmetric(Symmetric::Options().narrow_range(true).quant_min(-7).quant_max(7)); },
      {"narrow_range", "quant_min -7, quant_max 7"});
  expect_error<ConfigError>(
      [] { Affine(Affine::Options().bit_width(2).reduce_range(true).quant_min(0).quant_max(1)); },
      {"bit_width"});
  std::printf("cases=%d\n", cases);
}

TEST(QuantizerRules, ObserverMethods) {
  using Diffs = quant::DiffsObserver<quant::Int8Symmetric>;
  using MaxMin = quant::MaxMinObserver<quant::Int8Symmetric>;
  using Percentile = quant::PercentileObserver<quant::Int8Symmetric>;
  using Mse = quant::MseObserver<quant::Int8Symmetric>;
  using Entropy = quant::EntropyObserver<quant::Int8Symmetric>;
  expect_error<ConfigError>([] { Diffs(Diffs::Options().scale_type(ScaleType::kFloat)); },
                            {"scale_type", "got float for the diffs method", "powers of two"});
  expect_error<ConfigError>([] { Percentile(Percentile::Options().scale_type(ScaleType::kPowerOfTwo)); },
                            {"scale_type", "percentile", "allowed with diffs"});
  expect_error<ConfigError>([] { Mse(Mse::Options().scale_type(ScaleType::kPowerOfTwo)); },
                            {"scale_type", "MSE"});
  expect_error<ConfigError>([] { Entropy(Entropy::Options().scale_type(ScaleType::kPowerOfTwo)); },
                            {"scale_type", "entropy"});
  expect_error<ConfigError>([] { MaxMin(MaxMin::Options().statistic(Statistic::kModal)); },
                            {"statistic", "got modal with float scales", "max, mean, median"});
  expect_error<ConfigError>([] { Diffs(Diffs::Options().statistic(Statistic::kMean)); },
                            {"statistic", "got mean with power-of-two scales, allowed modal"});
  expect_error<ConfigError>([] { Diffs(Diffs::Options().per_batch(false)); },
                            {"per_batch", "got false for the diffs method"});
  expect_error<ConfigError>([] { MaxMin(MaxMin::Options().percentage(99)); },
                            {"percentage", "got 99 for the max/min method", "percentile"});
  for (double p : {0.0, -1.0, 100.5, std::nan("")})
    expect_error<ConfigError>([=] { Percentile(Percentile::Options().percentage(p)); },
                              {"percentage", "allowed above 0, up to 100"});
  expect_error<ConfigError>([] { Mse(Mse::Options().lower_edge(true)); }, {"lower_edge", "MSE"});
  expect_error<ConfigError>([] { Percentile(Percentile::Options().search_start(5)); },
                            {"search_start", "percentile"});
  expect_error<ConfigError>([] { Entropy(Entropy::Options().bins(8)); },
                            {"bins", "got 8, allowed 16..65536"});
  expect_error<ConfigError>([] { Entropy(Entropy::Options().bins(100).search_start(101)); },
                            {"search_start", "got 101, allowed 1..100 (the bins)"});
  expect_error<ConfigError>([] { Entropy(Entropy::Options().search_stride(0)); }, {"search_stride", "got 0"});
  Percentile::Options options;
  options.set("percentage", 99.5)
      .set("calib_statistic_method", std::string("mean"))
      .set("bins", 1024.0)
      .set("per_batch", false);
  EXPECT_EQ(*options.settings().percentage, 99.5);
  EXPECT_EQ(options.settings().chosen_statistic(), Statistic::kMean);
  expect_error<ConfigError>([&] { options.set("percent", 1.0); },
                            {"no such option", "bit_width", "percentage"});
}

// An option that would do nothing is refused.
TEST(QuantizerRules, OptionsThatMeanNothing) {
  using MaxMin = quant::MaxMinObserver<quant::Int8Symmetric>;
  using Diffs = quant::DiffsObserver<quant::Int8Symmetric>;
  using Percentile = quant::PercentileObserver<quant::Int8Symmetric>;
  using Mse = quant::MseObserver<quant::Int8Symmetric>;
  using Average = quant::MovingAverageMinMaxObserver<quant::UInt8Affine>;
  int cases = 0;
  const auto refused = [&](const auto& make, std::initializer_list<std::string> words) {
    expect_error<ConfigError>(make, words);
    ++cases;
  };
  refused([] { Symmetric(Symmetric::Options().averaging_constant(0.5)); },
          {"averaging_constant", "got 0.5", "takes no average", "MovingAverageMinMaxObserver"});
  refused([] { Symmetric(Symmetric::Options().averaging_constant(1)); }, {"averaging_constant", "got 1"});
  refused([] { Mse(Mse::Options().averaging_constant(0.01)); }, {"averaging_constant"});
  EXPECT_NO_THROW(Symmetric(Symmetric::Options().averaging_constant(1).memoryless(true)));  // HAT's weights
  EXPECT_NO_THROW(Average(Average::Options().averaging_constant(1)));
  refused([] { MaxMin(MaxMin::Options().bins(1024)); },
          {"bins", "got 1024 for the max/min method", "no histogram"});
  refused([] { Diffs(Diffs::Options().bins(2048)); }, {"bins", "diffs"});
  refused([] { Percentile(Percentile::Options().search_stride(16)); },
          {"search_stride", "got 16 for the percentile"});
  refused([] { Percentile(Percentile::Options().per_batch(false).statistic(Statistic::kMean)); },
          {"statistic", "got mean with per_batch false"});
  using Lsq = quant::Lsq<Average>;
  using Pact = quant::Pact<Average>;
  using Tqt = quant::Tqt<Symmetric>;
  refused([] { Lsq(Lsq::Options().scale(0.1).init(quant::ScaleInit::kMeanAbs)); },
          {"init", "got mean_abs with scale 0.1", "set one"});
  refused([] { Pact(Pact::Options().alpha(6).init(quant::ScaleInit::kObserver)); }, {"init", "alpha 6"});
  refused([] { Tqt(Tqt::Options().threshold(2).init(quant::ScaleInit::kThreeSigma)); },
          {"init", "threshold 2"});
  EXPECT_NO_THROW(
      quant::Lsq<Symmetric>(quant::Lsq<Symmetric>::Options().averaging_constant(0.5)));  // HAT's name
  using Channels = quant::Lsq<quant::MinMaxObserver<quant::Int8PerChannel>>;
  refused([] { Channels(Channels::Options().channels(3)).set_channels(4); },
          {"channels: got 3, the weight has 4", "leave it unset"});
  refused([] { Channels().set_channels(0); }, {"set_channels: got 0"});
  EXPECT_NO_THROW(Channels(Channels::Options().channels(3)).set_channels(3));
  refused([] { quant::Lsq<Symmetric>(quant::Lsq<Symmetric>::Options().averaging_constant(1.5)); },
          {"averaging_constant", "got 1.5"});
  std::printf("cases=%d\n", cases);
}

// Scales set by hand, or brought by a file, obey the spec.
TEST(QuantizerRules, QParamsByHand) {
  int cases = 0;
  const auto refused = [&](auto f, const mt::ChannelQParams& good, const mt::ChannelQParams& bad,
                           std::initializer_list<std::string> words) {
    f.set_qparams(good);
    const auto before = f.qparams();
    expect_error<mt::QuantizationError>([&] { f.set_qparams(bad); }, words);
    EXPECT_EQ(f.qparams().scales, before.scales);
    EXPECT_EQ(f.qparams().zero_points, before.zero_points);
    ++cases;
  };
  mt::ChannelQParams good{{0.25f}, {0}}, bad{{0.25f}, {3}};
  refused(quant::FakeQuantize<Symmetric>(), good, bad, {"got zero point 3, int8_symmetric has 0"});
  refused(quant::Lsq<Symmetric>(), good, bad, {"got zero point 3, int8_symmetric has 0"});
  refused(quant::Tqt<Symmetric>(), good, bad, {"got zero point 3"});
  refused(quant::FakeQuantize<quant::MaxMinObserver<quant::Int8Symmetric>>(), good, bad,
          {"got zero point 3"});
  good.zero_points = {128}, bad.zero_points = {0};
  refused(quant::FakeQuantize<quant::MinMaxObserver<quant::UInt8Symmetric>>(), good, bad,
          {"got zero point 0, uint8_symmetric has 128"});
  using Diffs = quant::FakeQuantize<quant::DiffsObserver<quant::Int8Symmetric>>;
  refused(Diffs(), {{0.25f}, {0}}, {{0.3f}, {0}}, {"got scale 0.3", "power_of_two allows 2^-p"});
  using PowerOfTwo = quant::FakeQuantize<Symmetric>;
  refused(PowerOfTwo(PowerOfTwo::Options().scale_type(ScaleType::kPowerOfTwo)), {{0.25f}, {0}}, {{0.3f}, {0}},
          {"got scale 0.3"});
  std::printf("cases=%d\n", cases);
}

// One of each row of Vitis AI's table that is allowed, then every single change of it that is not.
TEST(QuantizerRules, VitisTable) {
  int cases = 0;
  const auto fails = [&](VitisTensorConfig config, VitisTensor tensor, VitisTarget target,
                         std::initializer_list<std::string> words) {
    expect_error<ConfigError>([&] { quant::check(config, tensor, target); }, words);
    ++cases;
  };
  const auto holds = [&](const VitisTensorConfig& config, VitisTensor tensor, VitisTarget target) {
    EXPECT_EQ(quant::conflicts(config, tensor, target), std::vector<std::string>());
    ++cases;
  };
  for (VitisTensor tensor :
       {VitisTensor::kWeights, VitisTensor::kBias, VitisTensor::kActivation, VitisTensor::kInput})
    for (VitisTarget target : {VitisTarget::kDpu, VitisTarget::kCpu, VitisTarget::kGpu})
      for (VitisMethod method : {VitisMethod::kDiffs, VitisMethod::kMaxMin}) {
        VitisTensorConfig c = VitisTensorConfig::defaults(tensor);
        c.method = method;
        holds(c, tensor, target);
        for (VitisMethod other : {VitisMethod::kPercentile, VitisMethod::kEntropy, VitisMethod::kMse}) {
          VitisTensorConfig bad = c;
          bad.method = other;
          fails(bad, tensor, target,
                {".method", quant::to_string(other), "with scale_type power_of_two allowed maxmin, diffs"});
        }
        VitisTensorConfig bad = c;
        bad.symmetry = false;
        fails(bad, tensor, target, {".symmetry", "no zero point"});
        bad = c, bad.is_signed = false;
        fails(bad, tensor, target, {".signed: got false"});
        bad = c, bad.bit_width = 1;
        fails(bad, tensor, target, {".bit_width: got 1, allowed 2.."});
        bad = c, bad.bit_width = tensor == VitisTensor::kBias ? 33 : 9;
        fails(bad, tensor, target, {".bit_width"});
        bad = c, bad.percentage = 99.0;
        fails(bad, tensor, target, {".percentage: got 99", "percentile"});
        if (tensor == VitisTensor::kActivation || tensor == VitisTensor::kInput)
          for (Statistic s : {Statistic::kMax, Statistic::kMean, Statistic::kMedian}) {
            bad = c, bad.calib_statistic_method = s;
            fails(bad, tensor, target, {".calib_statistic_method", "allowed modal"});
          }
        bad = c, bad.per_channel = true;
        if (tensor == VitisTensor::kWeights && target != VitisTarget::kDpu)
          holds(bad, tensor, target);
        else
          fails(bad, tensor, target, {".per_channel: got true"});
        bad = c, bad.narrow_range = true;
        if (target == VitisTarget::kDpu)
          fails(bad, tensor, target, {".narrow_range: got true, target_device DPU allows false"});
        else
          holds(bad, tensor, target);
        for (mt::Rounding r : {mt::Rounding::kHalfEven, mt::Rounding::kHalfUp, mt::Rounding::kHalfDown,
                               mt::Rounding::kStdRound}) {
          bad = c, bad.round_mode = r;
          if (target == VitisTarget::kDpu && r != c.round_mode)
            fails(bad, tensor, target,
                  {".round_mode", "target_device DPU allows", quant::to_string(c.round_mode)});
          else
            holds(bad, tensor, target);
        }
        // float scales
        VitisTensorConfig f = c;
        f.scale_type = ScaleType::kFloat, f.method = VitisMethod::kMaxMin,
        f.calib_statistic_method = Statistic::kMax;
        if (target == VitisTarget::kDpu) {
          fails(f, tensor, target, {".scale_type: got float, target_device DPU allows power_of_two"});
          continue;
        }
        for (VitisMethod other :
             {VitisMethod::kMaxMin, VitisMethod::kPercentile, VitisMethod::kEntropy, VitisMethod::kMse}) {
          bad = f, bad.method = other;
          holds(bad, tensor, target);
          bad.symmetry = false;
          if (other == VitisMethod::kMaxMin)
            holds(bad, tensor, target);
          else
            fails(bad, tensor, target, {".symmetry: got false, with method", quant::to_string(other)});
          bad = f, bad.method = other, bad.per_channel = true;
          if (tensor == VitisTensor::kWeights && other == VitisMethod::kMaxMin)
            holds(bad, tensor, target);
          else
            fails(bad, tensor, target, {tensor == VitisTensor::kWeights ? ".method" : ".per_channel"});
        }
        bad = f, bad.method = VitisMethod::kDiffs;
        fails(bad, tensor, target,
              {".method: got diffs (the default), with scale_type float allowed maxmin, percentile, mse, "
               "entropy"});
        bad = f, bad.calib_statistic_method = Statistic::kModal;
        if (tensor == VitisTensor::kActivation || tensor == VitisTensor::kInput)
          fails(bad, tensor, target, {".calib_statistic_method: got modal"});
        else
          holds(bad, tensor, target);
        bad = f, bad.is_signed = false, bad.narrow_range = true;
        fails(bad, tensor, target, {".narrow_range: got true", "signed false"});
      }
  std::printf("cases=%d\n", cases);
  EXPECT_GT(cases, 500);
}

TEST(QuantizerRules, VitisBiasesAreAsWideAsActivationsOnADpu) {
  VitisTensorConfig activation = VitisTensorConfig::defaults(VitisTensor::kActivation),
                    bias = VitisTensorConfig::defaults(VitisTensor::kBias);
  EXPECT_EQ(quant::conflicts(activation, bias, VitisTarget::kDpu), std::vector<std::string>());
  bias.bit_width = 16;
  EXPECT_EQ(
      quant::conflicts(activation, bias, VitisTarget::kDpu),
      std::vector<std::string>{"activation.bit_width: got 8 with bias.bit_width 16, target_device DPU allows "
                               "equal ones"});
  EXPECT_EQ(quant::conflicts(activation, bias, VitisTarget::kCpu), std::vector<std::string>());
}

TEST(QuantizerRules, VitisReportsAllConflictsAtOnce) {
  VitisTensorConfig c = VitisTensorConfig::defaults(VitisTensor::kActivation);
  c.scale_type = ScaleType::kFloat;  // leaves diffs and modal behind
  expect_error<ConfigError>(
      [&] { quant::check(c, VitisTensor::kActivation, VitisTarget::kCpu, "config.json:/overall"); },
      {"config.json:/overall", "method: got diffs", "calib_statistic_method: got modal", "; "});
}

TEST(QuantizerRules, VitisConfigsMakeFakeQuantizers) {
  int cases = 0;
  for (VitisTensor tensor : {VitisTensor::kWeights, VitisTensor::kActivation, VitisTensor::kInput})
    for (VitisMethod method : {VitisMethod::kMaxMin, VitisMethod::kPercentile, VitisMethod::kEntropy,
                               VitisMethod::kMse, VitisMethod::kDiffs})
      for (const bool is_signed : {true, false})
        for (const bool symmetry : {true, false})
          for (const int bits : {4, 8}) {
            VitisTensorConfig c = VitisTensorConfig::defaults(tensor);
            c.method = method, c.is_signed = is_signed, c.symmetry = symmetry, c.bit_width = bits;
            if (method != VitisMethod::kDiffs)
              c.scale_type = ScaleType::kFloat, c.calib_statistic_method = Statistic::kMean;
            if (!quant::conflicts(c, tensor, VitisTarget::kCpu).empty()) continue;
            if (tensor == VitisTensor::kWeights && !(is_signed && symmetry)) {
              EXPECT_THROW(quant::fake_quantize_choice(c, tensor, VitisTarget::kCpu), mt::UnsupportedError);
              continue;
            }
            const quant::FakeQuantizeChoice choice =
                quant::fake_quantize_choice(c, tensor, VitisTarget::kCpu);
            const auto made = quant::make_fake_quantize(choice.name, choice.values);
            EXPECT_EQ(made->range(), is_signed && symmetry
                                         ? (mt::CodeRange{-(1 << (bits - 1)), (1 << (bits - 1)) - 1})
                                         : (mt::CodeRange{0, (1 << bits) - 1}));
            EXPECT_EQ(made->observer().rounding(), c.round_mode);
            ++cases;
          }
  std::printf("cases=%d\n", cases);
  EXPECT_GT(cases, 40);
  EXPECT_THROW(quant::fake_quantize_choice(VitisTensorConfig::defaults(VitisTensor::kBias),
                                           VitisTensor::kBias, VitisTarget::kDpu),
               mt::UnsupportedError);
  const auto input = quant::fake_quantize_choice(VitisTensorConfig::defaults(VitisTensor::kInput),
                                                 VitisTensor::kInput, VitisTarget::kDpu);
  EXPECT_EQ(input.name, "max_min/int8_symmetric");
}

TEST(QuantizerRules, ErasedQConfigs) {
  using Channels = quant::FakeQuantize<quant::MinMaxObserver<quant::Int8PerChannel>>;
  using Activation = quant::DefaultActivation;
  const auto activation = [] { return std::make_shared<Activation>(); };
  const auto weight = [](const quant::WeightChannels&) { return std::make_shared<Channels>(); };
  EXPECT_NO_THROW(quant::AnyQConfig(activation, weight));
  expect_error<ConfigError>([&] { quant::AnyQConfig([] { return std::make_shared<Channels>(); }, weight); },
                            {"activation", "one scale"});
  expect_error<ConfigError>(
      [&] {
        quant::AnyQConfig(activation,
                          [](const quant::WeightChannels&) { return std::make_shared<Activation>(); });
      },
      {"weight", "symmetric int8"});
}

TEST(RecordingObserver, KeepsCopies) {
  quant::RecordingObserver<quant::UInt8Affine> observer;
  mt::Tensor x = mt::ones({2});
  observer.forward(x);
  x.fill_(3);
  observer.forward(x);
  observer.forward(mt::Tensor(mt::Shape{0}));
  ASSERT_EQ(observer.recorded().size(), 2u);
  EXPECT_EQ(observer.recorded()[0].to_vector(), (std::vector<float>{1, 1}));
  EXPECT_EQ(observer.recorded()[1].to_vector(), (std::vector<float>{3, 3}));
  expect_error<mt::UnsupportedError>([&] { observer.qparams(); }, {"RecordingObserver computes no scale"});
  EXPECT_FALSE(observer.observe_range(0, 1));
  observer.reset();
  EXPECT_TRUE(observer.recorded().empty());
  quant::PlaceholderObserver<quant::Int8Affine> placeholder;
  placeholder.forward(x);
  EXPECT_EQ(placeholder.state(), quant::ObserverState::kEmpty);
  EXPECT_EQ(placeholder.range(), (mt::CodeRange{-128, 127}));
  EXPECT_THROW(placeholder.qparams(), mt::UnsupportedError);
  EXPECT_THROW(placeholder.restore({}), mt::UnsupportedError);
}

}  // namespace quantizer_rules_test

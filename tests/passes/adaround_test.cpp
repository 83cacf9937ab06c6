// SPDX-License-Identifier: MIT
// AdaRound: less error than rounding to nearest at 3 and 4 bits, layer by layer and at the end of the
// network; codes of int8 equal; the source untouched; a layer against all roundings there are; options.
#include <midtread/passes/adaround.hpp>
#include <midtread/passes/convert.hpp>
#include <midtread/passes/verify_convert.hpp>
#include <midtread/quant/default_qconfig.hpp>
#include <midtread/quant/dorefa.hpp>
#include <midtread/quant/lsq.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>
#include <support/networks.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;
namespace passes = midtread::passes;
using namespace midtread::test;

namespace adaround_test {

template <class Weight = quant::DefaultWeight>
quant::QConfigMapping mapping(int weight_bits, const char* type_of_float = nullptr) {
  auto out = quant::QConfigMapping().set_global(quant::erase(quant::QConfig(
      quant::DefaultActivation::Options(), typename Weight::Options().bit_width(weight_bits))));
  if (type_of_float) out.set_object_type(type_of_float, nullptr);
  return out;
}

struct Subject {
  Trained trained;
  mt::Tensor images;
};

/// Trained a little in 8 bits, then calibrated with the weights in `bits`.
Subject subject(const Network& network, const quant::QConfigMapping& mapping) {
  Subject s{midtread::test::trained(network, mapping, 0), random_inputs(network, 96, 3)[0]};
  passes::calibrate(s.trained.prepared, s.images);
  s.trained.prepared.eval();
  return s;
}

/// Of the outputs against those of the network without rounding.
double output_error(mt::graph::GraphModule& model, mt::graph::GraphModule& reference, const mt::Tensor& x) {
  const mt::NoGradGuard no_grad;
  const mt::Tensor want = [&] {
    const passes::CalibrationScope unrounded(reference, false);
    return reference(x);
  }();
  return passes::detail::mean_square(model(x), want);
}

std::int64_t mismatches(mt::graph::GraphModule& prepared, const mt::Tensor& x) {
  const passes::VerifyReport report = passes::verify_convert(prepared, passes::convert(prepared), x);
  EXPECT_GT(report.compared_codes, 0);
  return report.mismatched_codes + report.mismatched_outputs;
}

using Learned = quant::Lsq<quant::MinMaxObserver<quant::Int8PerChannel>>;

TEST(AdaRound, LessErrorThanNearest) {
  int cases = 0;
  double log_layers = 0, log_network = 0;
  for (const Network& network :
       {resnet(), depthwise(), transposed(), conv1d_net(), linear_bn(), shared_modules(), dead_channels()})
    for (int bits : {3, 4})
      for (bool learned : {false, true}) {
        if (learned && bits == 3) continue;
        SCOPED_TRACE(mt::concat(network.name, ", ", bits, " bits, ", learned ? "LSQ" : "min-max"));
        Subject s = subject(network, learned ? mapping<Learned>(bits) : mapping<>(bits));
        passes::AdaRoundReport report;
        mt::graph::GraphModule rounded =
            passes::adaround(s.trained.prepared, s.images, passes::AdaRoundOptions().steps(150), &report);
        double nearest = 0, better = 0;
        for (const passes::AdaRoundLayer& layer : report) {
          EXPECT_LE(layer.learned_error, layer.nearest_error) << layer.name;
          EXPECT_EQ(layer.changed > 0, layer.learned_error < layer.nearest_error) << layer.name;
          EXPECT_LE(layer.changed, layer.weights) << layer.name;
          nearest += layer.nearest_error, better += layer.learned_error;
        }
        EXPECT_LT(better, nearest);
        const mt::Tensor fresh = random_inputs(network, 64, 11)[0];
        const double before = output_error(s.trained.prepared, s.trained.prepared, fresh),
                     after = output_error(rounded, s.trained.prepared, fresh);
        std::printf("%s %d: layers %.4g -> %.4g, network %.4g -> %.4g\n", network.name.c_str(), bits, nearest,
                    better, before, after);
        EXPECT_EQ(mismatches(rounded, fresh), 0);
        log_layers += std::log(better / nearest), log_network += std::log(after / before);
        ++cases;
      }
  // What is least for each layer need not be for the network: over all networks it is.
  EXPECT_LT(std::exp(log_layers / cases), 0.9);
  EXPECT_LT(std::exp(log_network / cases), 0.7);
  std::printf("cases=%d\n", cases);
}

/// Features that go together, so that errors of single weights can cancel.
mt::Tensor correlated(std::int64_t rows, std::int64_t columns) {
  mt::Generator g(5);
  mt::Tensor x(mt::Shape{rows, columns});
  for (std::int64_t r = 0; r < rows; ++r) {
    const double common = g.normal();
    for (std::int64_t c = 0; c < columns; ++c)
      x.mutable_data()[r * columns + c] = static_cast<float>(common + 0.3 * g.normal());
  }
  return x;
}

/// The least mean squared error over all 2^columns roundings of each row of a linear layer's weight.
double best_of_all(const mt::Tensor& weight, const mt::ChannelQParams& q, const mt::Tensor& x,
                   const mt::Tensor& x0) {
  const std::int64_t rows = weight.size(0), columns = weight.size(1), n = x.size(0);
  double total = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    double best = HUGE_VAL;
    for (std::int64_t choice = 0; choice < std::int64_t{1} << columns; ++choice) {
      double sum = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        double difference = 0;
        for (std::int64_t c = 0; c < columns; ++c) {
          const auto w = static_cast<double>(weight.data()[r * columns + c]),
                     s = static_cast<double>(q.scale(r));
          double code = std::floor(w / s) + static_cast<double>((choice >> c) & 1);
          code = std::min<double>(std::max<double>(code, q.range.quant_min), q.range.quant_max);
          difference += code * s * static_cast<double>(x.data()[i * columns + c]) -
                        w * static_cast<double>(x0.data()[i * columns + c]);
        }
        sum += difference * difference;
      }
      best = std::min(best, sum);
    }
    total += best;
  }
  return total / static_cast<double>(n * rows);
}

TEST(AdaRound, NearTheBestOfAllRoundings) {
  constexpr std::int64_t kColumns = 8;
  const mt::Tensor x0 = correlated(64, kColumns);
  int cases = 0;
  double nearest = 0, learned = 0;
  for (int bits : {3, 4})
    for (std::uint64_t seed : {1u, 2u, 3u}) {
      mt::manual_seed(seed);
      mt::nn::Linear linear(kColumns, 4);
      mt::graph::GraphModule prepared = passes::prepare_qat(mt::nn::Sequential(linear), x0, mapping<>(bits));
      passes::calibrate(prepared, x0);
      prepared.eval();
      passes::AdaRoundReport report;
      mt::graph::GraphModule rounded =
          passes::adaround(prepared, x0, passes::AdaRoundOptions().batch_size(64), &report);
      ASSERT_EQ(report.size(), 1u);
      mt::Tensor x;
      rounded.run({x0}, [&](const mt::graph::Node& node, const mt::Tensor& value) {
        if (node.name == "input_0") x = value.contiguous();
      });
      ASSERT_TRUE(x.defined());
      const mt::qat::ConvUnit* unit = nullptr;
      for (const auto& node : rounded.nodes())
        if (auto* found = dynamic_cast<const mt::qat::ConvUnit*>(node->module.get())) unit = found;
      ASSERT_NE(unit, nullptr);
      const double best = best_of_all(linear->weight, unit->weight_fake_quant().qparams(), x, x0);
      std::printf("%d bits: nearest %.4g, learned %.4g, best %.4g\n", bits, report[0].nearest_error,
                  report[0].learned_error, best);
      EXPECT_GE(report[0].learned_error, 0.999 * best);
      EXPECT_LT(report[0].learned_error, 1.5 * best);
      nearest += report[0].nearest_error, learned += report[0].learned_error;
      ++cases;
    }
  EXPECT_LT(learned, 0.4 * nearest);
  std::printf("cases=%d\n", cases);
}

TEST(AdaRound, GivesACopy) {
  const Network network = resnet();
  Subject s = subject(network, mapping<>(3));
  const auto weights = [](const mt::nn::Module& model) {
    std::vector<float> out;
    for (const auto& p : model.named_parameters())
      for (float v : p.second.to_vector()) out.push_back(v);
    return out;
  };
  const std::vector<float> before = weights(s.trained.prepared);
  const auto options = passes::AdaRoundOptions().steps(60);
  mt::graph::GraphModule rounded = passes::adaround(s.trained.prepared, s.images, options);
  EXPECT_EQ(weights(s.trained.prepared), before);
  EXPECT_NE(weights(rounded), before);
  EXPECT_EQ(weights(passes::adaround(s.trained.prepared, s.images, options)),
            weights(rounded));  // the same seed
  // Rounding what is rounded changes nothing.
  passes::AdaRoundReport again;
  passes::adaround(rounded, s.images, passes::AdaRoundOptions().steps(1).lr(1e-6), &again);
  for (const passes::AdaRoundLayer& layer : again) EXPECT_EQ(layer.changed, 0) << layer.name;
}

TEST(AdaRound, WeightsLieOnCodesAndScalesStandStill) {
  const Network network = resnet();
  // The largest weight lies at 3.5 steps and is cut to 3: a range taken again would be another.
  const auto uneven = quant::QConfigMapping().set_global(
      quant::erase(quant::QConfig(quant::DefaultActivation::Options(),
                                  quant::DefaultWeight::Options().bit_width(3).narrow_range(false))));
  Subject s = subject(network, uneven);
  mt::graph::GraphModule rounded =
      passes::adaround(s.trained.prepared, s.images, passes::AdaRoundOptions().steps(60));
  EXPECT_EQ(mismatches(rounded, s.images), 0);
  rounded(s.images);
  std::int64_t weights = 0;
  for (const auto& node : rounded.nodes()) {
    const auto* unit = dynamic_cast<const mt::qat::ConvUnit*>(node->module.get());
    if (!unit) continue;
    const mt::Tensor w = unit->folded().first.contiguous();
    const mt::ChannelQParams q = unit->weight_fake_quant().qparams();
    for (std::int64_t i = 0; i < w.numel(); ++i, ++weights) {
      const float code = w.data()[i] / q.scale(i / (w.numel() / w.size(0)));
      ASSERT_NEAR(code, std::nearbyint(code), 1e-5) << node->name;
      ASSERT_TRUE(code > -4.5f && code < 3.5f) << node->name;
    }
  }
  std::printf("cases=%d\n", static_cast<int>(weights));
}

TEST(AdaRound, SaysWhatDoesNotFit) {
  using Options = passes::AdaRoundOptions;
  const Network network = linear_bn();
  Subject s = subject(network, mapping<>(4));
  const auto with = [&](const Options& options) { passes::adaround(s.trained.prepared, s.images, options); };
  expect_error<mt::ConfigError>([&] { with(Options().steps(0)); }, {"adaround", "steps is 0", "1 or more"});
  expect_error<mt::ConfigError>([&] { with(Options().batch_size(0)); }, {"batch_size is 0"});
  expect_error<mt::ConfigError>([&] { with(Options().lr(0)); }, {"lr is 0", "positive"});
  expect_error<mt::ConfigError>([&] { with(Options().lambda(-1)); }, {"lambda is -1"});
  expect_error<mt::ConfigError>([&] { with(Options().warm_up(1.5)); }, {"warm_up is 1.5", "0..1"});
  expect_error<mt::ConfigError>([&] { with(Options().last_beta(1)); }, {"last_beta is 1", "above 1"});
  expect_error<mt::ConfigError>([&] { with(Options().first_beta(1.5)); }, {"first_beta"});
  expect_error<mt::ShapeError>(
      [&] {
        passes::adaround(s.trained.prepared, mt::Tensor(mt::Shape{0, 3, 6, 6}));
      },
      {"no image"});
  Trained empty = trained(network, mapping<>(4), 0);
  expect_error<mt::StateError>([&] { passes::adaround(empty.prepared, s.images); }, {"has seen no data"});
  Subject bent = subject(network, mapping<quant::DoReFaWeight<quant::Int8PerChannel>>(4));
  expect_error<mt::UnsupportedError>([&] { passes::adaround(bent.trained.prepared, bent.images); },
                                     {"DoReFaWeight", "bends"});
}

}  // namespace adaround_test

// SPDX-License-Identifier: MIT
// The calibration report against counts made by hand; its warnings and its table; the model stays as it was.
#include <midtread/passes/calibration_report.hpp>

#include <midtread/passes/convert.hpp>
#include <midtread/quant/mse_observer.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <support/networks.hpp>
#include <support/random_tensor.hpp>

#include <cstdio>
#include <sstream>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace calibration_report_test {

using namespace midtread::test;

mt::graph::GraphModule prepared(const Network& network,
                                const quant::QConfigMapping& mapping = default_mapping()) {
  mt::manual_seed(4);
  const auto model = network.make();
  scatter(*model, 3);
  return mt::passes::prepare_qat(
      mt::passes::fuse_modules(mt::graph::trace(model, random_inputs(network, 2, 1))), mapping);
}

quant::FakeQuantizeBase& output_of(mt::graph::GraphModule& model, const std::string& name) {
  return dynamic_cast<mt::qat::Unit&>(*model.find(name)->module).activation_post_process();
}

void set_scale(quant::FakeQuantizeBase& f, float scale) {
  mt::ChannelQParams q = f.qparams();
  for (float& s : q.scales) s = scale;
  f.set_qparams(q);
}

TEST(CalibrationReport, EveryQuantizerOfEveryNetwork) {
  int cases = 0, quantizers = 0;
  for (const Network& network : all_networks()) {
    if (network.inputs.size() != 1) continue;
    SCOPED_TRACE(network.name);
    auto p = prepared(network);
    const mt::Tensor x = random_inputs(network, 4, 1)[0];
    mt::passes::calibrate(p, x);
    const auto report = mt::passes::calibration_report(p, x);
    std::size_t expected = 0;
    quant::for_each_fake_quantizer(p, [&](quant::FakeQuantizeBase&) { ++expected; });
    EXPECT_EQ(report.quantizers.size(), expected);
    for (const auto& q : report.quantizers) {
      SCOPED_TRACE(q.name);
      EXPECT_GT(q.values, 0);
      EXPECT_GT(q.smallest_scale, 0);
      EXPECT_LE(q.clip_rate(), 0.001) << "the ranges were taken from this data";
      EXPECT_GT(q.sqnr(), 25);
      ++quantizers;
    }
    ++cases;
  }
  std::printf("cases=%d quantizers=%d\n", cases, quantizers);
  EXPECT_GT(quantizers, 100);
}

// One quantizer, recomputed from the float model's values.
TEST(CalibrationReport, CountsByHand) {
  const Network network = cnn_max_pool();
  auto p = prepared(network);
  std::vector<mt::Tensor> batches;
  for (std::uint64_t seed = 1; seed < 4; ++seed) batches.push_back(random_inputs(network, 4, seed)[0]);
  mt::passes::calibrate(p, batches, -1);
  auto& f = output_of(p, "fc");
  const mt::QParams first = f.tensor_qparams();
  set_scale(f, first.scale / 3);
  const mt::QParams q = f.tensor_qparams();
  const auto report = mt::passes::calibration_report(p, batches, -1);
  EXPECT_EQ(report.batches, 3);
  const auto* fc = report.find("fc");
  ASSERT_NE(fc, nullptr);

  mt::manual_seed(4);
  const auto twin = network.make();
  scatter(*twin, 3);
  twin->eval();
  std::int64_t values = 0, clipped = 0;
  double signal = 0, noise = 0;
  for (const mt::Tensor& batch : batches)
    for (float v : twin->forward(batch).to_vector()) {
      const double code = std::nearbyint(static_cast<double>(v / q.scale)) + q.zero_point;
      const double held = std::min(std::max(code, static_cast<double>(q.range.quant_min)),
                                   static_cast<double>(q.range.quant_max));
      clipped += code != held;
      signal += static_cast<double>(v) * static_cast<double>(v);
      noise += std::pow(static_cast<double>(v) - (held - q.zero_point) * static_cast<double>(q.scale), 2);
      ++values;
    }
  EXPECT_EQ(fc->values, values);
  EXPECT_NEAR(static_cast<double>(fc->clipped), static_cast<double>(clipped), 1);
  EXPECT_GT(clipped, 5);
  EXPECT_NEAR(fc->sqnr(), 10 * std::log10(signal / noise), 0.01);
  EXPECT_NEAR(fc->clip_rate(), static_cast<double>(clipped) / static_cast<double>(values), 0.02);
  ASSERT_EQ(fc->warnings.size(), 1u);
  EXPECT_NE(fc->warnings[0].find("clips "), std::string::npos);
  EXPECT_EQ(report.find("nothing"), nullptr);
}

TEST(CalibrationReport, WeightsPerChannel) {
  const Network network = cnn_max_pool();
  auto p = prepared(network);
  mt::passes::calibrate(p, random_inputs(network, 4, 1)[0]);
  auto& unit = dynamic_cast<mt::qat::ConvUnit&>(*p.find("conv1")->module);
  const auto clean = mt::passes::calibration_report(p, random_inputs(network, 4, 1)[0]);
  EXPECT_EQ(clean.find("conv1.weight")->clipped, 0);
  EXPECT_GT(clean.find("conv1.weight")->largest_scale, clean.find("conv1.weight")->smallest_scale);
  mt::ChannelQParams q = unit.weight_fake_quant().qparams();
  q.scales[1] /= 2;
  unit.weight_fake_quant().set_qparams(q);
  const auto report = mt::passes::calibration_report(p, random_inputs(network, 4, 1)[0]);
  const mt::Tensor w = unit.folded().first;
  std::int64_t clipped = 0;
  const std::int64_t inner = w.numel() / w.size(0);
  for (std::int64_t i = 0; i < inner; ++i)
    clipped += std::fabs(std::nearbyint(w.contiguous().data()[inner + i] / q.scales[1])) > 127;
  EXPECT_GT(clipped, 0);
  EXPECT_EQ(report.find("conv1.weight")->clipped, clipped);
  EXPECT_EQ(report.find("conv1.weight")->values, w.numel());
}

TEST(CalibrationReport, Warnings) {
  const Network network = cnn_max_pool();
  auto p = prepared(network);
  const mt::Tensor x = random_inputs(network, 4, 1)[0];
  auto report = mt::passes::calibration_report(p, x);  // before any calibration
  EXPECT_NE(report.find("fc")->warnings.at(0).find("no scale"), std::string::npos);
  EXPECT_EQ(report.find("fc")->values, 0);

  mt::passes::calibrate(p, x);
  EXPECT_TRUE(mt::passes::calibration_report(p, x).warnings().empty());
  report = mt::passes::calibration_report(p, mt::zeros<float>(x.shape()));
  EXPECT_NE(report.find("input_0")->warnings.at(0).find("dead: every value is 0"), std::string::npos);
  set_scale(output_of(p, "fc"), 1000);
  report = mt::passes::calibration_report(p, x);
  EXPECT_NE(report.find("fc")->warnings.at(0).find("less than an eighth of the range"), std::string::npos);

  output_of(p, "conv2").set_fake_quant_enabled(false);
  report = mt::passes::calibration_report(p, x);
  EXPECT_EQ(report.find("conv2")->warnings.at(0), "is switched off");

  // A damaged checkpoint.
  auto& f = output_of(p, "conv1");
  mt::get_tensor<std::int32_t>(f.own_buffers().at("zero_point"), "zero_point").fill_(300);
  report = mt::passes::calibration_report(p, x);
  EXPECT_NE(report.find("conv1")->warnings.at(0).find("zero point 300 outside the code range 0..255"),
            std::string::npos);
  EXPECT_EQ(report.warnings().size(), 3u);

  expect_error<mt::StateError>([&] { mt::passes::calibration_report(p, std::vector<mt::Tensor>(), -1); },
                               {"calibration_report", "no batch"});
}

TEST(CalibrationReport, ShowsCandidatesAndTheTable) {
  using Activation = quant::FakeQuantize<quant::MseObserver<quant::UInt8Affine>>;
  const Network network = cnn_max_pool();
  auto p = prepared(network,
                    quant::QConfigMapping().set_global(quant::QConfig<Activation, quant::DefaultWeight>{}));
  const mt::Tensor x = random_inputs(network, 4, 1)[0];
  mt::passes::calibrate(p, x);
  const auto report = mt::passes::calibration_report(p, x);
  const auto* q = report.find("conv1");
  EXPECT_EQ(q->method, "MseObserver");
  EXPECT_EQ(q->spec, "uint8_affine, 0..255");
  EXPECT_EQ(q->candidates.size(), 33u);
  std::ostringstream out;
  out << report;
  const std::string text = out.str();
  std::printf("%s", text.c_str());
  for (const char* word : {"quantizer", "clipped %", "SQNR dB", "input_0", "conv1.weight", "MseObserver",
                           "uint8_affine, 0..255"})
    EXPECT_NE(text.find(word), std::string::npos) << word;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'),
            1 + static_cast<long>(report.quantizers.size() + report.warnings().size()));
}

TEST(CalibrationReport, ChangesNothing) {
  const Network network = resnet();
  auto p = prepared(network);
  mt::passes::calibrate(p, random_inputs(network, 4, 1)[0]);
  p.train();
  const auto values = [&] {
    std::string out;
    for (const auto& item : p.state_dict()) {
      out += item.first;
      if (item.second.dtype() != mt::DType::kFloat32) continue;
      for (float v : mt::get_tensor<float>(item.second, item.first).to_vector())
        out.append(reinterpret_cast<const char*>(&v), sizeof v);
    }
    for (const auto& item : p.named_modules()) {
      out += item.second->training() ? 't' : 'e';
      if (auto* f = dynamic_cast<quant::FakeQuantizeBase*>(item.second))
        out += mt::concat(f->is_enabled(), f->is_observer_enabled(), f->is_calibrating());
    }
    return out;
  };
  mt::passes::calibration_report(
      p, random_inputs(network, 4, 2)[0]);  // memoryless weights have their scales now
  const std::string before = values();
  mt::passes::calibration_report(p, random_inputs(network, 4, 3)[0] * 5.0);
  EXPECT_EQ(values(), before);
  EXPECT_TRUE(mt::grad_enabled());
}

}  // namespace calibration_report_test

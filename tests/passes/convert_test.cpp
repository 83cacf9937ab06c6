// SPDX-License-Identifier: MIT
// What convert refuses, that it changes nothing, and that the int8 model lives on its own.
#include <midtread/passes/convert.hpp>

#include <gtest/gtest.h>

#include <support/exactness.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
namespace F = midtread::nn::functional;
namespace quant = midtread::quant;
using namespace midtread::test;

namespace convert_test {

quant::FakeQuantizeBase& post(const mt::graph::GraphModule& p, const std::string& name) {
  return dynamic_cast<mt::qat::Unit&>(*p.find(name)->module).activation_post_process();
}
quant::FakeQuantizeBase& weight(const mt::graph::GraphModule& p, const std::string& name) {
  return dynamic_cast<mt::qat::ConvUnit&>(*p.find(name)->module).weight_fake_quant();
}
Trained cnn(int steps = 2) { return trained(cnn_max_pool(), default_mapping(), steps); }
using Words = std::initializer_list<std::string>;

TEST(Convert, RefusesGraphsThatAreNotReady) {
  const Network network = cnn_max_pool();
  expect_error<mt::StateError>(
      [&] { mt::passes::convert(mt::graph::trace(network.make(), random_inputs(network, 2, 1))); },
      Words{"prepare_qat first"});
  expect_error<mt::StateError>([&] { mt::passes::convert(cnn(0).prepared); },
                               Words{"input_0", "seen no data", "calibrate"});
  {
    const Trained t = cnn();
    post(t.prepared, "conv2").set_fake_quant_enabled(false);
    expect_error<mt::StateError>([&] { mt::passes::convert(t.prepared); },
                                 Words{"conv2", "output", "switched off", "enable_fake_quant"});
  }
  {
    const Trained t = cnn();
    weight(t.prepared, "fc").set_fake_quant_enabled(false);
    expect_error<mt::StateError>([&] { mt::passes::convert(t.prepared); },
                                 Words{"fc", "weight", "switched off"});
  }
  {
    const Trained t = cnn();
    mt::Tensor bad = mt::ones(mt::Shape{2});
    bad.set({0}, INFINITY);
    EXPECT_THROW(post(t.prepared, "conv2").observe(bad), mt::NumericError);
    expect_error<mt::StateError>([&] { mt::passes::convert(t.prepared); },
                                 Words{"conv2", "has seen NaN or infinity"});
  }
  {
    // A weight that is no number poisons its quantizer.
    Trained t = cnn();
    const mt::Tensor w = t.prepared.state_dict().at("fc.weight").get<float>();
    w.set({0, 0}, NAN);
    EXPECT_THROW(mt::passes::convert(t.prepared), mt::NumericError);
  }
  for (const std::int64_t count : {0, 1, 9, 11}) {
    // Scales by hand, or of another layer's checkpoint.
    const Trained t = cnn();
    quant::FakeQuantizeBase& f = weight(t.prepared, "fc");
    ASSERT_TRUE(f.is_per_channel());
    f.set_observer_enabled(false);
    mt::get_tensor<float>(f.own_buffers().at("scale"), "").set_data(mt::full<float>({count}, 0.1f));
    mt::get_tensor<std::int32_t>(f.own_buffers().at("zero_point"), "")
        .set_data(mt::full<std::int32_t>({count}, 0));
    expect_error<mt::ShapeError>([&] { mt::passes::convert(t.prepared); },
                                 Words{"fc", "10 output channels", mt::concat(count, " scales")});
  }
  {
    // A memoryless output has no scale of its own.
    using Memoryless = quant::FakeQuantize<quant::MinMaxObserver<quant::UInt8Affine>>;
    Trained t = trained(linear_bn(),
                        quant::QConfigMapping().set_global(quant::QConfig(
                            Memoryless::Options().memoryless(true), quant::DefaultWeight::Options())),
                        2);
    expect_error<mt::StateError>([&] { mt::passes::convert(t.prepared); },
                                 Words{"input_0", "memoryless", "disable_observer"});
    for (const auto& node : t.prepared.nodes())
      if (const auto* unit = dynamic_cast<const mt::qat::Unit*>(node->module.get()))
        unit->activation_post_process().set_observer_enabled(false);
    Tally tally;
    expect_exact(t.prepared, linear_bn(), {3}, tally);
  }
}

// A graph that a pass of the user's left half prepared.
TEST(Convert, RefusesAUnitWhoseInputHasNoCodes) {
  const Trained t = cnn();
  mt::graph::GraphModule graph;
  mt::graph::Node input, unit, output;
  input.kind = mt::graph::NodeKind::kInput;
  input.name = "x_0";
  input.example_shape = {2, 3, 9, 9};
  unit.kind = mt::graph::NodeKind::kModule;
  unit.name = "conv1";
  unit.module = t.prepared.find("conv1")->module;
  unit.inputs = {graph.add(input)};
  output.kind = mt::graph::NodeKind::kOutput;
  output.name = "output";
  output.inputs = {graph.add(unit)};
  graph.add(output);
  expect_error<mt::StateError>([&] { mt::passes::convert(graph); },
                               Words{"conv1", "reads 'x_0', which is not quantized"});
}

TEST(Convert, RefusesScalesThatCannotBeUsed) {
  const auto with_scale = [](float scale) {
    const Trained t = cnn();
    mt::ChannelQParams q = post(t.prepared, "conv1").qparams();
    q.scales[0] = scale;
    post(t.prepared, "conv1").set_qparams(q);
    return mt::passes::convert(t.prepared);
  };
  expect_error<mt::QuantizationError>([&] { with_scale(1e-38f); }, Words{});
  expect_error<mt::QuantizationError>([&] { with_scale(1e36f); }, Words{"conv1", "must be a normal float"});
  EXPECT_NO_THROW(with_scale(1e-30f));
  // Too deep for exact sums: 300000 * 127 * 255 > 2^30.
  auto net = std::make_shared<Net>();
  auto fc = net->add("deep", mt::nn::Linear(300000, 1));
  net->body = [=](const mt::Tensors& in) -> mt::Tensors { return {fc(in[0])}; };
  fc->weight.fill_(1.0f);
  auto p = mt::passes::prepare_qat(mt::graph::trace(net, mt::ones(mt::Shape{1, 300000})), default_mapping());
  EXPECT_THROW(p.forward(mt::ones(mt::Shape{1, 300000})), mt::QuantizationError);  // already in training
  expect_error<mt::QuantizationError>([&] { mt::passes::convert(p); },
                                      Words{"deep", "can pass 2^30; split the layer"});
}

TEST(Convert, ChangesNothing) {
  int cases = 0;
  for (const Network& network : all_networks()) {
    SCOPED_TRACE(network.name);
    Trained t = trained(network, default_mapping(), 2);
    t.prepared.eval();
    t.prepared.forward_many(random_inputs(network, 2, 4));  // memoryless scales of the last step's weights
    t.prepared.train();
    const auto before = t.prepared.clone().state_dict();
    mt::passes::convert(t.prepared);
    const auto after = t.prepared.state_dict();
    ASSERT_EQ(before.size(), after.size());
    for (const auto& item : before)
      item.second.visit([&](const auto& a) {
        EXPECT_TRUE(
            mt::identical(a, after.at(item.first).get<typename std::decay_t<decltype(a)>::scalar_type>()))
            << item.first;
      });
    EXPECT_TRUE(t.prepared.training());
    for (const auto& node : t.prepared.nodes()) EXPECT_TRUE(!node->module || node->module->training());
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Convert, TheResultIsIndependentOfFurtherTraining) {
  int cases = 0;
  for (const Network& network : all_networks()) {
    SCOPED_TRACE(network.name);
    Trained t = trained(network, default_mapping(), 1);
    const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
    const mt::Tensors x = random_inputs(network, 3, 9), before = int8.forward_many(x);
    t.prepared.train();
    train(t, network, 2, 0.5);
    const mt::Tensors after = int8.forward_many(x);
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(mt::identical(before[i], after[i])) << i;
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

// An opaque module is shared with the model: it runs in eval mode in the int8 model and keeps its own mode.
TEST(Convert, OpaqueModulesKeepTheirMode) {
  auto opaque = std::make_shared<Net>();
  auto bn = opaque->add("bn", mt::nn::BatchNorm1d(4));
  opaque->set_leaf(true);
  opaque->body = [=](const mt::Tensors& in) -> mt::Tensors { return {bn(in[0])}; };
  auto net = std::make_shared<Net>();
  net->add("opaque", opaque);
  auto fc = net->add("fc", mt::nn::Linear(4, 4)), fc2 = net->add("fc2", mt::nn::Linear(4, 4));
  net->body = [=](const mt::Tensors& in) -> mt::Tensors { return {fc2(opaque->call({fc(in[0])})[0])}; };
  Trained t;
  t.prepared = mt::passes::prepare_qat(
      mt::passes::fuse_modules(mt::graph::trace(net, mt::ones(mt::Shape{2, 4}))), default_mapping());
  const Network shape{"opaque", nullptr, {mt::Shape{4}}};
  train(t, shape, 3);
  const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
  const mt::Tensor mean = bn->running_mean.clone();
  int8(random_inputs(shape, 4, 1)[0]);
  EXPECT_TRUE(opaque->training());
  EXPECT_TRUE(bn->training());
  EXPECT_TRUE(mt::identical(mean, bn->running_mean));
  EXPECT_EQ(int8.float_islands(), (std::vector<std::string>{"opaque"}));
  t.prepared.eval();
  EXPECT_TRUE(mt::passes::verify_convert(t.prepared, int8, random_inputs(shape, 5, 2)[0]).ok());
}

// Batch norms that stay float: after an activation, and without running statistics.
TEST(Convert, BatchNormsThatStayFloat) {
  for (const bool track : {true, false}) {
    SCOPED_TRACE(track);
    const Network network = midtread::test::network("bn", {{3, 5, 5}}, [track](Net& n) {
      auto c1 = n.add("c1", mt::nn::Conv2d(conv(3, 4, 3)));
      auto bn = n.add("bn", mt::nn::BatchNorm2d(mt::nn::BatchNormOptions(4).track_running_stats(track)));
      auto c2 = n.add("c2", mt::nn::Conv2d(conv(4, 4, 1)));
      return [=](const mt::Tensors& in) -> mt::Tensors { return {c2(bn(F::relu(c1(in[0]))))}; };
    });
    Trained t = trained(network, default_mapping(), 2);
    t.prepared.eval();
    const auto int8 = mt::passes::convert(t.prepared);
    const auto report = mt::passes::verify_convert(t.prepared, int8, random_inputs(network, 4, 3)[0]);
    EXPECT_TRUE(report.ok()) << report;
  }
}

TEST(VerifyConvert, FindsAPlantedDifference) {
  Trained t = cnn();
  t.prepared.eval();
  const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
  const mt::Tensor x = random_inputs(cnn_max_pool(), 8, 3)[0];
  auto report = mt::passes::verify_convert(t.prepared, int8, x);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.images, 8);
  std::ostringstream clean;
  clean << report;
  EXPECT_NE(clean.str().find(": 0 of " + std::to_string(report.compared_codes)), std::string::npos)
      << clean.str();

  const mt::Tensor w = t.prepared.state_dict().at("conv2.weight").get<float>();
  w.set({3, 0, 0, 0}, w.at({3, 0, 0, 0}) + 0.05f);
  report = mt::passes::verify_convert(t.prepared, int8, x);
  EXPECT_FALSE(report.ok());
  EXPECT_GT(report.mismatched_codes, 0);
  EXPECT_GT(report.mismatched_outputs, 0);
  for (const auto& node : report.nodes) {
    const bool before = node.name == "input_0" || node.name == "conv1" || node.name == "pool";
    EXPECT_TRUE(!before || node.mismatches == 0) << node.name;
    if (node.name != "conv2") continue;
    EXPECT_GT(node.mismatches, 0);
    EXPECT_GE(node.max_lsb, 1);
    EXPECT_GT(node.sqnr(), 10.0);
    EXPECT_LT(node.sqnr(), 200.0);
  }
  std::ostringstream text;
  text << report;
  EXPECT_NE(text.str().find("conv2: "), std::string::npos) << text.str();
  // A bias changes the classes.
  const mt::Tensor b = t.prepared.state_dict().at("fc.bias").get<float>();
  b.set({2}, b.at({2}) + 100.0f);
  EXPECT_GT(mt::passes::verify_convert(t.prepared, int8, x).mismatched_argmax, 0);
}

TEST(VerifyConvert, KeepsModesAndRunsOverLoaders) {
  const Network network = cnn_max_pool();
  Trained t = cnn();
  t.prepared.train();
  t.prepared.find("conv2")->module->eval();
  const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
  EXPECT_TRUE(mt::passes::verify_convert(t.prepared, int8, random_inputs(network, 2, 3)[0]).ok());
  EXPECT_TRUE(t.prepared.training());
  EXPECT_FALSE(t.prepared.find("conv2")->module->training());
  EXPECT_TRUE(t.prepared.find("conv1")->module->training());
  EXPECT_THROW(mt::passes::verify_convert(t.prepared, int8, mt::ones(mt::Shape{2, 4, 9, 9})), mt::ShapeError);
  EXPECT_TRUE(t.prepared.training());
  struct Batch {
    mt::Tensor input;
  };
  std::vector<Batch> batches{{random_inputs(network, 2, 3)[0]}, {random_inputs(network, 5, 4)[0]}};
  const auto report = mt::passes::verify_convert_on(t.prepared, int8, batches);
  EXPECT_EQ(report.images, 7);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(mt::passes::verify_convert_on(t.prepared, int8, std::vector<mt::Tensor>{batches[0].input}).images,
            2);
}

}  // namespace convert_test

// SPDX-License-Identifier: MIT
// A calibrated model through a file: the int8 model of a second object, built anew and loaded, has the bytes
// that the first would have written; so has one whose training goes on there. Every observer and quantizer of
// the registry.
#include <midtread/io/int8_model.hpp>
#include <midtread/io/state_dict.hpp>
#include <midtread/passes/calibrate.hpp>
#include <midtread/passes/convert.hpp>
#include <midtread/quant/registry.hpp>
#include <midtread/quant/schedule.hpp>

#include <gtest/gtest.h>

#include <io/scratch_directory.hpp>
#include <support/networks.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace calibrated_model_test {

using midtread::test::Network;
using midtread::test::random_inputs;

struct Pair {
  quant::FakeQuantizeChoice activation, weight;
};

bool is_weight(const std::string& name) { return name.find("/int8_symmetric") != std::string::npos; }
bool is_activation(const std::string& name) {
  return name.find("per_channel") == std::string::npos && name != "dorefa/int8_symmetric";
}

quant::FakeQuantizeChoice choice(const std::string& name) {
  quant::FakeQuantizeChoice out{name, {}};
  if (name == "fixed_qparams/uint8_symmetric") out.values.insert("zero_point", 128.0);
  if (name.rfind("fixed_qparams/", 0) == 0) out.values.insert("scale", 0.04);
  return out;
}

/// Every name as an activation and, where it can be one, as a weight.
std::vector<Pair> pairs() {
  std::vector<Pair> out;
  for (const std::string& name : quant::fake_quantize_names()) {
    if (is_activation(name)) out.push_back({choice(name), choice("min_max/int8_symmetric_per_channel")});
    if (is_weight(name)) out.push_back({choice("moving_average_min_max/uint8_affine"), choice(name)});
  }
  const std::string methods[] = {"percentile", "mse", "entropy", "max_min"};
  for (const std::string& method : methods) {
    Pair together{choice(method + "/uint8_affine"), choice("min_max/int8_symmetric_per_channel")};
    together.activation.values.insert("per_batch", false);
    out.push_back(together);
  }
  return out;
}

mt::graph::GraphModule prepared(const Network& network, const Pair& pair, std::uint64_t seed) {
  mt::manual_seed(seed);
  const auto model = network.make();
  const auto q = quant::make_qconfig(pair.activation, pair.weight);
  return mt::passes::prepare_qat(
      mt::passes::fuse_modules(mt::graph::trace(model, random_inputs(network, 2, 1))),
      quant::QConfigMapping().set_global(q));
}

std::string int8_bytes(const mt::graph::GraphModule& model) {
  return mt::io::serialize_int8_model(mt::passes::convert(model));
}

void train(mt::graph::GraphModule& model, const Network& network, std::uint64_t seed) {
  model.train();
  mt::optim::SGD sgd(model.parameters(), mt::optim::SGDOptions(0.01));
  for (std::uint64_t step = 0; step < 2; ++step) {
    sgd.zero_grad();
    const mt::Tensor y = model.forward_many(random_inputs(network, 4, seed + step)).at(0);
    y.backward(mt::ones(y.shape()));
    sgd.step();
  }
  model.eval();
}

TEST(CalibratedModel, AnotherObjectConvertsToTheSameBytes) {
  const ScratchDirectory directory;
  int cases = 0;
  for (const Pair& pair : pairs()) {
    // With one scale DoReFa takes no batch norm.
    const Network network = pair.weight.name == "dorefa/int8_symmetric" ? midtread::test::average_pools()
                                                                        : midtread::test::resnet();
    SCOPED_TRACE(pair.activation.name + ", weight " + pair.weight.name);
    mt::graph::GraphModule first = prepared(network, pair, 11), second = prepared(network, pair, 12);
    for (std::uint64_t seed : {1u, 2u, 3u}) mt::passes::calibrate(first, random_inputs(network, 4, seed)[0]);
    const std::string path = directory / "calibrated.safetensors";
    mt::io::save(first, path);
    ASSERT_NO_THROW(mt::io::load(second, path));
    ASSERT_EQ(int8_bytes(first), int8_bytes(second));
    // Calibrating and training on, both go the same way.
    for (mt::graph::GraphModule* each : {&first, &second})
      mt::passes::calibrate(*each, random_inputs(network, 4, 4)[0]);
    ASSERT_EQ(int8_bytes(first), int8_bytes(second)) << "calibrated on";
    train(first, network, 5);
    train(second, network, 5);
    ASSERT_EQ(int8_bytes(first), int8_bytes(second)) << "trained on";
    mt::io::save(first, path);
    mt::graph::GraphModule third = prepared(network, pair, 13);
    ASSERT_NO_THROW(mt::io::load(third, path));
    ASSERT_EQ(int8_bytes(first), int8_bytes(third)) << "trained, then loaded";
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_GE(cases, 60);
}

TEST(CalibratedModel, SwitchesTravelWithIt) {
  const ScratchDirectory directory;
  const Network network = midtread::test::resnet();
  const Pair pair{choice("lsq/uint8_affine"), choice("lsq/int8_symmetric_per_channel")};
  mt::graph::GraphModule first = prepared(network, pair, 21), second = prepared(network, pair, 22);
  mt::passes::calibrate(first, random_inputs(network, 4, 1)[0]);
  quant::enable_param_learning(first);
  quant::disable_observer(first);
  mt::io::save(first, directory / "model");
  mt::io::load(second, directory / "model");
  int cases = 0;
  quant::for_each_learned(second, [&](quant::LearnedFakeQuantize& f) {
    EXPECT_FALSE(f.is_static()) << f.where();
    EXPECT_TRUE(f.is_learning()) << f.where();
    EXPECT_FALSE(f.is_observer_enabled()) << f.where();
    ++cases;
  });
  std::printf("cases=%d\n", cases);
  EXPECT_GT(cases, 3);
}

}  // namespace calibrated_model_test

// SPDX-License-Identifier: MIT
// Calibration gives ranges and puts every mode and switch back; conversion of a model that was never trained.
#include <midtread/passes/calibrate.hpp>

#include <gtest/gtest.h>

#include <support/exactness.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
namespace quant = midtread::quant;
using namespace midtread::test;

namespace calibrate_test {

mt::graph::GraphModule prepared(const Network& network) {
  mt::manual_seed(4);
  const auto model = network.make();
  scatter(*model, 3);
  return mt::passes::prepare_qat(
      mt::passes::fuse_modules(mt::graph::trace(model, random_inputs(network, 2, 1))), default_mapping());
}

/// Modes and switches of everything below, as one text.
std::string state_of(mt::nn::Module& model) {
  std::string out;
  for (const auto& item : model.named_modules()) {
    out += item.second->training() ? 't' : 'e';
    if (auto* f = dynamic_cast<quant::FakeQuantizeBase*>(item.second))
      out += mt::concat(f->is_enabled(), f->is_observer_enabled(), f->is_calibrating());
  }
  return out;
}

TEST(Calibrate, GivesRangesForAnExactConversion) {
  Tally tally;
  for (const Network& network : all_networks()) {
    if (network.inputs.size() != 1) continue;
    SCOPED_TRACE(network.name);
    auto p = prepared(network);
    EXPECT_THROW(mt::passes::convert(p), mt::StateError);
    const std::string before = state_of(p);
    for (std::uint64_t seed : {1u, 2u, 3u}) mt::passes::calibrate(p, random_inputs(network, 4, seed)[0]);
    EXPECT_EQ(state_of(p), before);
    expect_exact(p, network, {3}, tally);
  }
  tally.print();
}

// The observers see what a float model computes: no rounding before them.
TEST(Calibrate, ObservesTheFloatModel) {
  const Network network = cnn_max_pool();
  auto p = prepared(network);
  mt::manual_seed(4);
  const auto twin = network.make();
  scatter(*twin, 3);
  twin->eval();
  const mt::Tensor x = random_inputs(network, 4, 1)[0];
  mt::passes::calibrate(p, x);
  const auto* unit = dynamic_cast<const mt::qat::Unit*>(p.find("fc")->module.get());
  const auto& observer =
      dynamic_cast<const quant::RangeObserver&>(unit->activation_post_process().observer());
  const mt::Tensor y = twin->forward(x);
  EXPECT_NEAR(observer.min_val().item(), std::min(0.0f, mt::min(y).item()), 1e-4);
  EXPECT_NEAR(observer.max_val().item(), mt::max(y).item(), 1e-4);
  EXPECT_FALSE(twin->training());
}

TEST(Calibrate, RunsOverLoaders) {
  const Network network = linear_bn();
  auto p = prepared(network);
  struct Batch {
    mt::Tensor input;
  };
  std::vector<mt::Tensor> tensors;
  std::vector<Batch> batches;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    tensors.push_back(random_inputs(network, 4, seed)[0]);
    batches.push_back({tensors.back()});
  }
  EXPECT_EQ(mt::passes::calibrate(p, tensors, -1), 5);
  EXPECT_EQ(mt::passes::calibrate(p, batches, 3), 3);
  EXPECT_EQ(mt::passes::calibrate(p, batches, 9), 5);
  expect_error<mt::StateError>([&] { mt::passes::calibrate(p, batches, 0); }, {"no batch"});
  expect_error<mt::StateError>([&] { mt::passes::calibrate(p, std::vector<mt::Tensor>(), -1); },
                               {"no batch"});
}

TEST(Calibrate, RestoresAfterAnError) {
  const Network network = cnn_max_pool();
  auto p = prepared(network);
  p.find("conv2")->module->eval();
  quant::FakeQuantizeBase& first =
      dynamic_cast<mt::qat::Unit&>(*p.find("conv1")->module).activation_post_process();
  first.set_observer_enabled(false);
  dynamic_cast<mt::qat::Unit&>(*p.find("fc")->module).activation_post_process().set_fake_quant_enabled(false);
  const std::string before = state_of(p);
  EXPECT_THROW(mt::passes::calibrate(p, mt::ones(mt::Shape{2, 5, 9, 9})), mt::ShapeError);
  EXPECT_EQ(state_of(p), before);
  mt::Tensor x = random_inputs(network, 2, 1)[0];
  x.set({0, 0, 0, 0}, NAN);
  expect_error<mt::NumericError>([&] { mt::passes::calibrate(p, x); }, {"input_0"});
  EXPECT_EQ(state_of(p), before);
  EXPECT_TRUE(mt::grad_enabled());
}

}  // namespace calibrate_test

// SPDX-License-Identifier: MIT
// Trained and converted networks of every kind through a file: the same bits on every engine.
#include <midtread/io/int8_model.hpp>
#include <midtread/passes/convert.hpp>
#include <midtread/runtime.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"
#include "io/scratch_directory.hpp"
#include "support/networks.hpp"

namespace mt = midtread;
using namespace midtread::test;

namespace int8_model_test {

class Int8Model : public testing::TestWithParam<Network> {};

TEST_P(Int8Model, SurvivesAFile) {
  Trained t = trained(GetParam(), default_mapping(), 2);
  t.prepared.eval();
  const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
  const ScratchDirectory directory;
  mt::io::save(int8, directory / "model");
  int cases = 0;
  for (const char* engine : {"reference", "fbgemm", "qnnpack"}) {
    mt::set_engine(engine);
    const mt::quantized::Model loaded = mt::io::load_int8_model(directory / "model");
    mt::set_engine("auto");
    EXPECT_EQ(loaded.engine(), engine);
    EXPECT_EQ(loaded.parameter_bytes(), int8.parameter_bytes());
    EXPECT_EQ(loaded.float_islands(), int8.float_islands());
    for (std::int64_t batch : {1, 3, 17}) {
      const mt::Tensors inputs = random_inputs(GetParam(), batch, static_cast<std::uint64_t>(90 + batch));
      const mt::Tensors expected = int8(inputs), got = loaded(inputs);
      ASSERT_EQ(expected.size(), got.size());
      for (std::size_t i = 0; i < expected.size(); ++i, ++cases)
        EXPECT_TRUE(mt::identical(expected[i], got[i])) << engine << ", output " << i;
    }
  }
  std::printf("cases=%d\n", cases);
}

INSTANTIATE_TEST_SUITE_P(All, Int8Model, testing::ValuesIn(all_networks()),
                         [](const testing::TestParamInfo<Network>& tested) { return tested.param.name; });

/// Layers with a qconfig of none: linear, convolutions, batch norm, alone and fused, as operations with
/// constants.
TEST(Int8ModelFloat, KeepsEveryLayer) {
  const Network layers = network("layers", {{4, 8, 8}}, [](Net& n) {
    auto c = n.add("conv", mt::nn::Conv2d(conv(4, 4, 3).bias(false)));
    auto norm = n.add("norm", mt::nn::BatchNorm2d(4));
    auto up = n.add("up", mt::nn::ConvTranspose2d(mt::nn::ConvTranspose2dOptions(4, 6, 2).stride(2)));
    auto alone = n.add("alone", mt::nn::BatchNorm2d(6));
    auto line = n.add("line", mt::nn::Conv1d(6, 5, 3));
    auto quantized = n.add("quantized", mt::nn::Linear(5, 4));
    auto head = n.add("head", mt::nn::Linear(4, 3));
    for (mt::nn::Module* module :
         std::initializer_list<mt::nn::Module*>{&*c, &*norm, &*up, &*alone, &*line, &*head})
      module->qconfig = nullptr;
    return [=](const mt::Tensors& in) -> mt::Tensors {
      mt::Tensor x = alone(F::relu(up(F::relu(norm(c(in[0]))))));
      x = F::mean(line(F::flatten(x, 2)), {2});
      x = F::relu(quantized(x));
      return {F::log_softmax(head(x) + head(x)), x};
    };
  });
  Trained t = trained(layers, default_mapping(), 2);
  t.prepared.eval();
  const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
  const mt::quantized::Model loaded = mt::io::parse_int8_model(mt::io::serialize_int8_model(int8), "f");
  for (const char* name : {"conv", "up", "alone", "line", "head", "head#2"}) {
    const auto islands = loaded.float_islands();
    EXPECT_NE(std::find(islands.begin(), islands.end(), name), islands.end()) << name;
  }
  const mt::Tensors inputs = random_inputs(layers, 3, 4), got = loaded(inputs);
  const mt::NoGradGuard no_grad;
  const mt::Tensors expected = t.prepared.forward_many(inputs);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(mt::identical(expected[i], got[i])) << i;
  std::int64_t constants = 0;
  for (const auto& step : int8.steps()) constants += step.op->kind() == "constant";
  EXPECT_EQ(constants, 1 + 4 + 2 + 4 + 2 + 2) << "a layer called twice has one set of parameters";
}

TEST(Int8ModelFloat, AnOpaqueModuleIsNamed) {
  const Network opaque = network("opaque", {{4, 6, 6}}, [](Net& n) {
    auto c = n.add("conv", mt::nn::Conv2d(conv(4, 4, 3)));
    auto odd = std::make_shared<Net>();
    odd->body = [](const mt::Tensors& in) -> mt::Tensors { return {F::exp(in[0])}; };
    odd->set_leaf(true);
    n.add("odd", odd);
    return [=](const mt::Tensors& in) -> mt::Tensors { return odd->call({c(in[0])}); };
  });
  Trained t = trained(opaque, default_mapping(), 1);
  t.prepared.eval();
  const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
  const ScratchDirectory directory;
  directory.put("model", "old");
  expect_error<mt::UnsupportedError>([&] { mt::io::save(int8, directory / "model"); }, {"odd", "opaque"});
  EXPECT_EQ(directory.get("model"), "old");
}

}  // namespace int8_model_test

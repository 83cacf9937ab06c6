// SPDX-License-Identifier: MIT
// Training with learned quantizers: the loss falls, optimizer groups by tag, PyTorch's phases, checkpoints,
// copies, calibration without training, and what cannot work is refused.
#include <midtread/nn/parameter_groups.hpp>
#include <midtread/passes/calibrate.hpp>
#include <midtread/passes/convert.hpp>
#include <midtread/passes/verify_convert.hpp>
#include <midtread/quant/default_qconfig.hpp>
#include <midtread/quant/dorefa.hpp>
#include <midtread/quant/lsq_plus.hpp>
#include <midtread/quant/pact.hpp>
#include <midtread/quant/tqt.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>
#include <support/networks.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;
using namespace midtread::test;
using Tag = mt::nn::ParameterTag;

namespace learned_training_test {

template <class Spec>
using Average = quant::MovingAverageMinMaxObserver<Spec>;
using Channels = quant::MinMaxObserver<quant::Int8PerChannel>;

template <class A, class W>
quant::QConfigMapping mapping(int bits, int weight_bits) {
  return quant::QConfigMapping().set_global(quant::erase(
      quant::QConfig(typename A::Options().bit_width(bits), typename W::Options().bit_width(weight_bits))));
}
constexpr auto lsq = &mapping<quant::Lsq<Average<quant::UInt8Affine>>, quant::Lsq<Channels>>;

std::int64_t mismatches(mt::graph::GraphModule& prepared, const Network& network) {
  const mt::quantized::Model int8 = mt::passes::convert(prepared);
  const mt::passes::VerifyReport report =
      mt::passes::verify_convert(prepared, int8, random_inputs(network, 5, 77)[0]);
  EXPECT_GT(report.compared_codes, 0);
  return report.mismatched_codes + report.mismatched_outputs;
}

/// One batch, learned by heart.
double fit(mt::graph::GraphModule& prepared, const Network& network, mt::optim::Optimizer& optimizer,
           int steps) {
  double last = 0;
  for (int i = 0; i < steps; ++i) {
    optimizer.zero_grad();
    const mt::Tensor loss = distance(prepared.forward_many(random_inputs(network, 8, 5)), 5);
    loss.backward();
    optimizer.step();
    last = static_cast<double>(loss.item());
  }
  return last;
}

Network without_batch_norm() {
  return network("without_batch_norm", {{3, 6, 6}}, [](Net& n) {
    auto c1 = n.add("c1", mt::nn::Conv2d(conv(3, 8, 3)));
    auto c2 = n.add("c2", mt::nn::Conv2d(conv(8, 4, 3)));
    return [=](const mt::Tensors& in) -> mt::Tensors { return {c2(F::relu(c1(in[0])))}; };
  });
}

struct Method {
  const char* name;
  quant::QConfigMapping (*mapping)(int bits, int weight_bits);
};
const Method kMethods[] = {
    {"lsq", lsq},
    {"lsq_plus", &mapping<quant::LsqPlus<Average<quant::UInt8Affine>>, quant::LsqPlus<Channels>>},
    {"pact", &mapping<quant::Pact<Average<quant::UInt8Symmetric>>, quant::Pact<Channels>>},
    {"tqt", &mapping<quant::Tqt<Average<quant::Int8Symmetric>>,
                     quant::Tqt<quant::MinMaxObserver<quant::Int8Symmetric>>>},
    {"dorefa", &mapping<quant::DefaultActivation, quant::DoReFaWeight<quant::Int8PerChannel>>}};

TEST(LearnedTraining, TheLossFallsAndScalesHaveTheirOwnRate) {
  int cases = 0;
  for (const Method& method : kMethods)
    for (const Network& network : {resnet(), linear_bn()}) {
      SCOPED_TRACE(std::string(method.name) + " " + network.name);
      Trained t = trained(network, method.mapping(4, 4), 0);
      mt::optim::SGD sgd(mt::nn::parameters_of(t.prepared, {Tag::kWeight, Tag::kBias, Tag::kBatchNorm}),
                         mt::optim::SGDOptions(0.05).momentum(0.9));
      const mt::Tensors scales = mt::nn::parameters_of(t.prepared, {Tag::kScale, Tag::kOffset, Tag::kAlpha});
      if (!scales.empty()) sgd.add_param_group(scales, mt::optim::SGDOptions(0.01).momentum(0.9));
      const double first = fit(t.prepared, network, sgd, 1), last = fit(t.prepared, network, sgd, 60);
      EXPECT_LT(last, 0.7 * first) << "from " << first;
      std::printf("%s %s: loss %.3f -> %.3f\n", method.name, network.name.c_str(), first, last);
      EXPECT_EQ(mismatches(t.prepared, network), 0);
      for (const auto& buffer : t.prepared.named_buffers()) {
        if (buffer.first.find("running_var") == std::string::npos) continue;
        for (float v : mt::get_tensor<float>(buffer.second, buffer.first).to_vector())
          EXPECT_LT(v, 1e4f) << buffer.first;
      }
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

TEST(LearnedTraining, StaticEstimateThenLearning) {
  const Network network = resnet();
  Trained t = trained(network, lsq(8, 8), 0);
  quant::enable_static_estimate(t.prepared);
  train(t, network, 3);
  for (const mt::Tensor& p : mt::nn::parameters_of(t.prepared, {Tag::kScale, Tag::kOffset}))
    EXPECT_FALSE(p.grad().defined());
  EXPECT_EQ(mismatches(t.prepared, network), 0);
  t.prepared.train();
  quant::enable_param_learning(t.prepared);
  train(t, network, 2);
  int with_gradient = 0;
  for (const mt::Tensor& p : mt::nn::parameters_of(t.prepared, {Tag::kScale, Tag::kOffset}))
    with_gradient += p.grad().defined();
  EXPECT_GT(with_gradient, 20);
  EXPECT_EQ(mismatches(t.prepared, network), 0);
}

TEST(LearnedTraining, CalibrationAloneConverts) {
  int cases = 0;
  for (const Method& method : kMethods) {
    SCOPED_TRACE(method.name);
    const Network network = resnet();
    Trained t = trained(network, method.mapping(8, 7), 0);
    if (std::string(method.name) != "pact")
      expect_error<mt::StateError>([&] { mt::passes::convert(t.prepared); }, {"has seen no data"});
    for (std::uint64_t batch = 0; batch < 3; ++batch)
      mt::passes::calibrate(t.prepared, random_inputs(network, 4, batch)[0]);
    EXPECT_EQ(mismatches(t.prepared, network), 0);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(LearnedTraining, CheckpointsResume) {
  int cases = 0;
  for (const Method& method : kMethods) {
    SCOPED_TRACE(method.name);
    const Network network = resnet();
    const auto m = method.mapping(4, 4);
    Trained t = trained(network, m, 3), fresh = trained(network, m, 0);
    mt::nn::StateDict saved;
    for (const auto& item : t.prepared.state_dict()) saved.insert(item.first, item.second.clone());
    fresh.prepared.load_state_dict(saved);
    for (Trained* each : {&t, &fresh}) {
      each->prepared.train();
      train(*each, network, 2);
      each->prepared.eval();
    }
    const mt::Tensors x = random_inputs(network, 3, 8);
    EXPECT_EQ(t.prepared.forward_many(x)[0].to_vector(), fresh.prepared.forward_many(x)[0].to_vector());
    EXPECT_EQ(mismatches(fresh.prepared, network), 0);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(LearnedTraining, NothingIsLostSilently) {
  const Network network = linear_bn();
  Trained t = trained(network, lsq(8, 8), 1);
  std::string name;
  for (const auto& p : t.prepared.named_parameters())
    if (p.first.find("weight_fake_quant.scale") != std::string::npos && name.empty()) {
      name = p.first.substr(0, p.first.rfind('.'));
      p.second.mutable_data()[1] = std::nanf("");
    }
  t.prepared.eval();
  expect_error<mt::NumericError>([&] { mt::passes::convert(t.prepared); },
                                 {name, "its learned scale is nan"});
  expect_error<mt::NumericError>([&] { t.prepared.forward_many(random_inputs(network, 2, 1)); },
                                 {name, "its learned scale is nan"});
}

TEST(LearnedTraining, WeightsOfFixedSizeAndBatchNorm) {
  const auto unit = mapping<quant::DefaultActivation, quant::DoReFaWeight<quant::Int8Symmetric>>(8, 4);
  expect_error<mt::ConfigError>([&] { trained(resnet(), unit, 0); },
                                {"stem", "DoReFaWeight with one scale", "Int8PerChannel"});
  const Network network = without_batch_norm();
  Trained t = trained(network, unit, 4);
  EXPECT_TRUE(t.finite);
  EXPECT_EQ(mismatches(t.prepared, network), 0);
}

}  // namespace learned_training_test

// SPDX-License-Identifier: MIT
// PyTorch's whole flow on a small network, with its own qconfig, fusion list, state and data: losses, trained
// state, evaluation and int8 model.
#include <midtread/passes/convert.hpp>
#include <midtread/passes/verify_convert.hpp>
#include <midtread/quant/numeric_suite.hpp>

#include <midtread/nn/activation.hpp>
#include <midtread/nn/functional.hpp>
#include <midtread/nn/pool2d.hpp>
#include <midtread/optim/sgd.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>

namespace mt = midtread;
namespace nn = midtread::nn;
namespace F = midtread::nn::functional;
namespace quant = midtread::quant;

namespace e2e_test {

class NetImpl : public nn::Module {
 public:
  mt::Tensor forward(const mt::Tensor& input) override {
    mt::Tensor x = relu1(bn1(conv1(stub(input))));
    x = skip->add_relu(bn2(conv2(x)), x);
    return dequant(fc2(relu2(fc1(F::flatten(pool(x), 1)))));
  }
  nn::QuantStub stub = register_module("quant", nn::QuantStub());
  nn::Conv2d conv1 = register_module("conv1", nn::Conv2d(nn::Conv2dOptions(2, 4, 3).padding(1).bias(false)));
  nn::BatchNorm2d bn1 = register_module("bn1", nn::BatchNorm2d(4));
  nn::ReLU relu1 = register_module("relu1", nn::ReLU());
  nn::Conv2d conv2 = register_module("conv2", nn::Conv2d(4, 4, 1));
  nn::BatchNorm2d bn2 = register_module("bn2", nn::BatchNorm2d(4));
  nn::FloatFunctional skip = register_module("skip", nn::FloatFunctional());
  nn::MaxPool2d pool = register_module("pool", nn::MaxPool2d(2));
  nn::Linear fc1 = register_module("fc1", nn::Linear(36, 8));
  nn::ReLU relu2 = register_module("relu2", nn::ReLU());
  nn::Linear fc2 = register_module("fc2", nn::Linear(8, 3));
  nn::DeQuantStub dequant = register_module("dequant", nn::DeQuantStub());
};
MIDTREAD_MODULE(Net);

/// The state in the file, typed as `own`.
nn::StateDict state_of(const golden::Json& from, const nn::StateDict& own) {
  nn::StateDict out;
  for (const auto& item : from.items()) {
    if (!own.contains(item.key())) throw std::runtime_error("we have no " + item.key());
    own.at(item.key()).visit([&](const auto& t) {
      using Scalar = typename std::decay_t<decltype(t)>::scalar_type;
      out.insert(item.key(), mt::AnyTensor(golden::tensor<Scalar>(item.value())));
    });
  }
  return out;
}

TEST(GoldenEndToEnd, PyTorchsFlow) {
  int cases = 0;
  std::int64_t values = 0;
  for (const golden::Case& c : golden::load("e2e")) {
    if (c.op != "qat_flow" || c.attrs.at("qconfig_version") != 0) continue;
    SCOPED_TRACE(c.id);
    Net net;
    net->qconfig = quant::pytorch_qat_qconfig("qnnpack");
    auto graph = mt::graph::trace(net, mt::ones(mt::Shape{2, 2, 6, 6}));
    auto prepared = mt::passes::prepare_qat(
        mt::passes::fuse_modules(graph, c.attrs.at("fuse").get<mt::passes::FuseGroups>()));
    prepared.load_state_dict(state_of(c.inputs.at("init_state"), prepared.state_dict()),
                             true);  // the same keys

    mt::optim::SGD sgd(prepared.parameters(), c.attrs.at("lr").get<double>());
    std::size_t step = 0;
    for (const golden::Json& batch : c.inputs.at("batches")) {
      sgd.zero_grad();
      const mt::Tensor loss = F::cross_entropy(prepared(golden::tensor(batch.at("x"))),
                                               golden::tensor<std::int64_t>(batch.at("y")));
      loss.backward();
      sgd.step();
      const double want = c.expected.at("losses").at(step++);
      EXPECT_LE(std::abs(static_cast<double>(loss.item()) - want),
                c.tolerance.abs + c.tolerance.rel * std::abs(want))
          << "loss " << loss.item() << ", expected " << want;
    }
    quant::disable_observer(prepared);
    mt::qat::freeze_bn_stats(prepared);
    prepared.eval();
    const nn::StateDict got = prepared.state_dict();
    for (const auto& item : state_of(c.expected.at("trained_state"), got))
      item.second.visit([&](const auto& want) {
        SCOPED_TRACE(item.first);
        EXPECT_EQ(
            golden::difference(got.at(item.first).get<typename std::decay_t<decltype(want)>::scalar_type>(),
                               want, c.tolerance),
            "");
        values += want.numel();
      });

    // From PyTorch's trained state on, so that what follows has nothing to forgive but rounding.
    prepared.load_state_dict(state_of(c.expected.at("trained_state"), got), true);
    const mt::Tensor x = golden::tensor(c.inputs.at("x_test"));
    const mt::NoGradGuard no_grad;
    EXPECT_EQ(golden::difference(prepared(x), golden::tensor(c.expected.at("y_fake_quant")), c.tolerance),
              "");
    const mt::quantized::Model int8 = mt::passes::convert(prepared);
    const mt::Tensor y = int8(x);
    EXPECT_TRUE(mt::identical(y, prepared(x)));
    EXPECT_EQ(golden::difference(y, golden::tensor(c.expected.at("y_quantized")), c.tolerance), "");
    EXPECT_GT(quant::compute_sqnr(golden::tensor(c.expected.at("y_quantized")), y), 60.0);
    for (const auto& item : c.expected.at("converted").items()) {
      SCOPED_TRACE(item.key());
      const auto* unit = dynamic_cast<const mt::qat::Unit*>(prepared.find(item.key())->module.get());
      ASSERT_TRUE(unit);
      EXPECT_EQ(unit->output_qparams().scale, golden::number<float>(item.value().at("scale")));
      EXPECT_EQ(unit->output_qparams().zero_point, item.value().at("zero_point").get<int>());
      if (!item.value().contains("weight")) continue;
      const mt::quantized::Conv* layer = nullptr;
      for (const auto& s : int8.steps())
        if (s.name == item.key()) layer = dynamic_cast<const mt::quantized::Conv*>(s.op.get());
      ASSERT_TRUE(layer);
      const golden::Json& weight = item.value().at("weight");
      EXPECT_EQ(layer->weights().scales[0], golden::number<float>(weight.at("scale")));
      // PyTorch folds with rsqrt, training with sqrt and a division: a code may round to the other side.
      const auto want = golden::tensor<std::int8_t>(weight);
      const std::vector<std::int8_t> codes = layer->weights().codes.to_vector(), expected = want.to_vector();
      int differ = 0;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        EXPECT_LE(std::abs(codes[i] - expected[i]), 1);
        differ += codes[i] != expected[i];
      }
      EXPECT_LE(differ, 1) << "of " << codes.size();
      values += want.numel();
    }
    ++cases;
  }
  EXPECT_EQ(cases, 2);
  std::printf("cases=%d values=%lld\n", cases, static_cast<long long>(values));
}

}  // namespace e2e_test

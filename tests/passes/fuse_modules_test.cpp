// SPDX-License-Identifier: MIT
// Fusion by data flow and by names, and every reason not to fuse.
#include <midtread/passes/fuse_modules.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <support/networks.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
namespace F = midtread::nn::functional;
using mt::test::conv;
using mt::test::expect_error;
using mt::test::Net;
using mt::test::Network;

namespace fuse_modules_test {

std::vector<std::string> types(const mt::graph::GraphModule& graph) {
  std::vector<std::string> out;
  for (const auto& node : graph.nodes())
    if (node->kind == mt::graph::NodeKind::kModule || node->kind == mt::graph::NodeKind::kFunction)
      out.push_back(node->name + ":" + node->type());
  return out;
}
using Types = std::vector<std::string>;

mt::graph::GraphModule traced(const std::shared_ptr<Net>& net, const mt::Shape& shape = {2, 3, 6, 6}) {
  mt::Generator g(1);
  return mt::graph::trace(net, mt::randn(shape, g));
}

/// conv, bn, relu as modules and as functions.
std::shared_ptr<Net> plain(const mt::nn::BatchNormOptions& bn_options = 4) {
  auto net = std::make_shared<Net>();
  auto c = net->add("conv", mt::nn::Conv2d(conv(3, 4, 3)));
  auto bn = net->add("bn", mt::nn::BatchNorm2d(bn_options));
  auto act = net->add("act", mt::nn::ReLU());
  net->body = [=](const mt::Tensors& in) -> mt::Tensors { return {act(bn(c(in[0])))}; };
  return net;
}

TEST(FuseModules, FindsEveryPattern) {
  auto net = std::make_shared<Net>();
  auto c1 = net->add("c1", mt::nn::Conv2d(conv(3, 4, 3)));
  auto b1 = net->add("b1", mt::nn::BatchNorm2d(4));
  auto up = net->add("up", mt::nn::ConvTranspose2d(4, 4, 2));
  auto b2 = net->add("b2", mt::nn::BatchNorm2d(4));
  auto c2 = net->add("c2", mt::nn::Conv2d(conv(4, 4, 1)));
  auto line = net->add("line", mt::nn::Conv1d(4, 4, 1));
  auto b3 = net->add("b3", mt::nn::BatchNorm1d(4));
  auto fc = net->add("fc", mt::nn::Linear(4, 4));
  auto b4 = net->add("b4", mt::nn::BatchNorm1d(4));
  auto fc2 = net->add("fc2", mt::nn::Linear(4, 2));
  net->body = [=](const mt::Tensors& in) -> mt::Tensors {
    const mt::Tensor x = F::relu6(b1(c1(in[0])));
    const mt::Tensor y = b2(up(x));
    const mt::Tensor z = F::relu(c2(y) + y);
    const mt::Tensor l = F::relu(b3(line(F::flatten(F::relu6(c2(z)), 2))));
    return {fc2(F::relu(
        b4(fc(F::slice(F::relu(l + l), 2, 0, 1).rank() == 3 ? F::squeeze(F::slice(l, 2, 0, 1), 2) : l))))};
  };
  const auto fused = mt::passes::fuse_modules(traced(net));
  const Types got = types(fused);
  for (const char* want : {"c1:Conv2dBnReLU6", "up:ConvTranspose2dBn", "c2:Conv2d", "add:add_relu",
                           "c2#2:Conv2dReLU6", "line:Conv1dBnReLU", "fc:LinearBnReLU", "fc2:Linear"})
    EXPECT_NE(std::find(got.begin(), got.end(), want), got.end()) << want;
}

// The fused graph computes the same bits as the model, in eval and in train mode, and shares its parameters.
TEST(FuseModules, ComputesTheSame) {
  int cases = 0;
  for (const Network& network : mt::test::all_networks()) {
    if (network.name == "dropout") continue;
    SCOPED_TRACE(network.name);
    mt::manual_seed(3);
    const auto model = network.make();
    mt::test::scatter(*model, 2);
    const mt::Tensors x = mt::test::random_inputs(network, 5, 6);
    auto graph = mt::graph::trace(model, mt::test::random_inputs(network, 2, 1));
    auto fused = mt::passes::fuse_modules(graph).clone();
    auto twin = graph.clone();
    for (const bool training : {false, true}) {
      fused.train(training);
      twin.train(training);
      const mt::Tensors a = twin.forward_many(x), b = fused.forward_many(x);
      for (std::size_t i = 0; i < a.size(); ++i)
        EXPECT_TRUE(mt::identical(a[i], b[i])) << "training " << training;
      ++cases;
    }
    EXPECT_EQ(fused.named_parameters().size(), model->named_parameters().size());
  }
  std::printf("cases=%d\n", cases);
}

TEST(FuseModules, ByNames) {
  const auto graph = traced(plain());
  EXPECT_EQ(types(mt::passes::fuse_modules(graph, {{"conv", "bn", "act"}})), (Types{"conv:Conv2dBnReLU"}));
  EXPECT_EQ(types(mt::passes::fuse_modules(graph, {{"conv", "bn"}})), (Types{"conv:Conv2dBn", "act:relu"}));
  EXPECT_EQ(types(mt::passes::fuse_modules(graph, mt::passes::FuseGroups{})),
            (Types{"conv:Conv2d", "bn:BatchNorm2d", "act:relu"}));
  EXPECT_EQ(types(graph), (Types{"conv:Conv2d", "bn:BatchNorm2d", "act:relu"}));  // the source is as before
  const auto fused = mt::passes::fuse_modules(graph, {{"conv", "bn", "act"}});
  EXPECT_TRUE(fused.state_dict().contains("conv.weight"));
  EXPECT_TRUE(fused.state_dict().contains("conv.bn.running_mean"));
}

TEST(FuseModules, NamesThatCannotBeFused) {
  using mt::passes::fuse_modules;
  const auto graph = traced(plain());
  expect_error<mt::ConfigError>([&] { fuse_modules(graph, {{"conv", "bn1"}}); }, {"no node is called 'bn1'"});
  expect_error<mt::ConfigError>([&] { fuse_modules(graph, {{"conv"}}); }, {"at least two", "1"});
  expect_error<mt::ConfigError>([&] { fuse_modules(graph, mt::passes::FuseGroups{{}}); }, {"at least two"});
  expect_error<mt::ConfigError>(
      [&] {
        fuse_modules(graph, {{"conv", "act"}});
      },
      {"'conv' is also read by 'bn'"});
  expect_error<mt::ConfigError>(
      [&] {
        fuse_modules(graph, {{"bn", "act"}});
      },
      {"no fusion of (BatchNorm2d, relu)", "known are"});
  expect_error<mt::ConfigError>([&] { fuse_modules(graph, {{"act", "output"}}); }, {"no fusion"});
  expect_error<mt::ConfigError>([&] { fuse_modules(graph, {{"conv", "bn"}, {"bn", "act"}}); }, {"bn"});
  expect_error<mt::ConfigError>(
      [&] {
        fuse_modules(graph, {{"conv", "bn"}, {"conv", "bn"}});
      },
      {"two groups"});
  expect_error<mt::ConfigError>(
      [&] {
        fuse_modules(graph, {{"conv", "bn", "act", "output"}});
      },
      {"no fusion"});
}

TEST(FuseModules, BatchNormsThatCannotBeFolded) {
  using mt::passes::fuse_modules;
  const mt::passes::FuseGroups group{{"conv", "bn"}};
  const Types apart{"conv:Conv2d", "bn:BatchNorm2d", "act:relu"};
  {
    const auto graph = traced(plain(mt::nn::BatchNormOptions(4).affine(false)));
    expect_error<mt::ConfigError>([&] { fuse_modules(graph, group); }, {"affine=true"});
    EXPECT_EQ(types(fuse_modules(graph)), apart);
  }
  {
    const auto graph = traced(plain(mt::nn::BatchNormOptions(4).track_running_stats(false)), {2, 3, 6, 6});
    expect_error<mt::ConfigError>([&] { fuse_modules(graph, group); }, {"track_running_stats=true"});
    EXPECT_EQ(types(fuse_modules(graph)), apart);
  }
  {
    const auto net = plain();
    net->children().at("bn")->eval();
    const auto graph = traced(net);
    expect_error<mt::ConfigError>([&] { fuse_modules(graph, group); },
                                  {"both be in train mode or both in eval mode"});
    net->eval();
    EXPECT_EQ(types(fuse_modules(traced(net))), (Types{"conv:Conv2dBnReLU"}));
    EXPECT_FALSE(net->children().at("conv")->training());
  }
  {
    // A batch norm of another size can only follow by name: the data flow would not run.
    mt::graph::GraphModule graph;
    mt::graph::Node node;
    node.kind = mt::graph::NodeKind::kInput;
    node.name = "x_0";
    mt::graph::Node* last = graph.add(node);
    node.kind = mt::graph::NodeKind::kModule;
    for (const auto& item : std::vector<std::pair<std::string, std::shared_ptr<mt::nn::Module>>>{
             {"conv", mt::nn::Conv2d(3, 4, 1).ptr()}, {"bn", mt::nn::BatchNorm2d(5).ptr()}}) {
      node.name = item.first;
      node.module = item.second;
      node.inputs = {last};
      last = graph.add(node);
    }
    expect_error<mt::ConfigError>([&] { fuse_modules(graph, group); },
                                  {"num_features 5", "4 output channels"});
  }
}

TEST(FuseModules, ValuesWithTwoReadersStay) {
  auto net = std::make_shared<Net>();
  auto c = net->add("conv", mt::nn::Conv2d(conv(3, 4, 3)));
  auto bn = net->add("bn", mt::nn::BatchNorm2d(4));
  net->body = [=](const mt::Tensors& in) -> mt::Tensors {
    const mt::Tensor x = c(in[0]), y = bn(x);
    const mt::Tensor z = F::relu(y);
    return {z + x};
  };
  EXPECT_EQ(types(mt::passes::fuse_modules(traced(net))),
            (Types{"conv:Conv2d", "bn:BatchNorm2d", "relu:relu", "add:add"}));
  expect_error<mt::ConfigError>(
      [&] {
        mt::passes::fuse_modules(traced(net), {{"conv", "bn"}});
      },
      {"'conv' is also read by 'add'"});
  // The intermediate is an output of the model.
  net->body = [=](const mt::Tensors& in) -> mt::Tensors {
    const mt::Tensor x = c(in[0]);
    return {F::relu(bn(x)), x};
  };
  EXPECT_EQ(types(mt::passes::fuse_modules(traced(net))),
            (Types{"conv:Conv2d", "bn:BatchNorm2d", "relu:relu"}));
  net->body = [=](const mt::Tensors& in) -> mt::Tensors {
    const mt::Tensor y = bn(c(in[0]));
    return {F::relu(y), y * 2.0};
  };
  EXPECT_EQ(types(mt::passes::fuse_modules(traced(net))),
            (Types{"conv:Conv2dBn", "relu:relu", "mul_scalar:mul_scalar"}));
  net->body = [=](const mt::Tensors& in) -> mt::Tensors {
    const mt::Tensor y = c(in[0]) + c(in[0]);
    return {F::relu(y), F::relu(y)};
  };
  EXPECT_EQ(types(mt::passes::fuse_modules(traced(net))),
            (Types{"conv:Conv2d", "conv#2:Conv2d", "add:add", "relu:relu", "relu#2:relu"}));
}

// HAT's hook: child names, relative to the module that declares them; what it does not name is found by data
// flow.
class Declaring : public Net {
 public:
  std::vector<std::vector<std::string>> fuse_model() override { return groups; }
  std::vector<std::vector<std::string>> groups;
};

TEST(FuseModules, HooksDeclareGroups) {
  auto block = std::make_shared<Declaring>();
  auto c = block->add("conv", mt::nn::Conv2d(conv(3, 3, 3)));
  auto bn = block->add("bn", mt::nn::BatchNorm2d(3));
  auto act = block->add("act", mt::nn::ReLU());
  block->groups = {{"conv", "bn"}};
  block->body = [=](const mt::Tensors& in) -> mt::Tensors { return {act(bn(c(in[0])))}; };
  auto root = std::make_shared<Net>();
  root->add("block", block);
  auto last = root->add("last", mt::nn::Conv2d(conv(3, 2, 1)));
  root->body = [=](const mt::Tensors& in) -> mt::Tensors { return {F::relu(last(block->call(in)[0]))}; };
  EXPECT_EQ(types(mt::passes::fuse_modules(traced(root))),
            (Types{"block.conv:Conv2dBn", "block.act:relu", "last:Conv2dReLU"}));
  block->groups = {{"conv", "norm"}};
  expect_error<mt::ConfigError>([&] { mt::passes::fuse_modules(traced(root)); }, {"'block.norm'"});
}

TEST(FuseModules, TakesAModelDirectly) {
  const mt::nn::Sequential net(mt::nn::Conv2d(3, 4, 3), mt::nn::BatchNorm2d(4), mt::nn::ReLU());
  mt::Generator g(2);
  const mt::Tensor x = mt::randn(mt::Shape{2, 3, 5, 5}, g);
  EXPECT_EQ(types(mt::passes::fuse_modules(net, x)), (Types{"0:Conv2dBnReLU"}));
  EXPECT_EQ(types(mt::passes::fuse_modules(net, x, {{"0", "1"}})), (Types{"0:Conv2dBn", "2:relu"}));
}

// A second graph of the same model fuses as the first, also after the first was trained and put into eval
// mode.
TEST(FuseModules, AgainFromTheSameModel) {
  const auto net = plain();
  auto first = mt::passes::fuse_modules(traced(net));
  first.eval();
  EXPECT_EQ(types(mt::passes::fuse_modules(traced(net))), types(first));
  EXPECT_EQ(types(mt::passes::fuse_modules(first)), types(first));
}

}  // namespace fuse_modules_test

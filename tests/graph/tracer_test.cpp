// SPDX-License-Identifier: MIT
// Tracing: names, scopes, parameters, what is refused, and that nothing of the model changes.
#include <midtread/graph/print.hpp>
#include <midtread/graph/tracer.hpp>

#include <gtest/gtest.h>

#include <support/networks.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
namespace F = midtread::nn::functional;
using mt::graph::NodeKind;
using mt::test::expect_error;
using mt::test::Net;

namespace tracer_test {

std::vector<std::string> names(const mt::graph::GraphModule& graph) {
  std::vector<std::string> out;
  for (const auto& node : graph.nodes()) out.push_back(node->name);
  return out;
}
using Names = std::vector<std::string>;

/// A model of one lambda.
template <class Body>
std::shared_ptr<Net> model(Body body) {
  auto net = std::make_shared<Net>();
  net->body = body;
  return net;
}
const mt::Tensor kExample = mt::ones(mt::Shape{2, 4});

TEST(Tracer, NamesAreModulePaths) {
  auto block = std::make_shared<Net>();
  auto fc = block->add("fc", mt::nn::Linear(4, 4));
  auto act = block->add("act", mt::nn::ReLU());
  block->body = [=](const mt::Tensors& in) -> mt::Tensors { return {act(fc(fc->forward(in[0]))) + in[0]}; };
  auto root = std::make_shared<Net>();
  root->add("block", block);
  root->body = [=](const mt::Tensors& in) -> mt::Tensors {
    const mt::Tensor y = F::relu(block->call({block->call(in)[0]})[0] * 2.0);
    return {y + mt::relu(in[0]) + in[0]};
  };
  const auto graph = mt::graph::trace(root, kExample);
  EXPECT_EQ(names(graph),
            (Names{"x_0", "block.fc", "block.fc#2", "block.act", "block.add", "block.fc#3", "block.fc#4",
                   "block.act#2", "block.add#2", "mul_scalar", "relu", "relu#2", "add", "add#2", "output"}));
  const mt::graph::Node* node = graph.find("block.act");
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->kind, NodeKind::kFunction);
  ASSERT_EQ(node->scopes.size(), 3u);
  EXPECT_EQ(node->scopes[0].path, "");
  EXPECT_EQ(node->scopes[1].path, "block");
  EXPECT_EQ(node->scopes[2].path, "block.act");
  EXPECT_EQ(node->scopes[1].module, std::static_pointer_cast<mt::nn::Module>(block));
  EXPECT_EQ(graph.find("block.fc")->module, graph.find("block.fc#4")->module);
  EXPECT_EQ(graph.find("block.fc")->example_shape, (mt::Shape{2, 4}));
  EXPECT_EQ(graph.users(graph.find("block.fc")), (std::vector<mt::graph::Node*>{graph.find("block.fc#2")}));
  EXPECT_EQ(graph.find("nothing"), nullptr);
  EXPECT_EQ(graph.find("relu")->type(), "relu");
  EXPECT_EQ(graph.find("block.fc")->type(), "Linear");
  // The same parameters under the same names, and the same function.
  const mt::nn::StateDict state = graph.state_dict(), original = root->state_dict();
  EXPECT_EQ(state.size(), original.size());
  for (const auto& item : original) EXPECT_TRUE(state.contains(item.first)) << item.first;
  mt::Generator g(1);
  const mt::Tensor x = mt::randn(mt::Shape{5, 4}, g);
  auto copy = graph;
  EXPECT_TRUE(mt::identical(copy(x), root->forward(x)));
}

TEST(Tracer, NamesThatAreTakenGetTheNextNumber) {
  auto root = std::make_shared<Net>();
  const mt::Tensor own = root->register_buffer("add", mt::ones(mt::Shape{4}));
  root->body = [own](const mt::Tensors& in) -> mt::Tensors { return {((in[0] + own) + own) + in[0]}; };
  EXPECT_EQ(names(mt::graph::trace(root, kExample)),
            (Names{"x_0", "add", "add#2", "add#3", "add#4", "output"}));
  root->body = [own](const mt::Tensors& in) -> mt::Tensors { return {in[0] + in[0]}; };
  EXPECT_EQ(names(mt::graph::trace(root, kExample)), (Names{"x_0", "add#2", "output"}));
}

TEST(Tracer, ParametersAreNodes) {
  auto root = std::make_shared<Net>();
  const mt::Tensor w = root->register_parameter("w", mt::ones(mt::Shape{3, 4}));
  const mt::Tensor b = root->register_buffer("b", mt::ones(mt::Shape{3}));
  root->body = [=](const mt::Tensors& in) -> mt::Tensors {
    const mt::Tensor y = F::linear(in[0], w, b);
    return {y + F::linear(in[0], w)};
  };
  auto graph = mt::graph::trace(root, kExample);
  EXPECT_EQ(names(graph), (Names{"x_0", "w", "b", "linear", "linear#2", "add", "output"}));
  EXPECT_EQ(graph.find("w")->kind, NodeKind::kParameter);
  EXPECT_EQ(graph.find("linear")->inputs.size(), 3u);
  EXPECT_EQ(graph.find("linear#2")->inputs.at(2), nullptr);  // a missing bias
  ASSERT_EQ(graph.parameters().size(), 1u);
  EXPECT_TRUE(graph.parameters()[0].is(w));
  EXPECT_EQ(graph.named_buffers().size(), 1u);
  mt::mean(graph(kExample)).backward();
  EXPECT_TRUE(w.grad().defined());
  EXPECT_FALSE(b.requires_grad());
}

TEST(Tracer, RefusesWhatItCannotSee) {
  const mt::Tensor outside = mt::ones(mt::Shape{4});
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(model([=](const mt::Tensors& in) -> mt::Tensors { return {in[0] + outside}; }),
                         kExample);
      },
      {"add", "[4]", "no recorded operation", "register"});
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(
            model([=](const mt::Tensors& in) -> mt::Tensors { return {mt::relu(in[0].detach())}; }),
            kExample);
      },
      {"relu", "no recorded operation"});
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(model([](const mt::Tensors&) -> mt::Tensors { return {mt::ones(mt::Shape{2})}; }),
                         kExample);
      },
      {"the output", "no recorded operation"});
  expect_error<mt::TraceError>(
      [&] { mt::graph::trace(model([](const mt::Tensors&) -> mt::Tensors { return {}; }), kExample); },
      {"output", "forward returned nothing"});
  const mt::nn::Linear loose(4, 4);
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(model([=](const mt::Tensors& in) -> mt::Tensors { return {loose(in[0])}; }),
                         kExample);
      },
      {"Linear", "not registered"});
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(model([](const mt::Tensors& in) -> mt::Tensors {
                           mt::Tensor y = mt::relu(in[0]);
                           const mt::Tensor z = y * 2.0;
                           y.fill_(3.0f);
                           return {z + y};
                         }),
                         kExample);
      },
      {"relu", "in place"});
  expect_error<mt::TraceError>([&] { mt::graph::trace(std::shared_ptr<mt::nn::Module>(), kExample); },
                               {"empty"});
  expect_error<mt::TraceError>(
      [&] { mt::graph::trace(model([](const mt::Tensors& in) { return in; }), mt::Tensors{}); }, {"example"});
}

TEST(Tracer, ModelsOnTheStackAreNamed) {
  Net net;
  net.body = [](const mt::Tensors& in) -> mt::Tensors { return in; };
  expect_error<mt::TraceError>([&] { mt::graph::trace(net, kExample); }, {"Net", "shared_ptr"});
  // A child that is registered, but that nobody owns.
  mt::nn::LinearImpl fc(mt::nn::LinearOptions(4, 2));
  auto root = std::make_shared<Net>();
  root->add("fc", std::shared_ptr<mt::nn::LinearImpl>(std::make_shared<int>(0), &fc));
  root->body = [&](const mt::Tensors& in) -> mt::Tensors { return {fc.forward(in[0])}; };
  expect_error<mt::TraceError>([&] { mt::graph::trace(root, kExample); },
                               {"Linear", "not owned by a holder or a shared_ptr"});
}

TEST(Tracer, FindsDependenceOnTheBatch) {
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(model([](const mt::Tensors& in) -> mt::Tensors {
                           return {F::reshape(in[0], {2, 2, 2})};
                         }),
                         kExample);
      },
      {"reshape", "batch of 3"});
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(model([](const mt::Tensors& in) -> mt::Tensors {
                           return {in[0] * static_cast<double>(in[0].size(0))};
                         }),
                         kExample);
      },
      {"mul_scalar", "batch size"});
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(model([](const mt::Tensors& in) -> mt::Tensors {
                           return {in[0].size(0) > 2 ? mt::relu(mt::relu(in[0])) : mt::relu(in[0])};
                         }),
                         kExample);
      },
      {"relu", "depends on the batch size", "output"});
  const auto free = mt::graph::trace(model([](const mt::Tensors& in) -> mt::Tensors {
                                       return {F::reshape(in[0], {2, 2, 2})};
                                     }),
                                     kExample, mt::graph::TraceOptions().check_batch(false));
  EXPECT_EQ(free.nodes().size(), 3u);
}

TEST(Tracer, FindsStateAndRandomness) {
  auto calls = std::make_shared<int>(0);
  expect_error<mt::TraceError>(
      [&] {
        mt::graph::trace(model([calls](const mt::Tensors& in) -> mt::Tensors {
                           return {in[0] * static_cast<double>(++*calls)};
                         }),
                         kExample);
      },
      {"mul_scalar"});
  // An opaque module that keeps state.
  auto stateful = std::make_shared<Net>();
  stateful->set_leaf(true);
  stateful->body = [calls](const mt::Tensors& in) -> mt::Tensors {
    return {in[0] * static_cast<double>(++*calls)};
  };
  auto root = std::make_shared<Net>();
  root->add("stateful", stateful);
  root->body = [=](const mt::Tensors& in) -> mt::Tensors { return stateful->call(in); };
  expect_error<mt::TraceError>([&] { mt::graph::trace(root, kExample); },
                               {"stateful", "random numbers or keep state"});
}

TEST(Tracer, OpaqueModulesAreOneNode) {
  auto inner = std::make_shared<Net>();
  auto fc = inner->add("fc", mt::nn::Linear(4, 3));
  inner->body = [=](const mt::Tensors& in) -> mt::Tensors { return {F::softmax(fc(in[0]), 1)}; };
  inner->set_leaf(true);
  auto root = std::make_shared<Net>();
  root->add("inner", inner);
  root->body = [=](const mt::Tensors& in) -> mt::Tensors { return {F::relu(inner->call(in)[0])}; };
  auto graph = mt::graph::trace(root, kExample);
  EXPECT_EQ(names(graph), (Names{"x_0", "inner", "relu", "output"}));
  EXPECT_TRUE(graph.state_dict().contains("inner.fc.weight"));
  expect_error<mt::UnsupportedError>([&] { graph.clone(); }, {"Net", "clone"});
  inner->body = [=](const mt::Tensors& in) -> mt::Tensors { return {in[0], in[0]}; };
  expect_error<mt::TraceError>([&] { mt::graph::trace(root, kExample); }, {"inner", "one tensor", "2"});
}

TEST(Tracer, LeavesModesBuffersAndGeneratorsAlone) {
  for (const bool training : {true, false}) {
    auto net = std::make_shared<Net>();
    auto c = net->add("c", mt::nn::Linear(4, 4));
    auto bn = net->add("bn", mt::nn::BatchNorm1d(4));
    auto drop = net->add("drop", mt::nn::Dropout(0.5));
    const mt::Tensor counter = net->register_buffer("counter", mt::zeros(mt::Shape{1}));
    net->body = [=](const mt::Tensors& in) -> mt::Tensors {
      counter.set({0}, counter.item() + 1.0f);
      return {drop(bn(c(in[0])))};
    };
    net->train(training);
    drop->train(!training);
    bn->running_mean.fill_(0.25f);
    auto graph = mt::graph::trace(net, kExample);
    EXPECT_EQ(net->training(), training);
    EXPECT_EQ(bn->training(), training);
    EXPECT_EQ(drop->training(), !training);
    EXPECT_EQ(graph.training(), training);
    EXPECT_EQ(counter.item(), 0.0f);
    EXPECT_EQ(bn->running_mean.at({2}), 0.25f);
    EXPECT_EQ(bn->num_batches_tracked.item(), 0);
    EXPECT_EQ(mt::ops::recorder(), nullptr);
    // After an error as well.
    net->body = [](const mt::Tensors&) -> mt::Tensors { throw mt::ShapeError("here", "wrong"); };
    EXPECT_THROW(mt::graph::trace(net, kExample), mt::ShapeError);
    EXPECT_EQ(bn->training(), training);
    EXPECT_EQ(drop->training(), !training);
    EXPECT_EQ(mt::ops::recorder(), nullptr);
  }
}

// F::dropout's default is training = true: the graph's mode decides.
TEST(Tracer, FunctionalDropoutAndBatchNormFollowTheGraphsMode) {
  auto net = std::make_shared<Net>();
  const mt::Tensor mean = net->register_buffer("mean", mt::zeros(mt::Shape{4})),
                   var = net->register_buffer("var", mt::ones(mt::Shape{4}));
  net->body = [=](const mt::Tensors& in) -> mt::Tensors {
    mt::ops::BatchNorm train;
    train.training = true;
    return {F::dropout(F::batch_norm(in[0], mt::Tensor(), mt::Tensor(), mean, var, train), 0.5)};
  };
  mt::Generator g(5);
  const mt::Tensor x = mt::randn(mt::Shape{64, 4}, g);
  auto graph = mt::graph::trace(net, x);
  EXPECT_EQ(mean.at({0}), 0.0f);
  graph.eval();
  EXPECT_TRUE(mt::allclose(graph(x), x, 1e-4, 1e-5));
  EXPECT_EQ(mean.at({0}), 0.0f);
  graph.train();
  std::int64_t dropped = 0;
  for (float v : graph(x).to_vector()) dropped += v == 0.0f;
  EXPECT_GT(dropped, 60);
  EXPECT_NE(mean.at({0}), 0.0f);
}

TEST(Tracer, SeveralInputsAndOutputs) {
  auto net = std::make_shared<Net>();
  net->body = [](const mt::Tensors& in) -> mt::Tensors { return {in[0] + in[1], in[1], in[0] * in[0]}; };
  auto graph = mt::graph::trace(net, mt::Tensors{kExample, mt::zeros(mt::Shape{2, 4})});
  const mt::Tensors out = graph(mt::Tensors{kExample, kExample});
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].at({0, 0}), 2.0f);
  expect_error<mt::ShapeError>([&] { graph(kExample); }, {"x_1", "more inputs"});
  expect_error<mt::ShapeError>(
      [&] {
        graph(mt::Tensors{kExample, kExample, kExample});
      },
      {"the model takes 2 inputs, got 3"});
}

}  // namespace tracer_test

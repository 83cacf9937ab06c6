// SPDX-License-Identifier: MIT
// Graphs as modules: copies share, clones do not; lint; text and DOT.
#include <midtread/graph/print.hpp>

#include <gtest/gtest.h>

#include <support/networks.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
using mt::graph::GraphModule;
using mt::graph::Node;
using mt::graph::NodeKind;
using mt::test::expect_error;

namespace graph_module_test {

mt::Tensors clones(const mt::Tensors& tensors) {
  mt::Tensors out;
  for (const mt::Tensor& t : tensors) out.push_back(t.clone());
  return out;
}

// Every network: the clone computes the same, training it does not touch the original, and what was shared
// stays shared.
TEST(GraphModule, ClonesAreEqualAndIndependent) {
  int cases = 0;
  for (const mt::test::Network& network : mt::test::all_networks()) {
    SCOPED_TRACE(network.name);
    mt::test::Trained t = mt::test::trained(network, mt::test::default_mapping(), 1);
    GraphModule copy = t.prepared.clone();
    EXPECT_EQ(copy.training(), t.prepared.training());
    ASSERT_EQ(copy.nodes().size(), t.prepared.nodes().size());
    const auto names = t.prepared.named_parameters(), copied = copy.named_parameters();
    ASSERT_EQ(names.size(), copied.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(names[i].first, copied[i].first);
      EXPECT_FALSE(names[i].second.is(copied[i].second));
      EXPECT_TRUE(copied[i].second.requires_grad());
    }
    const auto state = t.prepared.state_dict(), copied_state = copy.state_dict();
    ASSERT_EQ(state.size(), copied_state.size());
    t.prepared.eval();
    copy.eval();
    const mt::Tensors x = mt::test::random_inputs(network, 3, 8);
    const mt::Tensors a = clones(t.prepared.forward_many(x)), b = copy.forward_many(x);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(mt::identical(a[i], b[i]));
    // Train the copy: it moves, the original does not.
    mt::test::Trained other;
    other.prepared = copy;
    other.prepared.train();
    mt::test::train(other, network, 2);
    other.prepared.eval();
    t.prepared.eval();
    const mt::Tensors again = t.prepared.forward_many(x), moved = other.prepared.forward_many(x);
    bool differs = false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(mt::identical(a[i], again[i]));
      differs = differs || !mt::identical(a[i], moved[i]);
    }
    EXPECT_TRUE(differs);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(GraphModule, CopiesShareTheirModules) {
  mt::test::Trained t = mt::test::trained(mt::test::free_parameters(), mt::test::default_mapping(), 1);
  GraphModule copy = t.prepared, third;
  third = copy;
  const GraphModule& itself = third;
  third = itself;
  const auto a = t.prepared.named_parameters(), b = third.named_parameters();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_TRUE(a[i].second.is(b[i].second));
  }
  EXPECT_EQ(t.prepared.state_dict().size(), third.state_dict().size());
  EXPECT_EQ(third.nodes().back()->inputs[0], third.find(t.prepared.nodes().back()->inputs[0]->name));
}

TEST(GraphModule, ReportsEveryValueAndRejectsDoubleNames) {
  const mt::test::Network network = mt::test::resnet();
  auto graph = mt::graph::trace(network.make(), mt::test::random_inputs(network, 2, 1));
  std::vector<std::string> seen;
  graph.run(mt::test::random_inputs(network, 2, 1), [&](const Node& node, const mt::Tensor& value) {
    seen.push_back(node.name);
    EXPECT_EQ(value.shape(), node.example_shape);
  });
  EXPECT_EQ(seen.size() + 1, graph.nodes().size());
  Node twice;
  twice.kind = NodeKind::kInput;
  twice.name = "x_0";
  expect_error<mt::StateError>([&] { graph.add(twice); }, {"x_0", "two nodes"});
}

TEST(Lint, NamesTheFirstBrokenNode) {
  const auto input = [](const std::string& name) {
    Node node;
    node.kind = NodeKind::kInput;
    node.name = name;
    return node;
  };
  const auto output = [](Node* from) {
    Node node;
    node.kind = NodeKind::kOutput;
    node.name = "output";
    node.inputs = {from};
    return node;
  };
  {
    GraphModule graph;
    graph.add(input("x_0"));
    expect_error<mt::StateError>([&] { mt::graph::lint(graph, "p"); }, {"p", "no output"});
    graph.add(output(graph.find("x_0")));
    EXPECT_NO_THROW(mt::graph::lint(graph, "p"));
    graph.add(input("x_1"));
    expect_error<mt::StateError>([&] { mt::graph::lint(graph, "p"); },
                                 {"x_1", "after p", "follows the output"});
  }
  {
    GraphModule graph, other;
    graph.add(input("x_0"));
    graph.add(output(other.add(input("alien"))));
    expect_error<mt::StateError>([&] { mt::graph::lint(graph, "p"); }, {"output", "'alien'", "before it"});
  }
  for (const NodeKind kind : {NodeKind::kModule, NodeKind::kFunction}) {
    GraphModule graph;
    Node node = input("empty");
    node.kind = kind;
    graph.add(node);
    expect_error<mt::StateError>([&] { mt::graph::lint(graph, "p"); }, {"empty", "without"});
  }
  {
    GraphModule graph;
    Node* x = graph.add(input("x_0"));
    Node second = input("x_1");
    second.inputs = {x};
    graph.add(second);
    expect_error<mt::StateError>([&] { mt::graph::lint(graph, "p"); }, {"x_1", "reads another node"});
  }
  {
    GraphModule graph;
    graph.add(input("x_0"));
    Node node = input("conv");
    node.kind = NodeKind::kModule;
    node.module = mt::nn::Linear(2, 2).ptr();
    graph.add(node);
    graph.children() = {};
    expect_error<mt::StateError>([&] { mt::graph::lint(graph, "p"); }, {"conv", "children"});
  }
}

TEST(NodeMapping, NamesAnInputThatWasNotCopied) {
  Node source, reader;
  source.kind = NodeKind::kInput;
  source.name = "x_0";
  reader.name = "relu";
  GraphModule from, to;
  Node* x = from.add(source);
  reader.inputs = {x, nullptr};
  mt::graph::NodeMapping mapping(from.nodes().size());
  expect_error<mt::StateError>([&] { mapping.apply(reader); },
                               {"relu", "reads 'x_0', which the new graph does not have"});
  mapping[x] = to.add(source);
  mapping.apply(reader);
  EXPECT_EQ(reader.inputs, (std::vector<Node*>{to.find("x_0"), nullptr}));
}

TEST(Print, TextAndDotNameNodesQuantizersAndFloatOperations) {
  mt::test::Trained t = mt::test::trained(mt::test::float_layer(), mt::test::default_mapping(), 1);
  const std::string text = mt::graph::to_text(t.prepared);
  for (const char* part : {"node", "target", "inputs", "x_0", "input_0", "QatConv2dBnReLU(3, 4",
                           "output: uint8_affine, 0..255, scale=", "weight: int8_symmetric_per_channel",
                           "stays float: qconfig is none", "c2_quantize", "output"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  std::ostringstream stream;
  stream << t.prepared;
  EXPECT_EQ(stream.str(), text);
  const std::string dot = mt::graph::to_dot(t.prepared);
  for (const char* part :
       {"digraph", "\"x_0\" -> \"input_0\"", "palegreen", "orange", "\"c3\" -> \"output\""})
    EXPECT_NE(dot.find(part), std::string::npos) << part << " in\n" << dot;
  EXPECT_EQ(dot.back(), '\n');
  EXPECT_EQ(std::count(dot.begin(), dot.end(), '{'), std::count(dot.begin(), dot.end(), '}'));
  EXPECT_EQ(mt::graph::detail::quoted("a\"b\\c"), "a\\\"b\\\\c");
  const auto plain = mt::graph::to_text(mt::graph::trace(
      mt::test::two_in_two_out().make(), mt::test::random_inputs(mt::test::two_in_two_out(), 2, 1)));
  EXPECT_NE(plain.find("x_1"), std::string::npos);
  EXPECT_EQ(plain.find("stays float"), std::string::npos);
}

}  // namespace graph_module_test

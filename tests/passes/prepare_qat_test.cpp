// SPDX-License-Identifier: MIT
// Which operation gets which qconfig, what stays float and why, and what prepare_qat refuses.
#include <midtread/passes/prepare_qat.hpp>

#include <gtest/gtest.h>

#include <support/networks.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
namespace F = midtread::nn::functional;
namespace quant = midtread::quant;
using mt::test::conv;
using mt::test::expect_error;
using mt::test::Net;

namespace prepare_qat_test {

using Activation = quant::DefaultActivation;
using Weight = quant::DefaultWeight;

/// A qconfig that can be told by the upper end of its codes.
std::shared_ptr<const quant::AnyQConfig> tagged(int quant_max) {
  return quant::erase(
      quant::QConfig(Activation::Options().quant_min(0).quant_max(quant_max), Weight::Options()));
}
/// The tag of a node's unit; 0: it has none.
int tag(const mt::graph::GraphModule& prepared, const std::string& name) {
  const auto* node = prepared.find(name);
  const auto* unit = node ? dynamic_cast<const mt::qat::Unit*>(node->module.get()) : nullptr;
  return unit ? unit->activation_post_process().range().quant_max : 0;
}
const mt::graph::Node& node(const mt::graph::GraphModule& graph, const std::string& name) {
  const auto* found = graph.find(name);
  EXPECT_NE(found, nullptr) << name;
  return *found;
}

struct Model {
  std::shared_ptr<Net> root = std::make_shared<Net>(), block = std::make_shared<Net>();
  mt::nn::Linear first{4, 4}, second{4, 4}, last{4, 4};
  Model() {
    root->add("first", first);
    root->add("block", block);
    block->add("second", second);
    root->add("last", last);
    block->body = [s = second](const mt::Tensors& in) -> mt::Tensors {
      return {F::hardswish(s(in[0])) + in[0]};
    };
    root->body = [f = first, l = last, b = block](const mt::Tensors& in) -> mt::Tensors {
      return {l(b->call({f(in[0])})[0])};
    };
  }
  mt::graph::GraphModule prepared(const quant::QConfigMapping& mapping = {}) const {
    return mt::passes::prepare_qat(mt::graph::trace(root, mt::ones(mt::Shape{2, 4})), mapping);
  }
};

TEST(PrepareQat, AttributesAreInherited) {
  Model m;
  m.root->qconfig = tagged(50);
  auto p = m.prepared();
  for (const char* name : {"input_0", "first", "block.second", "block.hardswish", "block.add", "last"})
    EXPECT_EQ(tag(p, name), 50) << name;
  m.block->qconfig = tagged(60);
  m.second->qconfig = tagged(70);
  p = m.prepared();
  EXPECT_EQ(tag(p, "first"), 50);
  EXPECT_EQ(tag(p, "block.second"), 70);
  EXPECT_EQ(tag(p, "block.hardswish"), 60);
  EXPECT_EQ(tag(p, "block.add"), 60);
  EXPECT_EQ(tag(p, "last"), 50);
  m.block->qconfig.reset();
  EXPECT_EQ(tag(m.prepared(), "block.add"), 50);
}

TEST(PrepareQat, AttributeBeatsNameBeatsTypeBeatsGlobal) {
  Model m;
  quant::QConfigMapping mapping;
  mapping.set_global(tagged(10));
  auto p = m.prepared(mapping);
  for (const char* name : {"input_0", "first", "block.second", "block.hardswish", "block.add", "last"})
    EXPECT_EQ(tag(p, name), 10) << name;
  mapping.set_object_type("Linear", tagged(20)).set_object_type("add", tagged(21));
  p = m.prepared(mapping);
  EXPECT_EQ(tag(p, "first"), 20);
  EXPECT_EQ(tag(p, "block.second"), 20);
  EXPECT_EQ(tag(p, "block.add"), 21);
  EXPECT_EQ(tag(p, "block.hardswish"), 10);
  mapping.set_module_name("block", tagged(30))
      .set_module_name("block.second", tagged(31))
      .set_module_name("block.hardswish", tagged(32));
  p = m.prepared(mapping);
  EXPECT_EQ(tag(p, "first"), 20);
  EXPECT_EQ(tag(p, "block.second"), 31);
  EXPECT_EQ(tag(p, "block.hardswish"), 32);
  m.second->qconfig = tagged(40);
  m.root->qconfig = tagged(41);
  p = m.prepared(mapping);
  EXPECT_EQ(tag(p, "block.second"), 40);
  EXPECT_EQ(tag(p, "block.hardswish"), 32);
  EXPECT_EQ(tag(p, "first"), 20);  // its own type is nearer than the root's attribute
}

TEST(PrepareQat, NullptrKeepsFloat) {
  Model m;
  quant::QConfigMapping mapping;
  mapping.set_global(tagged(10)).set_module_name("block", nullptr);
  auto p = m.prepared(mapping);
  EXPECT_EQ(tag(p, "block.second"), 0);
  EXPECT_EQ(node(p, "block.second").note, "qconfig is none");
  EXPECT_TRUE(node(p, "block.second").stays_float);
  EXPECT_EQ(node(p, "block.second").module, std::static_pointer_cast<mt::nn::Module>(m.second.ptr()));
  EXPECT_EQ(tag(p, "block.add_quantize"), 10);  // its reader's
  EXPECT_EQ(mt::passes::float_report(p),
            (std::vector<std::string>{"block.second: qconfig is none", "block.hardswish: qconfig is none",
                                      "block.add: qconfig is none"}));
  // Only one layer has a qconfig at all.
  Model lone;
  lone.second->qconfig = tagged(5);
  p = lone.prepared();
  EXPECT_EQ(tag(p, "first"), 0);
  EXPECT_EQ(node(p, "first").note, "no qconfig");
  EXPECT_EQ(tag(p, "first_quantize"), 5);
  EXPECT_EQ(tag(p, "block.second"), 5);
  EXPECT_EQ(p.find("input_0"), nullptr);
  EXPECT_EQ(p.find("block.second_quantize"), nullptr);
}

// The user's modules hold nothing of ours afterwards: preparing again, from the same model and the same
// graph, works.
TEST(PrepareQat, LeavesTheFloatModelAlone) {
  int cases = 0;
  for (const mt::test::Network& network : mt::test::all_networks()) {
    SCOPED_TRACE(network.name);
    const auto model = network.make();
    std::vector<std::string> before;
    for (const auto& item : model->state_dict()) before.push_back(item.first);
    const auto fused =
        mt::passes::fuse_modules(mt::graph::trace(model, mt::test::random_inputs(network, 2, 1)));
    std::vector<std::string> keys[2];
    for (auto& list : keys) {
      const auto prepared = mt::passes::prepare_qat(fused, mt::test::default_mapping());
      for (const auto& item : prepared.state_dict()) list.push_back(item.first);
    }
    EXPECT_EQ(keys[0], keys[1]);
    std::vector<std::string> after;
    for (const auto& item : model->state_dict()) after.push_back(item.first);
    EXPECT_EQ(before, after);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(PrepareQat, OneQuantizerPerTensorAndSharedWeights) {
  const mt::test::Network network = mt::test::shared_modules();
  const auto p = mt::passes::prepare_qat(
      mt::passes::fuse_modules(mt::graph::trace(network.make(), mt::test::random_inputs(network, 2, 1))),
      mt::test::default_mapping());
  const auto* one = dynamic_cast<const mt::qat::ConvUnit*>(node(p, "conv").module.get());
  const auto* two = dynamic_cast<const mt::qat::ConvUnit*>(node(p, "conv#2").module.get());
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->shared_weight_fake_quant(), two->shared_weight_fake_quant());
  EXPECT_NE(&one->activation_post_process(), &two->activation_post_process());
  const auto state = p.state_dict();
  EXPECT_TRUE(state.contains("conv.weight") && state.contains("conv.weight_fake_quant.scale") &&
              state.contains("conv.bn.running_var"));
  EXPECT_TRUE(state.contains("conv#2.activation_post_process.scale"));
  EXPECT_FALSE(state.contains("conv#2.weight") || state.contains("conv#2.weight_fake_quant.scale"));
}

TEST(PrepareQat, NamesWhatStaysFloatAndWhy) {
  auto net = std::make_shared<Net>();
  auto bn = net->add("bn", mt::nn::BatchNorm1d(4));
  auto fc = net->add("fc", mt::nn::Linear(4, 4));
  auto opaque = std::make_shared<Net>();
  opaque->set_leaf(true);
  opaque->body = [](const mt::Tensors& in) -> mt::Tensors { return {F::relu(in[0])}; };
  net->add("opaque", opaque);
  net->body = [=](const mt::Tensors& in) -> mt::Tensors {
    const mt::Tensor x = F::softmax(fc(bn(in[0])), 1) - in[0];
    const mt::Tensor y = opaque->call({x})[0];
    return {fc(F::unsqueeze(y, 0)), fc(y / x)};
  };
  net->qconfig = tagged(255);
  const auto p = mt::passes::prepare_qat(mt::graph::trace(net, mt::ones(mt::Shape{2, 4})));
  EXPECT_NE(node(p, "bn").note.find("unless it is fused"), std::string::npos);
  EXPECT_EQ(node(p, "softmax").note, "softmax has no int8 kernel");
  EXPECT_EQ(node(p, "sub").note, "sub has no int8 kernel");
  EXPECT_EQ(node(p, "div").note, "div has no int8 kernel");
  EXPECT_EQ(node(p, "opaque").note, "opaque module");
  EXPECT_NE(node(p, "fc#2").note.find("rank 3"), std::string::npos);
  EXPECT_EQ(node(p, "fc").note, "");
  EXPECT_EQ(mt::passes::float_report(p).size(), 6u);
}

TEST(PrepareQat, FixedRangesHaveFixedQuantizers) {
  for (const bool is_signed : {false, true}) {
    auto net = std::make_shared<Net>();
    auto fc = net->add("fc", mt::nn::Linear(4, 4));
    net->body = [=](const mt::Tensors& in) -> mt::Tensors {
      const mt::Tensor x = fc(in[0]);
      return {F::sigmoid(x), F::tanh(x), F::hardsigmoid(x)};
    };
    using Signed = quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::Int8Affine>>;
    if (is_signed)
      net->qconfig = quant::QConfig(Signed::Options().rounding(mt::Rounding::kHalfUp), Weight::Options());
    else
      net->qconfig = quant::DefaultQConfig{};
    const auto p = mt::passes::prepare_qat(mt::graph::trace(net, mt::ones(mt::Shape{2, 4})));
    const auto q = [&](const char* name) {
      return dynamic_cast<const mt::qat::Unit&>(*node(p, name).module)
          .activation_post_process()
          .tensor_qparams();
    };
    EXPECT_EQ(q("sigmoid").scale, 1.0f / 256);
    EXPECT_EQ(q("hardsigmoid").scale, 1.0f / 256);
    EXPECT_EQ(q("tanh").scale, 2.0f / 256);
    EXPECT_EQ(q("sigmoid").zero_point, is_signed ? -128 : 0);
    EXPECT_EQ(q("tanh").zero_point, is_signed ? 0 : 128);
    EXPECT_EQ(q("tanh").rounding, is_signed ? mt::Rounding::kHalfUp : mt::Rounding::kHalfEven);
    EXPECT_EQ(q("tanh").dtype, is_signed ? mt::DType::kInt8 : mt::DType::kUInt8);
  }
}

TEST(PrepareQat, Refuses) {
  Model m;
  expect_error<mt::ConfigError>([&] { m.prepared(); }, {"nothing to quantize", "set_global"});
  quant::QConfigMapping typo;
  typo.set_global(tagged(255)).set_module_name("block.secnd", nullptr);
  expect_error<mt::ConfigError>([&] { m.prepared(typo); }, {"block.secnd", "block.second", "does not have"});
  quant::QConfigMapping nothing;
  nothing.set_global(nullptr);
  expect_error<mt::ConfigError>([&] { m.prepared(nothing); }, {"nothing to quantize"});
  const auto p = m.prepared(quant::QConfigMapping().set_global(tagged(255)));
  expect_error<mt::StateError>(
      [&] { mt::passes::prepare_qat(p, quant::QConfigMapping().set_global(tagged(255))); },
      {"prepared already"});
  quant::QConfigMapping no_output;
  no_output.set_global(quant::QConfig<quant::FloatOutput, Weight>{});
  expect_error<mt::ConfigError>([&] { m.prepared(no_output); }, {"no activation"});
}

TEST(PrepareQat, NamesOfTheMappingThatFitNothing) {
  Model m;
  int cases = 0;
  const auto refused = [&](const quant::QConfigMapping& mapping, std::initializer_list<std::string> words) {
    quant::QConfigMapping global = mapping;
    global.set_global(tagged(255));
    expect_error<mt::ConfigError>([&] { m.prepared(global); }, words);
    ++cases;
  };
  for (const char* name :
       {"blok", "first#2", "block.second.weight", "x_0", "output", "input_1", "input", "First"})
    refused(quant::QConfigMapping().set_module_name(name, nullptr),
            {name, "does not have", "block.second", "input_0"});
  for (const char* type : {"Conv2d", "linear", "relu", "LSTM", "Linear ", "add_relu"})
    refused(quant::QConfigMapping().set_object_type(type, nullptr),
            {type, "does not have", "Linear", "hardswish"});
  refused(quant::QConfigMapping().set_module_name("block.hardswish_quantize", tagged(3)),
          {"block.hardswish_quantize", "not needed", "block.hardswish"});
  refused(quant::QConfigMapping().set_module_name("input_0", nullptr),
          {"input_0", "quantized operations read it"});
  refused(quant::QConfigMapping().set_module_name("first", nullptr).set_module_name("input_0", tagged(3)),
          {"input_0", "not needed"});
  for (const char* name : {"first", "block", "block.second", "block.add", "input_0"})
    EXPECT_NO_THROW(
        m.prepared(quant::QConfigMapping().set_global(tagged(255)).set_module_name(name, tagged(3))))
        << name;
  for (const char* type : {"Linear", "Net", "add", "hardswish"})
    EXPECT_NO_THROW(
        m.prepared(quant::QConfigMapping().set_global(tagged(255)).set_object_type(type, tagged(3))))
        << type;
  std::printf("cases=%d\n", cases);
}

TEST(PrepareQat, TypesOfFusedLayers) {
  const mt::test::Network network = mt::test::cnn_max_pool();
  const auto fused =
      mt::passes::fuse_modules(mt::graph::trace(network.make(), mt::test::random_inputs(network, 2, 1)));
  std::string type, name;
  for (const auto& each : fused.nodes())
    if (const auto* layer = dynamic_cast<const mt::nn::FusedImpl*>(each->module.get())) {
      if (!layer->bn() || type.size()) continue;
      type = layer->type_name();
      name = each->name;
    }
  ASSERT_NE(type, "");
  const auto with = [&](const std::string& of) {
    return mt::passes::prepare_qat(
        fused, quant::QConfigMapping().set_global(tagged(255)).set_object_type(of, tagged(7)));
  };
  EXPECT_EQ(tag(with(type), name), 7);
  EXPECT_EQ(tag(with("Conv2d"), name), 7);
  expect_error<mt::ConfigError>([&] { with("BatchNorm2d"); },
                                {"BatchNorm2d", "fused into the layer before it"});
}

TEST(PrepareQat, InputsAndSecondCallsHaveNames) {
  auto root = std::make_shared<Net>();
  mt::nn::Linear twice(4, 4);
  root->add("twice", twice);
  root->body = [twice](const mt::Tensors& in) -> mt::Tensors {
    return {twice(F::hardswish(twice(in[0]))) + in[1]};
  };
  const auto prepared = [&](const quant::QConfigMapping& mapping) {
    return mt::passes::prepare_qat(mt::graph::trace(root, mt::Tensors{mt::ones({2, 4}), mt::ones({2, 4})}),
                                   mapping);
  };
  quant::QConfigMapping mapping;
  mapping.set_global(tagged(10)).set_module_name("twice", tagged(20)).set_module_name("twice#2", tagged(21));
  mapping.set_module_name("input_1", tagged(30));
  auto p = prepared(mapping);
  EXPECT_EQ(tag(p, "twice"), 20);
  EXPECT_EQ(tag(p, "twice#2"), 21);
  EXPECT_EQ(tag(p, "input_0"), 20);  // its reader's
  EXPECT_EQ(tag(p, "input_1"), 30);
  p = prepared(quant::QConfigMapping().set_global(tagged(10)).set_module_name("twice#2", nullptr));
  EXPECT_EQ(tag(p, "twice"), 10);
  EXPECT_EQ(tag(p, "twice#2"), 0);
  EXPECT_EQ(tag(p, "twice#2_quantize"), 10);  // the sum reads codes
  p = prepared(quant::QConfigMapping()
                   .set_global(tagged(10))
                   .set_module_name("twice#2", nullptr)
                   .set_module_name("twice#2_quantize", tagged(40)));
  EXPECT_EQ(tag(p, "twice#2_quantize"), 40);
  twice->qconfig = tagged(50);  // an attribute is for every call, a name of one call for that call
  p = prepared(mapping);
  EXPECT_EQ(tag(p, "twice"), 50);
  EXPECT_EQ(tag(p, "twice#2"), 21);
  twice->qconfig.reset();
  const quant::QConfig other(Activation::Options(), Weight::Options().bit_width(4));
  expect_error<mt::ConfigError>(
      [&] { prepared(quant::QConfigMapping().set_global(tagged(10)).set_module_name("twice#2", other)); },
      {"twice#2", "shares its weight with 'twice'", "give both the same"});
}

// HAT's hook: called once per module, before qconfigs are read.
class Hooked : public Net {
 public:
  void set_qconfig() override {
    ++calls;
    qconfig = tagged(33);
    children().at("second")->qconfig = nullptr;
  }
  int calls = 0;
};

TEST(PrepareQat, CallsSetQconfig) {
  auto root = std::make_shared<Hooked>();
  auto first = root->add("first", mt::nn::Linear(4, 4));
  auto second = root->add("second", mt::nn::Linear(4, 4));
  root->body = [=](const mt::Tensors& in) -> mt::Tensors { return {second(first(first(in[0])))}; };
  const auto p = mt::passes::prepare_qat(mt::graph::trace(root, mt::ones(mt::Shape{2, 4})));
  EXPECT_EQ(root->calls, 1);
  EXPECT_EQ(tag(p, "first"), 33);
  EXPECT_EQ(tag(p, "second"), 0);
}

TEST(PrepareQat, KeepsModesAndSwitchesGradients) {
  Model m;
  m.root->eval();
  EXPECT_FALSE(m.prepared(mt::test::default_mapping()).training());
  m.root->train();
  auto p = m.prepared(mt::test::default_mapping());
  EXPECT_TRUE(p.training());
  m.first->weight.requires_grad_(false);
  p = m.prepared(mt::test::default_mapping());
  EXPECT_FALSE(m.first->weight.requires_grad());
}

}  // namespace prepare_qat_test

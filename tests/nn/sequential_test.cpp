// SPDX-License-Identifier: MIT
// Containers, and how a tree of modules prints.
#include <midtread/nn/activation.hpp>
#include <midtread/nn/conv2d.hpp>
#include <midtread/nn/flatten.hpp>
#include <midtread/nn/linear.hpp>
#include <midtread/nn/module_list.hpp>
#include <midtread/nn/print.hpp>
#include <midtread/nn/sequential.hpp>

#include <support/call_log.hpp>
#include <support/random_tensor.hpp>

#include <sstream>

namespace midtread {
namespace sequential_test {

using namespace test;

template <class T>
std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

TEST(Sequential, CallsItsModulesInOrder) {
  nn::Linear first(4, 3), second(3, 2);
  nn::Sequential net(first, nn::ReLU(), second);
  EXPECT_EQ(net->size(), 3u);
  Generator g(1);
  const Tensor x = randn({5, 4}, g);
  EXPECT_TRUE(identical(net(x), second(relu(first(x)))));
  EXPECT_TRUE(identical(net->forward(x), net(x)));
  EXPECT_EQ(net(std::vector<Tensor>{x}).size(), 1u);
  std::string names;
  for (const auto& p : net->named_parameters()) names += p.first + ' ';
  EXPECT_EQ(names, "0.weight 0.bias 2.weight 2.bias ");
}

TEST(Sequential, TakesNames) {
  nn::Sequential net({{"fc", nn::Linear(4, 3)}, {"act", nn::ReLU()}});
  net->push_back("out", nn::Linear(3, 1));
  net->push_back(nn::Sigmoid());
  std::string names;
  for (const auto& child : net->children()) names += child.first + ' ';
  EXPECT_EQ(names, "fc act out 3 ");
  expect_error<ConfigError>([&] { net->push_back("act", nn::ReLU()); }, {"act", "registered already"});
  expect_error<ConfigError>([&] { net->push_back("a.b", nn::ReLU()); },
                            {"a.b", "must not be empty nor contain a dot"});
}

TEST(Sequential, GivesItsModulesBack) {
  nn::Sequential net(nn::Linear(4, 3), nn::ReLU());
  EXPECT_EQ((*net)[1]->type_name(), "ReLU");
  EXPECT_EQ(net->at<nn::LinearImpl>(0).options.out_features(), 3);
  expect_error<ConfigError>([&] { return (*net)[2]; }, {"no module 2", "there are 2"});
  expect_error<ConfigError>([&] { net->at<nn::LinearImpl>(1); },
                            {"module 1 is a ReLU, not of the class asked for"});
  const std::shared_ptr<nn::Module> pointer = std::make_shared<nn::ReLUImpl>();
  net->push_back(pointer);
  EXPECT_EQ((*net)[2], pointer);
  expect_error<StateError>([&] { net->push_back(nn::ReLU(nullptr)); }, {"empty holder"});
}

TEST(Sequential, NestsClonesAndSwitchesMode) {
  nn::Sequential net(nn::Sequential(nn::Linear(2, 2), nn::ReLU()), nn::Linear(2, 1));
  EXPECT_EQ(net->size(), 2u);
  net->eval();
  EXPECT_FALSE((*net)[0]->children().begin()->second->training());
  const Tensor x = ones({1, 2}), before = net(x);
  nn::Module::CloneMap map;
  const auto copy = net->clone(map);
  net->parameters()[0].fill_(0.0f);
  net->parameters()[1].fill_(7.0f);
  EXPECT_TRUE(identical(copy->forward(x), before));
  EXPECT_EQ(copy->named_parameters().size(), 4u);
}

TEST(Sequential, EmptyGivesItsInputBack) {
  nn::Sequential net;
  EXPECT_TRUE(net->is_empty());
  EXPECT_EQ(net(ones({2})).to_vector(), (std::vector<float>{1, 1}));
}

TEST(Sequential, WorksInDouble) {
  nn::BasicSequentialImpl<double> net(std::make_shared<nn::BasicLinearImpl<double>>(2, 1),
                                      std::make_shared<nn::BasicReLUImpl<double>>());
  EXPECT_EQ(net.forward(ones<double>({3, 2})).shape(), (Shape{3, 1}));
}

TEST(ModuleList, HoldsModulesForTheirOwner) {
  nn::ModuleList list(nn::Linear(2, 2), nn::Linear(2, 3));
  list->push_back(nn::ReLU());
  EXPECT_EQ(list->size(), 3u);
  EXPECT_FALSE(list->is_empty());
  EXPECT_EQ(list->call(1, ones({1, 2})).shape(), (Shape{1, 3}));
  EXPECT_EQ(list->at<nn::LinearImpl>(1).options.out_features(), 3);
  expect_error<ConfigError>([&] { return (*list)[3]; }, {"ModuleList", "no module 3"});
  expect_error<UnsupportedError>([&] { return list(ones({1, 2})); }, {"ModuleList", "no forward"});
  nn::Module::CloneMap map;
  EXPECT_EQ(list->clone(map)->parameters().size(), 4u);
}

struct BlockImpl : nn::Module {
  BlockImpl()
      : conv(register_module("conv", nn::Conv2d(1, 2, 3))),
        net(register_module("net", nn::Sequential(nn::ReLU(), nn::Flatten()))) {}
  Tensor forward(const Tensor& x) override { return net(conv(x)); }
  std::string type_name() const override { return "Block"; }
  std::string extra_repr() const override { return "depth=2"; }
  nn::Conv2d conv;
  nn::Sequential net;
};
MIDTREAD_MODULE(Block);

TEST(Print, ShowsTheTreeAsPyTorch) {
  EXPECT_EQ(text(nn::ReLU()), "ReLU()");
  EXPECT_EQ(text(nn::Sequential()), "Sequential()");
  EXPECT_EQ(text(nn::Linear(nullptr)), "None");
  EXPECT_EQ(text(Block()),
            "Block(\n"
            "  depth=2\n"
            "  (conv): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))\n"
            "  (net): Sequential(\n"
            "    (0): ReLU()\n"
            "    (1): Flatten(start_dim=1, end_dim=-1)\n"
            "  )\n"
            ")");
  EXPECT_EQ(text(*Block()), text(Block()));
}

}  // namespace sequential_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
// Parameters by tag: of float layers, of batch norm, shared ones once, frozen ones not at all.
#include <midtread/nn/batch_norm.hpp>
#include <midtread/nn/conv2d.hpp>
#include <midtread/nn/linear.hpp>
#include <midtread/nn/parameter_groups.hpp>
#include <midtread/nn/sequential.hpp>
#include <midtread/optim/sgd.hpp>

#include <gtest/gtest.h>

namespace mt = midtread;
using Tag = mt::nn::ParameterTag;

namespace parameter_groups_test {

std::string text(mt::nn::Module& module) {
  std::string out;
  for (const mt::nn::ParameterGroup& group : mt::nn::parameter_groups(module)) {
    out += std::string(to_string(group.tag)) + ":";
    for (const std::string& name : group.names) out += " " + name;
    EXPECT_EQ(group.names.size(), group.parameters.size());
    out += "; ";
  }
  return out;
}

TEST(ParameterGroups, EveryParameterOnceUnderItsTag) {
  mt::nn::Linear shared(4, 4);
  mt::nn::Sequential net(mt::nn::Conv2d(mt::nn::Conv2dOptions(3, 4, 1)), mt::nn::BatchNorm2d(4), shared,
                         shared);
  EXPECT_EQ(text(*net), "weight: 0.weight 2.weight; bias: 0.bias 2.bias; bn: 1.weight 1.bias; ");
  shared->weight.requires_grad_(false);
  EXPECT_EQ(text(*net), "weight: 0.weight; bias: 0.bias 2.bias; bn: 1.weight 1.bias; ");
  EXPECT_EQ(mt::nn::parameters_of(*net, {Tag::kBias, Tag::kBatchNorm}).size(), 4u);
  EXPECT_TRUE(mt::nn::parameters_of(*net, {Tag::kScale, Tag::kAlpha}).empty());
}

TEST(ParameterGroups, MakeAnOptimizersGroups) {
  mt::nn::Sequential net(mt::nn::Linear(4, 4), mt::nn::BatchNorm1d(4));
  mt::optim::SGD sgd(mt::nn::parameters_of(*net, {Tag::kWeight}),
                     mt::optim::SGDOptions(0.1).weight_decay(1e-4));
  sgd.add_param_group(mt::nn::parameters_of(*net, {Tag::kBias, Tag::kBatchNorm}), 0.01);
  EXPECT_EQ(sgd.parameters(0).size(), 1u);
  EXPECT_EQ(sgd.parameters(1).size(), 3u);
}

}  // namespace parameter_groups_test

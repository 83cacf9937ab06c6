// SPDX-License-Identifier: MIT
// The other modules without state: pools, padding, upsampling, dropout, flatten, identity.
#include <midtread/nn/pool2d.hpp>

#include <midtread/nn/dropout.hpp>
#include <midtread/nn/flatten.hpp>
#include <midtread/nn/identity.hpp>
#include <midtread/nn/pad.hpp>
#include <midtread/nn/upsample.hpp>
#include <support/expect_operation.hpp>

namespace midtread {
namespace pool2d_test {

using namespace test;

TEST(StatelessModules, CallOneOperation) {
  Generator g(1);
  const Tensor x = randn({2, 3, 6, 6}, g);
  expect_operation(nn::MaxPool2d(nn::MaxPool2dOptions(3).stride(2).padding(1).ceil_mode(true)), x,
                   (ops::MaxPool2d{{3, 3}, {2, 2}, {1, 1}, {1, 1}, true}(x)), "MaxPool2d", "max_pool2d",
                   "kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=True");
  expect_operation(nn::AvgPool2d(nn::AvgPool2dOptions({2, 3}).padding({0, 1}).count_include_pad(false)), x,
                   (ops::AvgPool2d{{2, 3}, {2, 3}, {0, 1}, false, false}(x)), "AvgPool2d", "avg_pool2d",
                   "kernel_size=(2, 3), stride=(2, 3), padding=(0, 1)");
  expect_operation(nn::AdaptiveAvgPool2d(nn::Pair(2, 3)), x, (ops::AdaptiveAvgPool2d{{2, 3}}(x)),
                   "AdaptiveAvgPool2d", "adaptive_avg_pool2d", "output_size=(2, 3)");
  expect_operation(nn::ZeroPad2d(1), x, (ops::Pad2d{1, 1, 1, 1, 0.0}(x)), "ZeroPad2d", "pad2d",
                   "(1, 1, 1, 1)");
  expect_operation(nn::ConstantPad2d(nn::PadWidths(1, 0, 2, 3), 0.5), x, (ops::Pad2d{1, 0, 2, 3, 0.5}(x)),
                   "ConstantPad2d", "pad2d", "padding=(1, 0, 2, 3), value=0.5");
  expect_operation(nn::Upsample(nn::Pair(2, 3)), x, (ops::UpsampleNearest2d{2, 3}(x)), "Upsample",
                   "upsample_nearest2d", "scale_factor=(2, 3), mode='nearest'");
  expect_operation(nn::Flatten(), x, (ops::Flatten{1, -1}(x)), "Flatten", "flatten",
                   "start_dim=1, end_dim=-1");
}

TEST(StatelessModules, ShortConstructors) {
  Generator g(2);
  const Tensor x = randn({1, 2, 4, 4}, g);
  EXPECT_EQ(nn::MaxPool2d(2)(x).shape(), (Shape{1, 2, 2, 2}));
  EXPECT_EQ(nn::AvgPool2d(2)(x).shape(), (Shape{1, 2, 2, 2}));
  EXPECT_EQ(nn::AdaptiveAvgPool2d(1)(x).shape(), (Shape{1, 2, 1, 1}));
  EXPECT_EQ(nn::Upsample(2)(x).shape(), (Shape{1, 2, 8, 8}));
  EXPECT_EQ(nn::Flatten()(x).shape(), (Shape{1, 32}));
}

TEST(StatelessModules, WorkInDouble) {
  const Double x = full<double>({1, 1, 2, 2}, -1.0);
  EXPECT_EQ(nn::BasicMaxPool2dImpl<double>(2).forward(x).item(), -1.0);
  EXPECT_EQ(nn::BasicDropoutImpl<double>(1.0).forward(x).to_vector(), (std::vector<double>{0, 0, 0, 0}));
}

TEST(Dropout, FollowsTheMode) {
  manual_seed(1);
  nn::Dropout drop(0.5);
  const Tensor x = ones({1000});
  EXPECT_FALSE(identical(drop(x), x));
  drop->eval();
  EXPECT_TRUE(identical(drop(x), x));
  expect_operation(drop, x, x, "Dropout", "dropout", "p=0.5");
  CallLog log;
  drop(x);
  EXPECT_FALSE(identical(log.operations.at(0)->run({x}, true), x));
}

TEST(Identity, GivesItsInputBack) {
  const Tensor x = ones({2});
  EXPECT_TRUE(nn::Identity()(x).is(x));
  EXPECT_EQ(nn::Identity()->type_name(), "Identity");
}

TEST(StatelessModules, OptionsAreCheckedAtConstruction) {
  using M = nn::MaxPool2dOptions;
  expect_error<ConfigError>([] { nn::MaxPool2d pool(0); }, {"MaxPool2d", "kernel_size is 0"});
  expect_error<ConfigError>([] { nn::MaxPool2d pool(M(2).stride(0)); }, {"stride is 0"});
  expect_error<ConfigError>([] { nn::MaxPool2d pool(M(2).padding(-1)); }, {"padding is -1"});
  expect_error<ConfigError>(
      [] {
        nn::MaxPool2d pool(M(3).padding({1, 2}));
      },
      {"padding is (1, 2)", "half of kernel_size (3, 3)"});
  expect_error<ConfigError>([] { nn::MaxPool2d pool(M(2).dilation(0)); }, {"dilation is 0"});
  expect_error<ConfigError>([] { nn::AvgPool2d pool(0); }, {"AvgPool2d", "kernel_size is 0"});
  expect_error<ConfigError>([] { nn::AdaptiveAvgPool2d pool(0); }, {"output_size is 0"});
  expect_error<ConfigError>([] { nn::ZeroPad2d pad(-1); }, {"ZeroPad2d", "padding is -1"});
  expect_error<ConfigError>([] { nn::ConstantPad2d pad(-2, 1.0); }, {"ConstantPad2d", "padding is -2"});
  expect_error<ConfigError>([] { nn::Upsample up(0); }, {"scale_factor is 0"});
  expect_error<ConfigError>([] { nn::Dropout drop(-0.5); }, {"Dropout", "p is -0.5"});
}

}  // namespace pool2d_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
// The layers with weights: Linear, Conv1d, Conv2d, ConvTranspose2d.
#include <midtread/nn/conv1d.hpp>
#include <midtread/nn/conv2d.hpp>
#include <midtread/nn/conv_transpose2d.hpp>
#include <midtread/nn/linear.hpp>

#include <support/call_log.hpp>
#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>

namespace midtread {
namespace conv2d_test {

using namespace test;

const nn::Conv2dOptions kConv =
    nn::Conv2dOptions(4, 6, {3, 2}).stride({2, 1}).padding({1, 0}).dilation({1, 2}).groups(2);
const nn::ConvTranspose2dOptions kTransposed =
    nn::ConvTranspose2dOptions(4, 6, 3).stride(2).padding(1).output_padding({1, 0}).groups(2).bias(false);

TEST(WeightLayers, CallTheirOperation) {
  Generator g(1);
  nn::Linear linear(5, 3);
  const Tensor row = randn({2, 5}, g);
  EXPECT_TRUE(identical(linear(row), ops::Linear{}(row, linear->weight, linear->bias)));

  nn::Conv1d conv1(nn::Conv1dOptions(4, 2, 3).stride(2).padding(1).dilation(2).groups(2));
  const Tensor line = randn({2, 4, 9}, g);
  EXPECT_TRUE(identical(conv1(line), (ops::Conv1d{2, 1, 2, 2}(line, conv1->weight, conv1->bias))));

  nn::Conv2d conv2(kConv);
  const Tensor image = randn({2, 4, 7, 6}, g);
  const ops::Conv2d op{{2, 1}, {1, 0}, {1, 2}, 2};
  EXPECT_TRUE(identical(conv2(image), op(image, conv2->weight, conv2->bias)));
  EXPECT_EQ(conv2(image).shape(), (Shape{2, 6, 4, 4}));

  nn::ConvTranspose2d transposed(kTransposed);
  const ops::ConvTranspose2d op_t{{2, 2}, {1, 1}, {1, 0}, {1, 1}, 2};
  EXPECT_TRUE(identical(transposed(image), op_t(image, transposed->weight, Tensor())));
  EXPECT_EQ(transposed(image).shape(), (Shape{2, 6, 14, 11}));
}

TEST(WeightLayers, ParametersHavePyTorchsNamesAndShapes) {
  const auto shapes = [](nn::Module& module) {
    std::string text;
    for (const auto& p : module.named_parameters()) {
      EXPECT_TRUE(p.second.requires_grad());
      text += concat(p.first, p.second.shape(), ' ');
    }
    return text;
  };
  EXPECT_EQ(shapes(*nn::Linear(5, 3)), "weight[3, 5] bias[3] ");
  EXPECT_EQ(shapes(*nn::Linear(nn::LinearOptions(5, 3).bias(false))), "weight[3, 5] ");
  EXPECT_EQ(shapes(*nn::Conv1d(4, 2, 3)), "weight[2, 4, 3] bias[2] ");
  EXPECT_EQ(shapes(*nn::Conv2d(kConv)), "weight[6, 2, 3, 2] bias[6] ");
  EXPECT_EQ(shapes(*nn::Conv2d(3, 16, 3)), "weight[16, 3, 3, 3] bias[16] ");
  EXPECT_EQ(shapes(*nn::ConvTranspose2d(kTransposed)), "weight[4, 3, 3, 3] ");
}

// PyTorch: kaiming_uniform with a = sqrt(5) is uniform within 1 / sqrt(fan_in); the same bound for the bias.
TEST(WeightLayers, StartUniformWithinOneOverTheRootOfFanIn) {
  manual_seed(3);
  const auto check = [](const Tensor& t, double fan_in) {
    const double bound = 1 / std::sqrt(fan_in);
    double sum = 0, squares = 0, largest = 0;
    for (const float v : t.to_vector()) {
      sum += static_cast<double>(v);
      squares += static_cast<double>(v) * static_cast<double>(v);
      largest = std::max(largest, std::abs(static_cast<double>(v)));
    }
    const auto n = static_cast<double>(t.numel());
    EXPECT_LE(largest, bound * 1.0000001);
    EXPECT_GT(largest, bound * 0.95);
    EXPECT_NEAR(sum / n, 0.0, 5 * bound / std::sqrt(3 * n));
    EXPECT_NEAR(squares / n, bound * bound / 3, 5 * bound * bound / std::sqrt(11.25 * n));
  };
  nn::Linear linear(100, 300);
  check(linear->weight, 100);
  check(linear->bias, 100);
  nn::Conv2d conv(nn::Conv2dOptions(16, 200, 3).groups(4));
  check(conv->weight, 36);
  check(conv->bias, 36);
  nn::Conv1d line(16, 200, 5);
  check(line->weight, 80);
  nn::ConvTranspose2d transposed(32, 200, 3);  // PyTorch takes fan_in from the second dimension
  check(transposed->weight, 1800);
  check(transposed->bias, 1800);
}

TEST(WeightLayers, ATracerSeesOneLeafHoweverTheyAreCalled) {
  nn::Conv2d conv(1, 1, 1);
  const Tensor x = ones({1, 1, 2, 2});
  {
    CallLog log;
    conv->forward(x);
    EXPECT_EQ(log.calls, (Calls{"leaf Conv2d 1->1"}));
  }
  CallLog log;
  conv(x);
  nn::Linear(2, 1)->forward(ones({1, 2}));
  nn::Conv1d(1, 1, 1)->forward(ones({1, 1, 2}));
  nn::ConvTranspose2d(1, 1, 1)->forward(x);
  EXPECT_EQ(log.calls, (Calls{"enter Conv2d", "leaf Conv2d 1->1", "leave", "leaf Linear 1->1",
                              "leaf Conv1d 1->1", "leaf ConvTranspose2d 1->1"}));
}

template <class Holder>
void expect_clone(const Holder& layer, const Tensor& x) {
  const Tensor before = layer(x);
  nn::Module::CloneMap map;
  const auto copy = std::dynamic_pointer_cast<typename Holder::Contained>(layer->clone(map));
  ASSERT_TRUE(copy);
  EXPECT_TRUE(identical(copy->forward(x), before));
  EXPECT_TRUE(copy->weight.is(copy->own_parameters().at("weight")));
  EXPECT_TRUE(copy->weight.requires_grad());
  EXPECT_FALSE(copy->weight.storage().same_as(layer->weight.storage()));
  EXPECT_TRUE(copy->bias.is(copy->own_parameters().at("bias")));
  EXPECT_EQ(copy->bias.defined(), layer->bias.defined());
  layer->weight.fill_(0.0f);
  if (layer->bias.defined()) layer->bias.fill_(7.0f);
  EXPECT_TRUE(identical(copy->forward(x), before));
}

TEST(WeightLayers, ClonesAreIndependent) {
  Generator g(4);
  expect_clone(nn::Linear(4, 3), randn({2, 4}, g));
  expect_clone(nn::Linear(nn::LinearOptions(4, 3).bias(false)), randn({2, 4}, g));
  expect_clone(nn::Conv1d(4, 3, 3), randn({2, 4, 5}, g));
  expect_clone(nn::Conv2d(kConv), randn({2, 4, 5, 5}, g));
  expect_clone(nn::ConvTranspose2d(kTransposed), randn({2, 4, 5, 5}, g));
}

TEST(WeightLayers, LoadedStateReachesTheMembers) {
  nn::Conv2d a(2, 3, 3), b(2, 3, 3);
  EXPECT_FALSE(identical(a->weight, b->weight));
  b->load_state_dict(a->state_dict());
  EXPECT_TRUE(identical(a->weight, b->weight));
  EXPECT_TRUE(identical(a->bias, b->bias));
  EXPECT_THROW(nn::Conv2d(2, 3, 1)->load_state_dict(a->state_dict()), FormatError);
}

TEST(WeightLayers, GradientsReachTheParameters) {
  Generator g(5);
  nn::BasicConv2dImpl<double> conv(nn::Conv2dOptions(2, 3, 3).padding(1));
  const Double x = randn<double>({2, 2, 4, 4}, g);
  conv.forward(x).backward(randn<double>({2, 3, 4, 4}, g));
  EXPECT_EQ(conv.weight.grad().shape(), conv.weight.shape());
  EXPECT_EQ(conv.bias.grad().shape(), conv.bias.shape());
  conv.zero_grad();
  EXPECT_FALSE(conv.weight.grad().defined());
}

TEST(WeightLayers, PrintAsPyTorch) {
  EXPECT_EQ(nn::Linear(5, 3)->extra_repr(), "in_features=5, out_features=3, bias=True");
  EXPECT_EQ(nn::Conv2d(3, 16, 3)->extra_repr(), "3, 16, kernel_size=(3, 3), stride=(1, 1)");
  EXPECT_EQ(nn::Conv2d(nn::Conv2dOptions(kConv).bias(false))->extra_repr(),
            "4, 6, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2, bias=False");
  EXPECT_EQ(nn::Conv1d(nn::Conv1dOptions(4, 2, 3).padding(1).dilation(2).groups(2).bias(false))->extra_repr(),
            "4, 2, kernel_size=(3,), stride=(1,), padding=(1,), dilation=(2,), groups=2, bias=False");
  EXPECT_EQ(
      nn::ConvTranspose2d(kTransposed)->extra_repr(),
      "4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 0), groups=2, bias=False");
  EXPECT_EQ(nn::ConvTranspose2d(nn::ConvTranspose2dOptions(1, 1, 2).dilation(2))->extra_repr(),
            "1, 1, kernel_size=(2, 2), stride=(1, 1), dilation=(2, 2)");
}

TEST(WeightLayers, OptionsAreCheckedAtConstruction) {
  using C = nn::Conv2dOptions;
  const auto conv = [](const C& options, std::initializer_list<std::string> words) {
    expect_error<ConfigError>([&] { nn::Conv2d layer(options); }, words);
  };
  conv(C(0, 1, 1), {"Conv2d", "in_channels is 0", "allowed 1.."});
  conv(C(1, -2, 1), {"out_channels is -2"});
  conv(C(1, 1, {3, 0}), {"kernel_size is 0"});
  conv(C(1, 1, 1).stride(0), {"stride is 0"});
  conv(C(1, 1, 1).padding({0, -1}), {"padding is -1", "allowed 0.."});
  conv(C(1, 1, 1).dilation(0), {"dilation is 0"});
  conv(C(4, 4, 1).groups(0), {"groups is 0"});
  conv(C(4, 6, 1).groups(4), {"groups is 4", "in_channels 4", "out_channels 6"});
  conv(C(1, 1, std::int64_t{1} << 40), {"kernel_size"});
  expect_error<ConfigError>([] { nn::Linear layer(0, 1); }, {"Linear", "in_features is 0"});
  expect_error<ConfigError>([] { nn::Linear layer(1, 0); }, {"Linear", "out_features is 0"});
  expect_error<ConfigError>([] { nn::Conv1d layer(1, 1, 0); }, {"Conv1d", "kernel_size is 0"});
  expect_error<ConfigError>([] { nn::Conv1d layer(nn::Conv1dOptions(1, 1, 1).stride(0)); },
                            {"Conv1d", "stride"});
  expect_error<ConfigError>([] { nn::Conv1d layer(nn::Conv1dOptions(1, 1, 1).padding(-1)); },
                            {"Conv1d", "padding"});
  expect_error<ConfigError>([] { nn::Conv1d layer(nn::Conv1dOptions(1, 1, 1).dilation(0)); },
                            {"Conv1d", "dilation"});
  using D = nn::ConvTranspose2dOptions;
  const auto transposed = [](const D& options, std::initializer_list<std::string> words) {
    expect_error<ConfigError>([&] { nn::ConvTranspose2d layer(options); }, words);
  };
  transposed(D(1, 1, 0), {"ConvTranspose2d", "kernel_size"});
  transposed(D(1, 1, 1).stride(0), {"stride"});
  transposed(D(1, 1, 1).padding(-1), {"padding"});
  transposed(D(1, 1, 1).dilation(0), {"dilation"});
  transposed(D(1, 1, 1).output_padding(-1), {"output_padding is -1"});
  transposed(D(1, 1, 1).stride(2).output_padding(2), {"output_padding is (2, 2)", "below stride (2, 2)"});
}

TEST(WeightLayers, InputsThatDoNotFitAreNamed) {
  expect_error<ShapeError>([] { return nn::Conv2d(3, 1, 1)(ones({1, 2, 4, 4})); }, {"conv2d", "3", "2"});
  expect_error<ShapeError>([] { return nn::Linear(3, 1)(ones({1, 2})); }, {"linear"});
  expect_error<StateError>([] { return nn::Conv2d(nullptr)(ones({1, 2, 4, 4})); }, {"holder is empty"});
}

}  // namespace conv2d_test
}  // namespace midtread

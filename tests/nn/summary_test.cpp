// SPDX-License-Identifier: MIT
#include <midtread/nn/summary.hpp>

#include <midtread/nn/activation.hpp>
#include <midtread/nn/batch_norm.hpp>
#include <midtread/nn/conv2d.hpp>
#include <midtread/nn/conv_transpose2d.hpp>
#include <midtread/nn/dropout.hpp>
#include <midtread/nn/flatten.hpp>
#include <midtread/nn/linear.hpp>
#include <midtread/nn/pool2d.hpp>
#include <midtread/nn/sequential.hpp>
#include <midtread/ops/elementwise.hpp>

#include <support/random_tensor.hpp>

namespace midtread {
namespace summary_test {

using namespace test;

struct StageImpl : nn::Module {
  explicit StageImpl(std::int64_t channels)
      : conv(register_module("conv",
                             nn::Conv2d(nn::Conv2dOptions(channels, channels, 3).padding(1).groups(2)))),
        bn(register_module("bn", nn::BatchNorm2d(channels))) {}
  Tensor forward(const Tensor& x) override { return bn->forward(conv(conv(x))) + x; }
  std::string type_name() const override { return "Stage"; }
  nn::Conv2d conv;
  nn::BatchNorm2d bn;
};
MIDTREAD_MODULE(Stage);

nn::Sequential network() {
  return nn::Sequential(nn::Conv2d(3, 8, 3), nn::ReLU(), Stage(8), nn::MaxPool2d(2),
                        nn::ConvTranspose2d(8, 4, 2), nn::Dropout(), nn::Flatten(), nn::Linear(144, 10));
}

// conv 3 * 3 * 3 * 8 * 100 pixels; grouped conv 3 * 3 * 4 * 8 * 100, called twice; transposed 2 * 2 * 8 * 4 *
// 25 inputs.
TEST(Summary, TabulatesCallsShapesParametersAndMultiplyAdds) {
  nn::Sequential net = network();
  net->parameters()[0].requires_grad_(false);
  EXPECT_EQ(nn::summary(*net, {1, 3, 12, 12}),
            "Layer (type)           Output shape    Parameters  Multiply-adds\n"
            "----------------------------------------------------------------\n"
            "Sequential             [1, 10]                  -              -\n"
            "  0 (Conv2d)           [1, 8, 10, 10]         224         21,600\n"
            "  1 (ReLU)             [1, 8, 10, 10]           -              -\n"
            "  2 (Stage)            [1, 8, 10, 10]           -              -\n"
            "    conv (Conv2d)      [1, 8, 10, 10]         296         28,800\n"
            "    conv (Conv2d)      [1, 8, 10, 10]     (again)         28,800\n"
            "    bn (BatchNorm2d)   [1, 8, 10, 10]          16              -\n"
            "  3 (MaxPool2d)        [1, 8, 5, 5]             -              -\n"
            "  4 (ConvTranspose2d)  [1, 4, 6, 6]           132          3,200\n"
            "  5 (Dropout)          [1, 4, 6, 6]             -              -\n"
            "  6 (Flatten)          [1, 144]                 -              -\n"
            "  7 (Linear)           [1, 10]              1,450          1,440\n"
            "----------------------------------------------------------------\n"
            "Parameters: 2,118 (1,902 trainable), 0.01 MB\n"
            "Multiply-adds: 83,840\n"
            "Input: 0.00 MB, outputs of layers: 0.02 MB\n");
}

TEST(Summary, LeavesTheModelAsItWas) {
  nn::Sequential net = network();
  net->eval();
  (*net)[2]->train();
  nn::summary(*net, {2, 3, 12, 12});
  EXPECT_FALSE(net->training());
  EXPECT_TRUE((*net)[2]->training());
  EXPECT_FALSE((*net)[5]->training());
  EXPECT_EQ(net->at<StageImpl>(2).bn->num_batches_tracked.item(), 0);
  EXPECT_EQ(ops::recorder(), nullptr);
  expect_error<ShapeError>([&] { nn::summary(*net, {2, 4, 12, 12}); }, {"conv2d"});
  EXPECT_TRUE((*net)[2]->training());
  EXPECT_EQ(ops::recorder(), nullptr);
}

}  // namespace summary_test
}  // namespace midtread

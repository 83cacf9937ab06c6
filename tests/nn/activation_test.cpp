// SPDX-License-Identifier: MIT
#include <midtread/nn/activation.hpp>

#include <support/expect_operation.hpp>

namespace midtread {
namespace activation_test {

using namespace test;

TEST(ActivationModules, CallOneOperation) {
  Generator g(1);
  const Tensor x = randn({2, 3, 6, 6}, g);
  expect_operation(nn::ReLU(), x, ops::Relu{}(x), "ReLU", "relu", "");
  expect_operation(nn::ReLU6(), x, ops::Relu6{}(x), "ReLU6", "relu6", "");
  expect_operation(nn::SiLU(), x, ops::Silu{}(x), "SiLU", "silu", "");
  expect_operation(nn::GELU(), x, ops::Gelu{}(x), "GELU", "gelu", "");
  expect_operation(nn::Hardswish(), x, ops::Hardswish{}(x), "Hardswish", "hardswish", "");
  expect_operation(nn::Hardsigmoid(), x, ops::Hardsigmoid{}(x), "Hardsigmoid", "hardsigmoid", "");
  expect_operation(nn::Sigmoid(), x, ops::Sigmoid{}(x), "Sigmoid", "sigmoid", "");
  expect_operation(nn::Tanh(), x, ops::Tanh{}(x), "Tanh", "tanh", "");
  expect_operation(nn::LeakyReLU(0.2), x, ops::LeakyRelu{0.2}(x), "LeakyReLU", "leaky_relu",
                   "negative_slope=0.2");
  expect_operation(nn::ELU(0.5), x, ops::Elu{0.5}(x), "ELU", "elu", "alpha=0.5");
  expect_operation(nn::Hardtanh(-0.5, 2.0), x, (ops::Clamp{-0.5, 2.0}(x)), "Hardtanh", "clamp",
                   "min_val=-0.5, max_val=2");
  expect_operation(nn::Softmax(1), x, ops::Softmax{1}(x), "Softmax", "softmax", "dim=1");
  expect_operation(nn::LogSoftmax(1), x, ops::LogSoftmax{1}(x), "LogSoftmax", "log_softmax", "dim=1");
}

TEST(ActivationModules, GiveTheirParameters) {
  EXPECT_EQ(nn::LeakyReLU()->operation().slope, 0.01);
  EXPECT_EQ(nn::ELU()->operation().alpha, 1.0);
  EXPECT_EQ(nn::Hardtanh()->operation().min, -1.0);
  EXPECT_EQ(nn::Softmax()->operation().dim, -1);
}

TEST(ActivationModules, WorkInDouble) {
  EXPECT_EQ(nn::BasicReLUImpl<double>().forward(full<double>({2}, -1.0)).to_vector(),
            (std::vector<double>{0, 0}));
}

}  // namespace activation_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
// The three networks of the examples, for [N, 1, 28, 28] and ten classes.
#pragma once

#include <midtread/midtread.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace examples {

namespace nn = midtread::nn;
namespace F = midtread::nn::functional;
using midtread::Tensor;

/// Convolution, batch norm and ReLU; `groups` = `in` makes it depthwise.
inline nn::Sequential conv_bn_relu(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                   std::int64_t stride = 1, std::int64_t groups = 1) {
  const auto options =
      nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).groups(groups).bias(false);
  return nn::Sequential(nn::Conv2d(options), nn::BatchNorm2d(out), nn::ReLU());
}

/// conv 32, pool, conv 64, pool, linear: 50,282 parameters.
struct CnnImpl : nn::Module {
  Tensor forward(const Tensor& x) override {
    Tensor y = F::max_pool2d(conv1(x), {2, 2});
    y = F::max_pool2d(conv2(y), {2, 2});
    return head(F::flatten(y, 1));
  }
  nn::Sequential conv1 = register_module("conv1", conv_bn_relu(1, 32, 3));
  nn::Sequential conv2 = register_module("conv2", conv_bn_relu(32, 64, 3));
  nn::Linear head = register_module("head", nn::Linear(64 * 7 * 7, 10));
};
MIDTREAD_MODULE(Cnn);

/// Two 3x3 convolutions and a shortcut, projected where the shape changes.
struct ResidualBlockImpl : nn::Module {
  ResidualBlockImpl(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv1(register_module("conv1", conv_bn_relu(in, out, 3, stride))),
        conv2(register_module("conv2", nn::Conv2d(nn::Conv2dOptions(out, out, 3).padding(1).bias(false)))),
        bn2(register_module("bn2", nn::BatchNorm2d(out))) {
    if (in == out && stride == 1) return;
    projection =
        register_module("projection", nn::Conv2d(nn::Conv2dOptions(in, out, 1).stride(stride).bias(false)));
    projection_bn = register_module("projection_bn", nn::BatchNorm2d(out));
  }
  Tensor forward(const Tensor& x) override {
    const Tensor y = bn2(conv2(conv1(x)));
    return F::relu(y + (projection ? projection_bn(projection(x)) : x));
  }
  nn::Sequential conv1;
  nn::Conv2d conv2;
  nn::BatchNorm2d bn2;
  nn::Conv2d projection = nullptr;
  nn::BatchNorm2d projection_bn = nullptr;
};
MIDTREAD_MODULE(ResidualBlock);

/// A stem and three residual blocks: 77,754 parameters.
struct ResNet8Impl : nn::Module {
  Tensor forward(const Tensor& x) override {
    const Tensor y = block3(block2(block1(stem(x))));
    return head(F::flatten(F::adaptive_avg_pool2d(y, {1, 1}), 1));
  }
  nn::Sequential stem = register_module("stem", conv_bn_relu(1, 16, 3));
  ResidualBlock block1 = register_module("block1", ResidualBlock(16, 16, 1));
  ResidualBlock block2 = register_module("block2", ResidualBlock(16, 32, 2));
  ResidualBlock block3 = register_module("block3", ResidualBlock(32, 64, 2));
  nn::Linear head = register_module("head", nn::Linear(64, 10));
};
MIDTREAD_MODULE(ResNet8);

/// Depthwise-separable convolutions: 36,874 parameters.
struct MobileNetV1Impl : nn::Module {
  MobileNetV1Impl() {
    const auto separable = [&](std::int64_t in, std::int64_t out, std::int64_t stride) {
      body->push_back(conv_bn_relu(in, in, 3, stride, in));
      body->push_back(conv_bn_relu(in, out, 1));
    };
    separable(16, 32, 1);
    separable(32, 64, 2);
    separable(64, 64, 1);
    separable(64, 128, 2);
    separable(128, 128, 1);
  }
  Tensor forward(const Tensor& x) override {
    return head(F::flatten(F::adaptive_avg_pool2d(body(stem(x)), {1, 1}), 1));
  }
  nn::Sequential stem = register_module("stem", conv_bn_relu(1, 16, 3));
  nn::Sequential body = register_module("body", nn::Sequential());
  nn::Linear head = register_module("head", nn::Linear(128, 10));
};
MIDTREAD_MODULE(MobileNetV1);

/// Throws ConfigError for an unknown name.
inline std::shared_ptr<nn::Module> make_model(const std::string& name) {
  if (name == "cnn") return Cnn{}.ptr();
  if (name == "resnet8") return ResNet8{}.ptr();
  if (name == "mobilenet_v1") return MobileNetV1{}.ptr();
  throw midtread::ConfigError("--model",
                              "got '" + midtread::printable(name) + "', allowed cnn, resnet8, mobilenet_v1");
}

}  // namespace examples

// SPDX-License-Identifier: MIT
// A module with its own forward. The additions, the ReLUs and the branch are found by tracing: no stubs, no FloatFunctional.
#include <midtread/midtread.hpp>

#include <cstdio>

namespace mt = midtread;
namespace nn = midtread::nn;
namespace F = midtread::nn::functional;
using midtread::Tensor;

struct ResidualBlockImpl : nn::Module {
  explicit ResidualBlockImpl(std::int64_t channels)
      : conv1(register_module("conv1", nn::Conv2d(nn::Conv2dOptions(channels, channels, 3).padding(1).bias(false)))),
        bn1(register_module("bn1", nn::BatchNorm2d(channels))),
        conv2(register_module("conv2", nn::Conv2d(nn::Conv2dOptions(channels, channels, 3).padding(1).bias(false)))),
        bn2(register_module("bn2", nn::BatchNorm2d(channels))) {}

  Tensor forward(const Tensor& x) override {
    Tensor y = F::relu(bn1(conv1(x)));
    y = bn2(conv2(y));
    return F::relu(y + x);  // one int8 operation: dequantize both, add, ReLU, quantize
  }

  nn::Conv2d conv1;
  nn::BatchNorm2d bn1;
  nn::Conv2d conv2;
  nn::BatchNorm2d bn2;
};
MIDTREAD_MODULE(ResidualBlock);

struct NetImpl : nn::Module {
  Tensor forward(const Tensor& x) override {
    const Tensor y = block2(block1(F::relu(stem(x))));
    return head(F::mean(y, {2, 3}));
  }
  nn::Conv2d stem = register_module("stem", nn::Conv2d(nn::Conv2dOptions(3, 8, 3).padding(1)));
  ResidualBlock block1 = register_module("block1", ResidualBlock(8));
  ResidualBlock block2 = register_module("block2", ResidualBlock(8));
  nn::Linear head = register_module("head", nn::Linear(8, 4));
};
MIDTREAD_MODULE(Net);

int main() {
  mt::manual_seed(3);
  Net net;
  net->qconfig = mt::quant::get_default_qat_qconfig();  // every child inherits it ...
  net->head->qconfig = nullptr;                         // ... but the last layer stays float

  mt::graph::GraphModule prepared = mt::passes::prepare_qat(net, mt::randn({2, 3, 12, 12}));
  std::printf("%s\n", mt::graph::to_text(prepared).c_str());

  mt::optim::SGD sgd(prepared.parameters(), mt::optim::SGDOptions(0.05).momentum(0.9));
  float first = 0, last = 0;
  const Tensor images = mt::randn({16, 3, 12, 12});
  const auto labels = mt::cast<std::int64_t>(mt::arange(4)), all = mt::cat<std::int64_t>({labels, labels, labels, labels});
  for (int step = 0; step < 30; ++step) {
    sgd.zero_grad();
    const Tensor loss = mt::cross_entropy(prepared(images), all);
    loss.backward();
    sgd.step();
    (step == 0 ? first : last) = loss.item();
  }

  prepared.eval();
  const mt::quantized::Model int8 = mt::passes::convert(prepared);
  const mt::passes::VerifyReport report = mt::passes::verify_convert(prepared, int8, mt::randn({5, 3, 20, 20}));  // another size
  std::printf("%sloss %.3f -> %.3f\n", int8.summary({1, 3, 12, 12}).c_str(), static_cast<double>(first), static_cast<double>(last));
  std::printf("codes that differ: %lld of %lld\n", static_cast<long long>(report.mismatched_codes), static_cast<long long>(report.compared_codes));
  return report.ok() && report.compared_codes > 0 && last < first ? 0 : 1;
}

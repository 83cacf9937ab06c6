// SPDX-License-Identifier: MIT
// A training loop by hand: a qconfig composed from parts, a schedule, and the last epoch with everything that moves
// standing still (PyTorch's recipe: freeze the ranges, then the batch norm statistics).
#include <midtread/data/data_loader.hpp>
#include <midtread/data/synthetic.hpp>
#include <midtread/midtread.hpp>

#include <cstdio>

namespace mt = midtread;
namespace nn = midtread::nn;
namespace quant = midtread::quant;

namespace {

nn::Sequential conv_bn_relu(std::int64_t in, std::int64_t out) {
  return nn::Sequential(nn::Conv2d(nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(false)), nn::BatchNorm2d(out), nn::ReLU6());
}

double accuracy(mt::graph::GraphModule& model, mt::data::DataLoader& data) {
  const mt::NoGradGuard no_grad;
  double hits = 0, images = 0;
  for (const auto& batch : data) {
    const auto answers = mt::argmax(model(batch.input), 1);
    for (std::int64_t i = 0; i < batch.size(); ++i, ++images) hits += answers.at({i}) == batch.target.at({i});
  }
  return 100.0 * hits / images;
}

}  // namespace

int main() {
  mt::manual_seed(5);
  mt::data::DataLoader training(mt::data::synthetic_images(1000, 1), mt::data::DataLoaderOptions(50).shuffle(true).drop_last(true));
  mt::data::DataLoader test(mt::data::synthetic_images(500, 2), mt::data::DataLoaderOptions(100));
  nn::Sequential model(conv_bn_relu(1, 8), conv_bn_relu(8, 16), nn::Flatten(), nn::Linear(16 * 7 * 7, 10));

  // A quantizer is read like a sentence: what it does, how it observes, what it makes.
  using Activation = quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::UInt8Affine>>;
  using Weight = quant::FakeQuantize<quant::MinMaxObserver<quant::Int8PerChannel>>;
  const auto qconfig = quant::QConfig(Activation::Options().averaging_constant(0.05), Weight::Options());
  const auto mapping = quant::QConfigMapping().set_global(qconfig);
  mt::graph::GraphModule prepared =
      mt::passes::prepare_qat(mt::passes::fuse_modules(mt::graph::trace(model, (*test.begin()).input)), mapping);

  constexpr int kEpochs = 3;
  mt::optim::SGD sgd(prepared.parameters(), mt::optim::SGDOptions(0.05).momentum(0.9).weight_decay(1e-4));
  mt::optim::WarmupCosineLR schedule(sgd, 10, kEpochs * training.size());
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    prepared.train();
    if (epoch == kEpochs - 1) {
      quant::disable_observer(prepared);     // ranges stand still
      mt::qat::freeze_bn_stats(prepared);    // from here on train mode computes what int8 computes
    }
    double loss_sum = 0;
    for (const auto& batch : training) {
      sgd.zero_grad();
      const mt::Tensor loss = mt::cross_entropy(prepared(batch.input), batch.target, 0.05);
      loss.backward();
      mt::optim::clip_grad_norm_(prepared.parameters(), 5.0);
      sgd.step();
      schedule.step();
      loss_sum += static_cast<double>(loss.item());
    }
    prepared.eval();
    std::printf("epoch %d: loss %.3f, test accuracy %.1f %%\n", epoch + 1, loss_sum / static_cast<double>(training.size()), accuracy(prepared, test));
  }

  const mt::quantized::Model int8 = mt::passes::convert(prepared);
  const mt::passes::VerifyReport report = mt::passes::verify_convert_on(prepared, int8, test);
  std::printf("codes that differ: %lld of %lld\n", static_cast<long long>(report.mismatched_codes), static_cast<long long>(report.compared_codes));
  return report.ok() && report.compared_codes > 0 && accuracy(prepared, test) > 90.0 ? 0 : 1;
}

// SPDX-License-Identifier: MIT
// Whole networks, int8 beside the float path of the same model: the examples' networks, ResNet-18 and
// MobileNetV1 at 224x224 with random weights, at batch 1 and 64, one thread. The two take turns; the best of
// several runs each.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "../int8_networks.hpp"
#include "../kernels/shapes.hpp"

namespace {

using namespace midtread;
using examples::conv_bn_relu;
using examples::ResidualBlock;
namespace F = nn::functional;

/// arXiv 1512.03385.
struct ResNet18Impl : nn::Module {
  ResNet18Impl() {
    std::int64_t in = 64;
    for (const std::int64_t out : {64, 128, 256, 512}) {
      body->push_back(ResidualBlock(in, out, out == in ? 1 : 2));
      body->push_back(ResidualBlock(out, out, 1));
      in = out;
    }
  }
  Tensor forward(const Tensor& x) override {
    const Tensor y = body(F::max_pool2d(stem(x), {3, 3}, 2, 1));
    return head(F::flatten(F::adaptive_avg_pool2d(y, {1, 1}), 1));
  }
  nn::Sequential stem = register_module("stem", conv_bn_relu(3, 64, 7, 2));
  nn::Sequential body = register_module("body", nn::Sequential());
  nn::Linear head = register_module("head", nn::Linear(512, 1000));
};
MIDTREAD_MODULE(ResNet18);

/// arXiv 1704.04861.
struct MobileNetImpl : nn::Module {
  MobileNetImpl() {
    std::int64_t in = 32;
    for (const std::int64_t out : {64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024}) {
      const std::int64_t stride = out == in || out == 64 ? 1 : 2;
      body->push_back(conv_bn_relu(in, in, 3, stride, in));
      body->push_back(conv_bn_relu(in, out, 1));
      in = out;
    }
  }
  Tensor forward(const Tensor& x) override {
    return head(F::flatten(F::adaptive_avg_pool2d(body(stem(x)), {1, 1}), 1));
  }
  nn::Sequential stem = register_module("stem", conv_bn_relu(3, 32, 3, 2));
  nn::Sequential body = register_module("body", nn::Sequential());
  nn::Linear head = register_module("head", nn::Linear(1024, 1000));
};
MIDTREAD_MODULE(MobileNet);

struct Network {
  std::string name;
  std::shared_ptr<nn::Module> model;
  std::int64_t channels, size;

  Tensor images(std::int64_t batch) const { return randn({batch, channels, size, size}); }
};

Network make_network(const std::string& name) {
  if (name == "resnet18_224") return {name, ResNet18{}.ptr(), 3, 224};
  if (name == "mobilenet_v1_224") return {name, MobileNet{}.ptr(), 3, 224};
  return {name, examples::make_model(name), 1, 28};
}

double seconds(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void compete(benchmark::State& state, const std::string& name, std::int64_t batch,
             const kernels::KernelSet& set) {
  constexpr double kBudget = 2.0;
  set_num_threads(1);
  manual_seed(1);
  const NoGradGuard no_grad;
  const Network network = make_network(name);
  network.model->eval();
  auto fused = passes::fuse_modules(graph::trace(network.model, network.images(2)));
  auto prepared = passes::prepare_qat(fused, bench::mapping());
  passes::calibrate(prepared, network.images(2));
  prepared.eval();
  const quantized::Model int8 = passes::convert(prepared, set);
  const Tensor input = network.images(batch);
  quantized::Workspace workspace;
  for (auto _ : state) {
    double best[2] = {1e9, 1e9}, spent = 0;
    for (int round = 0; round < 3 || (spent < kBudget && round < 1000); ++round) {
      const double q = seconds([&] { benchmark::DoNotOptimize(int8.run(input, workspace).data()); });
      const double f = seconds([&] { benchmark::DoNotOptimize(network.model->forward(input).data()); });
      best[0] = std::min(best[0], q);
      best[1] = std::min(best[1], f);
      spent += q + f;
    }
    state.counters["int8_ms"] = 1e3 * best[0];
    state.counters["float_ms"] = 1e3 * best[1];
    state.counters["ratio"] = best[1] / best[0];
    state.SetIterationTime(best[0]);
  }
}

const bool registered = [] {
  for (const kernels::KernelSet& set : bench::machine_sets()) {
    if (set.isa() == kernels::Isa::kPortable) continue;
    for (const std::string name : {"cnn", "resnet8", "mobilenet_v1", "resnet18_224", "mobilenet_v1_224"})
      for (const std::int64_t batch : {1, 64})
        benchmark::RegisterBenchmark(concat(name, "/batch", batch, '/', set.isa_name()).c_str(),
                                     [=](benchmark::State& state) { compete(state, name, batch, set); })
            ->Iterations(1)
            ->UseManualTime();
  }
  return true;
}();

}  // namespace

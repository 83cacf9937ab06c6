// SPDX-License-Identifier: MIT
// Every fake quantizer of the registry on 2^20 floats, one thread: forward with its range known, and backward.
// `copies` is the time in plain copies
// of the same bytes (copy/1M). Labels name the operation whose loops run.
#include <midtread/autograd/engine.hpp>

#include "million.hpp"

namespace {

using namespace midtread;

/// In train mode with scales from the data, learning where it learns; its observer has done its work.
std::shared_ptr<quant::FakeQuantizeBase> settled(const std::string& name) {
  auto fake_quantize = bench::make(name);
  if (fake_quantize->is_per_channel()) fake_quantize->set_channels(bench::million().size(0));
  fake_quantize->train();
  fake_quantize->forward(bench::million());
  fake_quantize->set_observer_enabled(false);
  return fake_quantize;
}

std::string operation_of(const Tensor& y) { return static_cast<const autograd::Node<float>&>(*y.grad_fn()).name; }

void forward(benchmark::State& state, const std::string& name) {
  set_num_threads(1);
  const auto fake_quantize = settled(name);
  const Tensor x = bench::million().clone().requires_grad_();
  const std::string operation = operation_of(fake_quantize->forward(x));
  const NoGradGuard no_grad;
  bench::run(state, operation, [&] { benchmark::DoNotOptimize(fake_quantize->forward(x)); });
}

void backward(benchmark::State& state, const std::string& name) {
  set_num_threads(1);
  const auto fake_quantize = settled(name);
  const Tensor x = bench::million().clone().requires_grad_(), dy = randn(x.shape());
  const Tensor y = fake_quantize->forward(x);
  const std::vector<Tensor> parameters = fake_quantize->parameters();
  bench::run(state, operation_of(y), [&] {
    x.set_grad(Tensor());  // the gradient is taken over, not added to another
    for (const Tensor& parameter : parameters) parameter.set_grad(Tensor());
    y.backward(dy, true);
    benchmark::DoNotOptimize(x.grad());
  });
}

const bool registered = [] {
  bench::register_copy();
  for (const std::string& name : quant::fake_quantize_names()) {
    benchmark::RegisterBenchmark(("forward/" + name).c_str(), [name](benchmark::State& s) { forward(s, name); });
    benchmark::RegisterBenchmark(("backward/" + name).c_str(), [name](benchmark::State& s) { backward(s, name); });
  }
  return true;
}();

}  // namespace

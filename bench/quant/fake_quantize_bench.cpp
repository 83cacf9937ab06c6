// SPDX-License-Identifier: MIT
// Every fake quantizer of the registry on 2^20 floats, and the slower roundings, one thread: forward with its
// range known, and backward. `copies` is the time in plain copies of the same bytes (copy/1M). Labels name
// the operation whose loops run.
#include <midtread/autograd/engine.hpp>

#include <functional>

#include "million.hpp"

namespace {

using namespace midtread;

using Make = std::function<std::shared_ptr<quant::FakeQuantizeBase>()>;

/// In train mode with scales from the data, learning where it learns; its observer has done its work.
std::shared_ptr<quant::FakeQuantizeBase> settled(const Make& make) {
  auto fake_quantize = make();
  if (fake_quantize->is_per_channel()) fake_quantize->set_channels(bench::million().size(0));
  fake_quantize->train();
  fake_quantize->forward(bench::million());
  fake_quantize->set_observer_enabled(false);
  return fake_quantize;
}

std::string operation_of(const Tensor& y) {
  return static_cast<const autograd::Node<float>&>(*y.grad_fn()).name;
}

void forward(benchmark::State& state, const Make& make) {
  set_num_threads(1);
  const auto fake_quantize = settled(make);
  const Tensor x = bench::million().clone().requires_grad_();
  const std::string operation = operation_of(fake_quantize->forward(x));
  const NoGradGuard no_grad;
  bench::run(state, operation, [&] { benchmark::DoNotOptimize(fake_quantize->forward(x)); });
}

void backward(benchmark::State& state, const Make& make) {
  set_num_threads(1);
  const auto fake_quantize = settled(make);
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

void add(const std::string& name, const Make& make) {
  benchmark::RegisterBenchmark(("forward/" + name).c_str(), [=](benchmark::State& s) { forward(s, make); });
  benchmark::RegisterBenchmark(("backward/" + name).c_str(), [=](benchmark::State& s) { backward(s, make); });
}

const bool registered = [] {
  bench::register_copy();
  for (const std::string& name : quant::fake_quantize_names())
    add(name, [name] { return bench::make(name); });
  for (const std::string rounding : {"half_up", "half_down", "std_round"})
    for (const std::string name :
         {"min_max/uint8_affine", "min_max/int8_symmetric_per_channel", "lsq/uint8_affine"})
      add(name + "/" + rounding, [=] {
        quant::OptionValues values;
        values.insert("rounding", rounding);
        return bench::make(name, values);
      });
  return true;
}();

}  // namespace

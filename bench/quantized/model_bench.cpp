// SPDX-License-Identifier: MIT
// int8 models, one thread, every instruction set: the examples' networks at batch 1 and 64, and one 1x1
// linear layer, whose time is what a call costs by itself. Labels name the kernels.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "../int8_networks.hpp"
#include "../kernels/shapes.hpp"

namespace {

using namespace midtread;

/// The kernels of a model, each once.
std::string kernels_of(const quantized::Model& model) {
  std::vector<std::string> labels;
  for (const auto& step : model.steps()) {
    const std::string label = step.op->kernel_label();
    if (!label.empty() && std::find(labels.begin(), labels.end(), label) == labels.end())
      labels.push_back(label);
  }
  std::string text;
  for (const std::string& label : labels) text += (text.empty() ? "" : " ") + label;
  return text;
}

void run(benchmark::State& state, const quantized::Model& model, const Tensor& input) {
  set_num_threads(1);
  quantized::Workspace workspace;
  for (auto _ : state) benchmark::DoNotOptimize(model.run(input, workspace).data());
  state.SetItemsProcessed(state.iterations() * input.size(0));
  state.SetLabel(kernels_of(model));
}

/// Into a tensor of the caller's, with the thread's own workspace.
void call(benchmark::State& state, const quantized::Model& model, const Tensor& input) {
  set_num_threads(1);
  for (auto _ : state) benchmark::DoNotOptimize(model(input));
  state.SetItemsProcessed(state.iterations() * input.size(0));
  state.SetLabel(kernels_of(model));
}

quantized::Model tiny() {
  nn::Sequential model(nn::Linear(1, 1));
  auto prepared = passes::prepare_qat(model, randn({2, 1}), bench::mapping());
  passes::calibrate(prepared, randn({8, 1}));
  return passes::convert(prepared);
}

const bool registered = [] {
  for (const kernels::KernelSet& set : bench::machine_sets()) {
    const std::string isa = set.isa_name();
    for (const std::string name : {"cnn", "resnet8", "mobilenet_v1"}) {
      quantized::Model model = passes::convert(bench::prepared(name), set);
      for (const std::int64_t batch : {1, 64})
        benchmark::RegisterBenchmark(
            concat("run/", name, "/batch", batch, '/', isa).c_str(),
            [=](benchmark::State& state) { run(state, model, bench::images(batch)); });
    }
    quantized::Model model = tiny();
    model.bind(set);
    benchmark::RegisterBenchmark(("run/linear1x1/" + isa).c_str(), [=](benchmark::State& state) {
      run(state, model, randn({1, 1}));
    });
    benchmark::RegisterBenchmark(("call/linear1x1/" + isa).c_str(), [=](benchmark::State& state) {
      call(state, model, randn({1, 1}));
    });
  }
  return true;
}();

}  // namespace

// SPDX-License-Identifier: MIT
// The way from a float model to a verified int8 one, pass by pass, for the examples' networks. One thread.
#include <benchmark/benchmark.h>

#include "../int8_networks.hpp"

namespace {

using namespace midtread;

template <class Body>
void add(const std::string& name, const Body& body) {
  benchmark::RegisterBenchmark(name.c_str(), [body](benchmark::State& state) {
    set_num_threads(1);
    body(state);
  });
}

void add_model(const std::string& name) {
  add("trace/" + name, [=](benchmark::State& state) {
    const auto model = examples::make_model(name);
    const Tensor example = bench::images(2);
    for (auto _ : state) benchmark::DoNotOptimize(graph::trace(model, example));
  });
  add("fuse_modules/" + name, [=](benchmark::State& state) {
    const graph::GraphModule traced = graph::trace(examples::make_model(name), bench::images(2));
    for (auto _ : state) benchmark::DoNotOptimize(passes::fuse_modules(traced));
  });
  add("prepare_qat/" + name, [=](benchmark::State& state) {
    const graph::GraphModule fused =
        passes::fuse_modules(graph::trace(examples::make_model(name), bench::images(2)));
    for (auto _ : state) benchmark::DoNotOptimize(passes::prepare_qat(fused, bench::mapping()));
  });
  add("calibrate_64/" + name, [=](benchmark::State& state) {
    graph::GraphModule prepared = bench::prepared(name);
    const Tensor batch = bench::images(64);
    for (auto _ : state) passes::calibrate(prepared, batch);
  });
  add("convert/" + name, [=](benchmark::State& state) {
    const graph::GraphModule prepared = bench::prepared(name);
    for (auto _ : state) benchmark::DoNotOptimize(passes::convert(prepared));
    state.SetLabel(passes::convert(prepared).isa());
  });
  add("verify_convert_64/" + name, [=](benchmark::State& state) {
    graph::GraphModule prepared = bench::prepared(name);
    const quantized::Model int8 = passes::convert(prepared);
    const Tensor batch = bench::images(64);
    for (auto _ : state)
      if (!passes::verify_convert(prepared, int8, batch).ok()) state.SkipWithError("the models differ");
    state.SetLabel(int8.isa());
  });
}

const bool registered = [] {
  for (const char* name : {"cnn", "resnet8", "mobilenet_v1"}) add_model(name);
  return true;
}();

}  // namespace

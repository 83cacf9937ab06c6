// SPDX-License-Identifier: MIT
// An int8 model to the bytes of its file and back, checks, packing and all. One thread.
#include <midtread/io/int8_model.hpp>

#include <benchmark/benchmark.h>

#include "../int8_networks.hpp"

namespace {

using namespace midtread;

void add(const std::string& name) {
  benchmark::RegisterBenchmark(("serialize/" + name).c_str(), [=](benchmark::State& state) {
    set_num_threads(1);
    const quantized::Model model = passes::convert(bench::prepared(name));
    for (auto _ : state) benchmark::DoNotOptimize(io::serialize_int8_model(model));
    state.SetBytesProcessed(state.iterations() *
                            static_cast<std::int64_t>(io::serialize_int8_model(model).size()));
  });
  benchmark::RegisterBenchmark(("parse/" + name).c_str(), [=](benchmark::State& state) {
    set_num_threads(1);
    const std::string bytes = io::serialize_int8_model(passes::convert(bench::prepared(name)));
    for (auto _ : state) benchmark::DoNotOptimize(io::parse_int8_model(bytes, "memory"));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
    state.SetLabel(kernels::select_kernels().isa_name());
  });
}

const bool registered = [] {
  for (const char* name : {"cnn", "resnet8", "mobilenet_v1"}) add(name);
  return true;
}();

}  // namespace

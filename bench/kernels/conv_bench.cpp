// SPDX-License-Identifier: MIT
// int8 matrix products and convolutions, one thread, every instruction set: GOPS counts 2 per
// multiply-accumulate, padded taps included. Names are kernel/shape.
#include <benchmark/benchmark.h>

#include <random>

#include "shapes.hpp"

namespace {

using namespace midtread;
using namespace midtread::kernels;

void run(benchmark::State& state, const ConvKernel& kernel, const Conv2dShape& s) {
  set_num_threads(1);
  std::mt19937 random(1);
  std::vector<std::uint8_t> x(static_cast<std::size_t>(s.batch * s.in_pixels() * s.in_channels));
  std::vector<std::int8_t> w(static_cast<std::size_t>(s.weight_count()));
  for (auto& code : x) code = static_cast<std::uint8_t>(random());
  for (auto& code : w) code = static_cast<std::int8_t>(random());
  const std::vector<std::int32_t> bias(static_cast<std::size_t>(s.out_channels), 100);
  const std::vector<float> multiplier(static_cast<std::size_t>(s.out_channels), 1e-4f);
  std::vector<std::uint8_t> y(static_cast<std::size_t>(s.batch * s.out_pixels() * s.out_channels));
  const PackedWeights packed = pack_weights(kernel, s, w.data());
  Epilogue epilogue;
  epilogue.bias = bias.data();
  epilogue.multiplier = multiplier.data();
  Scratch scratch;
  for (auto _ : state) {
    run_conv(packed, s, x.data(), 128, epilogue, y.data(), scratch);
    benchmark::ClobberMemory();
  }
  state.counters["GOPS"] = benchmark::Counter(2e-9 * static_cast<double>(s.multiply_accumulates()),
                                              benchmark::Counter::kIsIterationInvariantRate);
}

void add(const Conv2dShape& s, const std::string& name) {
  for (const KernelSet& set : bench::machine_sets()) {
    const ConvKernel& kernel = set.conv(s);
    benchmark::RegisterBenchmark((std::string(kernel.label) + "/" + name).c_str(),
                                 [&kernel, s](benchmark::State& state) { run(state, kernel, s); });
  }
}

const bool registered = [] {
  for (const auto& g : bench::read_shapes("gemm.txt", 3))
    add(linear_shape(g[0], g[2], g[1]), concat(g[0], "x", g[1], "x", g[2]));
  for (const auto& c : bench::read_shapes("conv.txt", 9)) {
    const Conv2dShape s = bench::conv_shape(c);
    add(s, concat(c[8], "x", c[0], "x", c[1], "x", c[2], "->", c[3], "_k", c[4], "s", c[5], "g", c[7]));
  }
  return true;
}();

}  // namespace

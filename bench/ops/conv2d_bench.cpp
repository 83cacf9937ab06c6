// SPDX-License-Identifier: MIT
// Float convolution, one thread: forward, input gradient and weight gradient of the layers of small networks.
#include <midtread/kernels/float/conv2d_weights.hpp>
#include <midtread/tensor/factory.hpp>

#include <benchmark/benchmark.h>
#include <string>
#include <vector>

namespace midtread {
namespace {

struct Layer {
  std::int64_t in, out, size, kernel, stride, groups;
};
const Layer kLayers[] = {{1, 32, 28, 3, 1, 1},  {32, 64, 14, 3, 1, 1},  {16, 16, 28, 3, 1, 1},
                         {16, 32, 28, 3, 2, 1}, {32, 32, 14, 3, 1, 1},  {32, 64, 14, 3, 2, 1},
                         {64, 64, 7, 3, 1, 1},  {16, 32, 28, 1, 1, 1},  {16, 32, 28, 1, 2, 1},
                         {64, 64, 14, 1, 1, 1}, {16, 16, 28, 3, 1, 16}, {64, 64, 14, 3, 1, 64},
                         {64, 64, 56, 3, 1, 1}, {128, 128, 28, 3, 1, 1}};

void run(benchmark::State& state, const Layer& layer, int pass,
         const kernels::floating::KernelSet<float>& set) {
  set_num_threads(1);
  kernels::Conv2dShape s;
  s.batch = layer.size > 28 || layer.in > 64 ? 4 : 64;
  s.in_channels = layer.in, s.out_channels = layer.out, s.groups = layer.groups;
  s.in_height = s.in_width = layer.size;
  s.kernel_height = s.kernel_width = layer.kernel;
  s.stride_height = s.stride_width = layer.stride;
  s.pad_height = s.pad_width = layer.kernel / 2;
  s.out_height = s.out_width =
      kernels::conv_output_size(layer.size, layer.kernel, layer.stride, layer.kernel / 2, 1);
  const Tensor x = randn({s.batch * s.in_pixels() * s.in_channels}),
               y = randn({s.batch * s.out_pixels() * s.out_channels});
  const Tensor w = randn({s.weight_count()});
  for (auto _ : state) {
    if (pass == 0)
      kernels::floating::conv2d_forward<float>(s, x.data(), w.data(), nullptr, y.mutable_data(), set);
    if (pass == 1)
      kernels::floating::conv2d_input_gradient<float>(s, y.data(), w.data(), nullptr, x.mutable_data(), set);
    if (pass == 2)
      kernels::floating::conv2d_weight_gradient<float>(s, x.data(), y.data(), w.mutable_data(), set);
  }
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(s.multiply_accumulates()),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

void register_layers() {
  std::vector<const kernels::floating::KernelSet<float>*> sets{&kernels::floating::portable::kKernels<float>};
  const auto& best = kernels::floating::best_kernels<float>();
#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
  if (best.lanes >= 8) sets.push_back(&kernels::floating::avx2::kKernels<float>);
#endif
  if (best.lanes > 8) sets.push_back(&best);
  const char* passes[] = {"forward", "dx", "dw"};
  for (const auto* set : sets)
    for (const Layer& layer : kLayers)
      for (int pass = 0; pass < 3; ++pass)
        benchmark::RegisterBenchmark(
            concat("conv2d/", set->isa, "/", layer.groups > 1 ? "dw" : "", layer.in, "x", layer.out, "@",
                   layer.size, "k", layer.kernel, "s", layer.stride, "/", passes[pass])
                .c_str(),
            [=](benchmark::State& state) { run(state, layer, pass, *set); });
}

}  // namespace midtread

int main(int argc, char** argv) {
  midtread::register_layers();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}

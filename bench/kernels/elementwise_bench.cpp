// SPDX-License-Identifier: MIT
// Memory-bound int8 operations, one thread, every instruction set: elements per second.
#include <benchmark/benchmark.h>

#include <functional>

#include "shapes.hpp"

namespace {

using namespace midtread;
using namespace midtread::kernels;

void add_case(const char* label, const char* size, std::int64_t elements, std::function<void()> call) {
  benchmark::RegisterBenchmark((std::string(label) + "/" + size).c_str(), [=](benchmark::State& state) {
    set_num_threads(1);
    for (auto _ : state) {
      call();
      benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations() * elements);
  });
}

struct Operands {
  std::vector<std::uint8_t> a, b, y;
  std::vector<float> real;
  Scratch scratch;
};

const bool registered = [] {
  constexpr std::int64_t n = 56 * 56 * 256, million = 1 << 20;
  static Operands o;
  o.a.assign(million, 100);
  o.b.assign(million, 7);
  o.y.assign(million, 0);
  o.real.assign(million, 1.5f);
  const AffineParams in{0.02f, 30};
  const QuantizeParams out{0.03f, 40, {0, 255}, Rounding::kHalfEven};
  for (const KernelSet& set : bench::machine_sets()) {
    const KernelTable* t = &set.table();
    add_case(t->add->label, "56x56x256", n,
             [=] { t->add->run(elementwise(n), o.a.data(), in, o.b.data(), in, out, o.y.data()); });
    add_case(t->mul->label, "56x56x256", n,
             [=] { t->mul->run(elementwise(n), o.a.data(), in, o.b.data(), in, out, o.y.data()); });
    add_case(t->requantize_copy->label, "3136x256", n,
             [=] { t->requantize_copy->run(o.a.data(), in, 3136, 256, 256, out, o.y.data(), 256); });
    add_case(t->lookup->label, "56x56x256", n,
             [=] { t->lookup->run(o.b.data(), o.a.data(), o.y.data(), n); });
    add_case(t->quantize->label, "1M", million,
             [=] { t->quantize->run(o.real.data(), o.y.data(), million, out); });
    add_case(t->dequantize->label, "1M", million,
             [=] { t->dequantize->run(o.a.data(), o.real.data(), million, in); });
    Pool2dShape pool;
    pool.channels = 2048;
    pool.in_height = pool.in_width = 7;
    pool.adaptive = true;
    add_case(t->average_pool->label, "7x7x2048", 7 * 7 * 2048,
             [=] { t->average_pool->run(pool, o.a.data(), 30, o.y.data(), o.scratch); });
    Pool2dShape stem;
    stem.channels = 64;
    stem.in_height = stem.in_width = 112;
    stem.kernel_height = stem.kernel_width = 3;
    stem.stride_height = stem.stride_width = 2;
    stem.pad_height = stem.pad_width = 1;
    stem.out_height = stem.out_width = 56;
    add_case(t->max_pool->label, "112x112x64_k3s2", 112 * 112 * 64,
             [=] { t->max_pool->run(stem, o.a.data(), o.y.data()); });
  }
  return true;
}();

}  // namespace

// SPDX-License-Identifier: MIT
// What the benchmarks of quant/ share: 2^20 normal floats, and a copy of the same bytes to hold times
// against.
#pragma once

#include <midtread/quant/registry.hpp>
#include <midtread/tensor/factory.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <vector>

namespace bench {

inline constexpr std::int64_t kMillion = std::int64_t{1} << 20;

/// [256, 4096]: a weight of 256 channels, or any activation.
inline const midtread::Tensor& million() {
  static const midtread::Tensor x = midtread::randn({256, kMillion / 256});
  return x;
}

/// Copies million() to memory that is in use already.
inline void copy_million() {
  static std::vector<float> to(static_cast<std::size_t>(kMillion));
  std::memcpy(to.data(), million().data(), to.size() * sizeof(float));
  benchmark::DoNotOptimize(to.data());
  benchmark::ClobberMemory();
}

template <class Body>
double seconds(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Times body(). `copies` is its time in copies of x: the least of many calls, taken in turns with copies,
/// which other work on the machine hardly changes.
template <class Body>
void run(benchmark::State& state, const std::string& label, const Body& body) {
  for (auto _ : state) body();
  double least = 1e9, copy = 1e9, spent = 0;
  for (int turn = 0; turn < 10 || (turn < 300 && spent < 0.5); ++turn) {
    const double took = seconds(body);
    least = std::min(least, took);
    spent += took;
    copy_million();  // what the body left cold
    copy = std::min(copy, seconds(copy_million));
  }
  state.counters["copies"] = least / copy;
  state.SetBytesProcessed(state.iterations() * kMillion * static_cast<std::int64_t>(sizeof(float)));
  state.SetLabel(label);
}

inline void register_copy() {
  benchmark::RegisterBenchmark("copy/1M",
                               [](benchmark::State& state) { run(state, "memcpy", copy_million); });
}

/// By name, with the options that a name cannot do without.
inline std::shared_ptr<midtread::quant::FakeQuantizeBase> make(const std::string& name,
                                                               midtread::quant::OptionValues values = {}) {
  if (name == "fixed_qparams/uint8_symmetric") values.insert("zero_point", 128.0);
  return midtread::quant::make_fake_quantize(name, values);
}

}  // namespace bench

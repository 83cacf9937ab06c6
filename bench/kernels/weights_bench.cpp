// SPDX-License-Identifier: MIT
// What the values of weights cost where exactness depends on them, on AVX2: the same shape with weights of
// several kinds, in turn, one thread, the best of many slices. Each counter is a time beside that of weights
// which are all -127 or 127, for which only products in 16 bits are exact; extreme_again are the same weights
// at other addresses: what weights larger than the nearest caches owe to where they lie.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "shapes.hpp"

namespace {

using namespace midtread;
using namespace midtread::kernels;

enum Kind {
  kExtreme,
  kAgain,
  kGaussian,
  kLaplacian,
  kUniform,
  kHalf,
  kQuarter,
  kChannel,
  kInput,
  kEqual,
  kLowest
};
constexpr const char* kNames[] = {"extreme",        "extreme_again", "gaussian",        "laplacian",
                                  "uniform",        "half_extreme",  "quarter_extreme", "channel_extreme",
                                  "inputs_extreme", "equal_80",      "all_-128"};

std::vector<std::int8_t> make_weights(const Conv2dShape& s, Kind kind) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::exponential_distribution<float> exponential;
  const auto sign = [&] { return random() % 2 != 0 ? 1 : -1; };
  std::vector<std::int8_t> codes;
  std::vector<float> real(static_cast<std::size_t>(s.depth()));
  for (std::int64_t o = 0; o < s.out_channels; ++o) {
    float largest = 0;
    for (float& w : real) {
      w = kind == kLaplacian ? exponential(random) * static_cast<float>(sign()) : normal(random);
      largest = std::max(largest, std::fabs(w));
    }
    for (std::size_t i = 0; i < real.size(); ++i) {
      const int bell = static_cast<int>(std::lround(real[i] / largest * 127)),
                small = static_cast<int>(random() % 41) - 20, extreme = 127 * sign();
      int code = bell;
      if (kind == kExtreme || kind == kAgain) code = extreme;
      if (kind == kUniform) code = static_cast<int>(random() % 255) - 127;
      if (kind == kHalf) code = random() % 2 != 0 ? extreme : small;
      if (kind == kQuarter) code = random() % 4 == 0 ? extreme : small;
      if (kind == kChannel && o % 16 == 5) code = extreme;
      if (kind == kInput && i % 7 == 0) code = extreme;
      if (kind == kEqual) code = 80;
      if (kind == kLowest) code = -128;
      codes.push_back(static_cast<std::int8_t>(code));
    }
  }
  return codes;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void compare(benchmark::State& state, const ConvKernel& kernel, const Conv2dShape& s) {
  constexpr double kSlice = 1e-3;
  constexpr int kRounds = 40, kKinds = kLowest + 1;
  set_num_threads(1);
  std::vector<std::uint8_t> x(static_cast<std::size_t>(s.batch * s.in_pixels() * s.in_channels));
  std::mt19937 random(2);
  for (auto& code : x) code = static_cast<std::uint8_t>(random());
  const std::vector<float> multiplier(static_cast<std::size_t>(s.out_channels), 1e-4f);
  std::vector<std::uint8_t> y(static_cast<std::size_t>(s.batch * s.out_pixels() * s.out_channels));
  Epilogue epilogue;
  epilogue.multiplier = multiplier.data();
  std::vector<PackedWeights> packed;
  for (int kind = 0; kind < kKinds; ++kind)
    packed.push_back(pack_weights(kernel, s, make_weights(s, static_cast<Kind>(kind)).data()));
  Scratch scratch;
  const auto run = [&](int kind) {
    run_conv(packed[static_cast<std::size_t>(kind)], s, x.data(), 128, epilogue, y.data(), scratch);
  };
  for (auto _ : state) {
    run(0);
    const double start = now();
    run(0);
    const int calls = std::max(2, static_cast<int>(kSlice / std::max(now() - start, 1e-8)));
    std::vector<double> best(kKinds, 1e9);
    for (int round = 0; round < kRounds; ++round)
      for (int kind = 0; kind < kKinds; ++kind) {
        run(kind);  // its weights, not those of the kind before, are in the caches
        const double begin = now();
        for (int call = 0; call < calls; ++call) run(kind);
        best[static_cast<std::size_t>(kind)] =
            std::min(best[static_cast<std::size_t>(kind)], (now() - begin) / calls);
      }
    for (int kind = 1; kind < kKinds; ++kind)
      state.counters[kNames[kind]] = best[static_cast<std::size_t>(kind)] / best[0];
    state.counters["worst"] = *std::max_element(best.begin(), best.end()) / best[0];
    state.SetIterationTime(best[0]);
  }
}

const bool registered = [] {
  const auto add = [](const std::string& name, const Conv2dShape& s) {
    for (const KernelSet& set : bench::machine_sets()) {
      const ConvKernel* kernel = &set.conv(s);
      benchmark::RegisterBenchmark(concat(kernel->label, '/', name).c_str(),
                                   [=](benchmark::State& state) { compare(state, *kernel, s); })
          ->Iterations(1)
          ->UseManualTime();
    }
  };
  for (const auto& g : bench::read_shapes("gemm.txt", 3))
    add(concat(g[0], "x", g[1], "x", g[2]), linear_shape(g[0], g[2], g[1]));
  for (const auto& c : bench::read_shapes("conv.txt", 9))
    if (c[7] == 1)
      add(concat(c[8], "x", c[0], "x", c[1], "x", c[2], "->", c[3], "_k", c[4], "s", c[5]),
          bench::conv_shape(c));
  return true;
}();

}  // namespace

// SPDX-License-Identifier: MIT
// midtread beside other int8 libraries on the same shapes, one thread, weights packed ahead, answers
// compared. Each benchmark is one shape: contestants take turns in slices below a millisecond, slices that
// the system interrupted do not count, the best of many does. One process per instruction set, because oneDNN
// is capped once.
//
//   bench_peers [--isa=avx2] [Google Benchmark's flags]
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <random>

#include "../kernels/shapes.hpp"
#include "contest.hpp"

namespace {

using midtread::kernels::Conv2dShape;
using peers::Contestant;
using peers::Problem;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
long interruptions() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

/// Seconds per call of each, the best of many slices in turn.
std::vector<double> measure(const std::vector<Contestant>& contestants) {
  constexpr double kSlice = 0.7e-3, kBudget = 0.4;
  std::vector<double> best(contestants.size(), 1e9);
  std::vector<int> calls;
  for (const Contestant& c : contestants) {
    c.run();
    const double start = now();
    c.run();
    calls.push_back(std::max(1, static_cast<int>(kSlice / std::max(now() - start, 1e-8))));
  }
  const double end = now() + kBudget * static_cast<double>(contestants.size());
  int rounds = 0;
  while (rounds < 5 || now() < end) {
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      contestants[i].run();
      const long before = interruptions();
      const double start = now();
      for (int call = 0; call < calls[i]; ++call) contestants[i].run();
      const double seconds = (now() - start) / calls[i];
      if (rounds < 5 || interruptions() == before) best[i] = std::min(best[i], seconds);
    }
    ++rounds;
  }
  return best;
}

/// Trained layers' weights are near Gaussian, with each channel's largest at 127.
std::shared_ptr<Problem> make_problem(const Conv2dShape& s) {
  auto p = std::make_shared<Problem>();
  p->shape = s;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  p->x.resize(static_cast<std::size_t>(s.batch * s.in_pixels() * s.in_channels));
  for (auto& code : p->x) code = static_cast<std::uint8_t>(random() % 128);
  std::vector<float> channel(static_cast<std::size_t>(s.depth()));
  for (std::int64_t o = 0; o < s.out_channels; ++o) {
    float largest = 0;
    for (float& w : channel) largest = std::max(largest, std::fabs(w = normal(random)));
    for (const float w : channel) p->w.push_back(static_cast<std::int8_t>(std::lround(w / largest * 127)));
    p->bias.push_back(static_cast<std::int32_t>(random() % 2000));
    p->multiplier.push_back(0.02f / std::sqrt(static_cast<float>(s.depth())));
  }
  p->y.resize(static_cast<std::size_t>(s.batch * s.out_pixels() * s.out_channels));
  namespace k = midtread::kernels;
  const auto& reference = k::select_kernels(k::Engine::kReference, "");
  k::Epilogue epilogue;
  epilogue.bias = p->bias.data();
  epilogue.multiplier = p->multiplier.data();
  k::Scratch scratch;
  k::run_conv(k::pack_weights(reference.conv(s), s, p->w.data()), s, p->x.data(), 0, epilogue, p->y.data(),
              scratch);
  return p;
}

std::shared_ptr<peers::Stream> make_stream(peers::Stream::Kind kind, std::int64_t count) {
  auto s = std::make_shared<peers::Stream>();
  s->kind = kind;
  s->count = count;
  s->a_scale = 0.5f;
  s->b_scale = 0.25f;
  s->scale = 1.0f;
  std::mt19937 random(1);
  for (std::int64_t i = 0; i < count; ++i) {
    s->a.push_back(static_cast<std::uint8_t>(random() % 256));
    s->b.push_back(static_cast<std::uint8_t>(random() % 256));
    s->real.push_back(static_cast<float>(random() % 100000) * 0.003f - 20.0f);
  }
  if (kind != peers::Stream::kDequantize) {
    const Contestant reference = peers::midtread_contestants(*s, "portable").front();
    reference.run();
    s->y.assign(reference.answer(), reference.answer() + s->outputs());
  }
  return s;
}

/// Empty, or how many codes differ and by how much: fixed-point multipliers and other roundings may differ by
/// one.
std::string compare(const std::vector<std::uint8_t>& expected, const std::uint8_t* y) {
  std::size_t different = 0;
  int largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const int d = std::abs(int{expected[i]} - int{y[i]});
    different += d != 0;
    largest = std::max(largest, d);
  }
  if (largest <= 1) return "";
  return std::to_string(different) + " of " + std::to_string(expected.size()) + " codes differ, by up to " +
         std::to_string(largest);
}

struct Row {
  std::string name;
  std::map<std::string, double> gops;
};
std::vector<Row>& table() {
  static std::vector<Row> rows;
  return rows;
}

void compete(benchmark::State& state, const std::string& name, const std::vector<Contestant>& all,
             const std::vector<std::uint8_t>& expected, double operations) {
  for (const Contestant& c : all) {
    if (!c.answer) continue;
    c.run();
    const std::string wrong = compare(expected, c.answer());
    if (!wrong.empty()) std::printf("%s, %s: %s\n", name.c_str(), c.name.c_str(), wrong.c_str());
    if (c.name == "midtread" && std::memcmp(expected.data(), c.answer(), expected.size()) != 0)
      state.SkipWithError("midtread's answer is not the contract's");
  }
  for (auto _ : state) {
    const std::vector<double> seconds = measure(all);
    Row row{name, {}};
    for (std::size_t i = 0; i < all.size(); ++i)
      state.counters[all[i].name] = row.gops[all[i].name] = operations / seconds[i] * 1e-9;
    table().push_back(row);
    state.SetIterationTime(seconds[0]);
  }
}

void print_table(const std::string& isa) {
  if (table().empty()) return;
  std::vector<std::string> names;
  for (const char* name : {"saturating", "onednn", "xnnpack", "gemmlowp", "eigen_float"})
    for (const Row& row : table())
      if (row.gops.count(name) != 0) {
        names.push_back(name);
        break;
      }
  std::printf(
      "\n%s: billions of operations or elements per second of midtread, and midtread / peer\n%-40s %9s",
      isa.c_str(), "shape", "midtread");
  for (const auto& name : names) std::printf(" %12s", name.c_str());
  std::printf("\n");
  std::map<std::string, std::pair<double, int>> logs;
  for (const Row& row : table()) {
    std::printf("%-40s %9.1f", row.name.c_str(), row.gops.at("midtread"));
    for (const auto& name : names) {
      const auto peer = row.gops.find(name);
      if (peer == row.gops.end()) {
        std::printf(" %12s", "");
        continue;
      }
      const double ratio = row.gops.at("midtread") / peer->second;
      logs[name].first += std::log(ratio);
      ++logs[name].second;
      std::printf(" %12.2f", ratio);
    }
    std::printf("\n");
  }
  std::printf("%-40s %9s", "geometric mean", "");
  for (const auto& name : names) std::printf(" %12.2f", std::exp(logs[name].first / logs[name].second));
  std::printf("\n");
}

void add(const std::string& name, const std::string& isa, std::function<void(benchmark::State&)> body) {
  benchmark::RegisterBenchmark((isa + "/" + name).c_str(), [=](benchmark::State& state) { body(state); })
      ->Iterations(1)
      ->UseManualTime();
}

void add_conv(const std::string& name, const Conv2dShape& shape, const std::string& isa) {
  add(name, isa, [=](benchmark::State& state) {
    const auto problem = make_problem(shape);
    std::vector<Contestant> all = peers::midtread_contestants(*problem, isa);
    for (const auto& some : {peers::saturating_contestants(*problem, isa),
                             peers::onednn_contestants(*problem), peers::xnnpack_contestants(*problem),
                             peers::gemmlowp_contestants(*problem), peers::eigen_contestants(*problem)})
      all.insert(all.end(), some.begin(), some.end());
    compete(state, name, all, problem->y, problem->operations());
  });
}

void add_stream(const std::string& name, peers::Stream::Kind kind, std::int64_t count,
                const std::string& isa) {
  add(name, isa, [=](benchmark::State& state) {
    const auto stream = make_stream(kind, count);
    std::vector<Contestant> all = peers::midtread_contestants(*stream, isa);
    for (const auto& some : {peers::onednn_contestants(*stream), peers::xnnpack_contestants(*stream)})
      all.insert(all.end(), some.begin(), some.end());
    compete(state, name, all, stream->y, static_cast<double>(count));
  });
}

int run_isa(const std::string& isa, int argc, char** argv) {
  midtread::set_num_threads(1);
  peers::cap_onednn(isa);
  benchmark::Initialize(&argc, argv);
  for (const auto& g : bench::read_shapes("gemm.txt", 3))
    add_conv("gemm " + std::to_string(g[0]) + "x" + std::to_string(g[1]) + "x" + std::to_string(g[2]),
             midtread::kernels::linear_shape(g[0], g[2], g[1]), isa);
  for (const auto& c : bench::read_shapes("conv.txt", 9)) {
    const Conv2dShape s = bench::conv_shape(c);
    add_conv(midtread::concat(s.is_depthwise() ? "depthwise " : "conv ", c[8], "x", c[0], "x", c[1], "x",
                              c[2], "->", c[3], " k", c[4], "s", c[5], "g", c[7]),
             s, isa);
  }
  add_stream("add 56x56x256", peers::Stream::kAdd, 56 * 56 * 256, isa);
  add_stream("global average 7x7x2048", peers::Stream::kAverage, 7 * 7 * 2048, isa);
  add_stream("quantize 1M", peers::Stream::kQuantize, 1 << 20, isa);
  add_stream("dequantize 1M", peers::Stream::kDequantize, 1 << 20, isa);
  benchmark::RunSpecifiedBenchmarks();
  print_table(isa);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // OpenMP reads it before main does.
  const char* threads = std::getenv("OMP_NUM_THREADS");
  if (threads == nullptr || std::strcmp(threads, "1") != 0) {
    setenv("OMP_NUM_THREADS", "1", 1);
    execv("/proc/self/exe", argv);
  }
  for (int i = 1; i < argc; ++i)
    if (std::strncmp(argv[i], "--isa=", 6) == 0) {
      const std::string isa = argv[i] + 6;
      for (int j = i; j + 1 < argc; ++j) argv[j] = argv[j + 1];
      return run_isa(isa, argc - 1, argv);
    }
  for (const std::string& isa : midtread::kernels::available_isas(midtread::kernels::kAutoEngine)) {
    if (isa == "portable") continue;
    const pid_t child = fork();
    if (child == 0) {
      const int code = run_isa(isa, argc, argv);
      std::fflush(stdout);
      _exit(code);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 1;
  }
  return 0;
}

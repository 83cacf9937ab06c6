// SPDX-License-Identifier: MIT
// What the kernel tests share: operands between guard pages, patterns that provoke saturation, and an oracle
// in int64 that shares no code with the kernels.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <midtread/kernels/dispatch.hpp>

#include <support/emulated_tiles.hpp>

#include "avxvnni_twin.hpp"

namespace kernel_tester {

using midtread::kernels::Conv2dShape;
using midtread::kernels::KernelSet;

/// `capacity` bytes with an inaccessible page on both sides. place() puts an operand against either page and
/// fills the rest with a canary.
class GuardedArena {
 public:
  explicit GuardedArena(std::size_t capacity) {
    page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (capacity + 64 + page_ - 1) / page_ * page_;
    void* mapped = mmap(nullptr, bytes_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) std::abort();
    base_ = static_cast<unsigned char*>(mapped) + page_;
    if (mprotect(base_, bytes_, PROT_READ | PROT_WRITE) != 0) std::abort();
  }
  ~GuardedArena() { munmap(base_ - page_, bytes_ + 2 * page_); }
  GuardedArena(const GuardedArena&) = delete;
  GuardedArena& operator=(const GuardedArena&) = delete;

  /// Room for `count` elements that end (or, with `at_start`, begin) at a guard page; `fill` preset.
  template <class T>
  T* place(std::size_t count, bool at_start = false, unsigned char fill = 0x5A) {
    used_ = count * sizeof(T);
    if (used_ + 64 > bytes_) std::abort();
    at_start_ = at_start;
    unsigned char* first = at_start ? base_ : base_ + bytes_ - used_;
    std::memset(first, fill, used_);
    std::memset(at_start ? first + used_ : first - 64, 0xA5, 64);
    return reinterpret_cast<T*>(first);
  }
  template <class T>
  T* place(const std::vector<T>& values, bool at_start = false) {
    T* to = place<T>(values.size(), at_start);
    std::copy(values.begin(), values.end(), to);
    return to;
  }
  bool canary_intact() const {
    const unsigned char* at = at_start_ ? base_ + used_ : base_ + bytes_ - used_ - 64;
    return std::all_of(at, at + 64, [](unsigned char c) { return c == 0xA5; });
  }

 private:
  unsigned char* base_;
  std::size_t page_, bytes_, used_ = 0;
  bool at_start_ = false;
};

/// Deterministic operands; a pattern is chosen by number.
class Operands {
 public:
  explicit Operands(unsigned seed) : random_(seed) {}

  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
  }
  /// Spread evenly over the logarithm.
  std::int64_t log_uniform(std::int64_t low, std::int64_t high) {
    const double u = static_cast<double>(random_() % 1000000) / 1e6;
    const double l = std::log(static_cast<double>(low)), h = std::log(static_cast<double>(high) + 1);
    return std::min(high, static_cast<std::int64_t>(std::exp(l + u * (h - l))));
  }
  float real(float low, float high) {
    return low + (high - low) * static_cast<float>(random_() % 1000001) / 1000000.0f;
  }
  /// 0: random; 1: 255; 2: 0; 3: 0 and 255 in turn; 4: 254, 255 in turn.
  std::vector<std::uint8_t> activations(std::size_t n, int pattern) {
    std::vector<std::uint8_t> v(n);
    for (std::size_t i = 0; i < n; ++i) {
      const unsigned word = static_cast<unsigned>(random_());
      const unsigned codes[5] = {word & 255u, 255u, 0u, i % 2 ? 255u : 0u, i % 2 ? 255u : 254u};
      v[i] = static_cast<std::uint8_t>(codes[pattern]);
    }
    return v;
  }
  static constexpr int kWeightPatterns = 7;
  /// 0: random; 1: -128; 2: 127; 3: -128 and 127 in turn; 4: mostly zero; 5: bell-shaped as after training, a
  /// few pairs too large for vpmaddubsw; 6: the same, one channel in 40 weights at its limits.
  std::vector<std::int8_t> weights(std::size_t n, int pattern) {
    std::vector<std::int8_t> v(n);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t bits = random_();
      const int word = static_cast<int>(bits % 256) - 128;
      int bell = -256;
      for (int k = 0; k < 4; ++k) bell += static_cast<int>(bits >> (8 * k) & 127);
      bell = std::max(-128, std::min(127, bell));
      const int codes[kWeightPatterns] = {word,
                                          -128,
                                          127,
                                          i % 2 ? 127 : -128,
                                          i % 7 ? 0 : word,
                                          bell,
                                          i / 40 % 40 ? bell : i % 3 ? 127 : -128};
      v[i] = static_cast<std::int8_t>(codes[pattern]);
    }
    return v;
  }
  std::vector<std::int32_t> biases(std::size_t n) {
    std::vector<std::int32_t> v(n);
    for (auto& b : v) b = static_cast<std::int32_t>(random_() % 20001) - 10000;
    return v;
  }
  /// Such that sums of `depth` products mostly land inside the code range.
  std::vector<float> multipliers(std::size_t n, std::int64_t depth) {
    std::vector<float> v(n);
    for (auto& m : v) m = real(0.2f, 2.0f) / (40.0f * std::sqrt(static_cast<float>(depth)));
    return v;
  }

 private:
  std::mt19937_64 random_;
};

/// Random batch, image, window, stride, padding and dilation; channels, groups and the output are the
/// caller's.
inline void draw_geometry(Operands& pick, Conv2dShape& s) {
  s.batch = 1 + pick.below(3);
  s.in_height = 1 + pick.below(12);
  s.in_width = 1 + pick.below(14);
  s.kernel_height = 1 + pick.below(4);
  s.kernel_width = 1 + pick.below(5);
  s.stride_height = 1 + pick.below(3);
  s.stride_width = 1 + pick.below(3);
  s.pad_height = pick.below(5);
  s.pad_width = pick.below(5);
  s.dilation_height = 1 + pick.below(3);
  s.dilation_width = pick.below(2) ? 1 : 1 + pick.below(3);
}

/// What an epilogue's tail may do; twice, not at all or too early gives other codes.
inline std::uint8_t follow(std::uint8_t code) { return static_cast<std::uint8_t>(3 * code + 7); }
inline constexpr midtread::kernels::CodeTail kTail{
    [](const midtread::kernels::CodeTail&, std::uint8_t* codes, std::int64_t first, std::int64_t count) {
      for (std::int64_t i = first; i < first + count; ++i) codes[i] = follow(codes[i]);
    }};

/// To the nearest integer; a tie goes 0 to even, 1 up, 2 towards zero, 3 away from zero.
inline double oracle_round(double value, int policy) {
  const double below = std::floor(value), rest = value - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  if (policy == 1) return below + 1;
  if (policy == 2) return value > 0 ? below : below + 1;
  if (policy == 3) return value > 0 ? below + 1 : below;
  return std::fmod(below, 2.0) == 0.0 ? below : below + 1;
}

/// clamp(round(float(acc) * multiplier), lo - z, hi - z) + z. The product of two floats is exact in double:
/// rounded once to float here.
inline std::uint8_t oracle_requantize(std::int64_t acc, float multiplier, int zero_point, int lo, int hi,
                                      int policy) {
  const float converted = static_cast<float>(static_cast<std::int32_t>(acc));
  const float product = static_cast<float>(static_cast<double>(converted) * static_cast<double>(multiplier));
  double code = oracle_round(static_cast<double>(product), policy) + zero_point;
  if (code < lo) code = lo;
  if (code > hi) code = hi;
  return static_cast<std::uint8_t>(code);
}

/// The AVX-VNNI kernels in their EVEX encoding, where the CPU runs that and not the other.
inline const KernelSet* avxvnni_twin() {
#ifdef MIDTREAD_TEST_HAS_AVXVNNI_TWIN
  namespace k = midtread::kernels;
  const auto& cpu = k::cpu_features();
  if (cpu.avxvnni || !cpu.avx512vnni) return nullptr;
  static const KernelSet twin = [] {
    k::KernelTable table = k::fbgemm::avxvnni_twin::kTable;
    k::fall_through(table, k::fbgemm::avx2::kTable);
    k::fall_through(table, k::reference::kTable);
    return KernelSet(k::Engine::kFbgemm, k::Isa::kAvxVnni, table);
  }();
  return &twin;
#else
  return nullptr;
#endif
}

#if MIDTREAD_AMX
/// The AMX kernel with its tile instructions in plain C++.
inline constexpr midtread::kernels::ConvKernel kEmulatedAmx =
    midtread::kernels::conv_kernel<midtread::kernels::fbgemm::amx::run_conv_call<
        midtread::kernels::fbgemm::amx::run_tiles<midtread::test::EmulatedTiles>>>(
        "gemm_u8s8s32_32x32c64__amx_emulated", false, midtread::kernels::fbgemm::amx::pack_conv, true);
#endif

/// The AMX table on emulated tiles; the rest of the kernel needs AVX512-VNNI.
inline const KernelSet* amx_twin() {
#if MIDTREAD_AMX
  namespace k = midtread::kernels;
  if (!k::cpu_features().avx512vnni) return nullptr;
  static const KernelSet twin = [] {
    k::KernelTable table;
    table.conv = &kEmulatedAmx;
    k::fall_through(table, k::fbgemm::avx512vnni::kTable);
    k::fall_through(table, k::fbgemm::avx2::kTable);
    k::fall_through(table, k::reference::kTable);
    return KernelSet(k::Engine::kFbgemm, k::Isa::kAmx, table);
  }();
  return &twin;
#else
  return nullptr;
#endif
}

/// The sets to test, each instruction set once, with its name printed; MIDTREAD_REQUIRE_ISAS=avx2,... must be
/// there.
inline std::vector<const KernelSet*> sets_under_test() {
  std::vector<const KernelSet*> sets;
  std::string names;
  for (const KernelSet& set : midtread::kernels::kernel_sets(midtread::kernels::kAutoEngine)) {
    sets.push_back(&set);
    names += std::string(names.empty() ? "" : ",") + set.isa_name();
  }
  const char* required = std::getenv("MIDTREAD_REQUIRE_ISAS");
  std::string rest = required ? required : "";
  while (!rest.empty()) {
    const std::string name = rest.substr(0, rest.find(','));
    rest = rest.size() > name.size() ? rest.substr(name.size() + 1) : "";
    EXPECT_NE(("," + names + ",").find("," + name + ","), std::string::npos)
        << "MIDTREAD_REQUIRE_ISAS wants " << name << ", this machine runs " << names;
  }
  const KernelSet *twin = avxvnni_twin(), *emulated = amx_twin();
  if (twin != nullptr) sets.push_back(twin);
  if (emulated != nullptr) sets.push_back(emulated);
  static bool told = false;
  if (!told) {
    std::printf("instruction sets under test: %s\n", names.c_str());
    if (twin != nullptr) std::printf("avxvnni: its kernels run in the EVEX encoding\n");
    if (emulated != nullptr) std::printf("amx: its kernels run on emulated tiles as well\n");
    for (auto isa : midtread::kernels::kArchitectureIsas)
      if (("," + names + ",").find(std::string(",") + to_string(isa) + ",") == std::string::npos)
        std::printf("SKIPPED: no kernels for %s here\n", to_string(isa));
    told = true;
  }
  return sets;
}

}  // namespace kernel_tester

// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011). The whole state is a seed and a counter,
// so a checkpoint restores it exactly, and the n-th number does not depend on the thread that asks for it.
#pragma once

#include <midtread/core/platform.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

MIDTREAD_ROOT_NAMESPACE_BEGIN

class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0, std::uint64_t counter = 0) : seed_(seed), counter_(counter) {}

  std::uint64_t seed() const noexcept { return seed_; }
  /// How many numbers were drawn.
  std::uint64_t counter() const noexcept { return counter_; }

  std::uint32_t next() { return bits(counter_++); }
  /// In [0, 1), 24 bits.
  double uniform() { return static_cast<double>(next() >> 8) * (1.0 / 16777216.0); }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal, Box-Muller; two draws each, nothing kept.
  double normal() {
    const double u = (static_cast<double>(next()) + 1.0) * (1.0 / 4294967297.0);
    const double v = static_cast<double>(next()) * (1.0 / 4294967296.0);
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }
  /// In [0, bound), bound > 0.
  std::int64_t below(std::int64_t bound) {
    const std::uint64_t high = next(), low = next();
    return static_cast<std::int64_t>(((high << 32) | low) % static_cast<std::uint64_t>(bound));
  }
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[static_cast<std::size_t>(below(static_cast<std::int64_t>(i)))]);
  }
  /// A generator of its own for sub-task `stream`.
  Generator fork(std::uint64_t stream) const {
    return Generator(seed_ * 0x9E3779B97F4A7C15ull + stream * 0xD1B54A32D192ED03ull + 1);
  }

 private:
  std::uint32_t bits(std::uint64_t index) const {
    const std::uint64_t block = index / 4;
    std::array<std::uint32_t, 4> c = {static_cast<std::uint32_t>(block),
                                      static_cast<std::uint32_t>(block >> 32), 0, 0};
    auto k0 = static_cast<std::uint32_t>(seed_);
    auto k1 = static_cast<std::uint32_t>(seed_ >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
      c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
           static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return c[index % 4];
  }

  std::uint64_t seed_;
  std::uint64_t counter_;
};

/// The generator behind initialisers, dropout and randn when none is given. One per thread.
inline Generator& default_generator() {
  thread_local Generator generator(0);
  return generator;
}

inline void manual_seed(std::uint64_t seed) { default_generator() = Generator(seed); }

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The tiles of AMX in plain C++ after Intel's manual, for CPUs without them: they touch the bytes the
// instructions touch, and throw where these fault.
#pragma once

#include <midtread/kernels/fbgemm/amx/tiles.hpp>

#if MIDTREAD_AMX
#include <cstring>
#include <stdexcept>
#include <string>

namespace midtread::test {

class EmulatedTiles {
 public:
  using Config = kernels::fbgemm::amx::TileConfig;

  /// Instructions of the calling thread.
  struct Counts {
    long configure, release, load, store, multiply;
  };
  static Counts& counts() { return unit().counts; }
  static bool in_use() { return unit().configured; }

  static void configure(const Config& config) {
    unsigned char bytes[64];  // as the instruction sees them
    std::memcpy(bytes, &config, 64);
    expect(bytes[0] == 1, "ldtilecfg: palette");
    for (int i = 1; i < 16; ++i) expect(bytes[i] == 0, "ldtilecfg: reserved bytes");
    Unit& u = unit();
    for (int t = 0; t < 16; ++t) {
      const int row_bytes = bytes[16 + 2 * t] + 256 * bytes[17 + 2 * t], rows = bytes[48 + t];
      expect(t < 8 ? row_bytes <= 64 && rows <= 16 : row_bytes == 0 && rows == 0, "ldtilecfg: sizes");
      expect((row_bytes == 0) == (rows == 0), "ldtilecfg: one size is zero");
      if (t < 8) u.tiles[t] = {rows, row_bytes, {}};
    }
    u.configured = true;
    ++u.counts.configure;
  }
  static void release() {
    Unit& u = unit();
    for (Tile& tile : u.tiles) tile = {};
    u.configured = false;
    ++u.counts.release;
  }

  template <int kTile>
  static void load(const void* from, std::int64_t stride) {
    Tile& tile = valid(kTile);
    std::memset(tile.bytes, 0, sizeof tile.bytes);
    for (int r = 0; r < tile.rows; ++r)
      std::memcpy(tile.bytes[r], static_cast<const char*>(from) + r * stride,
                  static_cast<std::size_t>(tile.row_bytes));
    ++counts().load;
  }
  template <int kTile>
  static void store(void* to, std::int64_t stride) {
    const Tile& tile = valid(kTile);
    for (int r = 0; r < tile.rows; ++r)
      std::memcpy(static_cast<char*>(to) + r * stride, tile.bytes[r],
                  static_cast<std::size_t>(tile.row_bytes));
    ++counts().store;
  }
  /// tdpbusd
  template <int kSums, int kCodes, int kWeights>
  static void multiply() {
    static_assert(kSums != kCodes && kSums != kWeights && kCodes != kWeights, "tdpbusd: three tiles");
    Tile& sums = valid(kSums);
    const Tile &codes = valid(kCodes), &weights = valid(kWeights);
    expect(sums.rows == codes.rows, "tdpbusd: rows");
    expect(sums.row_bytes == weights.row_bytes, "tdpbusd: columns");
    expect(codes.row_bytes == 4 * weights.rows, "tdpbusd: depth");
    expect(sums.row_bytes % 4 == 0, "tdpbusd: row bytes");
    multiply(sums, codes, weights);
    ++counts().multiply;
  }

 private:
  struct Tile {
    int rows, row_bytes;
    unsigned char bytes[16][64];
  };
  struct Unit {
    bool configured = false;
    Tile tiles[8] = {};
    Counts counts = {};
  };
  static Unit& unit() {
    thread_local Unit u;
    return u;
  }
  static void expect(bool holds, const char* what) {
    if (!holds) throw std::logic_error(std::string("this instruction faults: ") + what);
  }
  static Tile& valid(int tile) {
    Unit& u = unit();
    expect(u.configured && u.tiles[tile].rows > 0, "tile without a configuration");
    return u.tiles[tile];
  }

  /// All columns: what lies outside the sizes is zero. In vectors, because tests run millions of these.
  __attribute__((target("avx2"))) static void multiply(Tile& sums, const Tile& codes, const Tile& weights) {
    typedef std::uint32_t Words __attribute__((vector_size(64)));
    typedef std::int32_t SignedWords __attribute__((vector_size(64)));
    Words w[16][4];
    for (int k = 0; k < weights.rows; ++k) {
      Words four;
      std::memcpy(&four, weights.bytes[k], 64);
      for (int i = 0; i < 4; ++i) w[k][i] = (Words)((SignedWords)(four << (24 - 8 * i)) >> 24);
    }
    for (int m = 0; m < sums.rows; ++m) {
      Words sum;
      std::memcpy(&sum, sums.bytes[m], 64);
      for (int k = 0; k < weights.rows; ++k)
        for (int i = 0; i < 4; ++i) sum += std::uint32_t{codes.bytes[m][4 * k + i]} * w[k][i];
      std::memcpy(sums.bytes[m], &sum, 64);
    }
  }
};

}  // namespace midtread::test
#endif

// SPDX-License-Identifier: MIT
// The eight tile registers of AMX, 16 rows of 64 bytes each, and the five instructions used on them:
//
//   sums[m][n] += sum over k, i of codes[m][4 k + i] * weights[k][4 n + i]   (uint8 * int8, int32 wraps)
//
// Kernels take the tiles as a template argument, so that tests run the same source on an emulation.
#pragma once

#include <midtread/kernels/target.hpp>

#include <cstdint>

#if defined(__x86_64__) && (MIDTREAD_CLANG || (MIDTREAD_GCC && __GNUC__ >= 11))
#define MIDTREAD_AMX 1
#else
#define MIDTREAD_AMX 0
#endif

#if MIDTREAD_AMX
// The instructions of the AVX512-VNNI table as well: small calls and the epilogue are its.
#define MIDTREAD_AMX_BEGIN MIDTREAD_TARGET_BEGIN("amx-tile,amx-int8,avx512f,avx512bw,avx512vl,avx512vnni")
#define MIDTREAD_AMX_END MIDTREAD_TARGET_END

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::amx)

/// What ldtilecfg reads: all tiles 64 bytes wide, tiles [0, data) `rows` high, the others 16.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  TileConfig(int data, std::int64_t height) {
    for (int i = 0; i < 8; ++i) {
      row_bytes[i] = 64;
      rows[i] = i < data ? static_cast<std::uint8_t>(height) : std::uint8_t{16};
    }
  }
};
static_assert(sizeof(TileConfig) == 64, "the layout of palette 1");

MIDTREAD_AMX_BEGIN

/// The CPU's own tiles, of the calling thread. Assembly, because GCC 12's _tile_loadconfig declares 8 bytes
/// of the configuration as read and drops the stores to the others, and its tile loads and stores touch no
/// memory.
struct HardwareTiles {
  static MIDTREAD_ALWAYS_INLINE void configure(const TileConfig& config) {
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  static MIDTREAD_ALWAYS_INLINE void release() { asm volatile("tilerelease"); }

  /// Rows `stride` bytes apart.
  template <int kTile>
  static MIDTREAD_ALWAYS_INLINE void load(const void* from, std::int64_t stride) {
    asm volatile("{tileloadd (%1,%2,1), %%tmm%c0|tileloadd tmm%c0, [%1+%2*1]}"
                 :
                 : "i"(kTile), "r"(from), "r"(stride)
                 : "memory");
  }
  template <int kTile>
  static MIDTREAD_ALWAYS_INLINE void store(void* to, std::int64_t stride) {
    asm volatile("{tilestored %%tmm%c0, (%1,%2,1)|tilestored [%1+%2*1], tmm%c0}"
                 :
                 : "i"(kTile), "r"(to), "r"(stride)
                 : "memory");
  }
  template <int kSums, int kCodes, int kWeights>
  static MIDTREAD_ALWAYS_INLINE void multiply() {
    asm volatile("{tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbusd tmm%c0, tmm%c1, tmm%c2}"
                 :
                 : "i"(kSums), "i"(kCodes), "i"(kWeights));
  }
};

MIDTREAD_AMX_END
MIDTREAD_NAMESPACE_END
#endif

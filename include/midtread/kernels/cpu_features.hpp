// SPDX-License-Identifier: MIT
// Which instruction sets this CPU and this operating system offer, found once (a cpuid costs microseconds in
// a virtual machine). A wide register counts only if the operating system saves it: xgetbv. Linux gives a
// process the tiles of AMX only when asked.
#pragma once

#include <midtread/core/platform.hpp>

#include <array>
#include <cstdint>

#if MIDTREAD_X86 && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#elif MIDTREAD_X86
#include <cpuid.h>
#elif (MIDTREAD_AARCH64 || MIDTREAD_ARM32) && defined(__linux__)
#include <sys/auxv.h>
#elif MIDTREAD_AARCH64 && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

MIDTREAD_NAMESPACE_BEGIN(kernels)

struct CpuFeatures {
  bool avx2 = false, fma = false;
  bool avx512 = false;  ///< F, BW, DQ and VL together
  bool avx512vnni = false, avx512vbmi = false, avxvnni = false;
  bool amx_int8 = false, amx_bf16 = false;  ///< with amx_tile
  bool neon = false, neon_dotprod = false, neon_i8mm = false;
};

/// eax, ebx, ecx, edx.
using CpuidRegisters = std::array<std::uint32_t, 4>;

/// Decodes an x86 CPU. `Cpu` has const members `CpuidRegisters cpuid(leaf, subleaf)` and `uint64 xgetbv()`.
template <class Cpu>
CpuFeatures decode_x86(const Cpu& cpu) {
  const auto bit = [](std::uint32_t word, int i) { return ((word >> i) & 1u) != 0; };
  CpuFeatures f;
  const std::uint32_t last_leaf = cpu.cpuid(0, 0)[0];
  if (last_leaf < 7) return f;
  const std::uint32_t ecx1 = cpu.cpuid(1, 0)[2];
  if (!bit(ecx1, 27) || !bit(ecx1, 28)) return f;  // OSXSAVE, AVX
  const std::uint64_t saved = cpu.xgetbv();
  const auto saves = [&](std::uint64_t mask) { return (saved & mask) == mask; };
  if (!saves(0x06)) return f;  // xmm, ymm
  const CpuidRegisters leaf7 = cpu.cpuid(7, 0);
  const CpuidRegisters leaf7_1 = leaf7[0] >= 1 ? cpu.cpuid(7, 1) : CpuidRegisters{};
  f.fma = bit(ecx1, 12);
  f.avx2 = bit(leaf7[1], 5);
  f.avxvnni = f.avx2 && bit(leaf7_1[0], 4);
  if (saves(0xE6)) {  // and opmask, the upper halves of zmm0-15, zmm16-31
    f.avx512 = f.avx2 && bit(leaf7[1], 16) && bit(leaf7[1], 17) && bit(leaf7[1], 30) && bit(leaf7[1], 31);
    f.avx512vnni = f.avx512 && bit(leaf7[2], 11);
    f.avx512vbmi = f.avx512 && bit(leaf7[2], 1);
  }
  if (saves(0x60006) && bit(leaf7[3], 24)) {  // tile configuration and tile data; AMX-TILE
    f.amx_int8 = bit(leaf7[3], 25);
    f.amx_bf16 = bit(leaf7[3], 22);
  }
  return f;
}

/// `f` without AMX where `request` refuses its tiles. A CPU without tiles is not asked.
inline CpuFeatures with_granted_tiles(CpuFeatures f, bool (*request)()) {
  if ((f.amx_int8 || f.amx_bf16) && !request()) f.amx_int8 = f.amx_bf16 = false;
  return f;
}

/// Decodes Linux' AArch64 capability words.
inline CpuFeatures decode_arm(std::uint64_t hwcap, std::uint64_t hwcap2) {
  CpuFeatures f;
  f.neon = ((hwcap >> 1) & 1u) != 0;                           // ASIMD
  f.neon_dotprod = f.neon && ((hwcap >> 20) & 1u) != 0;        // ASIMDDP
  f.neon_i8mm = f.neon_dotprod && ((hwcap2 >> 13) & 1u) != 0;  // I8MM
  return f;
}

/// Decodes Linux' capability word of 32-bit ARM.
inline CpuFeatures decode_arm32(std::uint64_t hwcap) {
  CpuFeatures f;
  f.neon = ((hwcap >> 12) & 1u) != 0;
  return f;
}

#if MIDTREAD_X86
struct ThisX86Cpu {
  CpuidRegisters cpuid(std::uint32_t leaf, std::uint32_t subleaf) const {
    CpuidRegisters r{};
#if defined(_MSC_VER)
    int words[4];
    __cpuidex(words, static_cast<int>(leaf), static_cast<int>(subleaf));
    for (std::size_t i = 0; i < 4; ++i) r[i] = static_cast<std::uint32_t>(words[i]);
#else
    __cpuid_count(leaf, subleaf, r[0], r[1], r[2], r[3]);
#endif
    return r;
  }
  std::uint64_t xgetbv() const {
#if defined(_MSC_VER)
    return _xgetbv(0);
#else
    std::uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (std::uint64_t{high} << 32) | low;
#endif
  }
};
#endif

/// Asks the system for the process's permission to use tiles. Linux refuses where it is older than 5.16 or a
/// thread's alternate signal stack has no room for them.
inline bool request_tiles() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long kArchPrctl = 158, kRequestPermission = 0x1023, kTileData = 18;
  long status;  // no <sys/syscall.h>: its macros cost every program more than this file
  asm volatile("syscall"
               : "=a"(status)
               : "a"(kArchPrctl), "D"(kRequestPermission), "S"(kTileData)
               : "rcx", "r11", "memory");
  return status == 0;
#else
  return false;
#endif
}

inline CpuFeatures detect_cpu_features() {
#if MIDTREAD_X86
  return with_granted_tiles(decode_x86(ThisX86Cpu{}), request_tiles);
#elif MIDTREAD_AARCH64 && defined(__linux__)
  return decode_arm(getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
#elif MIDTREAD_ARM32 && defined(__linux__)
  return decode_arm32(getauxval(AT_HWCAP));
#elif MIDTREAD_AARCH64 && defined(__APPLE__)
  const auto has = [](const char* name) {
    int value = 0;
    std::size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
  };
  CpuFeatures f;
  f.neon = true;
  f.neon_dotprod = has("hw.optional.arm.FEAT_DotProd");
  f.neon_i8mm = f.neon_dotprod && has("hw.optional.arm.FEAT_I8MM");
  return f;
#elif MIDTREAD_AARCH64
  CpuFeatures f;
  f.neon = true;
  return f;
#else
  return {};
#endif
}

inline const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect_cpu_features();
  return features;
}

MIDTREAD_NAMESPACE_END

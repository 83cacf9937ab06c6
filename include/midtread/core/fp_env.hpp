// SPDX-License-Identifier: MIT
// Round half to even, no flush to zero, for the time of a call: the numerics contract holds whatever the
// caller set.
#pragma once

#include <midtread/core/platform.hpp>

#include <cstdint>
#if MIDTREAD_X86
#include <xmmintrin.h>
#elif !MIDTREAD_AARCH64 && !MIDTREAD_ARM32
#include <cfenv>
#endif

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Saves the floating-point environment, sets the default one, restores the caller's at the end of the scope.
class FpEnvGuard {
 public:
  FpEnvGuard() noexcept : saved_(read()) {
    const std::uint64_t wanted = saved_ & ~kModeBits;
    changed_ = wanted != saved_;
    if (changed_) write(wanted);
  }
  ~FpEnvGuard() {
    if (changed_) write(saved_);
  }
  FpEnvGuard(const FpEnvGuard&) = delete;
  FpEnvGuard& operator=(const FpEnvGuard&) = delete;

 private:
#if MIDTREAD_X86
  static constexpr std::uint64_t kModeBits = 0x6000u | 0x8000u | 0x0040u;  // rounding, FTZ, DAZ
  static std::uint64_t read() noexcept { return _mm_getcsr(); }
  static void write(std::uint64_t value) noexcept { _mm_setcsr(static_cast<unsigned>(value)); }
#elif MIDTREAD_AARCH64
  static constexpr std::uint64_t kModeBits =
      (std::uint64_t{3} << 22) | (std::uint64_t{1} << 24);  // RMode, FZ
  static std::uint64_t read() noexcept {
    std::uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void write(std::uint64_t value) noexcept { asm volatile("msr fpcr, %0" : : "r"(value)); }
#elif MIDTREAD_ARM32
  static constexpr std::uint64_t kModeBits = (3u << 22) | (1u << 24);  // RMode, FZ
  static std::uint64_t read() noexcept {
    std::uint32_t value;
    asm volatile("vmrs %0, fpscr" : "=r"(value));
    return value;
  }
  static void write(std::uint64_t value) noexcept {
    asm volatile("vmsr fpscr, %0" : : "r"(static_cast<std::uint32_t>(value)));
  }
#else
  static constexpr std::uint64_t kModeBits = ~std::uint64_t{0};
  static std::uint64_t read() noexcept {
    return static_cast<std::uint64_t>(std::fegetround() - FE_TONEAREST);
  }
  static void write(std::uint64_t value) noexcept { std::fesetround(static_cast<int>(value) + FE_TONEAREST); }
#endif

  std::uint64_t saved_;
  bool changed_ = false;
};

MIDTREAD_ROOT_NAMESPACE_END

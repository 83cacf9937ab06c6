// SPDX-License-Identifier: MIT
// Regions of functions compiled for one instruction set whatever the user's flags are, and loop unrolling.
//
// Inside a region: no #include, no lambda (it does not inherit the target), no vector type in a signature
// that leaves the region. GCC contracts even intrinsics under a user's -mfma, so a region switches
// contraction off as well. Clang does not, but its -ffp-contract=fast overrides every pragma:
// MIDTREAD_KEEP_PRODUCT(v) holds a product that meets a sum.
#pragma once

#include <midtread/core/platform.hpp>
#include <midtread/kernels/x86_intrinsics.hpp>

#define MIDTREAD_PRAGMA(text) _Pragma(#text)

#if MIDTREAD_GCC
#define MIDTREAD_TARGET_BEGIN(isa) \
  _Pragma("GCC push_options") MIDTREAD_PRAGMA(GCC target(isa)) _Pragma("GCC optimize(\"fp-contract=off\")")
#define MIDTREAD_TARGET_END _Pragma("GCC pop_options")
#define MIDTREAD_UNROLL(n) MIDTREAD_PRAGMA(GCC unroll n)
#elif MIDTREAD_CLANG
#define MIDTREAD_TARGET_BEGIN(isa) \
  MIDTREAD_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define MIDTREAD_TARGET_END _Pragma("clang attribute pop")
#define MIDTREAD_UNROLL(n) _Pragma("clang loop unroll(full)")
#else
#define MIDTREAD_TARGET_BEGIN(isa)
#define MIDTREAD_TARGET_END
#define MIDTREAD_UNROLL(n)
#endif

#if MIDTREAD_GCC || MIDTREAD_CLANG
#define MIDTREAD_ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define MIDTREAD_ALWAYS_INLINE inline
#endif

#if MIDTREAD_CLANG && MIDTREAD_X86
#define MIDTREAD_KEEP_PRODUCT(v) asm("" : "+x"(v))
#elif MIDTREAD_CLANG && MIDTREAD_NEON
#define MIDTREAD_KEEP_PRODUCT(v) asm("" : "+w"(v))
#else
#define MIDTREAD_KEEP_PRODUCT(v) static_cast<void>(v)
#endif

#define MIDTREAD_TARGET_AVX2_BEGIN MIDTREAD_TARGET_BEGIN("avx2")

// AArch64 always has it, and so does ARMv7 compiled for it.
#if MIDTREAD_ARM32 && MIDTREAD_GCC && !defined(__ARM_NEON)
#define MIDTREAD_NEON_BEGIN MIDTREAD_TARGET_BEGIN("fpu=neon")
#define MIDTREAD_NEON_END MIDTREAD_TARGET_END
#else
#define MIDTREAD_NEON_BEGIN MIDTREAD_EXACT_BEGIN
#define MIDTREAD_NEON_END MIDTREAD_EXACT_END
#endif

// GCC takes an architecture only; Clang only the extension.
#if MIDTREAD_GCC
#define MIDTREAD_TARGET_DOTPROD_BEGIN MIDTREAD_TARGET_BEGIN("arch=armv8.2-a+dotprod")
#define MIDTREAD_TARGET_I8MM_BEGIN MIDTREAD_TARGET_BEGIN("arch=armv8.2-a+dotprod+i8mm")
#else
#define MIDTREAD_TARGET_DOTPROD_BEGIN MIDTREAD_TARGET_BEGIN("dotprod")
#define MIDTREAD_TARGET_I8MM_BEGIN MIDTREAD_TARGET_BEGIN("i8mm")
#endif

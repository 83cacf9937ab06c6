// SPDX-License-Identifier: MIT
// What the compiler and the CPU family are, the tagged namespace, and the switch that keeps products and sums apart.
//
// Two translation units built with different -m flags must not share inline functions: the linker keeps one copy, and
// its instructions may not exist on the CPU the other unit was meant for. So every name lives in an inline namespace
// whose tag spells the instruction sets the unit was compiled for. Process state is plain data in midtread_state,
// which carries no tag: one flag for all units.
#pragma once

#include <midtread/version.hpp>

#if __cplusplus < 201703L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)
#error "midtread needs C++17: compile with -std=c++17 or newer"
#endif
#if defined(__FAST_MATH__) && !defined(MIDTREAD_ALLOW_FAST_MATH)
#error "midtread: -ffast-math breaks NaN checks and exact rounding; compile this file without it"
#endif

#if defined(__x86_64__) || defined(_M_X64) || (defined(__i386__) && defined(__SSE2__))
#define MIDTREAD_X86 1
#else
#define MIDTREAD_X86 0
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
#define MIDTREAD_AARCH64 1
#else
#define MIDTREAD_AARCH64 0
#endif
#if defined(__arm__) && __ARM_ARCH >= 7 && defined(__ARM_FP)
#define MIDTREAD_ARM32 1
#else
#define MIDTREAD_ARM32 0
#endif
#if defined(__clang__)
#define MIDTREAD_CLANG 1
#define MIDTREAD_GCC 0
#elif defined(__GNUC__)
#define MIDTREAD_CLANG 0
#define MIDTREAD_GCC 1
#else
#define MIDTREAD_CLANG 0
#define MIDTREAD_GCC 0
#endif

// NEON kernels: always on AArch64; on ARMv7 GCC switches NEON on for a function, Clang wants -mfpu=neon.
#if MIDTREAD_AARCH64 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#define MIDTREAD_NEON 1
#elif MIDTREAD_ARM32 && !defined(__ARM_BIG_ENDIAN) && (MIDTREAD_GCC || defined(__ARM_NEON))
#define MIDTREAD_NEON 1
#else
#define MIDTREAD_NEON 0
#endif

// One letter group per macro that changes generated code.
#ifdef __SSE4_2__
#define MIDTREAD_TAG_SSE42 s
#else
#define MIDTREAD_TAG_SSE42
#endif
#ifdef __AVX__
#define MIDTREAD_TAG_AVX a
#else
#define MIDTREAD_TAG_AVX
#endif
#ifdef __AVX2__
#define MIDTREAD_TAG_AVX2 b
#else
#define MIDTREAD_TAG_AVX2
#endif
#if defined(__FMA__) || (MIDTREAD_ARM32 && defined(__ARM_FEATURE_FMA))
#define MIDTREAD_TAG_FMA f
#else
#define MIDTREAD_TAG_FMA
#endif
#ifdef __BMI2__
#define MIDTREAD_TAG_BMI2 m
#else
#define MIDTREAD_TAG_BMI2
#endif
#ifdef __AVX512F__
#define MIDTREAD_TAG_AVX512F c
#else
#define MIDTREAD_TAG_AVX512F
#endif
#ifdef __AVX512BW__
#define MIDTREAD_TAG_AVX512BW d
#else
#define MIDTREAD_TAG_AVX512BW
#endif
#ifdef __AVX512VL__
#define MIDTREAD_TAG_AVX512VL e
#else
#define MIDTREAD_TAG_AVX512VL
#endif
#ifdef __AVX512VNNI__
#define MIDTREAD_TAG_VNNI v
#else
#define MIDTREAD_TAG_VNNI
#endif
#ifdef __AVX512VBMI__
#define MIDTREAD_TAG_VBMI w
#else
#define MIDTREAD_TAG_VBMI
#endif
#ifdef __AVXVNNI__
#define MIDTREAD_TAG_AVXVNNI x
#else
#define MIDTREAD_TAG_AVXVNNI
#endif
#ifdef __AMX_TILE__
#define MIDTREAD_TAG_AMX t
#else
#define MIDTREAD_TAG_AMX
#endif
#ifdef __ARM_FEATURE_DOTPROD
#define MIDTREAD_TAG_DOTPROD p
#else
#define MIDTREAD_TAG_DOTPROD
#endif
#ifdef __ARM_FEATURE_SVE
#define MIDTREAD_TAG_SVE q
#else
#define MIDTREAD_TAG_SVE
#endif
#if MIDTREAD_ARM32 && defined(__ARM_NEON)
#define MIDTREAD_TAG_NEON n
#else
#define MIDTREAD_TAG_NEON
#endif
#if MIDTREAD_ARM32 && __ARM_ARCH >= 8
#define MIDTREAD_TAG_ARM32 i8
#elif MIDTREAD_ARM32 && defined(__ARM_FEATURE_IDIV)
#define MIDTREAD_TAG_ARM32 i
#else
#define MIDTREAD_TAG_ARM32
#endif

#define MIDTREAD_JOIN_2(base, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
  base##a##b##c##d##e##f##g##h##i##j##k##l##m##n##o##p
#define MIDTREAD_JOIN_1(base, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
  MIDTREAD_JOIN_2(base, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
#define MIDTREAD_ABI                                                                                                \
  MIDTREAD_JOIN_1(abi_v0_1_, MIDTREAD_TAG_SSE42, MIDTREAD_TAG_AVX, MIDTREAD_TAG_AVX2, MIDTREAD_TAG_FMA,             \
                  MIDTREAD_TAG_BMI2, MIDTREAD_TAG_AVX512F, MIDTREAD_TAG_AVX512BW, MIDTREAD_TAG_AVX512VL,            \
                  MIDTREAD_TAG_VNNI, MIDTREAD_TAG_VBMI, MIDTREAD_TAG_AVXVNNI, MIDTREAD_TAG_AMX,                     \
                  MIDTREAD_TAG_DOTPROD, MIDTREAD_TAG_SVE, MIDTREAD_TAG_NEON, MIDTREAD_TAG_ARM32)

#define MIDTREAD_ROOT_NAMESPACE_BEGIN \
  namespace midtread {                \
  inline namespace MIDTREAD_ABI {
#define MIDTREAD_ROOT_NAMESPACE_END \
  }                                 \
  }
#define MIDTREAD_NAMESPACE_BEGIN(name) \
  MIDTREAD_ROOT_NAMESPACE_BEGIN        \
  namespace name {
#define MIDTREAD_NAMESPACE_END \
  }                            \
  MIDTREAD_ROOT_NAMESPACE_END

// Contract arithmetic: each product and each sum rounded on its own. GCC takes a region (inlined helpers follow);
// Clang wants MIDTREAD_EXACT as the first statement of every function body of the region, helpers too. GCC's -O2 leaves
// such loops scalar (1.09 against 0.46 ns an element in fake quantize), so the region asks for vectors too.
#if MIDTREAD_GCC
#define MIDTREAD_EXACT_BEGIN _Pragma("GCC push_options") _Pragma("GCC optimize(\"fp-contract=off,tree-vectorize,vect-cost-model=dynamic\")")
#define MIDTREAD_EXACT_END _Pragma("GCC pop_options")
#define MIDTREAD_EXACT
#elif MIDTREAD_CLANG
#define MIDTREAD_EXACT_BEGIN
#define MIDTREAD_EXACT_END
#define MIDTREAD_EXACT _Pragma("clang fp contract(off)")
#else
#define MIDTREAD_EXACT_BEGIN
#define MIDTREAD_EXACT_END
#define MIDTREAD_EXACT __pragma(fp_contract(off))
#endif

// A region of plain float loops that GCC vectorises at -O2 as it does at -O3.
#if MIDTREAD_GCC
#define MIDTREAD_VECTORIZE_BEGIN \
  _Pragma("GCC push_options") _Pragma("GCC optimize(\"tree-vectorize,vect-cost-model=dynamic\")")
#define MIDTREAD_VECTORIZE_END _Pragma("GCC pop_options")
#else
#define MIDTREAD_VECTORIZE_BEGIN
#define MIDTREAD_VECTORIZE_END
#endif

#if MIDTREAD_GCC || MIDTREAD_CLANG
#define MIDTREAD_NOINLINE __attribute__((noinline))
#define MIDTREAD_COLD __attribute__((noinline, cold))
#define MIDTREAD_RESTRICT __restrict__
#else
#define MIDTREAD_NOINLINE __declspec(noinline)
#define MIDTREAD_COLD __declspec(noinline)
#define MIDTREAD_RESTRICT __restrict
#endif

// SPDX-License-Identifier: MIT
// The x86 intrinsics of the kernels: SSE to AVX2. GCC's <immintrin.h> brings every set up to AVX-512, AMX and beyond,
// 0.28 s of compile time where Eigen/Core takes 0.45 s; its parts refuse to be included without its guard.
#pragma once

#include <midtread/core/platform.hpp>

#if MIDTREAD_X86
#if MIDTREAD_GCC && __GNUC__ <= 14 && !defined(_IMMINTRIN_H_INCLUDED)
#define _IMMINTRIN_H_INCLUDED
#include <nmmintrin.h>
#include <avxintrin.h>
#include <avx2intrin.h>
#undef _IMMINTRIN_H_INCLUDED
#else
#include <immintrin.h>
#endif
#endif

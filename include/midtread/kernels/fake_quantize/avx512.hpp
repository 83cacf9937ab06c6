// SPDX-License-Identifier: MIT
// Fake quantize for AVX-512.
#pragma once

#include <midtread/kernels/fake_quantize/row.hpp>
#include <midtread/kernels/target.hpp>

#include <cstring>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#define MIDTREAD_ROW_ISA avx512
#define MIDTREAD_ROW_NAME "avx512"
#define MIDTREAD_ROW_BYTES 64
#define MIDTREAD_ROW_BEGIN MIDTREAD_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2")
#define MIDTREAD_ROW_END MIDTREAD_TARGET_END
#include <midtread/kernels/fake_quantize/vector.inc>

MIDTREAD_NAMESPACE_BEGIN(kernels::avx512)
MIDTREAD_ROW_BEGIN

typedef std::uint8_t CodeBytes __attribute__((vector_size(16)));

MIDTREAD_ALWAYS_INLINE void store_codes(std::uint8_t* to, const Vector (&r)[kVectors],
                                        std::int32_t zero_point) {
  const Mask wide = __builtin_convertvector(r[0], Mask) + zero_point;
  const CodeBytes bytes = __builtin_convertvector(wide, CodeBytes);
  std::memcpy(to, &bytes, sizeof bytes);
}

MIDTREAD_ROW_END
MIDTREAD_NAMESPACE_END

#include <midtread/kernels/fake_quantize/loops.inc>
#endif

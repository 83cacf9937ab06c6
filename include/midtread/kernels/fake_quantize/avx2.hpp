// SPDX-License-Identifier: MIT
// Fake quantize for AVX2.
#pragma once

#include <midtread/kernels/fake_quantize/row.hpp>
#include <midtread/kernels/target.hpp>

#include <cstring>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#define MIDTREAD_ROW_ISA avx2
#define MIDTREAD_ROW_NAME "avx2"
#define MIDTREAD_ROW_BYTES 32
#define MIDTREAD_ROW_BEGIN MIDTREAD_TARGET_BEGIN("avx2")
#define MIDTREAD_ROW_END MIDTREAD_TARGET_END
#include <midtread/kernels/fake_quantize/vector.inc>

MIDTREAD_NAMESPACE_BEGIN(kernels::avx2)
MIDTREAD_ROW_BEGIN

MIDTREAD_ALWAYS_INLINE void store_codes(std::uint8_t* to, const Vector (&r)[kVectors],
                                        std::int32_t zero_point) {
  const __m256i zero = _mm256_set1_epi32(zero_point);
  const __m256i a = _mm256_add_epi32(_mm256_cvttps_epi32(r[0]), zero),
                b = _mm256_add_epi32(_mm256_cvttps_epi32(r[1]), zero);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

MIDTREAD_ROW_END
MIDTREAD_NAMESPACE_END

#include <midtread/kernels/fake_quantize/loops.inc>
#endif

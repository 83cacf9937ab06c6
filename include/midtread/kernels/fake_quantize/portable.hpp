// SPDX-License-Identifier: MIT
// Fake quantize without a target region: 16-byte vectors, SSE2 or NEON where the compiler has them.
#pragma once

#include <midtread/kernels/fake_quantize/row.hpp>
#include <midtread/kernels/target.hpp>

#include <cstring>

#define MIDTREAD_ROW_ISA portable
#define MIDTREAD_ROW_NAME "portable"
#define MIDTREAD_ROW_BYTES 16
#define MIDTREAD_ROW_BEGIN MIDTREAD_EXACT_BEGIN
#define MIDTREAD_ROW_END MIDTREAD_EXACT_END
#include <midtread/kernels/fake_quantize/vector.inc>

MIDTREAD_NAMESPACE_BEGIN(kernels::portable)

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
MIDTREAD_ALWAYS_INLINE void store_codes(std::uint8_t* to, const Vector (&r)[kVectors],
                                        std::int32_t zero_point) {
  const __m128i zero = _mm_set1_epi32(zero_point);
  __m128i code[kVectors];
  for (int k = 0; k < kVectors; ++k) code[k] = _mm_add_epi32(_mm_cvttps_epi32(r[k]), zero);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm_packus_epi16(_mm_packs_epi32(code[0], code[1]), _mm_packs_epi32(code[2], code[3])));
}
#elif MIDTREAD_AARCH64 && (MIDTREAD_GCC || MIDTREAD_CLANG)
MIDTREAD_ALWAYS_INLINE void store_codes(std::uint8_t* to, const Vector (&r)[kVectors],
                                        std::int32_t zero_point) {
  const int32x4_t zero = vdupq_n_s32(zero_point);
  int16x4_t code[kVectors];
  for (int k = 0; k < kVectors; ++k) {
    float32x4_t v;
    std::memcpy(&v, &r[k], sizeof v);
    code[k] = vmovn_s32(vaddq_s32(vcvtq_s32_f32(v), zero));
  }
  vst1q_u8(to, vcombine_u8(vqmovun_s16(vcombine_s16(code[0], code[1])),
                           vqmovun_s16(vcombine_s16(code[2], code[3]))));
}
#else
MIDTREAD_ALWAYS_INLINE void store_codes(std::uint8_t* to, const Vector (&r)[kVectors],
                                        std::int32_t zero_point) {
  float lanes[kGroup];
  std::memcpy(lanes, r, sizeof lanes);
  for (int j = 0; j < kGroup; ++j)
    to[j] = static_cast<std::uint8_t>(static_cast<std::int32_t>(lanes[j]) + zero_point);
}
#endif

MIDTREAD_NAMESPACE_END

#include <midtread/kernels/fake_quantize/loops.inc>

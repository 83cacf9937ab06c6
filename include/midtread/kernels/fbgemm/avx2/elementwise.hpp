// SPDX-License-Identifier: MIT
// add, mul, cat's copy, table lookup, quantize and dequantize on AVX2, 32 codes at a time.
#pragma once

#include <midtread/kernels/elementwise_rows.hpp>
#include <midtread/kernels/fbgemm/avx2/vector.hpp>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#define MIDTREAD_VNNI_ISA avx2::elements
#define MIDTREAD_VNNI_NAME "avx2"
#define MIDTREAD_VNNI_CODES "x32"
#define MIDTREAD_VNNI_BYTES 32
#define MIDTREAD_VNNI_BEGIN MIDTREAD_TARGET_AVX2_BEGIN
#define MIDTREAD_VNNI_END MIDTREAD_TARGET_END
// clang-format off: each part uses those before it
#include <midtread/kernels/fbgemm/vnni/vector.inc>
#include <midtread/kernels/fbgemm/vnni/elementwise.inc>
#include <midtread/kernels/fbgemm/vnni/undefine.inc>
// clang-format on
#endif

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)
MIDTREAD_TARGET_AVX2_BEGIN

/// n >= 32. Sixteen 16-entry shuffles: the one whose number is the code's high nibble keeps bit 7 of its
/// index clear.
MIDTREAD_NOINLINE inline void lookup_row(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y,
                                         std::int64_t n) {
  const __m256i limit = _mm256_set1_epi8(0x70);
  for (std::int64_t i = 0; i < n; i += 32) {
    if (i + 32 > n) i = n - 32;
    const __m256i code = load(x + i);
    __m256i result = _mm256_setzero_si256();
    MIDTREAD_UNROLL(16)
    for (int t = 0; t < 16; ++t) {
      const __m256i entries =
          _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16 * t)));
      const __m256i index = _mm256_xor_si256(code, _mm256_set1_epi8(static_cast<char>(t << 4)));
      result = _mm256_or_si256(result, _mm256_shuffle_epi8(entries, _mm256_adds_epu8(index, limit)));
    }
    store(y + i, result);
  }
}

MIDTREAD_TARGET_END

struct LookupVectors {
  static constexpr std::int64_t kLookupMin = 32;
  static constexpr auto lookup_row = avx2::lookup_row;
};

inline constexpr LookupKernel kLookup = {"lookup_u8_x32__avx2", run_lookup_rows<LookupVectors>};

MIDTREAD_NAMESPACE_END

#endif

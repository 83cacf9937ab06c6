// SPDX-License-Identifier: MIT
// Table lookup on AVX2, 32 codes at a time, by sixteen shuffles of 16 entries.
#pragma once

#include <midtread/kernels/elementwise_rows.hpp>
#include <midtread/kernels/fbgemm/avx2/vector.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)
MIDTREAD_TARGET_AVX2_BEGIN

/// n >= 32. A shuffle gives 0 where bit 7 of its index is set. Index q - 16 t has it clear for t <= q / 16 if
/// q < 128, so entries T[t] ^ T[t - 1] add up to T[q / 16]; else for t > q / 16 - 8, and from t = 8 on, where
/// the difference saturates, for t <= q / 16: what that leaves over is T[7] ^ T[q / 16 - 8].
MIDTREAD_NOINLINE inline void lookup_row(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y,
                                         std::int64_t n) {
  __m256i parts[16];
  MIDTREAD_UNROLL(16)
  for (int t = 0; t < 16; ++t)
    parts[t] = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16 * t)));
  MIDTREAD_UNROLL(16)
  for (int t = 15; t > 0; --t) parts[t] = _mm256_xor_si256(parts[t], parts[t - 1]);
  MIDTREAD_UNROLL(16)
  for (int t = 15; t > 7; --t) parts[t] = _mm256_xor_si256(parts[t], parts[t - 8]);
  const __m256i sixteen = _mm256_set1_epi8(16);
  for (std::int64_t i = 0; i < n; i += 32) {
    if (i + 32 > n) i = n - 32;
    __m256i index = load(x + i), result = _mm256_shuffle_epi8(parts[0], index);
    MIDTREAD_UNROLL(16)
    for (int t = 1; t < 16; ++t) {
      index = t <= 8 ? _mm256_sub_epi8(index, sixteen) : _mm256_subs_epi8(index, sixteen);
      result = _mm256_xor_si256(result, _mm256_shuffle_epi8(parts[t], index));
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

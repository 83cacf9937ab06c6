// SPDX-License-Identifier: MIT
// Table lookup, 64 codes at a time, by two permutations of 128 entries. They are AVX512-VBMI's, which all
// CPUs with AVX512-VNNI have but the first two; those take AVX2's.
#pragma once

#include <midtread/kernels/cpu_features.hpp>
#include <midtread/kernels/fbgemm/avx2/lookup.hpp>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx512vnni)
MIDTREAD_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512vbmi")

typedef std::uint8_t Bytes __attribute__((vector_size(64)));

/// Entry q of the 128 in `low` and `high`, q without its bit 7.
MIDTREAD_ALWAYS_INLINE Bytes permute_128(Bytes q, Bytes low, Bytes high) {
  asm("vpermi2b {%2, %1, %0|%0, %1, %2}" : "+v"(q) : "v"(low), "v"(high));
  return q;
}

/// n >= 64.
MIDTREAD_NOINLINE inline void lookup_row(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y,
                                         std::int64_t n) {
  Bytes entries[4];
  MIDTREAD_UNROLL(4)
  for (int i = 0; i < 4; ++i) std::memcpy(&entries[i], table + 64 * i, 64);
  for (std::int64_t i = 0; i < n; i += 64) {
    if (i + 64 > n) i = n - 64;
    Bytes q;
    std::memcpy(&q, x + i, 64);
    Bytes result = permute_128(q, entries[0], entries[1]);
    const Bytes upper = permute_128(q, entries[2], entries[3]);
    std::uint64_t mask;
    asm("vpmovb2m {%1, %0|%0, %1}" : "=Yk"(mask) : "v"(q));
    asm("vmovdqu8 {%1, %0%{%2%}|%0%{%2%}, %1}" : "+v"(result) : "v"(upper), "Yk"(mask));
    std::memcpy(y + i, &result, 64);
  }
}

MIDTREAD_TARGET_END

struct LookupVectors {
  static constexpr std::int64_t kLookupMin = 64;
  static void lookup_row(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y, std::int64_t n) {
    (cpu_features().avx512vbmi ? avx512vnni::lookup_row : avx2::lookup_row)(table, x, y, n);
  }
};

inline constexpr LookupKernel kLookup = {"lookup_u8_x64__avx512vnni", run_lookup_rows<LookupVectors>};

MIDTREAD_NAMESPACE_END

#endif

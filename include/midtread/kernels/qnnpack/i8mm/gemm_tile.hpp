// SPDX-License-Identifier: MIT
// The register tile of Armv8.6 i8mm: 4 pairs of pixels x 8 channels. smmla multiplies 8 codes of two pixels
// by those of two channels: 32 products. XNNPACK interleaves the pixels in its inner loop; here the band
// holds them so.
#pragma once

#include <midtread/kernels/qnnpack/code_band.hpp>
#include <midtread/kernels/qnnpack/conv_call.hpp>
#include <midtread/kernels/target.hpp>

#if MIDTREAD_NEON && MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::i8mm)
MIDTREAD_TARGET_I8MM_BEGIN

// clang-format off
// A pair of pixels against four pairs of channels.
#define MIDTREAD_SMMLA_ROW(a, b0, b1, b2, b3, c0, c1, c2, c3)                                        \
  "smmla " c0 ".4s, " a ".16b, " b0 ".16b\n smmla " c1 ".4s, " a ".16b, " b1 ".16b\n"                \
  "smmla " c2 ".4s, " a ".16b, " b2 ".16b\n smmla " c3 ".4s, " a ".16b, " b3 ".16b\n"
#define MIDTREAD_SMMLA_STEP(a0, a1, a2, a3, b0, b1, b2, b3)                  \
  MIDTREAD_SMMLA_ROW(a0, b0, b1, b2, b3, "v16", "v17", "v18", "v19")         \
  MIDTREAD_SMMLA_ROW(a1, b0, b1, b2, b3, "v20", "v21", "v22", "v23")         \
  MIDTREAD_SMMLA_ROW(a2, b0, b1, b2, b3, "v24", "v25", "v26", "v27")         \
  MIDTREAD_SMMLA_ROW(a3, b0, b1, b2, b3, "v28", "v29", "v30", "v31")
// Both pixels of a pair begin with the bias.
#define MIDTREAD_SMMLA_BIAS                                                                          \
  "ld1r {v16.2d}, [%[bias]], #8\n ld1r {v17.2d}, [%[bias]], #8\n"                                    \
  "ld1r {v18.2d}, [%[bias]], #8\n ld1r {v19.2d}, [%[bias]], #8\n"
// The two pixels of a pair apart, to rows 64 bytes from each other.
#define MIDTREAD_SMMLA_STORE(c0, c1, c2, c3, first, second)                                          \
  "zip1 v0.2d, " c0 ".2d, " c1 ".2d\n zip1 v1.2d, " c2 ".2d, " c3 ".2d\n"                            \
  "zip2 v2.2d, " c0 ".2d, " c1 ".2d\n zip2 v3.2d, " c2 ".2d, " c3 ".2d\n"                            \
  "stp q0, q1, [%[acc], #" first "]\n stp q2, q3, [%[acc], #" second "]\n"
// clang-format on

/// 8 pixels x 8 channels from bias on; `acc` is [8][16]. Returns where the next channels' weights begin.
MIDTREAD_NOINLINE inline const std::int8_t* gemm_8x8c8(const TileInputs& in, const Panel& panel,
                                                       const std::int8_t* w, const std::int32_t* bias,
                                                       std::int32_t* acc) {
  const std::int8_t *a0, *a1, *a2, *a3;
  const std::int32_t* offsets = panel.offsets;
  std::int64_t segments = panel.segments, k;
  asm volatile(
      MIDTREAD_SMMLA_BIAS
      "mov v20.16b, v16.16b\n mov v21.16b, v17.16b\n mov v22.16b, v18.16b\n mov v23.16b, v19.16b\n"
      "mov v24.16b, v16.16b\n mov v25.16b, v17.16b\n mov v26.16b, v18.16b\n mov v27.16b, v19.16b\n"
      "mov v28.16b, v16.16b\n mov v29.16b, v17.16b\n mov v30.16b, v18.16b\n mov v31.16b, v19.16b\n"
      "1: ldrsw %[k], [%[offsets]], #4\n"
      "add %[a0], %[r0], %[k]\n add %[a1], %[r1], %[k]\n"
      "add %[a2], %[r2], %[k]\n add %[a3], %[r3], %[k]\n"
      "subs %[k], %[length], #16\n b.lo 3f\n"
      "2: ldp q0, q1, [%[a0]], #32\n ldp q8, q9, [%[w]]\n ldp q10, q11, [%[w], #32]\n"
      "ldp q2, q3, [%[a1]], #32\n ldp q4, q5, [%[a2]], #32\n ldp q6, q7, [%[a3]], #32\n"
      "ldp q12, q13, [%[w], #64]\n ldp q14, q15, [%[w], #96]\n add %[w], %[w], #128\n"
      // clang-format off
      MIDTREAD_SMMLA_STEP("v0", "v2", "v4", "v6", "v8", "v9", "v10", "v11")
      MIDTREAD_SMMLA_STEP("v1", "v3", "v5", "v7", "v12", "v13", "v14", "v15")
      "subs %[k], %[k], #16\n b.hs 2b\n"
      "3: cmn %[k], #16\n b.eq 4f\n"
      "ldr q0, [%[a0]]\n ldr q2, [%[a1]]\n ldr q4, [%[a2]]\n ldr q6, [%[a3]]\n"
      "ldp q8, q9, [%[w]], #32\n ldp q10, q11, [%[w]], #32\n"
      MIDTREAD_SMMLA_STEP("v0", "v2", "v4", "v6", "v8", "v9", "v10", "v11")
      "4: subs %[segments], %[segments], #1\n b.ne 1b\n"
      MIDTREAD_SMMLA_STORE("v16", "v17", "v18", "v19", "0", "64")
      MIDTREAD_SMMLA_STORE("v20", "v21", "v22", "v23", "128", "192")
      MIDTREAD_SMMLA_STORE("v24", "v25", "v26", "v27", "256", "320")
      MIDTREAD_SMMLA_STORE("v28", "v29", "v30", "v31", "384", "448")
      // clang-format on
      : [w] "+r"(w), [bias] "+r"(bias), [offsets] "+r"(offsets), [segments] "+r"(segments), [k] "=&r"(k), [a0] "=&r"(a0),
        [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3)
      : [r0] "r"(in.a), [r1] "r"(in.b), [r2] "r"(in.c), [r3] "r"(in.d), [length] "r"(panel.length), [acc] "r"(acc)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",
        "cc", "memory");
  return w;
}

/// One pair of pixels x 8 channels; `acc` is [2][16].
MIDTREAD_NOINLINE inline const std::int8_t* gemm_2x8c8(const std::int8_t* pair, const Panel& panel,
                                                       const std::int8_t* w, const std::int32_t* bias,
                                                       std::int32_t* acc) {
  const std::int8_t* a0;
  const std::int32_t* offsets = panel.offsets;
  std::int64_t segments = panel.segments, k;
  asm volatile(
      MIDTREAD_SMMLA_BIAS
      "movi v20.4s, #0\n movi v21.4s, #0\n movi v22.4s, #0\n movi v23.4s, #0\n"
      "1: ldrsw %[k], [%[offsets]], #4\n"
      "add %[a0], %[pair], %[k]\n"
      "subs %[k], %[length], #16\n b.lo 3f\n"
      "2: ldp q0, q1, [%[a0]], #32\n ldp q4, q5, [%[w]]\n ldp q6, q7, [%[w], #32]\n"
      "ldp q24, q25, [%[w], #64]\n ldp q26, q27, [%[w], #96]\n add %[w], %[w], #128\n"
      // clang-format off
      MIDTREAD_SMMLA_ROW("v0", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19")
      MIDTREAD_SMMLA_ROW("v1", "v24", "v25", "v26", "v27", "v20", "v21", "v22", "v23")
      "subs %[k], %[k], #16\n b.hs 2b\n"
      "3: cmn %[k], #16\n b.eq 4f\n"
      "ldr q0, [%[a0]]\n ldp q4, q5, [%[w]], #32\n ldp q6, q7, [%[w]], #32\n"
      MIDTREAD_SMMLA_ROW("v0", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19")
      "4: subs %[segments], %[segments], #1\n b.ne 1b\n"
      "add v16.4s, v16.4s, v20.4s\n add v17.4s, v17.4s, v21.4s\n"
      "add v18.4s, v18.4s, v22.4s\n add v19.4s, v19.4s, v23.4s\n"
      MIDTREAD_SMMLA_STORE("v16", "v17", "v18", "v19", "0", "64")
      // clang-format on
      : [w] "+r"(w), [bias] "+r"(bias), [offsets] "+r"(offsets), [segments] "+r"(segments), [k] "=&r"(k), [a0] "=&r"(a0)
      : [pair] "r"(pair), [length] "r"(panel.length), [acc] "r"(acc)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
        "v24", "v25", "v26", "v27", "cc", "memory");
  return w;
}

#undef MIDTREAD_SMMLA_STORE
#undef MIDTREAD_SMMLA_BIAS
#undef MIDTREAD_SMMLA_STEP
#undef MIDTREAD_SMMLA_ROW

MIDTREAD_TARGET_END

struct Tile {
  static constexpr std::int64_t kUnits = 4, kPixels = 2, kColumns = 8, kStep = 8;

  /// Where weight `k` of `column` lies in a segment.
  static std::int64_t at(std::int64_t, std::int64_t k, std::int64_t column) {
    return (k / 8 * kColumns + column) * 8 + k % 8;
  }
  static constexpr bool kFinishes = false;

  static void run(const std::int8_t* band, const BandUnit* units, const Panel& panel,
                  const std::int32_t* bias, std::int32_t* acc) {
    const TileInputs in{band + units[0].input, band + units[1].input, band + units[2].input,
                        band + units[3].input};
    const std::int8_t* w = panel.weights();
    for (std::int64_t c = 0; c < panel.columns; c += kColumns)
      w = gemm_8x8c8(in, panel, w, bias + c, acc + c);
  }
  static void run_one(const std::int8_t* pair, const Panel& panel, const std::int32_t* bias,
                      std::int32_t* acc) {
    const std::int8_t* w = panel.weights();
    for (std::int64_t c = 0; c < panel.columns; c += kColumns)
      w = gemm_2x8c8(pair, panel, w, bias + c, acc + c);
  }
};

MIDTREAD_NAMESPACE_END

#endif

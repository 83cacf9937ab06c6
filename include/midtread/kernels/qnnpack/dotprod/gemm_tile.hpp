// SPDX-License-Identifier: MIT
// The register tile of Armv8.2 dotprod: 4 pixels x 16 channels, 4 products per lane (sdot). All of it is
// assembly: Clang before 17 hides the intrinsics from functions with a target attribute.
#pragma once

#include <midtread/kernels/qnnpack/finish_tile_asm.hpp>
#include <midtread/kernels/target.hpp>

#if MIDTREAD_NEON && MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::dotprod)
MIDTREAD_TARGET_DOTPROD_BEGIN

// clang-format off
// Two vectors of four channels each, `lane` of the four pixels v0-v3; accumulators v16 + 4 * pixel + channels.
#define MIDTREAD_SDOT_PAIR(b0, b1, lane, c0, c1, c2, c3, d0, d1, d2, d3)              \
  "sdot " c0 ".4s, " b0 ".16b, v0.4b[" lane "]\n sdot " c1 ".4s, " b0 ".16b, v1.4b[" lane "]\n" \
  "sdot " c2 ".4s, " b0 ".16b, v2.4b[" lane "]\n sdot " c3 ".4s, " b0 ".16b, v3.4b[" lane "]\n" \
  "sdot " d0 ".4s, " b1 ".16b, v0.4b[" lane "]\n sdot " d1 ".4s, " b1 ".16b, v1.4b[" lane "]\n" \
  "sdot " d2 ".4s, " b1 ".16b, v2.4b[" lane "]\n sdot " d3 ".4s, " b1 ".16b, v3.4b[" lane "]\n"
#define MIDTREAD_SDOT_LOW(lane) \
  MIDTREAD_SDOT_PAIR("v4", "v5", lane, "v16", "v20", "v24", "v28", "v17", "v21", "v25", "v29")
#define MIDTREAD_SDOT_HIGH(lane) \
  MIDTREAD_SDOT_PAIR("v6", "v7", lane, "v18", "v22", "v26", "v30", "v19", "v23", "v27", "v31")
// Weights of the next lane are loaded as soon as a pair of registers is free.
#define MIDTREAD_SDOT_STEP(lane)                        \
  MIDTREAD_SDOT_LOW(lane) "ldp q4, q5, [%[w]], #32\n"   \
  MIDTREAD_SDOT_HIGH(lane) "ldp q6, q7, [%[w]], #32\n"
#define MIDTREAD_SDOT_ADDRESSES                                  \
  "1: ldrsw %[k], [%[offsets]], #4\n add %[k], %[k], %[band]\n"   \
  "add %[a0], %[r0], %[k]\n add %[a1], %[r1], %[k]\n"             \
  "add %[a2], %[r2], %[k]\n add %[a3], %[r3], %[k]\n"             \
  "subs %[k], %[length], #16\n b.lo 3f\n"
// clang-format on

/// `tiles` times 4 pixels x 16 channels from bias on, to `acc` [4][16] or, where it is null, to codes.
MIDTREAD_NOINLINE inline void gemm_4x16c4(const std::int8_t* band, const BandUnit* units, std::int64_t tiles,
                                          const Panel& panel, const PanelOutput& out, std::int32_t* acc) {
  const std::int8_t* const weights = panel.weights();
  const std::int32_t *const all_offsets = panel.offsets, *const bias = out.bias;
  const std::int64_t all_segments = panel.segments, length = panel.length;
  for (; tiles > 0; --tiles, units += 4) {
    const std::int8_t *w = weights, *a0, *a1, *a2, *a3;
    const std::int32_t* offsets = all_offsets;
    const std::int64_t r0 = units[0].input, r1 = units[1].input, r2 = units[2].input, r3 = units[3].input;
    std::int64_t segments = all_segments;
    const void* k = bias;
    asm volatile(
      "ldp q16, q17, [%[k]]\n ldp q18, q19, [%[k], #32]\n"
      "ldp q20, q21, [%[k]]\n ldp q22, q23, [%[k], #32]\n"
      "ldp q24, q25, [%[k]]\n ldp q26, q27, [%[k], #32]\n"
      "ldp q28, q29, [%[k]]\n ldp q30, q31, [%[k], #32]\n"
      // clang-format off
      MIDTREAD_SDOT_ADDRESSES
      "2: ldr q0, [%[a0]], #16\n ldp q4, q5, [%[w]], #32\n"
      "ldr q1, [%[a1]], #16\n ldr q2, [%[a2]], #16\n ldr q3, [%[a3]], #16\n"
      "ldp q6, q7, [%[w]], #32\n"
      MIDTREAD_SDOT_STEP("0") MIDTREAD_SDOT_STEP("1") MIDTREAD_SDOT_STEP("2")
      MIDTREAD_SDOT_LOW("3") MIDTREAD_SDOT_HIGH("3")
      "subs %[k], %[k], #16\n b.hs 2b\n"
      "3: adds %[k], %[k], #16\n b.eq 5f\n"
      "4: ldr s0, [%[a0]], #4\n ldr s1, [%[a1]], #4\n ldr s2, [%[a2]], #4\n ldr s3, [%[a3]], #4\n"
      "ldp q4, q5, [%[w]], #32\n ldp q6, q7, [%[w]], #32\n"
      MIDTREAD_SDOT_LOW("0") MIDTREAD_SDOT_HIGH("0")
      "subs %[k], %[k], #4\n b.ne 4b\n"
      "5: subs %[segments], %[segments], #1\n b.ne 1b\n"
      "cbnz %[acc], 8f\n"
      MIDTREAD_FINISH_CODES
      "b 9f\n"
      "8: stp q16, q17, [%[acc]]\n stp q18, q19, [%[acc], #32]\n"
      "stp q20, q21, [%[acc], #64]\n stp q22, q23, [%[acc], #96]\n"
      "stp q24, q25, [%[acc], #128]\n stp q26, q27, [%[acc], #160]\n"
      "stp q28, q29, [%[acc], #192]\n stp q30, q31, [%[acc], #224]\n"
      "9:\n"
      // clang-format on
      : [w] "+r"(w), [offsets] "+r"(offsets), [segments] "+r"(segments), [k] "+r"(k), [a0] "=&r"(a0),
        [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3)
      : [r0] "r"(r0), [r1] "r"(r1), [r2] "r"(r2), [r3] "r"(r3), [band] "r"(band), [length] "r"(length),
        [acc] "r"(acc), MIDTREAD_FINISH_OPERANDS
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
        "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
  }
}

/// 4 pixels x the first 8 channels of a panel that has no more; `acc` is [4][16].
MIDTREAD_NOINLINE inline void gemm_4x8c4(const std::int8_t* band, const BandUnit* units, const Panel& panel,
                                         const std::int32_t* bias, std::int32_t* acc) {
  const std::int8_t *w = panel.weights(), *a0, *a1, *a2, *a3;
  const std::int32_t* offsets = panel.offsets;
  const std::int64_t r0 = units[0].input, r1 = units[1].input, r2 = units[2].input, r3 = units[3].input;
  std::int64_t segments = panel.segments, k;
  asm volatile(
      "ldp q16, q17, [%[bias]]\n ldp q20, q21, [%[bias]]\n"
      "ldp q24, q25, [%[bias]]\n ldp q28, q29, [%[bias]]\n"
      // clang-format off
      MIDTREAD_SDOT_ADDRESSES
      "2: ldr q0, [%[a0]], #16\n ldp q4, q5, [%[w]]\n"
      "ldr q1, [%[a1]], #16\n ldr q2, [%[a2]], #16\n ldr q3, [%[a3]], #16\n"
      MIDTREAD_SDOT_LOW("0") "ldp q4, q5, [%[w], #64]\n"
      MIDTREAD_SDOT_LOW("1") "ldp q4, q5, [%[w], #128]\n"
      MIDTREAD_SDOT_LOW("2") "ldp q4, q5, [%[w], #192]\n add %[w], %[w], #256\n"
      MIDTREAD_SDOT_LOW("3")
      "subs %[k], %[k], #16\n b.hs 2b\n"
      "3: adds %[k], %[k], #16\n b.eq 5f\n"
      "4: ldr s0, [%[a0]], #4\n ldr s1, [%[a1]], #4\n ldr s2, [%[a2]], #4\n ldr s3, [%[a3]], #4\n"
      "ldp q4, q5, [%[w]], #64\n"
      MIDTREAD_SDOT_LOW("0")
      "subs %[k], %[k], #4\n b.ne 4b\n"
      // clang-format on
      "5: subs %[segments], %[segments], #1\n b.ne 1b\n"
      "stp q16, q17, [%[acc]]\n stp q20, q21, [%[acc], #64]\n"
      "stp q24, q25, [%[acc], #128]\n stp q28, q29, [%[acc], #192]\n"
      : [w] "+r"(w), [offsets] "+r"(offsets), [segments] "+r"(segments), [k] "=&r"(k), [a0] "=&r"(a0),
        [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3)
      : [r0] "r"(r0), [r1] "r"(r1), [r2] "r"(r2), [r3] "r"(r3), [band] "r"(band), [length] "r"(panel.length),
        [bias] "r"(bias), [acc] "r"(acc)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v16", "v17", "v20", "v21", "v24", "v25", "v28", "v29", "cc",
        "memory");
}

#undef MIDTREAD_SDOT_ADDRESSES
#undef MIDTREAD_SDOT_STEP
#undef MIDTREAD_SDOT_HIGH
#undef MIDTREAD_SDOT_LOW
#undef MIDTREAD_SDOT_PAIR

#define MIDTREAD_SDOT_ROW(b0, b1, b2, b3, lane, c0, c1, c2, c3)                           \
  "sdot " c0 ".4s, " b0 ".16b, v0.4b[" lane "]\n sdot " c1 ".4s, " b1 ".16b, v0.4b[" lane \
  "]\n"                                                                                   \
  "sdot " c2 ".4s, " b2 ".16b, v0.4b[" lane "]\n sdot " c3 ".4s, " b3 ".16b, v0.4b[" lane "]\n"

/// One pixel: two chains of sums.
MIDTREAD_NOINLINE inline void gemm_1x16c4(const std::int8_t* row, const Panel& panel,
                                          const std::int32_t* bias, std::int32_t* acc) {
  const std::int8_t *w = panel.weights(), *a0;
  const std::int32_t* offsets = panel.offsets;
  std::int64_t segments = panel.segments, k;
  asm volatile(
      "ldp q16, q17, [%[bias]]\n ldp q18, q19, [%[bias], #32]\n"
      "movi v20.4s, #0\n movi v21.4s, #0\n movi v22.4s, #0\n movi v23.4s, #0\n"
      "1: ldrsw %[k], [%[offsets]], #4\n"
      "add %[a0], %[row], %[k]\n"
      "subs %[k], %[length], #16\n b.lo 3f\n"
      "2: ldr q0, [%[a0]], #16\n"
      "ldp q4, q5, [%[w]]\n ldp q6, q7, [%[w], #32]\n"
      "ldp q24, q25, [%[w], #64]\n ldp q26, q27, [%[w], #96]\n"
      // clang-format off
      MIDTREAD_SDOT_ROW("v4", "v5", "v6", "v7", "0", "v16", "v17", "v18", "v19")
      "ldp q4, q5, [%[w], #128]\n ldp q6, q7, [%[w], #160]\n"
      MIDTREAD_SDOT_ROW("v24", "v25", "v26", "v27", "1", "v20", "v21", "v22", "v23")
      "ldp q24, q25, [%[w], #192]\n ldp q26, q27, [%[w], #224]\n add %[w], %[w], #256\n"
      MIDTREAD_SDOT_ROW("v4", "v5", "v6", "v7", "2", "v16", "v17", "v18", "v19")
      MIDTREAD_SDOT_ROW("v24", "v25", "v26", "v27", "3", "v20", "v21", "v22", "v23")
      "subs %[k], %[k], #16\n b.hs 2b\n"
      "3: adds %[k], %[k], #16\n b.eq 5f\n"
      "4: ldr s0, [%[a0]], #4\n"
      "ldp q4, q5, [%[w]], #32\n ldp q6, q7, [%[w]], #32\n"
      MIDTREAD_SDOT_ROW("v4", "v5", "v6", "v7", "0", "v16", "v17", "v18", "v19")
      // clang-format on
      "subs %[k], %[k], #4\n b.ne 4b\n"
      "5: subs %[segments], %[segments], #1\n b.ne 1b\n"
      "add v16.4s, v16.4s, v20.4s\n add v17.4s, v17.4s, v21.4s\n"
      "add v18.4s, v18.4s, v22.4s\n add v19.4s, v19.4s, v23.4s\n"
      "stp q16, q17, [%[acc]]\n stp q18, q19, [%[acc], #32]\n"
      : [w] "+r"(w), [offsets] "+r"(offsets), [segments] "+r"(segments), [k] "=&r"(k), [a0] "=&r"(a0)
      : [row] "r"(row), [length] "r"(panel.length), [bias] "r"(bias), [acc] "r"(acc)
      : "v0", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
        "v27", "cc", "memory");
}

#undef MIDTREAD_SDOT_ROW

MIDTREAD_TARGET_END

struct Tile {
  static constexpr std::int64_t kUnits = 4, kPixels = 1, kColumns = kPanelColumns, kStep = 4;
  static constexpr bool kFinishes = true;

  /// Where weight `k` of `column` lies in a segment.
  static std::int64_t at(std::int64_t, std::int64_t k, std::int64_t column) {
    return (k / 4 * kColumns + column) * 4 + k % 4;
  }
  static void run(const std::int8_t* band, const BandUnit* units, std::int64_t tiles, const Panel& panel,
                  const PanelOutput& out, std::int32_t* acc) {
    if (panel.columns > 8)
      gemm_4x16c4(band, units, tiles, panel, out, acc);
    else
      gemm_4x8c4(band, units, panel, out.bias, acc);
  }
  static void run_one(const std::int8_t* row, const Panel& panel, const std::int32_t* bias,
                      std::int32_t* acc) {
    gemm_1x16c4(row, panel, bias, acc);
  }
};

MIDTREAD_NAMESPACE_END

#endif

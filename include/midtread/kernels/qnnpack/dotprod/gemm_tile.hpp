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
// Two vectors of four channels each, `lane` of the four pixels a0-a3; accumulators v16 + 4 * pixel + channels.
#define MIDTREAD_SDOT_PAIR(b0, b1, lane, a0, a1, a2, a3, c0, c1, c2, c3, d0, d1, d2, d3)                      \
  "sdot " c0 ".4s, " b0 ".16b, " a0 ".4b[" lane "]\n sdot " c1 ".4s, " b0 ".16b, " a1 ".4b[" lane "]\n"       \
  "sdot " c2 ".4s, " b0 ".16b, " a2 ".4b[" lane "]\n sdot " c3 ".4s, " b0 ".16b, " a3 ".4b[" lane "]\n"       \
  "sdot " d0 ".4s, " b1 ".16b, " a0 ".4b[" lane "]\n sdot " d1 ".4s, " b1 ".16b, " a1 ".4b[" lane "]\n"       \
  "sdot " d2 ".4s, " b1 ".16b, " a2 ".4b[" lane "]\n sdot " d3 ".4s, " b1 ".16b, " a3 ".4b[" lane "]\n"
#define MIDTREAD_SDOT_LOW(lane, a0, a1, a2, a3) \
  MIDTREAD_SDOT_PAIR("v4", "v5", lane, a0, a1, a2, a3, "v16", "v20", "v24", "v28", "v17", "v21", "v25", "v29")
#define MIDTREAD_SDOT_HIGH(lane, a0, a1, a2, a3) \
  MIDTREAD_SDOT_PAIR("v6", "v7", lane, a0, a1, a2, a3, "v18", "v22", "v26", "v30", "v19", "v23", "v27", "v31")
#define MIDTREAD_SDOT_BOTH(lane, a0, a1, a2, a3) \
  MIDTREAD_SDOT_LOW(lane, a0, a1, a2, a3) MIDTREAD_SDOT_HIGH(lane, a0, a1, a2, a3)
// Weights of the next lane are loaded as soon as a pair of registers is free.
#define MIDTREAD_SDOT_STEP(lane, a0, a1, a2, a3)                        \
  MIDTREAD_SDOT_LOW(lane, a0, a1, a2, a3) "ldp q4, q5, [%[w]], #32\n"   \
  MIDTREAD_SDOT_HIGH(lane, a0, a1, a2, a3) "ldp q6, q7, [%[w]], #32\n"
#define MIDTREAD_SDOT_STEPS(a0, a1, a2, a3)                                       \
  MIDTREAD_SDOT_STEP("0", a0, a1, a2, a3) MIDTREAD_SDOT_STEP("1", a0, a1, a2, a3) \
  MIDTREAD_SDOT_STEP("2", a0, a1, a2, a3)
#define MIDTREAD_SDOT_ADDRESSES                                 \
  "1: ldrsw %[k], [%[offsets]], #4\n"                           \
  "add %[a0], %[r0], %[k]\n add %[a1], %[r1], %[k]\n"           \
  "add %[a2], %[r2], %[k]\n add %[a3], %[r3], %[k]\n"
// All products of a segment; goes on at 6.
#define MIDTREAD_SDOT_DEPTH                                                                       \
  "subs %[k], %[length], #32\n b.lo 3f\n"                                                         \
  "2: ldp q0, q8, [%[a0]], #32\n ldp q4, q5, [%[w]], #32\n"                                       \
  "ldp q1, q9, [%[a1]], #32\n ldp q2, q10, [%[a2]], #32\n ldp q3, q11, [%[a3]], #32\n"            \
  "ldp q6, q7, [%[w]], #32\n"                                                                     \
  MIDTREAD_SDOT_STEPS("v0", "v1", "v2", "v3") MIDTREAD_SDOT_STEP("3", "v0", "v1", "v2", "v3")     \
  MIDTREAD_SDOT_STEPS("v8", "v9", "v10", "v11") MIDTREAD_SDOT_BOTH("3", "v8", "v9", "v10", "v11") \
  "subs %[k], %[k], #32\n b.hs 2b\n"                                                              \
  "3: tbz %[k], #4, 4f\n"                                                                         \
  "ldr q0, [%[a0]], #16\n ldp q4, q5, [%[w]], #32\n"                                              \
  "ldr q1, [%[a1]], #16\n ldr q2, [%[a2]], #16\n ldr q3, [%[a3]], #16\n"                          \
  "ldp q6, q7, [%[w]], #32\n"                                                                     \
  MIDTREAD_SDOT_STEPS("v0", "v1", "v2", "v3") MIDTREAD_SDOT_BOTH("3", "v0", "v1", "v2", "v3")     \
  "4: ands %[k], %[k], #12\n b.eq 6f\n"                                                           \
  "5: ldr s0, [%[a0]], #4\n ldr s1, [%[a1]], #4\n ldr s2, [%[a2]], #4\n ldr s3, [%[a3]], #4\n"    \
  "ldp q4, q5, [%[w]], #32\n ldp q6, q7, [%[w]], #32\n"                                           \
  MIDTREAD_SDOT_BOTH("0", "v0", "v1", "v2", "v3")                                                 \
  "subs %[k], %[k], #4\n b.ne 5b\n"
// clang-format on

/// `tiles` times 4 pixels x 16 channels of `panels` panels.
MIDTREAD_NOINLINE inline void gemm_4x16c4(const std::int8_t* band, const BandUnit* units, std::int64_t tiles,
                                          const Panel& panel, std::int64_t panels, const TileOutput& out) {
  const std::int64_t length = panel.length, all_segments = panel.segments, step = out.step;
  const std::int32_t *const all_offsets = panel.offsets, *bias = out.bias;
  const PanelHeader* header = panel.header;
  const float* multiplier = out.multiplier;
  std::uint8_t* codes = out.codes;
  std::int32_t* const acc = out.acc;
  const int32x4_t shift = vdupq_n_s32(out.shift);
  const int16x8_t z = vdupq_n_s16(out.bounds.zero_point);
  const uint8x16_t lo = vdupq_n_u8(out.bounds.lo), hi = vdupq_n_u8(out.bounds.hi);
  alignas(16) std::int32_t terms[kPanelColumns];
  for (;;) {
    take_zero_point(bias, *header, shift, terms);
    const auto* const weights = reinterpret_cast<const std::int8_t*>(header + 1);
    std::uint8_t* y = codes;
    const BandUnit* unit = units;
    for (std::int64_t t = tiles; t > 0; --t, unit += 4) {
      const std::int8_t *w = weights, *a0, *a1, *a2, *a3;
      const std::int8_t *const r0 = band + unit[0].input, *const r1 = band + unit[1].input;
      const std::int8_t *const r2 = band + unit[2].input, *const r3 = band + unit[3].input;
      const std::int32_t* offsets = all_offsets;
      std::int64_t segments = all_segments;
      const void* k = terms;
      asm volatile(
      "ldp q16, q17, [%[k]]\n ldp q18, q19, [%[k], #32]\n"
      "ldp q20, q21, [%[k]]\n ldp q22, q23, [%[k], #32]\n"
      "ldp q24, q25, [%[k]]\n ldp q26, q27, [%[k], #32]\n"
      "ldp q28, q29, [%[k]]\n ldp q30, q31, [%[k], #32]\n"
      // clang-format off
      MIDTREAD_SDOT_ADDRESSES
      MIDTREAD_SDOT_DEPTH
      "6: subs %[segments], %[segments], #1\n b.ne 1b\n"
      "cbnz %[acc], 8f\n"
      MIDTREAD_FINISH_CODES("%[z]", "%[lo]", "%[hi]")
      "b 9f\n"
      "8: stp q16, q17, [%[acc]]\n stp q18, q19, [%[acc], #32]\n"
      "stp q20, q21, [%[acc], #64]\n stp q22, q23, [%[acc], #96]\n"
      "stp q24, q25, [%[acc], #128]\n stp q26, q27, [%[acc], #160]\n"
      "stp q28, q29, [%[acc], #192]\n stp q30, q31, [%[acc], #224]\n"
      "9:\n"
      // clang-format on
      : [w] "+&r"(w), [offsets] "+&r"(offsets), [segments] "+&r"(segments), [k] "+&r"(k), [a0] "=&r"(a0),
        [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [y] "+&r"(y)
      : [r0] "r"(r0), [r1] "r"(r1), [r2] "r"(r2), [r3] "r"(r3), [length] "r"(length), [acc] "r"(acc),
        [m] "r"(multiplier), [step] "r"(step), [z] "w"(z), [lo] "w"(lo), [hi] "w"(hi)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v16", "v17", "v18", "v19",
        "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
    }
    if (--panels == 0) return;
    header = panel.behind(header);
    bias += kPanelColumns;
    multiplier += kPanelColumns;
    codes += kPanelColumns;
  }
}

/// 4 pixels that lie `pitch` apart x 16 channels of `panels` panels of one segment: all panels in one go.
template <bool kClamps>
MIDTREAD_NOINLINE void gemm_4x16c4_panels(const std::int8_t* a0, std::int64_t pitch, const Panel& panel,
                                          std::int64_t panels, const TileOutput& out) {
  const std::int8_t *a1 = a0 + pitch, *a2 = a1 + pitch, *a3 = a2 + pitch;
  const PanelHeader* w = panel.header;
  const std::int64_t length = panel.length, step = out.step, on = kPanelColumns - 4 * step;
  const std::int32_t* bias = out.bias;
  const float* m = out.multiplier;
  std::uint8_t* y = out.codes;
  std::int64_t k;
  const int32x4_t shift = vdupq_n_s32(out.shift);
  const int16x8_t z = vdupq_n_s16(out.bounds.zero_point);
  const uint8x16_t lo = vdupq_n_u8(out.bounds.lo), hi = vdupq_n_u8(out.bounds.hi);
#define MIDTREAD_SDOT_PANELS(finish)                                                                \
  asm volatile(                                                                                     \
      "0: ldp q16, q17, [%[bias]], #32\n ldp q4, q5, [%[w]], #32\n"                                 \
      "ldp q18, q19, [%[bias]], #32\n ldp q6, q7, [%[w]], %[rest]\n"                                \
      "mls v16.4s, v4.4s, %[shift].4s\n mls v17.4s, v5.4s, %[shift].4s\n"                           \
      "mls v18.4s, v6.4s, %[shift].4s\n mls v19.4s, v7.4s, %[shift].4s\n"                           \
      "mov v20.16b, v16.16b\n mov v21.16b, v17.16b\n mov v22.16b, v18.16b\n mov v23.16b, v19.16b\n" \
      "mov v24.16b, v16.16b\n mov v25.16b, v17.16b\n mov v26.16b, v18.16b\n mov v27.16b, v19.16b\n" \
      "mov v28.16b, v16.16b\n mov v29.16b, v17.16b\n mov v30.16b, v18.16b\n mov v31.16b, v19.16b\n" \
      MIDTREAD_SDOT_DEPTH                                                                           \
      "6: ldp q0, q1, [%[m]], #32\n ldp q2, q3, [%[m]], #32\n"                                      \
      MIDTREAD_FINISH_PIXELS(finish, "%[z]", "%[lo]", "%[hi]")                                      \
      "sub %[a0], %[a0], %[length]\n sub %[a1], %[a1], %[length]\n"                                 \
      "sub %[a2], %[a2], %[length]\n sub %[a3], %[a3], %[length]\n"                                 \
      "add %[y], %[y], %[on]\n subs %[n], %[n], #1\n b.ne 0b\n"                                     \
      : [w] "+&r"(w), [bias] "+&r"(bias), [m] "+&r"(m), [y] "+&r"(y), [n] "+&r"(panels),            \
        [a0] "+&r"(a0), [a1] "+&r"(a1), [a2] "+&r"(a2), [a3] "+&r"(a3), [k] "=&r"(k)                \
      : [length] "r"(length), [step] "r"(step), [on] "r"(on), [shift] "w"(shift), [z] "w"(z),       \
        [lo] "w"(lo), [hi] "w"(hi), [rest] "i"(sizeof(PanelHeader) - 32)                            \
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v16", "v17",     \
        "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",         \
        "v30", "v31", "cc", "memory")
  if (kClamps)
    MIDTREAD_SDOT_PANELS(MIDTREAD_FINISH_CLAMP);
  else
    MIDTREAD_SDOT_PANELS(MIDTREAD_FINISH_PLAIN);
#undef MIDTREAD_SDOT_PANELS
}

/// `tiles` times 4 pixels x the first 8 channels of a panel.
MIDTREAD_NOINLINE inline void gemm_4x8c4(const std::int8_t* band, const BandUnit* units, std::int64_t tiles,
                                         const Panel& panel, const TileOutput& out) {
  const std::int64_t length = panel.length, step = out.step;
  const float* multiplier = out.multiplier;
  std::uint8_t* y = out.codes;
  std::int32_t* const acc = out.acc;
  const int16x8_t z = vdupq_n_s16(out.bounds.zero_point);
  const uint8x16_t lo = vdupq_n_u8(out.bounds.lo), hi = vdupq_n_u8(out.bounds.hi);
  alignas(16) std::int32_t terms[kPanelColumns];
  take_zero_point(out.bias, *panel.header, vdupq_n_s32(out.shift), terms);
  for (; tiles > 0; --tiles, units += 4) {
    const std::int8_t *w = panel.weights(), *a0, *a1, *a2, *a3;
    const std::int8_t *const r0 = band + units[0].input, *const r1 = band + units[1].input;
    const std::int8_t *const r2 = band + units[2].input, *const r3 = band + units[3].input;
    const std::int32_t* offsets = panel.offsets;
    std::int64_t segments = panel.segments;
    const void* k = terms;
    asm volatile(
      "ldp q16, q17, [%[k]]\n ldp q20, q21, [%[k]]\n"
      "ldp q24, q25, [%[k]]\n ldp q28, q29, [%[k]]\n"
      // clang-format off
      MIDTREAD_SDOT_ADDRESSES
      "subs %[k], %[length], #16\n b.lo 3f\n"
      "2: ldr q0, [%[a0]], #16\n ldp q4, q5, [%[w]]\n"
      "ldr q1, [%[a1]], #16\n ldr q2, [%[a2]], #16\n ldr q3, [%[a3]], #16\n"
      MIDTREAD_SDOT_LOW("0", "v0", "v1", "v2", "v3") "ldp q4, q5, [%[w], #64]\n"
      MIDTREAD_SDOT_LOW("1", "v0", "v1", "v2", "v3") "ldp q4, q5, [%[w], #128]\n"
      MIDTREAD_SDOT_LOW("2", "v0", "v1", "v2", "v3") "ldp q4, q5, [%[w], #192]\n add %[w], %[w], #256\n"
      MIDTREAD_SDOT_LOW("3", "v0", "v1", "v2", "v3")
      "subs %[k], %[k], #16\n b.hs 2b\n"
      "3: adds %[k], %[k], #16\n b.eq 5f\n"
      "4: ldr s0, [%[a0]], #4\n ldr s1, [%[a1]], #4\n ldr s2, [%[a2]], #4\n ldr s3, [%[a3]], #4\n"
      "ldp q4, q5, [%[w]], #64\n"
      MIDTREAD_SDOT_LOW("0", "v0", "v1", "v2", "v3")
      "subs %[k], %[k], #4\n b.ne 4b\n"
      "5: subs %[segments], %[segments], #1\n b.ne 1b\n"
      "cbnz %[acc], 8f\n"
      MIDTREAD_FINISH_HALVES("%[z]", "%[lo]", "%[hi]")
      "b 9f\n"
      "8: stp q16, q17, [%[acc]]\n stp q20, q21, [%[acc], #64]\n"
      "stp q24, q25, [%[acc], #128]\n stp q28, q29, [%[acc], #192]\n"
      "9:\n"
      // clang-format on
      : [w] "+&r"(w), [offsets] "+&r"(offsets), [segments] "+&r"(segments), [k] "+&r"(k), [a0] "=&r"(a0),
        [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [y] "+&r"(y)
      : [r0] "r"(r0), [r1] "r"(r1), [r2] "r"(r2), [r3] "r"(r3), [length] "r"(length), [acc] "r"(acc),
        [m] "r"(multiplier), [step] "r"(step), [z] "w"(z), [lo] "w"(lo), [hi] "w"(hi)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v16", "v17", "v20", "v21", "v24", "v25", "v28", "v29", "cc",
        "memory");
  }
}

#undef MIDTREAD_SDOT_DEPTH
#undef MIDTREAD_SDOT_ADDRESSES
#undef MIDTREAD_SDOT_STEPS
#undef MIDTREAD_SDOT_STEP
#undef MIDTREAD_SDOT_BOTH
#undef MIDTREAD_SDOT_HIGH
#undef MIDTREAD_SDOT_LOW
#undef MIDTREAD_SDOT_PAIR

// clang-format off
#define MIDTREAD_SDOT_ROW(b0, b1, b2, b3, a, lane, c0, c1, c2, c3)                                    \
  "sdot " c0 ".4s, " b0 ".16b, " a ".4b[" lane "]\n sdot " c1 ".4s, " b1 ".16b, " a ".4b[" lane "]\n" \
  "sdot " c2 ".4s, " b2 ".16b, " a ".4b[" lane "]\n sdot " c3 ".4s, " b3 ".16b, " a ".4b[" lane "]\n"
#define MIDTREAD_SDOT_EVEN(a, lane) \
  MIDTREAD_SDOT_ROW("v4", "v5", "v6", "v7", a, lane, "v16", "v17", "v18", "v19")
#define MIDTREAD_SDOT_ODD(a, lane) \
  MIDTREAD_SDOT_ROW("v24", "v25", "v26", "v27", a, lane, "v20", "v21", "v22", "v23")
#define MIDTREAD_SDOT_16(a)                                                                         \
  "ldp q4, q5, [%[w]], #256\n ldp q6, q7, [%[w], #-224]\n"                                          \
  "ldp q24, q25, [%[w], #-192]\n ldp q26, q27, [%[w], #-160]\n" MIDTREAD_SDOT_EVEN(a, "0")          \
  "ldp q4, q5, [%[w], #-128]\n ldp q6, q7, [%[w], #-96]\n" MIDTREAD_SDOT_ODD(a, "1")                \
  "ldp q24, q25, [%[w], #-64]\n ldp q26, q27, [%[w], #-32]\n" MIDTREAD_SDOT_EVEN(a, "2")            \
  MIDTREAD_SDOT_ODD(a, "3")

#define MIDTREAD_SDOT_FLIP(a) "eor " a ".16b, " a ".16b, %[sign].16b\n"
#define MIDTREAD_SDOT_KEEP(a)
#define MIDTREAD_SDOT_PIXEL(flip)                                                                                       \
  asm volatile(                                                                                                         \
      "0: ldp q16, q17, [%[bias]], #32\n ldp q4, q5, [%[w]], #32\n"                                                     \
      "ldp q18, q19, [%[bias]], #32\n ldp q6, q7, [%[w]], %[rest]\n"                                                    \
      "mov %[offset], %[offsets]\n mov %[segment], %[segments]\n"                                                       \
      "mls v16.4s, v4.4s, %[shift].4s\n mls v17.4s, v5.4s, %[shift].4s\n"                                               \
      "mls v18.4s, v6.4s, %[shift].4s\n mls v19.4s, v7.4s, %[shift].4s\n"                                               \
      "movi v20.4s, #0\n movi v21.4s, #0\n movi v22.4s, #0\n movi v23.4s, #0\n"                                         \
      "1: ldrsw %[k], [%[offset]], #4\n add %[a], %[row], %[k]\n"                                                       \
      "subs %[k], %[length], #32\n b.lo 3f\n"                                                                           \
      "2: ldp q0, q1, [%[a]], #32\n" flip("v0") flip("v1")                                                              \
      MIDTREAD_SDOT_16("v0") MIDTREAD_SDOT_16("v1")                                                                     \
      "subs %[k], %[k], #32\n b.hs 2b\n"                                                                                \
      "3: tbz %[k], #4, 4f\n"                                                                                           \
      "ldr q0, [%[a]], #16\n" flip("v0")                                                                                \
      MIDTREAD_SDOT_16("v0")                                                                                            \
      "4: ands %[k], %[k], #12\n b.eq 6f\n"                                                                             \
      "5: ldr s0, [%[a]], #4\n" flip("v0") "ldp q4, q5, [%[w]], #32\n ldp q6, q7, [%[w]], #32\n"                        \
      MIDTREAD_SDOT_EVEN("v0", "0")                                                                                     \
      "subs %[k], %[k], #4\n b.ne 5b\n"                                                                                 \
      "6: subs %[segment], %[segment], #1\n b.ne 1b\n"                                                                  \
      "add v16.4s, v16.4s, v20.4s\n add v17.4s, v17.4s, v21.4s\n"                                                       \
      "add v18.4s, v18.4s, v22.4s\n add v19.4s, v19.4s, v23.4s\n"                                                       \
      "cbnz %[acc], 8f\n"                                                                                               \
      "ldp q0, q1, [%[m]], #32\n ldp q2, q3, [%[m]], #32\n"                                                             \
      MIDTREAD_FINISH_16(MIDTREAD_FINISH_EACH, MIDTREAD_FINISH_CLAMP, "16", "17", "18", "19", "%[z]", "%[lo]", "%[hi]") \
      "str q16, [%[y]], #16\n"                                                                                          \
      "subs %[n], %[n], #1\n b.ne 0b\n"                                                                                 \
      "b 9f\n"                                                                                                          \
      "8: stp q16, q17, [%[acc]]\n stp q18, q19, [%[acc], #32]\n"                                                       \
      "9:\n"                                                                                                            \
      : [w] "+&r"(w), [bias] "+&r"(bias), [m] "+&r"(m), [y] "+&r"(y), [n] "+&r"(panels), [offset] "=&r"(offset),        \
        [segment] "=&r"(segment), [k] "=&r"(k), [a] "=&r"(a)                                                            \
      : [row] "r"(row), [length] "r"(panel.length), [offsets] "r"(panel.offsets), [segments] "r"(panel.segments),       \
        [acc] "r"(out.acc), [shift] "w"(shift), [sign] "w"(sign), [z] "w"(z), [lo] "w"(lo), [hi] "w"(hi),               \
        [rest] "i"(sizeof(PanelHeader) - 32)                                                                            \
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",         \
        "v24", "v25", "v26", "v27", "cc", "memory")

/// One pixel x 16 channels of `panels` panels: two chains of sums. kFlips: the pixel is uint8 and not copied;
/// nothing is read behind it.
template <bool kFlips>
MIDTREAD_NOINLINE void gemm_1x16c4(const std::int8_t* row, const Panel& panel, std::int64_t panels,
                                          const TileOutput& out) {
  const int32x4_t shift = vdupq_n_s32(out.shift);
  const int16x8_t z = vdupq_n_s16(out.bounds.zero_point);
  const uint8x16_t lo = vdupq_n_u8(out.bounds.lo), hi = vdupq_n_u8(out.bounds.hi);
  const PanelHeader* w = panel.header;
  const std::int8_t* a;
  const std::int32_t *offset, *bias = out.bias;
  const float* m = out.multiplier;
  std::uint8_t* y = out.codes;
  std::int64_t segment, k;
  const uint8x16_t sign = vdupq_n_u8(0x80);
  if (kFlips)
    MIDTREAD_SDOT_PIXEL(MIDTREAD_SDOT_FLIP);
  else
    MIDTREAD_SDOT_PIXEL(MIDTREAD_SDOT_KEEP);
}
// clang-format on

#undef MIDTREAD_SDOT_PIXEL
#undef MIDTREAD_SDOT_KEEP
#undef MIDTREAD_SDOT_FLIP
#undef MIDTREAD_SDOT_16
#undef MIDTREAD_SDOT_ODD
#undef MIDTREAD_SDOT_EVEN
#undef MIDTREAD_SDOT_ROW

MIDTREAD_TARGET_END

struct Tile {
  static constexpr std::int64_t kUnits = 4, kPixels = 1, kColumns = kPanelColumns, kStep = 4;
  static constexpr bool kFinishes = true;
  static constexpr std::int64_t kFewest = 3;  ///< pixels for which a tile executes less than one by one

  /// Whether run_pixel should take the codes from where they are: less work than a copy for a few panels. All
  /// products are of whole steps then.
  static bool flips(std::int64_t pixels, std::int64_t depth, std::int64_t columns) {
    return pixels == 1 && depth % kStep == 0 && columns <= 4 * kPanelColumns;
  }
  /// Where weight `k` of `column` lies in a segment.
  static std::int64_t at(std::int64_t, std::int64_t k, std::int64_t column) {
    return (k / 4 * kColumns + column) * 4 + k % 4;
  }
  static void run(const std::int8_t* band, const BandUnit* units, std::int64_t tiles, const Panel& panel,
                  std::int64_t panels, const TileOutput& out) {
    if (panel.columns > 8)
      gemm_4x16c4(band, units, tiles, panel, panels, out);
    else
      gemm_4x8c4(band, units, tiles, panel, out);
  }
  static void run_pixel(const std::int8_t* row, const Panel& panel, std::int64_t panels,
                        const TileOutput& out) {
    (out.flips ? gemm_1x16c4<true> : gemm_1x16c4<false>)(row, panel, panels, out);
  }
  /// Four pixels that lie `pitch` apart.
  static void run_four(const std::int8_t* rows, std::int64_t pitch, const Panel& panel, std::int64_t panels,
                       const TileOutput& out) {
    const bool clamps = out.bounds.lo != 0 || out.bounds.hi != 255;
    (clamps ? gemm_4x16c4_panels<true> : gemm_4x16c4_panels<false>)(rows, pitch, panel, panels, out);
  }
};

MIDTREAD_NAMESPACE_END

#endif

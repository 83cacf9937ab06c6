// SPDX-License-Identifier: MIT
// The register tile of base NEON: 4 pixels x 4 channels, 16 products deep, int8 x int8.
//
// smull and smlal2 add two products in int16, sadalp adds neighbours to int32. That holds because |w| <= 127:
// 2 * 128 * 127 < 2^15. A panel with a weight of -128 takes every product to int32 by itself.
#pragma once

#include <midtread/kernels/qnnpack/finish_tile_asm.hpp>

#if MIDTREAD_NEON && MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

// clang-format off
// Column `b` against four pixels a0-a3; accumulators v16 + 4 * pixel + column.
#define MIDTREAD_NEON_LOW(product, b, a0, a1, a2, a3)                                           \
  product " v8.8h, " a0 ".8b, " b ".8b\n" product " v9.8h, " a1 ".8b, " b ".8b\n"               \
  product " v10.8h, " a2 ".8b, " b ".8b\n" product " v11.8h, " a3 ".8b, " b ".8b\n"
#define MIDTREAD_NEON_HIGH(product, b, a0, a1, a2, a3)                                          \
  product " v8.8h, " a0 ".16b, " b ".16b\n" product " v9.8h, " a1 ".16b, " b ".16b\n"           \
  product " v10.8h, " a2 ".16b, " b ".16b\n" product " v11.8h, " a3 ".16b, " b ".16b\n"
#define MIDTREAD_NEON_ADD(c0, c1, c2, c3)                                                       \
  "sadalp " c0 ".4s, v8.8h\n sadalp " c1 ".4s, v9.8h\n"                                         \
  "sadalp " c2 ".4s, v10.8h\n sadalp " c3 ".4s, v11.8h\n"
#define MIDTREAD_NEON_PAIRED(b, a0, a1, a2, a3, c0, c1, c2, c3)                                 \
  MIDTREAD_NEON_LOW("smull", b, a0, a1, a2, a3) MIDTREAD_NEON_HIGH("smlal2", b, a0, a1, a2, a3) \
  MIDTREAD_NEON_ADD(c0, c1, c2, c3)
#define MIDTREAD_NEON_SINGLE(b, a0, a1, a2, a3, c0, c1, c2, c3)                                 \
  MIDTREAD_NEON_LOW("smull", b, a0, a1, a2, a3) MIDTREAD_NEON_ADD(c0, c1, c2, c3)
#define MIDTREAD_NEON_APART(b, a0, a1, a2, a3, c0, c1, c2, c3)                                  \
  MIDTREAD_NEON_SINGLE(b, a0, a1, a2, a3, c0, c1, c2, c3)                                       \
  MIDTREAD_NEON_HIGH("smull2", b, a0, a1, a2, a3) MIDTREAD_NEON_ADD(c0, c1, c2, c3)
#define MIDTREAD_NEON_COLUMNS(step, a0, a1, a2, a3)                                             \
  step("v4", a0, a1, a2, a3, "v16", "v20", "v24", "v28")                                        \
  step("v5", a0, a1, a2, a3, "v17", "v21", "v25", "v29")                                        \
  step("v6", a0, a1, a2, a3, "v18", "v22", "v26", "v30")                                        \
  step("v7", a0, a1, a2, a3, "v19", "v23", "v27", "v31")
#define MIDTREAD_NEON_WEIGHTS "ldp q4, q5, [%[w]], #32\n ldp q6, q7, [%[w]], #32\n"

// Four channels at a time: all segments, 32 products, then 16, then 8; then the sums of each accumulator's
// lanes, to `sums`. At last all 16 or 8 come back, where `finish` says so.
#define MIDTREAD_NEON_TILE(products)                                                        \
  asm volatile(                                                                             \
      "0: ldp s16, s17, [%[bias]]\n ldp s18, s19, [%[bias], #8]\n"                          \
      "ldp s20, s21, [%[bias]]\n ldp s22, s23, [%[bias], #8]\n"                             \
      "ldp s24, s25, [%[bias]]\n ldp s26, s27, [%[bias], #8]\n"                             \
      "ldp s28, s29, [%[bias]]\n ldp s30, s31, [%[bias], #8]\n add %[bias], %[bias], #16\n" \
      "mov %[offset], %[offsets]\n mov %[segment], %[segments]\n"                           \
      "1: ldrsw %[k], [%[offset]], #4\n"                                                    \
      "add %[a0], %[r0], %[k]\n add %[a1], %[r1], %[k]\n"                                   \
      "add %[a2], %[r2], %[k]\n add %[a3], %[r3], %[k]\n"                                   \
      "subs %[k], %[length], #32\n b.lo 3f\n"                                               \
      "2: ldp q0, q12, [%[a0]], #32\n ldp q4, q5, [%[w]], #32\n"                            \
      "ldp q1, q13, [%[a1]], #32\n ldp q2, q14, [%[a2]], #32\n ldp q3, q15, [%[a3]], #32\n" \
      "ldp q6, q7, [%[w]], #32\n"                                                           \
      MIDTREAD_NEON_COLUMNS(products, "v0", "v1", "v2", "v3")                               \
      MIDTREAD_NEON_WEIGHTS                                                                 \
      MIDTREAD_NEON_COLUMNS(products, "v12", "v13", "v14", "v15")                           \
      "subs %[k], %[k], #32\n b.hs 2b\n"                                                    \
      "3: tbz %[k], #4, 4f\n"                                                               \
      "ldr q0, [%[a0]], #16\n ldr q1, [%[a1]], #16\n"                                       \
      "ldr q2, [%[a2]], #16\n ldr q3, [%[a3]], #16\n"                                       \
      MIDTREAD_NEON_WEIGHTS                                                                 \
      MIDTREAD_NEON_COLUMNS(products, "v0", "v1", "v2", "v3")                               \
      "4: tbz %[k], #3, 5f\n"                                                               \
      "ldr d0, [%[a0]]\n ldr d1, [%[a1]]\n ldr d2, [%[a2]]\n ldr d3, [%[a3]]\n"             \
      "ldp d4, d5, [%[w]], #16\n ldp d6, d7, [%[w]], #16\n"                                 \
      MIDTREAD_NEON_COLUMNS(MIDTREAD_NEON_SINGLE, "v0", "v1", "v2", "v3")                   \
      "5: subs %[segment], %[segment], #1\n b.ne 1b\n"                                      \
      "addp v16.4s, v16.4s, v17.4s\n addp v18.4s, v18.4s, v19.4s\n"                         \
      "addp v20.4s, v20.4s, v21.4s\n addp v22.4s, v22.4s, v23.4s\n"                         \
      "addp v24.4s, v24.4s, v25.4s\n addp v26.4s, v26.4s, v27.4s\n"                         \
      "addp v28.4s, v28.4s, v29.4s\n addp v30.4s, v30.4s, v31.4s\n"                         \
      "addp v16.4s, v16.4s, v18.4s\n addp v20.4s, v20.4s, v22.4s\n"                         \
      "addp v24.4s, v24.4s, v26.4s\n addp v28.4s, v28.4s, v30.4s\n"                         \
      "str q20, [%[sums], #64]\n str q24, [%[sums], #128]\n"                                \
      "str q28, [%[sums], #192]\n str q16, [%[sums]], #16\n"                                \
      "subs %[columns], %[columns], #4\n b.gt 0b\n"                                         \
      "cbz %[finish], 9f\n"                                                                 \
      MIDTREAD_FINISH_BOUNDS                                                                \
      "tbnz %[finish], #3, 8f\n"                                                            \
      "ldp q16, q17, [%[kept]]\n ldp q18, q19, [%[kept], #32]\n"                            \
      "ldp q20, q21, [%[kept], #64]\n ldp q22, q23, [%[kept], #96]\n"                       \
      "ldp q24, q25, [%[kept], #128]\n ldp q26, q27, [%[kept], #160]\n"                     \
      "ldp q28, q29, [%[kept], #192]\n ldp q30, q31, [%[kept], #224]\n"                     \
      MIDTREAD_FINISH_CODES("v4", "v5", "v6")                                               \
      "b 9f\n"                                                                              \
      "8: ldp q16, q17, [%[kept]]\n ldp q20, q21, [%[kept], #64]\n"                         \
      "ldp q24, q25, [%[kept], #128]\n ldp q28, q29, [%[kept], #192]\n"                     \
      MIDTREAD_FINISH_HALVES("v4", "v5", "v6")                                              \
      "9:\n"                                                                                \
      : [w] "+&r"(w), [offset] "=&r"(offset), [segment] "=&r"(segment), [k] "=&r"(k),       \
        [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [bias] "+&r"(bias), \
        [sums] "+&r"(sums), [columns] "+&r"(columns), [y] "+&r"(y)                          \
      : [r0] "r"(r0), [r1] "r"(r1), [r2] "r"(r2), [r3] "r"(r3), [length] "r"(length),       \
        [offsets] "r"(panel.offsets), [segments] "r"(panel.segments), [finish] "r"(finish), \
        [kept] "r"(kept), [bounds] "r"(&out.bounds), [m] "r"(multiplier), [step] "r"(step)  \
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",    \
        "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", \
        "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory")
// clang-format on

/// `tiles` times 4 pixels x the channels of `panels` panels, as a whole or its first 8.
template <bool kPaired>
MIDTREAD_NOINLINE void gemm_4x4c16(const std::int8_t* band, const BandUnit* units, std::int64_t tiles,
                                   const Panel& panel, std::int64_t panels, const TileOutput& out) {
  const std::int64_t length = panel.length, step = out.step;
  const std::int64_t finish = out.acc != nullptr ? 0 : panel.columns > 8 ? 16 : 8;
  const PanelHeader* header = panel.header;
  const std::int32_t* all_bias = out.bias;
  const float* multiplier = out.multiplier;
  std::uint8_t* codes = out.codes;
  const int32x4_t shift = vdupq_n_s32(out.shift);
  alignas(16) std::int32_t terms[kPanelColumns], own[4 * kPanelColumns];
  std::int32_t* const kept = out.acc != nullptr ? out.acc : own;
  for (;;) {
    take_zero_point(all_bias, *header, shift, terms);
    const auto* const weights = reinterpret_cast<const std::int8_t*>(header + 1);
    std::uint8_t* y = codes;
    const BandUnit* unit = units;
    for (std::int64_t t = tiles; t > 0; --t, unit += 4) {
      const std::int8_t *w = weights, *a0, *a1, *a2, *a3;
      const std::int8_t *const r0 = band + unit[0].input, *const r1 = band + unit[1].input;
      const std::int8_t *const r2 = band + unit[2].input, *const r3 = band + unit[3].input;
      const std::int32_t *bias = terms, *offset;
      std::int32_t* sums = kept;
      std::int64_t columns = panel.columns, segment, k;
      if (kPaired)
        MIDTREAD_NEON_TILE(MIDTREAD_NEON_PAIRED);
      else
        MIDTREAD_NEON_TILE(MIDTREAD_NEON_APART);
    }
    if (--panels == 0) return;
    header = panel.behind(header);
    all_bias += kPanelColumns;
    multiplier += kPanelColumns;
    codes += kPanelColumns;
  }
}

// clang-format off
// One pixel (v0) against four columns.
#define MIDTREAD_NEON_ROW_SINGLE(c0, c1, c2, c3)                                              \
  "smull v8.8h, v0.8b, v4.8b\n smull v9.8h, v0.8b, v5.8b\n"                                   \
  "smull v10.8h, v0.8b, v6.8b\n smull v11.8h, v0.8b, v7.8b\n"                                 \
  MIDTREAD_NEON_ADD(c0, c1, c2, c3)
#define MIDTREAD_NEON_ROW_PAIRED(c0, c1, c2, c3)                                              \
  "smull v8.8h, v0.8b, v4.8b\n smull v9.8h, v0.8b, v5.8b\n"                                   \
  "smull v10.8h, v0.8b, v6.8b\n smull v11.8h, v0.8b, v7.8b\n"                                 \
  "smlal2 v8.8h, v0.16b, v4.16b\n smlal2 v9.8h, v0.16b, v5.16b\n"                             \
  "smlal2 v10.8h, v0.16b, v6.16b\n smlal2 v11.8h, v0.16b, v7.16b\n"                           \
  MIDTREAD_NEON_ADD(c0, c1, c2, c3)
#define MIDTREAD_NEON_ROW_APART(c0, c1, c2, c3)                                               \
  MIDTREAD_NEON_ROW_SINGLE(c0, c1, c2, c3)                                                    \
  "smull2 v8.8h, v0.16b, v4.16b\n smull2 v9.8h, v0.16b, v5.16b\n"                             \
  "smull2 v10.8h, v0.16b, v6.16b\n smull2 v11.8h, v0.16b, v7.16b\n"                           \
  MIDTREAD_NEON_ADD(c0, c1, c2, c3)
// Weights of four columns from `w` on, 16 or 8 of each.
#define MIDTREAD_NEON_ROW_16(step, w, c0, c1, c2, c3)                                         \
  "ldp q4, q5, [%[" w "]], #32\n ldp q6, q7, [%[" w "]], #32\n" step(c0, c1, c2, c3)
#define MIDTREAD_NEON_ROW_8(step, w, c0, c1, c2, c3)                                          \
  "ldp d4, d5, [%[" w "]], #16\n ldp d6, d7, [%[" w "]], #16\n"                               \
  MIDTREAD_NEON_ROW_SINGLE(c0, c1, c2, c3)
#define MIDTREAD_NEON_ROW_COLUMNS_8(each, step)                                               \
  each(step, "w0", "v16", "v17", "v18", "v19") each(step, "w1", "v20", "v21", "v22", "v23")
#define MIDTREAD_NEON_ROW_COLUMNS_12(each, step) \
  MIDTREAD_NEON_ROW_COLUMNS_8(each, step) each(step, "w2", "v24", "v25", "v26", "v27")
#define MIDTREAD_NEON_ROW_COLUMNS_16(each, step) \
  MIDTREAD_NEON_ROW_COLUMNS_12(each, step) each(step, "w3", "v28", "v29", "v30", "v31")
#define MIDTREAD_NEON_ROW_TILE(columns, step)                                                                           \
  asm volatile(                                                                                                         \
      "0: ldp q16, q17, [%[bias]], #32\n ldp q18, q19, [%[bias]], #32\n"                                                \
      "ldp q4, q5, [%[w3]], #32\n ldp q6, q7, [%[w3]], %[rest]\n"                                                       \
      "mov %[offset], %[offsets]\n mov %[segment], %[segments]\n"                                                       \
      "mls v16.4s, v4.4s, %[shift].4s\n mls v17.4s, v5.4s, %[shift].4s\n"                                               \
      "mls v18.4s, v6.4s, %[shift].4s\n mls v19.4s, v7.4s, %[shift].4s\n"                                               \
      "mov %[w0], %[w3]\n add %[w1], %[w3], %[block]\n"                                                                 \
      "add %[w2], %[w1], %[block]\n add %[w3], %[w2], %[block]\n"                                                       \
      "stp q16, q17, [%[terms]]\n stp q18, q19, [%[terms], #32]\n"                                                      \
      "ldp s16, s17, [%[terms]]\n ldp s18, s19, [%[terms], #8]\n"                                                       \
      "ldp s20, s21, [%[terms], #16]\n ldp s22, s23, [%[terms], #24]\n"                                                 \
      "ldp s24, s25, [%[terms], #32]\n ldp s26, s27, [%[terms], #40]\n"                                                 \
      "ldp s28, s29, [%[terms], #48]\n ldp s30, s31, [%[terms], #56]\n"                                                 \
      "1: ldrsw %[k], [%[offset]], #4\n add %[a], %[row], %[k]\n"                                                       \
      "subs %[k], %[length], #16\n b.lo 3f\n"                                                                           \
      "2: ldr q0, [%[a]], #16\n"                                                                                        \
      columns(MIDTREAD_NEON_ROW_16, step)                                                                               \
      "subs %[k], %[k], #16\n b.hs 2b\n"                                                                                \
      "3: tbz %[k], #3, 4f\n ldr d0, [%[a]]\n"                                                                          \
      columns(MIDTREAD_NEON_ROW_8, step)                                                                                \
      "4: subs %[segment], %[segment], #1\n b.ne 1b\n"                                                                  \
      "addp v16.4s, v16.4s, v17.4s\n addp v18.4s, v18.4s, v19.4s\n"                                                     \
      "addp v20.4s, v20.4s, v21.4s\n addp v22.4s, v22.4s, v23.4s\n"                                                     \
      "addp v24.4s, v24.4s, v25.4s\n addp v26.4s, v26.4s, v27.4s\n"                                                     \
      "addp v28.4s, v28.4s, v29.4s\n addp v30.4s, v30.4s, v31.4s\n"                                                     \
      "addp v16.4s, v16.4s, v18.4s\n addp v17.4s, v20.4s, v22.4s\n"                                                     \
      "addp v18.4s, v24.4s, v26.4s\n addp v19.4s, v28.4s, v30.4s\n"                                                     \
      "cbnz %[acc], 8f\n"                                                                                               \
      "ldp q0, q1, [%[m]], #32\n ldp q2, q3, [%[m]], #32\n"                                                             \
      MIDTREAD_FINISH_16(MIDTREAD_FINISH_EACH, MIDTREAD_FINISH_CLAMP, "16", "17", "18", "19", "%[z]", "%[lo]", "%[hi]") \
      "str q16, [%[y]], #16\n subs %[n], %[n], #1\n b.ne 0b\n"                                                          \
      "b 9f\n"                                                                                                          \
      "8: stp q16, q17, [%[acc]]\n stp q18, q19, [%[acc], #32]\n"                                                       \
      "9:\n"                                                                                                            \
      : [w0] "=&r"(w0), [w1] "=&r"(w1), [w2] "=&r"(w2), [w3] "+&r"(w3), [bias] "+&r"(bias),                             \
        [m] "+&r"(m), [y] "+&r"(y), [n] "+&r"(n), [offset] "=&r"(offset),                                               \
        [segment] "=&r"(segment), [k] "=&r"(k), [a] "=&r"(a)                                                            \
      : [row] "r"(row), [length] "r"(panel.length), [offsets] "r"(panel.offsets),                                       \
        [segments] "r"(panel.segments), [block] "r"(block), [terms] "r"(terms),                                         \
        [acc] "r"(out.acc), [shift] "w"(shift), [z] "w"(z), [lo] "w"(lo), [hi] "w"(hi),                                 \
        [rest] "i"(sizeof(PanelHeader) - 32)                                                                            \
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v16",                                \
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",                             \
        "v29", "v30", "v31", "cc", "memory")
// clang-format on

/// One pixel x 16 channels of `panels` panels; the first kColumns of one panel.
template <bool kPaired, int kColumns>
MIDTREAD_NOINLINE void gemm_1x16c16(const std::int8_t* row, const Panel& panel, std::int64_t panels,
                                    const TileOutput& out) {
  const std::int64_t block = 4 * panel.segments * panel.length;
  const int32x4_t shift = vdupq_n_s32(out.shift);
  const int16x8_t z = vdupq_n_s16(out.bounds.zero_point);
  const uint8x16_t lo = vdupq_n_u8(out.bounds.lo), hi = vdupq_n_u8(out.bounds.hi);
  alignas(16) std::int32_t terms[kPanelColumns];
  const std::int8_t *a, *w0, *w1, *w2, *w3 = reinterpret_cast<const std::int8_t*>(panel.header);
  const std::int32_t *bias = out.bias, *offset;
  const float* m = out.multiplier;
  std::uint8_t* y = out.codes;
  std::int64_t n = panels, segment, k;
  if constexpr (kColumns == 16 && kPaired)
    MIDTREAD_NEON_ROW_TILE(MIDTREAD_NEON_ROW_COLUMNS_16, MIDTREAD_NEON_ROW_PAIRED);
  else if constexpr (kColumns == 12 && kPaired)
    MIDTREAD_NEON_ROW_TILE(MIDTREAD_NEON_ROW_COLUMNS_12, MIDTREAD_NEON_ROW_PAIRED);
  else if constexpr (kPaired)
    MIDTREAD_NEON_ROW_TILE(MIDTREAD_NEON_ROW_COLUMNS_8, MIDTREAD_NEON_ROW_PAIRED);
  else
    MIDTREAD_NEON_ROW_TILE(MIDTREAD_NEON_ROW_COLUMNS_16, MIDTREAD_NEON_ROW_APART);
}

#undef MIDTREAD_NEON_ROW_TILE
#undef MIDTREAD_NEON_ROW_COLUMNS_16
#undef MIDTREAD_NEON_ROW_COLUMNS_12
#undef MIDTREAD_NEON_ROW_COLUMNS_8
#undef MIDTREAD_NEON_ROW_8
#undef MIDTREAD_NEON_ROW_16
#undef MIDTREAD_NEON_ROW_APART
#undef MIDTREAD_NEON_ROW_PAIRED
#undef MIDTREAD_NEON_ROW_SINGLE
#undef MIDTREAD_NEON_TILE
#undef MIDTREAD_NEON_WEIGHTS
#undef MIDTREAD_NEON_COLUMNS
#undef MIDTREAD_NEON_APART
#undef MIDTREAD_NEON_SINGLE
#undef MIDTREAD_NEON_PAIRED
#undef MIDTREAD_NEON_ADD
#undef MIDTREAD_NEON_HIGH
#undef MIDTREAD_NEON_LOW

class Tile {
 public:
  static constexpr const char* kConvLabel = "gemm_u8s8s32_4x4c16__neon";
  static constexpr const char* kTransposeLabel = "conv_transpose_u8s8s32_4x4c16__neon";
  static constexpr std::int64_t kUnits = 4, kPixels = 1, kColumns = 4, kStep = 8;
  static constexpr bool kFinishes = true;
  static constexpr std::int64_t kFewest = 4;  ///< pixels for which a tile executes less than one by one

  static bool flips(std::int64_t, std::int64_t, std::int64_t) { return false; }
  /// Where weight `k` of `column` lies in a segment.
  static std::int64_t at(std::int64_t length, std::int64_t k, std::int64_t column) {
    const std::int64_t block = k / 16 * 16;
    return block * kColumns + (block + 16 <= length ? column * 16 : column * 8) + k % 16;
  }
  static void run(const std::int8_t* band, const BandUnit* units, std::int64_t tiles, const Panel& panel,
                  std::int64_t panels, const TileOutput& out) {
    each_alike(panel, panels, out, [&](const Panel& from, std::int64_t n, const TileOutput& to) {
      (from.header->has_minus_128 ? gemm_4x4c16<false> : gemm_4x4c16<true>)(band, units, tiles, from, n, to);
    });
  }
  static void run_pixel(const std::int8_t* row, const Panel& panel, std::int64_t panels,
                        const TileOutput& out) {
    each_alike(panel, panels, out, [&](const Panel& from, std::int64_t n, const TileOutput& to) {
      const auto tile = from.header->has_minus_128 ? gemm_1x16c16<false, 16>
                        : from.columns > 12        ? gemm_1x16c16<true, 16>
                        : from.columns > 8         ? gemm_1x16c16<true, 12>
                                                   : gemm_1x16c16<true, 8>;
      tile(row, from, n, to);
    });
  }
  /// Four pixels that lie `pitch` apart.
  static void run_four(const std::int8_t* rows, std::int64_t pitch, const Panel& panel, std::int64_t panels,
                       const TileOutput& out) {
    const auto step = static_cast<std::int32_t>(pitch);
    const BandUnit units[4] = {{0, 0}, {step, 1}, {2 * step, 2}, {3 * step, 3}};
    run(rows, units, 1, panel, panels, out);
  }

 private:
  /// Calls body for panels in a row that may pair products, or that may not.
  template <class Body>
  static void each_alike(const Panel& panel, std::int64_t panels, const TileOutput& out, const Body& body) {
    const PanelHeader* next = panel.header;
    std::int64_t n = 0;
    do {
      next = panel.behind(next);
      ++n;
    } while (n < panels && next->has_minus_128 == panel.header->has_minus_128);
    body(panel, n, out);
    if (n == panels) return;
    Panel rest = panel;
    rest.header = next;
    TileOutput to = out;
    to.codes += n * kPanelColumns;
    to.bias += n * kPanelColumns;
    to.multiplier += n * kPanelColumns;
    each_alike(rest, panels - n, to, body);
  }
};

MIDTREAD_NAMESPACE_END

#endif

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
// Column `b` against four pixels (v0-v3); accumulators v16 + 4 * pixel + column.
#define MIDTREAD_NEON_PAIRED(b, c0, c1, c2, c3)           \
  "smull v8.8h, v0.8b, " b ".8b\n"                        \
  "smull v9.8h, v1.8b, " b ".8b\n"                        \
  "smull v10.8h, v2.8b, " b ".8b\n"                       \
  "smull v11.8h, v3.8b, " b ".8b\n"                       \
  "smlal2 v8.8h, v0.16b, " b ".16b\n"                     \
  "smlal2 v9.8h, v1.16b, " b ".16b\n"                     \
  "smlal2 v10.8h, v2.16b, " b ".16b\n"                    \
  "smlal2 v11.8h, v3.16b, " b ".16b\n"                    \
  "sadalp " c0 ".4s, v8.8h\n"                             \
  "sadalp " c1 ".4s, v9.8h\n"                             \
  "sadalp " c2 ".4s, v10.8h\n"                            \
  "sadalp " c3 ".4s, v11.8h\n"
#define MIDTREAD_NEON_SINGLE(b, c0, c1, c2, c3)           \
  "smull v8.8h, v0.8b, " b ".8b\n"                        \
  "smull v9.8h, v1.8b, " b ".8b\n"                        \
  "smull v10.8h, v2.8b, " b ".8b\n"                       \
  "smull v11.8h, v3.8b, " b ".8b\n"                       \
  "sadalp " c0 ".4s, v8.8h\n"                             \
  "sadalp " c1 ".4s, v9.8h\n"                             \
  "sadalp " c2 ".4s, v10.8h\n"                            \
  "sadalp " c3 ".4s, v11.8h\n"
#define MIDTREAD_NEON_APART(b, c0, c1, c2, c3)            \
  MIDTREAD_NEON_SINGLE(b, c0, c1, c2, c3)                 \
  "smull2 v8.8h, v0.16b, " b ".16b\n"                     \
  "smull2 v9.8h, v1.16b, " b ".16b\n"                     \
  "smull2 v10.8h, v2.16b, " b ".16b\n"                    \
  "smull2 v11.8h, v3.16b, " b ".16b\n"                    \
  "sadalp " c0 ".4s, v8.8h\n"                             \
  "sadalp " c1 ".4s, v9.8h\n"                             \
  "sadalp " c2 ".4s, v10.8h\n"                            \
  "sadalp " c3 ".4s, v11.8h\n"
#define MIDTREAD_NEON_COLUMNS(step)                       \
  step("v4", "v16", "v20", "v24", "v28")                  \
  step("v5", "v17", "v21", "v25", "v29")                  \
  step("v6", "v18", "v22", "v26", "v30")                  \
  step("v7", "v19", "v23", "v27", "v31")

// Four channels at a time: all segments, 16 products, then 8; then the sums of each accumulator's lanes, to
// `sums`. At last all 16 come back.
#define MIDTREAD_NEON_TILE(step)                                                              \
  asm volatile(                                                                               \
      "0: ldp s16, s17, [%[bias]]\n ldp s18, s19, [%[bias], #8]\n"                            \
      "ldp s20, s21, [%[bias]]\n ldp s22, s23, [%[bias], #8]\n"                               \
      "ldp s24, s25, [%[bias]]\n ldp s26, s27, [%[bias], #8]\n"                               \
      "ldp s28, s29, [%[bias]]\n ldp s30, s31, [%[bias], #8]\n add %[bias], %[bias], #16\n"   \
      "mov %[offset], %[offsets]\n mov %[segment], %[segments]\n"                             \
      "1: ldrsw %[k], [%[offset]], #4\n add %[k], %[k], %[band]\n"                            \
      "add %[a0], %[r0], %[k]\n add %[a1], %[r1], %[k]\n"                                     \
      "add %[a2], %[r2], %[k]\n add %[a3], %[r3], %[k]\n"                                     \
      "subs %[k], %[length], #16\n b.lo 3f\n"                                                 \
      "2: ldr q0, [%[a0]], #16\n ldp q4, q5, [%[w]], #32\n"                                   \
      "ldr q1, [%[a1]], #16\n ldr q2, [%[a2]], #16\n ldr q3, [%[a3]], #16\n"                  \
      "ldp q6, q7, [%[w]], #32\n"                                                             \
      MIDTREAD_NEON_COLUMNS(step)                                                             \
      "subs %[k], %[k], #16\n b.hs 2b\n"                                                      \
      "3: cmn %[k], #16\n b.eq 4f\n"                                                          \
      "ldr d0, [%[a0]]\n ldr d1, [%[a1]]\n ldr d2, [%[a2]]\n ldr d3, [%[a3]]\n"               \
      "ldp d4, d5, [%[w]], #16\n ldp d6, d7, [%[w]], #16\n"                                   \
      MIDTREAD_NEON_COLUMNS(MIDTREAD_NEON_SINGLE)                                             \
      "4: subs %[segment], %[segment], #1\n b.ne 1b\n"                                        \
      "addp v16.4s, v16.4s, v17.4s\n addp v18.4s, v18.4s, v19.4s\n"                           \
      "addp v20.4s, v20.4s, v21.4s\n addp v22.4s, v22.4s, v23.4s\n"                           \
      "addp v24.4s, v24.4s, v25.4s\n addp v26.4s, v26.4s, v27.4s\n"                           \
      "addp v28.4s, v28.4s, v29.4s\n addp v30.4s, v30.4s, v31.4s\n"                           \
      "addp v16.4s, v16.4s, v18.4s\n addp v20.4s, v20.4s, v22.4s\n"                           \
      "addp v24.4s, v24.4s, v26.4s\n addp v28.4s, v28.4s, v30.4s\n"                           \
      "str q20, [%[sums], #64]\n str q24, [%[sums], #128]\n"                                    \
      "str q28, [%[sums], #192]\n str q16, [%[sums]], #16\n"                                    \
      "subs %[columns], %[columns], #4\n b.gt 0b\n"                                           \
      "cbz %[finish], 9f\n"                                                                   \
      "ldp q16, q17, [%[sums], #-64]\n ldp q18, q19, [%[sums], #-32]\n"                         \
      "ldp q20, q21, [%[sums]]\n ldp q22, q23, [%[sums], #32]\n"                                \
      "ldp q24, q25, [%[sums], #64]\n ldp q26, q27, [%[sums], #96]\n"                           \
      "ldp q28, q29, [%[sums], #128]\n ldp q30, q31, [%[sums], #160]\n"                         \
      MIDTREAD_FINISH_CODES                                                                   \
      "9:\n"                                                                                  \
      : [w] "+r"(w), [offset] "=&r"(offset), [segment] "=&r"(segment), [k] "=&r"(k),          \
        [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [bias] "+r"(bias),    \
        [sums] "+r"(sums), [columns] "+r"(columns)                                              \
      : [r0] "r"(r0), [r1] "r"(r1), [r2] "r"(r2), [r3] "r"(r3), [band] "r"(band),             \
        [length] "r"(panel.length), [offsets] "r"(panel.offsets),                             \
        [segments] "r"(panel.segments), [finish] "r"(finish), MIDTREAD_FINISH_OPERANDS                                       \
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v16",      \
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",   \
        "v29", "v30", "v31", "cc", "memory")
// clang-format on

/// 4 pixels x 16 channels from bias on, to `acc` [4][16] or, where it is null, to codes.
template <bool kPaired>
MIDTREAD_NOINLINE void gemm_4x4c16(const std::int8_t* band, const BandUnit* units, const Panel& panel,
                                   const PanelOutput& out, std::int32_t* acc) {
  const std::int8_t *w = panel.weights(), *a0, *a1, *a2, *a3;
  const std::int32_t *bias = out.bias, *offset;
  const std::int64_t r0 = units[0].input, r1 = units[1].input, r2 = units[2].input, r3 = units[3].input;
  const std::int64_t finish = acc == nullptr;
  std::int64_t columns = panel.columns, segment, k;
  std::int32_t kept[4 * kPanelColumns], *sums = acc != nullptr ? acc : kept;
  if (kPaired)
    MIDTREAD_NEON_TILE(MIDTREAD_NEON_PAIRED);
  else
    MIDTREAD_NEON_TILE(MIDTREAD_NEON_APART);
}

// clang-format off
#define MIDTREAD_NEON_PAIRED_ROW                                                \
  "smull v8.8h, v0.8b, v4.8b\n smull v9.8h, v0.8b, v5.8b\n"                     \
  "smull v10.8h, v0.8b, v6.8b\n smull v11.8h, v0.8b, v7.8b\n"                   \
  "smlal2 v8.8h, v0.16b, v4.16b\n smlal2 v9.8h, v0.16b, v5.16b\n"               \
  "smlal2 v10.8h, v0.16b, v6.16b\n smlal2 v11.8h, v0.16b, v7.16b\n"             \
  MIDTREAD_NEON_ADD_ROW
#define MIDTREAD_NEON_SINGLE_ROW                                                \
  "smull v8.8h, v0.8b, v4.8b\n smull v9.8h, v0.8b, v5.8b\n"                     \
  "smull v10.8h, v0.8b, v6.8b\n smull v11.8h, v0.8b, v7.8b\n"                   \
  MIDTREAD_NEON_ADD_ROW
#define MIDTREAD_NEON_APART_ROW                                                 \
  MIDTREAD_NEON_SINGLE_ROW                                                      \
  "smull2 v8.8h, v0.16b, v4.16b\n smull2 v9.8h, v0.16b, v5.16b\n"               \
  "smull2 v10.8h, v0.16b, v6.16b\n smull2 v11.8h, v0.16b, v7.16b\n"             \
  MIDTREAD_NEON_ADD_ROW
#define MIDTREAD_NEON_ADD_ROW                                                   \
  "sadalp v16.4s, v8.8h\n sadalp v17.4s, v9.8h\n"                               \
  "sadalp v18.4s, v10.8h\n sadalp v19.4s, v11.8h\n"
#define MIDTREAD_NEON_ONE(step)                                                               \
  asm volatile(                                                                               \
      "ldp s16, s17, [%[bias]]\n ldp s18, s19, [%[bias], #8]\n"                               \
      "1: ldrsw %[k], [%[offsets]], #4\n add %[a0], %[r0], %[k]\n"                            \
      "subs %[k], %[length], #16\n b.lo 3f\n"                                                 \
      "2: ldr q0, [%[a0]], #16\n ldp q4, q5, [%[w]], #32\n ldp q6, q7, [%[w]], #32\n"         \
      step                                                                                    \
      "subs %[k], %[k], #16\n b.hs 2b\n"                                                      \
      "3: cmn %[k], #16\n b.eq 4f\n"                                                          \
      "ldr d0, [%[a0]]\n ldp d4, d5, [%[w]], #16\n ldp d6, d7, [%[w]], #16\n"                 \
      MIDTREAD_NEON_SINGLE_ROW                                                                \
      "4: subs %[segments], %[segments], #1\n b.ne 1b\n"                                      \
      "addp v16.4s, v16.4s, v17.4s\n addp v18.4s, v18.4s, v19.4s\n"                           \
      "addp v16.4s, v16.4s, v18.4s\n str q16, [%[acc]]\n"                                     \
      : [w] "+r"(w), [offsets] "+r"(offsets), [segments] "+r"(segments), [k] "=&r"(k),        \
        [a0] "=&r"(a0)                                                                        \
      : [r0] "r"(row), [length] "r"(panel.length), [bias] "r"(bias), [acc] "r"(acc)           \
      : "v0", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v16", "v17", "v18", "v19",   \
        "cc", "memory")
// clang-format on

/// One pixel x 4 channels.
template <bool kPaired>
MIDTREAD_NOINLINE const std::int8_t* gemm_1x4c16(const std::int8_t* row, const Panel& panel,
                                                 const std::int8_t* w, const std::int32_t* bias,
                                                 std::int32_t* acc) {
  const std::int8_t* a0;
  const std::int32_t* offsets = panel.offsets;
  std::int64_t segments = panel.segments, k;
  if (kPaired)
    MIDTREAD_NEON_ONE(MIDTREAD_NEON_PAIRED_ROW);
  else
    MIDTREAD_NEON_ONE(MIDTREAD_NEON_APART_ROW);
  return w;
}

#undef MIDTREAD_NEON_ONE
#undef MIDTREAD_NEON_ADD_ROW
#undef MIDTREAD_NEON_APART_ROW
#undef MIDTREAD_NEON_SINGLE_ROW
#undef MIDTREAD_NEON_PAIRED_ROW
#undef MIDTREAD_NEON_TILE
#undef MIDTREAD_NEON_COLUMNS
#undef MIDTREAD_NEON_APART
#undef MIDTREAD_NEON_SINGLE
#undef MIDTREAD_NEON_PAIRED

struct Tile {
  static constexpr const char* kConvLabel = "gemm_u8s8s32_4x4c16__neon";
  static constexpr const char* kTransposeLabel = "conv_transpose_u8s8s32_4x4c16__neon";
  static constexpr std::int64_t kUnits = 4, kPixels = 1, kColumns = 4, kStep = 8;
  static constexpr bool kFinishes = true;

  /// Where weight `k` of `column` lies in a segment.
  static std::int64_t at(std::int64_t length, std::int64_t k, std::int64_t column) {
    const std::int64_t block = k / 16 * 16;
    return block * kColumns + (block + 16 <= length ? column * 16 : column * 8) + k % 16;
  }
  static void run(const std::int8_t* band, const BandUnit* units, std::int64_t tiles, const Panel& panel,
                  const PanelOutput& out, std::int32_t* acc) {
    const auto tile = panel.header->has_minus_128 ? gemm_4x4c16<false> : gemm_4x4c16<true>;
    for (; tiles > 0; --tiles, units += 4) tile(band, units, panel, out, acc);
  }
  static void run_one(const std::int8_t* row, const Panel& panel, const std::int32_t* bias,
                      std::int32_t* acc) {
    const auto tile = panel.header->has_minus_128 ? gemm_1x4c16<false> : gemm_1x4c16<true>;
    const std::int8_t* w = panel.weights();
    for (std::int64_t c = 0; c < panel.columns; c += kColumns) w = tile(row, panel, w, bias + c, acc + c);
  }
};

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// Sums of codes on AArch64, 32 at a time, in assembly: GCC 12 copies the table of every tbl.
//
//   y = clamp(rne(((qa - za) * sa + (qb - zb) * sb) * (1 / s)) + z, lo, hi)
//
// tbl makes of code q the float 2^23 + q, whose bytes are q, 0, 0, 0x4B; 2^23 + z less is q - z, both exact.
#pragma once

#include <midtread/kernels/qnnpack/neon/vector.hpp>

#if MIDTREAD_NEON && MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)
MIDTREAD_NEON_BEGIN

// clang-format off
#define MIDTREAD_ADD_FOUR(step, a, b, c, d, x, y) step(a, "0", x, y) step(b, "1", x, y) step(c, "2", x, y) step(d, "3", x, y)
#define MIDTREAD_ADD_FLOAT(v, place, codes, rest) \
  "tbl " v ".16b, {" codes ".16b, " rest ".16b}, %[place" place "].16b\n"
#define MIDTREAD_ADD_LESS(v, place, origin, scale) "fsub " v ".4s, " v ".4s, %[" origin "].4s\n"
#define MIDTREAD_ADD_TIMES(v, place, origin, scale) "fmul " v ".4s, " v ".4s, %[scales].s[" scale "]\n"
#define MIDTREAD_ADD_ROUND(v, place, origin, scale) "fcvtns " v ".4s, " v ".4s\n"
#define MIDTREAD_ADD_REALS(a, b, c, d, origin, scale)             \
  MIDTREAD_ADD_FOUR(MIDTREAD_ADD_LESS, a, b, c, d, origin, scale) \
  MIDTREAD_ADD_FOUR(MIDTREAD_ADD_TIMES, a, b, c, d, origin, scale)
// 16 codes each of x and y, with what follows them in the table, to 16 codes in `to`.
#define MIDTREAD_ADD_16(to, x, x_rest, y, y_rest, clamp)                   \
  MIDTREAD_ADD_FOUR(MIDTREAD_ADD_FLOAT, "v0", "v1", "v2", "v3", x, x_rest) \
  MIDTREAD_ADD_FOUR(MIDTREAD_ADD_FLOAT, "v4", "v5", "v6", "v7", y, y_rest) \
  MIDTREAD_ADD_REALS("v0", "v1", "v2", "v3", "za", "0")                    \
  MIDTREAD_ADD_REALS("v4", "v5", "v6", "v7", "zb", "1")                    \
  "fadd v0.4s, v0.4s, v4.4s\n fadd v1.4s, v1.4s, v5.4s\n"                  \
  "fadd v2.4s, v2.4s, v6.4s\n fadd v3.4s, v3.4s, v7.4s\n"                  \
  MIDTREAD_ADD_FOUR(MIDTREAD_ADD_TIMES, "v0", "v1", "v2", "v3", "", "2")   \
  MIDTREAD_ADD_FOUR(MIDTREAD_ADD_ROUND, "v0", "v1", "v2", "v3", "", "")    \
  "uzp1 v0.8h, v0.8h, v1.8h\n uzp1 v2.8h, v2.8h, v3.8h\n"                  \
  "add v0.8h, v0.8h, %[z].8h\n add v2.8h, v2.8h, %[z].8h\n"                \
  "sqxtun " to ".8b, v0.8h\n sqxtun2 " to ".16b, v2.8h\n" clamp(to)
#define MIDTREAD_ADD_CLAMP(v) "umax " v ".16b, " v ".16b, %[lo].16b\n umin " v ".16b, " v ".16b, %[hi].16b\n"
#define MIDTREAD_ADD_PLAIN(v)
#define MIDTREAD_ADD_ROWS(clamp)                                                                  \
  asm volatile(                                                                                   \
      "movi v25.8h, #0x4B, lsl #8\n movi v27.8h, #0x4B, lsl #8\n"                                 \
      "movi v29.8h, #0x4B, lsl #8\n movi v31.8h, #0x4B, lsl #8\n"                                 \
      "1: ldp q24, q26, [%[a]], #32\n ldp q28, q30, [%[b]], #32\n"                                \
      MIDTREAD_ADD_16("v16", "v24", "v25", "v28", "v29", clamp)                                   \
      MIDTREAD_ADD_16("v17", "v26", "v27", "v30", "v31", clamp)                                   \
      "subs %[n], %[n], #1\n stp q16, q17, [%[y]], #32\n b.ne 1b\n"                               \
      : [a] "+&r"(a), [b] "+&r"(b), [y] "+&r"(y), [n] "+&r"(n)                                    \
      : [place0] "w"(place0), [place1] "w"(vaddq_u32(place0, vdupq_n_u32(4))),                    \
        [place2] "w"(vaddq_u32(place0, vdupq_n_u32(8))),                                          \
        [place3] "w"(vaddq_u32(place0, vdupq_n_u32(12))), [za] "w"(za), [zb] "w"(zb),             \
        [scales] "w"(scales), [z] "w"(z), [lo] "w"(lo), [hi] "w"(hi)                              \
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v24", "v25", "v26", "v27", \
        "v28", "v29", "v30", "v31", "cc", "memory")
// clang-format on

/// `n` times 32 codes; the sum in units of the output's scale, with the zero point, must stay within int16.
template <bool kClamps>
MIDTREAD_NOINLINE void add_codes(const std::uint8_t* a, AffineParams qa, const std::uint8_t* b,
                                 AffineParams qb, std::int64_t n, float inverse, const OutputCodes& bounds,
                                 std::uint8_t* y) {
  const uint32x4_t place0 = {0x11101000u, 0x11101001u, 0x11101002u, 0x11101003u};
  const float32x4_t za = vdupq_n_f32(8388608.0f + static_cast<float>(qa.zero_point));
  const float32x4_t zb = vdupq_n_f32(8388608.0f + static_cast<float>(qb.zero_point));
  const float32x4_t scales = {qa.scale, qb.scale, inverse, 0.0f};
  const int16x8_t z = vdupq_n_s16(bounds.zero_point);
  const uint8x16_t lo = vdupq_n_u8(bounds.lo), hi = vdupq_n_u8(bounds.hi);
  if (kClamps)
    MIDTREAD_ADD_ROWS(MIDTREAD_ADD_CLAMP);
  else
    MIDTREAD_ADD_ROWS(MIDTREAD_ADD_PLAIN);
}

#undef MIDTREAD_ADD_ROWS
#undef MIDTREAD_ADD_PLAIN
#undef MIDTREAD_ADD_CLAMP
#undef MIDTREAD_ADD_16
#undef MIDTREAD_ADD_REALS
#undef MIDTREAD_ADD_ROUND
#undef MIDTREAD_ADD_TIMES
#undef MIDTREAD_ADD_LESS
#undef MIDTREAD_ADD_FLOAT
#undef MIDTREAD_ADD_FOUR

MIDTREAD_NEON_END
MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// The end of an assembly tile of 4 pixels: requantization in registers, rounded half to even.
//
//   y = clamp(rne(float(acc) * m) + z, lo, hi)
//
// Rounding comes before clamping: fcvtns and the narrowing steps saturate, which gives the same codes.
#pragma once

#include <midtread/kernels/qnnpack/code_band.hpp>
#include <midtread/kernels/qnnpack/conv_call.hpp>

#include <cstddef>

#if MIDTREAD_NEON && MIDTREAD_AARCH64

// clang-format off
#define MIDTREAD_FINISH_EACH(step, a, b, c, d) step(a, "v0") step(b, "v1") step(c, "v2") step(d, "v3")
#define MIDTREAD_FINISH_PAIR(step, a, b, c, d) step(a, "v0") step(b, "v1") step(c, "v0") step(d, "v1")
#define MIDTREAD_FINISH_FLOAT(a, m) "scvtf v" a ".4s, v" a ".4s\n"
#define MIDTREAD_FINISH_SCALE(a, m) "fmul v" a ".4s, v" a ".4s, " m ".4s\n"
#define MIDTREAD_FINISH_ROUND(a, m) "fcvtns v" a ".4s, v" a ".4s\n"
// 16 sums of vectors a, b, c, d to codes in a; multipliers v0-v3, zero point z, bounds lo and hi.
#define MIDTREAD_FINISH_16(each, clamp, a, b, c, d, z, lo, hi)                                    \
  each(MIDTREAD_FINISH_FLOAT, a, b, c, d)                                                         \
  each(MIDTREAD_FINISH_SCALE, a, b, c, d)                                                         \
  each(MIDTREAD_FINISH_ROUND, a, b, c, d)                                                         \
  "sqxtn v" a ".4h, v" a ".4s\n sqxtn v" c ".4h, v" c ".4s\n"                                     \
  "sqxtn2 v" a ".8h, v" b ".4s\n sqxtn2 v" c ".8h, v" d ".4s\n"                                   \
  "sqadd v" a ".8h, v" a ".8h, " z ".8h\n sqadd v" c ".8h, v" c ".8h, " z ".8h\n"                 \
  "sqxtun v" a ".8b, v" a ".8h\n sqxtun2 v" a ".16b, v" c ".8h\n" clamp(a, lo, hi)
#define MIDTREAD_FINISH_CLAMP(a, lo, hi)                                                          \
  "umax v" a ".16b, v" a ".16b, " lo ".16b\n umin v" a ".16b, v" a ".16b, " hi ".16b\n"
#define MIDTREAD_FINISH_PLAIN(a, lo, hi)
#define MIDTREAD_FINISH_PIXEL(clamp, a, b, c, d, z, lo, hi)                                       \
  MIDTREAD_FINISH_16(MIDTREAD_FINISH_EACH, clamp, a, b, c, d, z, lo, hi) "st1 {v" a ".16b}, [%[y]], %[step]\n"
#define MIDTREAD_FINISH_TWO_PIXELS(a, b, c, d, z, lo, hi)                                \
  MIDTREAD_FINISH_16(MIDTREAD_FINISH_PAIR, MIDTREAD_FINISH_CLAMP, a, b, c, d, z, lo, hi) \
  "st1 {v" a ".8b}, [%[y]], %[step]\n st1 {v" a ".d}[1], [%[y]], %[step]\n"

// The sums of pixel p are in v16 + 4 p, four channels each. Codes go to y, which moves on by four pixels.
#define MIDTREAD_FINISH_PIXELS(clamp, z, lo, hi)                                                  \
  MIDTREAD_FINISH_PIXEL(clamp, "16", "17", "18", "19", z, lo, hi)                                 \
  MIDTREAD_FINISH_PIXEL(clamp, "20", "21", "22", "23", z, lo, hi)                                 \
  MIDTREAD_FINISH_PIXEL(clamp, "24", "25", "26", "27", z, lo, hi)                                 \
  MIDTREAD_FINISH_PIXEL(clamp, "28", "29", "30", "31", z, lo, hi)
#define MIDTREAD_FINISH_CODES(z, lo, hi)                                                          \
  "ldp q0, q1, [%[m]]\n ldp q2, q3, [%[m], #32]\n"                                                \
  MIDTREAD_FINISH_PIXELS(MIDTREAD_FINISH_CLAMP, z, lo, hi)
// 8 channels.
#define MIDTREAD_FINISH_HALVES(z, lo, hi)                                                         \
  "ldp q0, q1, [%[m]]\n"                                                                          \
  MIDTREAD_FINISH_TWO_PIXELS("16", "17", "20", "21", z, lo, hi)                                   \
  MIDTREAD_FINISH_TWO_PIXELS("24", "25", "28", "29", z, lo, hi)
// Where z, lo and hi do not stay in registers: to v4, v5 and v6. k is free.
#define MIDTREAD_FINISH_BOUNDS                                                                    \
  "add %[k], %[bounds], #2\n ld1r {v4.8h}, [%[bounds]]\n"                                         \
  "ld1r {v5.16b}, [%[k]], #1\n ld1r {v6.16b}, [%[k]]\n"
// clang-format on

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

static_assert(sizeof(OutputCodes) == 4 && offsetof(OutputCodes, lo) == 2 && offsetof(OutputCodes, hi) == 3,
              "as MIDTREAD_FINISH_BOUNDS takes it");

MIDTREAD_NAMESPACE_END

#endif

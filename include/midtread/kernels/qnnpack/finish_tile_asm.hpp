// SPDX-License-Identifier: MIT
// The end of an assembly tile of 4 pixels x 16 channels: requantization in registers, rounded half to even.
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
#define MIDTREAD_FINISH_FLOAT(a, m) "scvtf v" a ".4s, v" a ".4s\n"
#define MIDTREAD_FINISH_SCALE(a, m) "fmul v" a ".4s, v" a ".4s, " m ".4s\n"
#define MIDTREAD_FINISH_ROUND(a, m) "fcvtns v" a ".4s, v" a ".4s\n"
// Multipliers v0-v3, zero point v4, bounds v5 and v6.
#define MIDTREAD_FINISH_PIXEL(a, b, c, d, unit)                                                   \
  MIDTREAD_FINISH_EACH(MIDTREAD_FINISH_FLOAT, a, b, c, d)                                         \
  "ldrsw %[k], [%[units], #" unit "]\n"                                                           \
  MIDTREAD_FINISH_EACH(MIDTREAD_FINISH_SCALE, a, b, c, d)                                         \
  "madd %[k], %[k], %[a0], %[a1]\n"                                                                \
  MIDTREAD_FINISH_EACH(MIDTREAD_FINISH_ROUND, a, b, c, d)                                         \
  "sqxtn v" a ".4h, v" a ".4s\n sqxtn v" c ".4h, v" c ".4s\n"                                     \
  "sqxtn2 v" a ".8h, v" b ".4s\n sqxtn2 v" c ".8h, v" d ".4s\n"                                   \
  "sqadd v" a ".8h, v" a ".8h, v4.8h\n sqadd v" c ".8h, v" c ".8h, v4.8h\n"                       \
  "sqxtun v" a ".8b, v" a ".8h\n sqxtun2 v" a ".16b, v" c ".8h\n"                                 \
  "umax v" a ".16b, v" a ".16b, v5.16b\n umin v" a ".16b, v" a ".16b, v6.16b\n"                   \
  "str q" a ", [%[k]]\n"

// The sums of pixel p are in v16 + 4 p, four channels each; a0, a1 and k are free. Units are 12 bytes long, `output` is at 4.
#define MIDTREAD_FINISH_CODES                                                                     \
  "ldr %[a0], [%[out], %[pitch]]\n ldr %[a1], [%[out], %[codes]]\n"                               \
  "ldr %[k], [%[out], %[multiplier]]\n ldp q0, q1, [%[k]]\n ldp q2, q3, [%[k], #32]\n"           \
  "add %[k], %[out], %[bounds]\n ld1r {v4.8h}, [%[k]], #2\n"                                      \
  "ld1r {v5.16b}, [%[k]], #1\n ld1r {v6.16b}, [%[k]]\n"                                           \
  MIDTREAD_FINISH_PIXEL("16", "17", "18", "19", "4")                                              \
  MIDTREAD_FINISH_PIXEL("20", "21", "22", "23", "16")                                             \
  MIDTREAD_FINISH_PIXEL("24", "25", "26", "27", "28")                                             \
  MIDTREAD_FINISH_PIXEL("28", "29", "30", "31", "40")
#define MIDTREAD_FINISH_OPERANDS                                                                  \
  [units] "r"(units), [out] "r"(&out), [codes] "i"(offsetof(PanelOutput, codes)),                 \
      [pitch] "i"(offsetof(PanelOutput, pitch)), [bounds] "i"(offsetof(PanelOutput, bounds)),     \
      [multiplier] "i"(offsetof(PanelOutput, multiplier))
// clang-format on

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)
static_assert(sizeof(BandUnit) == 12 && offsetof(BandUnit, output) == 4, "as MIDTREAD_FINISH_CODES takes it");
static_assert(sizeof(OutputCodes) == 4 && offsetof(OutputCodes, lo) == 2,
              "as MIDTREAD_FINISH_CODES takes it");
MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// The register tile of ARMv7 NEON: 2 pixels x 4 channels, 16 products deep, int8 x int8; half of AArch64's,
// as there are half the registers.
//
// vmull and vmlal add two products in int16, vpadal adds neighbours to int32. That holds because |w| <= 127:
// 2 * 128 * 127 < 2^15. A panel with a weight of -128 takes every product to int32 by itself.
#pragma once

#include <midtread/kernels/qnnpack/code_band.hpp>
#include <midtread/kernels/qnnpack/conv_call.hpp>
#include <midtread/kernels/qnnpack/neon/intrinsics.hpp>

#if MIDTREAD_NEON && MIDTREAD_ARM32

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)
MIDTREAD_NEON_BEGIN

template <bool kPaired>
MIDTREAD_ALWAYS_INLINE int32x4_t add_16_products(int32x4_t sum, int8x16_t a, int8x16_t w) {
  const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(w));
  if (kPaired) return vpadalq_s16(sum, vmlal_high_s8(low, a, w));
  return vpadalq_s16(vpadalq_s16(sum, low), vmull_high_s8(a, w));
}

/// kPixels pixels, 1 or 2, x 4 channels from bias on; `acc` is [kPixels][16]. Returns where the next
/// channels' weights begin.
template <int kPixels, bool kPaired>
MIDTREAD_NOINLINE const std::int8_t* gemm_2x4c16(const std::int8_t* first, const std::int8_t* second,
                                                 const Panel& panel, const std::int8_t* w,
                                                 const std::int32_t* bias, std::int32_t* acc) {
  int32x4_t sums[kPixels][4];
  MIDTREAD_UNROLL(4)
  for (int c = 0; c < 4; ++c) {
    const int32x4_t start = vsetq_lane_s32(bias[c], vdupq_n_s32(0), 0);
    MIDTREAD_UNROLL(2)
    for (int p = 0; p < kPixels; ++p) sums[p][c] = start;
  }
  const auto length = static_cast<std::ptrdiff_t>(panel.length);
  const std::int32_t* offset = panel.offsets;
  for (auto segment = static_cast<std::ptrdiff_t>(panel.segments); segment > 0; --segment, ++offset) {
    const std::int8_t* inputs[2] = {first + *offset, second + *offset};
    std::ptrdiff_t k = length;
    for (; k >= 16; k -= 16, w += 64) {
      int8x16_t a[kPixels];
      MIDTREAD_UNROLL(2)
      for (int p = 0; p < kPixels; ++p) a[p] = vld1q_s8(inputs[p]);
      MIDTREAD_UNROLL(4)
      for (int c = 0; c < 4; ++c) {
        const int8x16_t column = vld1q_s8(w + 16 * c);
        MIDTREAD_UNROLL(2)
        for (int p = 0; p < kPixels; ++p) sums[p][c] = add_16_products<kPaired>(sums[p][c], a[p], column);
      }
      MIDTREAD_UNROLL(2)
      for (int p = 0; p < kPixels; ++p) inputs[p] += 16;
    }
    if (k == 0) continue;
    MIDTREAD_UNROLL(4)
    for (int c = 0; c < 4; ++c) {
      const int8x8_t column = vld1_s8(w + 8 * c);
      MIDTREAD_UNROLL(2)
      for (int p = 0; p < kPixels; ++p)
        sums[p][c] = vpadalq_s16(sums[p][c], vmull_s8(vld1_s8(inputs[p]), column));
    }
    w += 32;
  }
  MIDTREAD_UNROLL(2)
  for (int p = 0; p < kPixels; ++p, acc += kPanelColumns) {
    int32x2_t half[4];
    MIDTREAD_UNROLL(4)
    for (int c = 0; c < 4; ++c) half[c] = vadd_s32(vget_low_s32(sums[p][c]), vget_high_s32(sums[p][c]));
    vst1q_s32(acc, vcombine_s32(vpadd_s32(half[0], half[1]), vpadd_s32(half[2], half[3])));
  }
  return w;
}

MIDTREAD_NEON_END

struct Tile {
  static constexpr const char* kConvLabel = "gemm_u8s8s32_2x4c16__neon";
  static constexpr const char* kTransposeLabel = "conv_transpose_u8s8s32_2x4c16__neon";
  static constexpr std::int64_t kUnits = 4, kPixels = 1, kColumns = 4, kStep = 8;

  /// Where weight `k` of `column` lies in a segment.
  static std::int64_t at(std::int64_t length, std::int64_t k, std::int64_t column) {
    const std::int64_t block = k / 16 * 16;
    return block * kColumns + (block + 16 <= length ? column * 16 : column * 8) + k % 16;
  }
  static constexpr bool kFinishes = false;

  static void run(const std::int8_t* band, const BandUnit* units, const Panel& panel,
                  const std::int32_t* bias, std::int32_t* acc) {
    const TileInputs in{band + units[0].input, band + units[1].input, band + units[2].input,
                        band + units[3].input};
    const auto tile = panel.header->has_minus_128 ? gemm_2x4c16<2, false> : gemm_2x4c16<2, true>;
    const std::int8_t* w = panel.weights();
    for (std::int64_t c = 0; c < panel.columns; c += kColumns) {
      tile(in.a, in.b, panel, w, bias + c, acc + c);
      w = tile(in.c, in.d, panel, w, bias + c, acc + 2 * kPanelColumns + c);
    }
  }
  static void run_one(const std::int8_t* row, const Panel& panel, const std::int32_t* bias,
                      std::int32_t* acc) {
    const auto tile = panel.header->has_minus_128 ? gemm_2x4c16<1, false> : gemm_2x4c16<1, true>;
    const std::int8_t* w = panel.weights();
    for (std::int64_t c = 0; c < panel.columns; c += kColumns)
      w = tile(row, row, panel, w, bias + c, acc + c);
  }
};

MIDTREAD_NAMESPACE_END

#endif

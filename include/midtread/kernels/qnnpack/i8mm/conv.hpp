// SPDX-License-Identifier: MIT
// Convolution on i8mm. Pairs of pixels are filled up to 8 codes, and groups must start at one: where that
// wastes more than smmla gains over sdot (an image's 3 channels), or sums are short, the weights are packed
// for dotprod.
#pragma once

#include <midtread/kernels/qnnpack/conv.hpp>
#include <midtread/kernels/qnnpack/dotprod/gemm_tile.hpp>
#include <midtread/kernels/qnnpack/i8mm/gemm_tile.hpp>

#if MIDTREAD_NEON && MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::i8mm)

/// Up to this depth the copy in pairs and the tile's store cost more instructions than smmla saves; where all
/// the outputs of a pixel are one panel, the copy is for them alone.
inline constexpr std::int64_t kPairedDepth = 64, kPairedDepthOfOnePanel = 256;

/// A function of the weight sizes alone.
inline bool pairs_pay(const Conv2dShape& s) {
  if (s.groups > 1) return s.in_group() % Tile::kStep == 0;
  const bool one_panel = s.taps() == 1 && s.out_channels <= kPanelColumns;
  if (s.depth() <= (one_panel ? kPairedDepthOfOnePanel : kPairedDepth)) return false;
  const Segments paired(s, (s.in_channels + 7) / 8 * 8, Tile::kStep);
  const Segments plain(s, s.in_channels, dotprod::Tile::kStep);
  return paired.depth() < 2 * plain.depth();
}

inline Storage pack(const Conv2dShape& s, const std::int8_t* weights) {
  return (pairs_pay(s) ? pack_conv<Tile> : pack_conv<dotprod::Tile>)(s, weights);
}

inline void run(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call, Scratch& scratch) {
  (pairs_pay(s) ? run_conv_tiles<Tile> : run_conv_tiles<dotprod::Tile>)(weights, s, call, scratch);
}

inline constexpr ConvKernel kConv = conv_kernel<run>("gemm_u8s8s32_8x8c8__neon_i8mm", false, pack, true);

MIDTREAD_NAMESPACE_END

#endif

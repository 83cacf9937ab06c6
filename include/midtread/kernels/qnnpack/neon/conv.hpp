// SPDX-License-Identifier: MIT
// Convolution and transposed convolution on base NEON.
#pragma once

#include <midtread/kernels/qnnpack/conv_transpose.hpp>
#include <midtread/kernels/qnnpack/neon/gemm_tile.hpp>
#include <midtread/kernels/qnnpack/neon/gemm_tile_armv7.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

inline constexpr ConvKernel kConv =
    conv_kernel<run_conv_tiles<Tile>>(Tile::kConvLabel, false, pack_conv<Tile>, true);
inline constexpr ConvKernel kConvTranspose =
    conv_kernel<conv_transpose_rows<Tile>>(Tile::kTransposeLabel, true, pack_conv_transpose<Tile>);

MIDTREAD_NAMESPACE_END

#endif

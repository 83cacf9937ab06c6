// SPDX-License-Identifier: MIT
// Convolution and transposed convolution on base NEON.
#pragma once

#include <midtread/kernels/qnnpack/conv_transpose.hpp>
#include <midtread/kernels/qnnpack/neon/gemm_tile.hpp>

#if MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

inline constexpr ConvKernel kConv = {"gemm_u8s8s32_4x4c16__neon", false, pack_conv<Tile>, run_conv<Tile>,
                                     accumulate_conv<Tile>};
inline constexpr ConvKernel kConvTranspose = {"conv_transpose_u8s8s32_4x4c16__neon", true,
                                              pack_conv_transpose<Tile>, run_conv_transpose<Tile>,
                                              accumulate_conv_transpose<Tile>};

MIDTREAD_NAMESPACE_END

#endif

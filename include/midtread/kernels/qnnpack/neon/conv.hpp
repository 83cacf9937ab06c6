// SPDX-License-Identifier: MIT
// Convolution on base NEON.
#pragma once

#include <midtread/kernels/qnnpack/conv.hpp>
#include <midtread/kernels/qnnpack/neon/gemm_tile.hpp>

#if MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

inline constexpr ConvKernel kConv = {"gemm_u8s8s32_4x4c16__neon", false, pack_conv<Tile>, run_conv<Tile>,
                                     accumulate_conv<Tile>};

MIDTREAD_NAMESPACE_END

#endif

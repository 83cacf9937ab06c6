// SPDX-License-Identifier: MIT
// The dotprod table: convolution and transposed convolution; base NEON has the rest.
#pragma once

#include <midtread/kernels/qnnpack/conv_transpose.hpp>
#include <midtread/kernels/qnnpack/dotprod/gemm_tile.hpp>

#if MIDTREAD_NEON && MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::dotprod)

inline constexpr ConvKernel kConv =
    conv_kernel<run_conv_tiles<Tile>>("gemm_u8s8s32_4x16c4__neon_dotprod", false, pack_conv<Tile>, true);
inline constexpr ConvKernel kConvTranspose = conv_kernel<conv_transpose_rows<Tile>>(
    "conv_transpose_u8s8s32_4x16c4__neon_dotprod", true, pack_conv_transpose<Tile>);

inline constexpr KernelTable kTable = {&kConv, nullptr, &kConvTranspose};

MIDTREAD_NAMESPACE_END

#endif

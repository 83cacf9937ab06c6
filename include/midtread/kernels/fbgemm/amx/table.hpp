// SPDX-License-Identifier: MIT
// The AMX table: tdpbusd on tiles of 16 slots by 64 codes. What has no entry runs on AVX512-VNNI.
#pragma once

#include <midtread/kernels/fbgemm/amx/conv.hpp>
#include <midtread/kernels/fbgemm/amx/tile_kernel.hpp>

#if MIDTREAD_AMX
MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::amx)

inline constexpr ConvKernel kConv = conv_kernel<run_conv_call<run_tiles<HardwareTiles>>>(
    "gemm_u8s8s32_32x32c64__amx", false, pack_conv, true);
inline constexpr KernelTable kTable = {&kConv};

MIDTREAD_NAMESPACE_END
#endif

// SPDX-License-Identifier: MIT
// Real-number kernels for AVX-512F.
#pragma once

#include <midtread/kernels/float/kernel_set.hpp>
#include <midtread/kernels/target.hpp>

#include <cstring>
#include <type_traits>
#include <utility>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#define MIDTREAD_FLOAT_ISA avx512
#define MIDTREAD_FLOAT_NAME "avx512"
#define MIDTREAD_FLOAT_BYTES 64
#define MIDTREAD_FLOAT_TILE 12
#define MIDTREAD_FLOAT_BEGIN MIDTREAD_TARGET_BEGIN("avx512f,avx512vl,avx2,fma") MIDTREAD_FUSE_PRODUCTS
#define MIDTREAD_FLOAT_END MIDTREAD_TARGET_END
#include <midtread/kernels/float/vector.inc>
#include <midtread/kernels/float/conv_tile.inc>
#include <midtread/kernels/float/outer_tile.inc>
#include <midtread/kernels/float/depthwise_rows.inc>
#include <midtread/kernels/float/channel_rows.inc>
#include <midtread/kernels/float/pool_rows.inc>
#include <midtread/kernels/float/kernels.inc>
#undef MIDTREAD_FLOAT_ISA
#undef MIDTREAD_FLOAT_NAME
#undef MIDTREAD_FLOAT_BYTES
#undef MIDTREAD_FLOAT_TILE
#undef MIDTREAD_FLOAT_BEGIN
#undef MIDTREAD_FLOAT_END
#endif

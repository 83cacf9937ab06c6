// SPDX-License-Identifier: MIT
// Real-number kernels without a target region: 16-byte vectors, SSE2 or NEON where the compiler has them.
#pragma once

#include <midtread/kernels/float/kernel_set.hpp>
#include <midtread/kernels/target.hpp>

#include <cstring>
#include <type_traits>
#include <utility>

#define MIDTREAD_FLOAT_ISA portable
#define MIDTREAD_FLOAT_NAME "portable"
#define MIDTREAD_FLOAT_BYTES 16
#define MIDTREAD_FLOAT_TILE 6
#define MIDTREAD_FLOAT_BEGIN
#define MIDTREAD_FLOAT_END
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

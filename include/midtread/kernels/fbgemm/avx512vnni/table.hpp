// SPDX-License-Identifier: MIT
// The AVX512-VNNI table: vpdpbusd on 64-byte registers.
#pragma once

#include <midtread/kernels/fbgemm/avx512vnni/lookup.hpp>
#include <midtread/kernels/fbgemm/vnni/drivers.hpp>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#define MIDTREAD_VNNI_ISA avx512vnni
#define MIDTREAD_VNNI_NAME "avx512vnni"
#define MIDTREAD_VNNI_TILE "6x64c4"
#define MIDTREAD_VNNI_PLANES "4x64c4"
#define MIDTREAD_VNNI_CODES "x64"
#define MIDTREAD_VNNI_BYTES 64
#define MIDTREAD_VNNI_LOOKUP &kLookup
#define MIDTREAD_VNNI_DOT "vpdpbusd"
#define MIDTREAD_VNNI_REGISTER "v"
#define MIDTREAD_VNNI_BEGIN MIDTREAD_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512vnni")
#define MIDTREAD_VNNI_END MIDTREAD_TARGET_END
// clang-format off: each part uses those before it
#include <midtread/kernels/fbgemm/vnni/vector.inc>
#include <midtread/kernels/fbgemm/vnni/tile.inc>
#include <midtread/kernels/fbgemm/vnni/small_product.inc>
#include <midtread/kernels/fbgemm/vnni/depthwise_columns.inc>
#include <midtread/kernels/fbgemm/vnni/depthwise.inc>
#include <midtread/kernels/fbgemm/vnni/elementwise.inc>
#include <midtread/kernels/fbgemm/vnni/kernels.inc>
#include <midtread/kernels/fbgemm/vnni/undefine.inc>
// clang-format on
#endif

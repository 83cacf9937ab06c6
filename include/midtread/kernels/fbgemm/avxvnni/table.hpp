// SPDX-License-Identifier: MIT
// The AVX-VNNI table: vpdpbusd on 32-byte registers, in the VEX encoding of CPUs without AVX-512.
#pragma once

#include <midtread/kernels/fbgemm/vnni/drivers.hpp>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#define MIDTREAD_VNNI_ISA avxvnni
#define MIDTREAD_VNNI_NAME "avxvnni"
#define MIDTREAD_VNNI_TILE "6x16c4"
#define MIDTREAD_VNNI_PLANES "2x32c4"
#define MIDTREAD_VNNI_CODES "x32"
#define MIDTREAD_VNNI_BYTES 32
#define MIDTREAD_VNNI_LOOKUP nullptr
#define MIDTREAD_VNNI_DOT "%{vex%} vpdpbusd"
#define MIDTREAD_VNNI_REGISTER "x"
#define MIDTREAD_VNNI_BEGIN MIDTREAD_TARGET_BEGIN("avx2")
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

// SPDX-License-Identifier: MIT
// The AVX-VNNI table in the EVEX encoding of AVX512-VL: the same source, so that a CPU with AVX512-VNNI but without
// AVX-VNNI runs all of it except the prefix of one instruction.
#pragma once

#include <midtread/core/platform.hpp>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#include <midtread/kernels/fbgemm/vnni/drivers.hpp>
#define MIDTREAD_VNNI_ISA avxvnni_twin
#define MIDTREAD_VNNI_NAME "avxvnni_as_evex"
#define MIDTREAD_VNNI_TILE "6x16c4"
#define MIDTREAD_VNNI_PLANES "2x32c4"
#define MIDTREAD_VNNI_CODES "x32"
#define MIDTREAD_VNNI_BYTES 32
#define MIDTREAD_VNNI_LOOKUP nullptr
#define MIDTREAD_VNNI_DOT "vpdpbusd"
#define MIDTREAD_VNNI_REGISTER "v"
#define MIDTREAD_VNNI_BEGIN MIDTREAD_TARGET_BEGIN("avx2,avx512f,avx512bw,avx512vl,avx512vnni")
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
#define MIDTREAD_TEST_HAS_AVXVNNI_TWIN 1
#endif

// SPDX-License-Identifier: MIT
// add, mul, cat's copy, quantize and dequantize on AVX2, 32 codes at a time.
#pragma once

#include <midtread/kernels/elementwise_rows.hpp>
#include <midtread/kernels/fbgemm/avx2/vector.hpp>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
#define MIDTREAD_VNNI_ISA avx2::elements
#define MIDTREAD_VNNI_NAME "avx2"
#define MIDTREAD_VNNI_CODES "x32"
#define MIDTREAD_VNNI_BYTES 32
#define MIDTREAD_VNNI_BEGIN MIDTREAD_TARGET_AVX2_BEGIN
#define MIDTREAD_VNNI_END MIDTREAD_TARGET_END
// clang-format off: each part uses those before it
#include <midtread/kernels/fbgemm/vnni/vector.inc>
#include <midtread/kernels/fbgemm/vnni/elementwise.inc>
#include <midtread/kernels/fbgemm/vnni/undefine.inc>
// clang-format on
#endif

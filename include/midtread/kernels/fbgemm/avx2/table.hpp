// SPDX-License-Identifier: MIT
// The AVX2 table.
#pragma once

#include <midtread/kernels/fbgemm/avx2/conv.hpp>
#include <midtread/kernels/fbgemm/avx2/conv_transpose.hpp>
#include <midtread/kernels/fbgemm/avx2/depthwise.hpp>
#include <midtread/kernels/fbgemm/avx2/elementwise.hpp>
#include <midtread/kernels/fbgemm/avx2/pool.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline constexpr KernelTable kTable = {&kConv,   &kDepthwise,      &kConvTranspose, &kAdd,
                                       &kMul,    &kRequantizeCopy, &kAveragePool,   &kMaxPool,
                                       &kLookup, &kQuantize,       &kDequantize};

MIDTREAD_NAMESPACE_END

#endif

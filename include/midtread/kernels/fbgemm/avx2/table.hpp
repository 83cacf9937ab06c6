// SPDX-License-Identifier: MIT
// The AVX2 table.
#pragma once

#include <midtread/kernels/fbgemm/avx2/conv.hpp>
#include <midtread/kernels/fbgemm/avx2/conv_transpose.hpp>
#include <midtread/kernels/fbgemm/avx2/depthwise.hpp>
#include <midtread/kernels/fbgemm/avx2/elementwise.hpp>
#include <midtread/kernels/fbgemm/avx2/lookup.hpp>
#include <midtread/kernels/fbgemm/avx2/pool.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

#if MIDTREAD_GCC || MIDTREAD_CLANG
inline constexpr KernelTable kTable = {&kConv,
                                       &kDepthwise,
                                       &kConvTranspose,
                                       &elements::kAdd,
                                       &elements::kMul,
                                       &elements::kRequantizeCopy,
                                       &kAveragePool,
                                       &kMaxPool,
                                       &kLookup,
                                       &elements::kQuantize,
                                       &elements::kDequantize};
#else  // what is missing is written in GCC's vector types
inline constexpr KernelTable kTable = {&kConv,  &kDepthwise,   &kConvTranspose, nullptr, nullptr,
                                       nullptr, &kAveragePool, &kMaxPool,       &kLookup};
#endif

MIDTREAD_NAMESPACE_END

#endif

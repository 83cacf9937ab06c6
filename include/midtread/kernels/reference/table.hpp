// SPDX-License-Identifier: MIT
// The portable table: every entry, every CPU.
#pragma once

#include <midtread/kernels/reference/conv.hpp>
#include <midtread/kernels/reference/elementwise.hpp>
#include <midtread/kernels/reference/pool.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::reference)

inline constexpr KernelTable kTable = {&kConv,   &kDepthwise,      &kConvTranspose, &kAdd,
                                       &kMul,    &kRequantizeCopy, &kAveragePool,   &kMaxPool,
                                       &kLookup, &kQuantize,       &kDequantize};

MIDTREAD_NAMESPACE_END

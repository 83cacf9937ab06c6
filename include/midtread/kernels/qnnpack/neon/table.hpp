// SPDX-License-Identifier: MIT
// The base NEON table.
#pragma once

#include <midtread/kernels/qnnpack/neon/conv.hpp>
#include <midtread/kernels/qnnpack/neon/depthwise.hpp>
#include <midtread/kernels/qnnpack/neon/elementwise.hpp>
#include <midtread/kernels/qnnpack/neon/pool.hpp>

#if MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

inline constexpr KernelTable kTable = {&kConv,   &kDepthwise,      &kConvTranspose, &kAdd,
                                       &kMul,    &kRequantizeCopy, &kAveragePool,   &kMaxPool,
                                       &kLookup, &kQuantize,       &kDequantize};

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// The base NEON table.
#pragma once

#include <midtread/kernels/qnnpack/neon/conv.hpp>
#include <midtread/kernels/qnnpack/neon/depthwise.hpp>
#include <midtread/kernels/qnnpack/neon/elementwise.hpp>
#include <midtread/kernels/qnnpack/neon/pool.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

#if MIDTREAD_AARCH64
inline constexpr const LookupKernel* kTableLookup = &kLookup;
#else
inline constexpr const LookupKernel* kTableLookup = nullptr;  // 256 entries are all the registers there are
#endif

inline constexpr KernelTable kTable = {&kConv,       &kDepthwise,      &kConvTranspose, &kAdd,
                                       &kMul,        &kRequantizeCopy, &kAveragePool,   &kMaxPool,
                                       kTableLookup, &kQuantize,       &kDequantize};

MIDTREAD_NAMESPACE_END

#endif

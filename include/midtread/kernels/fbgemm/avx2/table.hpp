// SPDX-License-Identifier: MIT
// The AVX2 table.
#pragma once

#include <midtread/kernels/fbgemm/avx2/conv.hpp>
#include <midtread/kernels/fbgemm/avx2/depthwise.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline constexpr KernelTable kTable = {&kConv, &kDepthwise};

MIDTREAD_NAMESPACE_END

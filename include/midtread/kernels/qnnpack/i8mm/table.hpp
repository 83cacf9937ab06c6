// SPDX-License-Identifier: MIT
// The i8mm table: convolution; base NEON has the rest.
#pragma once

#include <midtread/kernels/qnnpack/i8mm/conv.hpp>

#if MIDTREAD_NEON && MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::i8mm)

inline constexpr KernelTable kTable = {&kConv};

MIDTREAD_NAMESPACE_END

#endif

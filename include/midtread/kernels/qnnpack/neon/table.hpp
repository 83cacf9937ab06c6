// SPDX-License-Identifier: MIT
// The base NEON table.
#pragma once

#include <midtread/kernels/qnnpack/neon/conv.hpp>

#if MIDTREAD_AARCH64

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

inline constexpr KernelTable kTable = {&kConv};

MIDTREAD_NAMESPACE_END

#endif

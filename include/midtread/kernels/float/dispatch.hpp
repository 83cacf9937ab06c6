// SPDX-License-Identifier: MIT
// The real-number kernels this CPU runs. The engine flags choose among int8 kernels only.
#pragma once

#include <midtread/kernels/cpu_features.hpp>
#include <midtread/kernels/float/avx2.hpp>
#include <midtread/kernels/float/avx512.hpp>
#include <midtread/kernels/float/portable.hpp>

#include <type_traits>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// The best set for float; double, which serves gradient checks, has the portable one.
template <class S>
const KernelSet<S>& best_kernels() {
#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
  if constexpr (std::is_same_v<S, float>) {
    const CpuFeatures& features = cpu_features();
    if (features.avx512) return avx512::kKernels<float>;
    if (features.avx2 && features.fma) return avx2::kKernels<float>;
  }
#endif
  return portable::kKernels<S>;
}

MIDTREAD_NAMESPACE_END

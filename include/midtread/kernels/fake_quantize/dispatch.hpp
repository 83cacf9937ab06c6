// SPDX-License-Identifier: MIT
// The fake quantize loops this CPU runs. All give the same bits; the engine flags choose among int8 kernels
// only.
#pragma once

#include <midtread/kernels/cpu_features.hpp>
#include <midtread/kernels/fake_quantize/avx2.hpp>
#include <midtread/kernels/fake_quantize/avx512.hpp>
#include <midtread/kernels/fake_quantize/portable.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels)

inline const RowKernels& row_kernels() {
#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
  const CpuFeatures& features = cpu_features();
  if (features.avx512) return avx512::kRows;
  if (features.avx2) return avx2::kRows;
#endif
  return portable::kRows;
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Outputs of a transposed convolution with the same row and column modulo the stride have the same taps, each
// at a fixed offset in the input: per phase it is an ordinary convolution of stride 1.
//
//   out row oy, t = oy + pad: input row (t - ky * dilation) / stride where that divides
#pragma once

#include <midtread/kernels/conv_params.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Along one axis: which taps reach outputs of phase t % stride, and how far before t / stride they read.
struct PhaseAxis {
  std::int64_t stride, kernel, dilation;

  bool has(std::int64_t phase, std::int64_t k) const { return (k * dilation) % stride == phase; }
  std::int64_t back(std::int64_t k) const { return k * dilation / stride; }
  std::int64_t reach() const { return back(kernel - 1); }
  std::int64_t taps(std::int64_t phase) const {
    std::int64_t count = 0;
    for (std::int64_t k = 0; k < kernel; ++k) count += has(phase, k) ? 1 : 0;
    return count;
  }
};

inline PhaseAxis row_phases(const Conv2dShape& s) {
  return {s.stride_height, s.kernel_height, s.dilation_height};
}
inline PhaseAxis column_phases(const Conv2dShape& s) {
  return {s.stride_width, s.kernel_width, s.dilation_width};
}

MIDTREAD_NAMESPACE_END

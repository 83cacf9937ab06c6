// SPDX-License-Identifier: MIT
// Sizes of a two-dimensional pooling and the window of each output, by PyTorch's rules.
//
//   out = (in + 2 pad - dilation (kernel - 1) - 1) / stride + 1, rounded down, or up in ceil mode
//   adaptive window i = [floor(i in / out), ceil((i + 1) in / out))
#pragma once

#include <midtread/core/error.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Input [N, H, W, C], output [N, outH, outW, C].
struct Pool2dShape {
  std::int64_t batch = 1, channels = 1, in_height = 1, in_width = 1;
  std::int64_t kernel_height = 1, kernel_width = 1;
  std::int64_t stride_height = 1, stride_width = 1;
  std::int64_t pad_height = 0, pad_width = 0;
  std::int64_t dilation_height = 1, dilation_width = 1;  ///< max pool only
  std::int64_t out_height = 1, out_width = 1;
  bool count_include_pad = true;  ///< average pool only
  bool adaptive = false;          ///< windows from the sizes; kernel, stride and pad are ignored
};

/// In ceil mode the last window must start inside the input or its left padding.
inline std::int64_t pool_output_size(std::int64_t in, std::int64_t kernel, std::int64_t stride,
                                     std::int64_t pad, std::int64_t dilation, bool ceil_mode) {
  const std::int64_t reach = in + 2 * pad - dilation * (kernel - 1) - 1;
  if (reach < 0 && !(ceil_mode && reach + stride > 0)) return 0;
  std::int64_t out = (reach + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (out - 1) * stride >= in + pad) --out;
  return out;
}

/// The inputs [first, last) of a window along one axis, `step` apart, and how many the average divides by.
struct PoolWindow {
  std::int64_t first = 0, last = 0, step = 1, counted = 0;
};

inline PoolWindow pool_window(std::int64_t out_index, std::int64_t out, std::int64_t in, std::int64_t kernel,
                              std::int64_t stride, std::int64_t pad, std::int64_t dilation,
                              bool count_include_pad, bool adaptive) {
  PoolWindow w;
  if (adaptive) {
    w.first = out_index * in / out;
    w.last = ((out_index + 1) * in + out - 1) / out;
    w.counted = w.last - w.first;
    return w;
  }
  const std::int64_t start = out_index * stride - pad;
  const std::int64_t end = start + dilation * (kernel - 1) + 1;
  w.step = dilation;
  w.first = start < 0 ? start + (-start + dilation - 1) / dilation * dilation : start;
  w.last = std::max(std::min(end, in), w.first);
  w.counted = count_include_pad ? std::min(end, in + pad) - start : w.last - w.first;
  return w;
}

inline PoolWindow row_window(const Pool2dShape& s, std::int64_t y) {
  return pool_window(y, s.out_height, s.in_height, s.kernel_height, s.stride_height, s.pad_height,
                     s.dilation_height, s.count_include_pad, s.adaptive);
}
inline PoolWindow column_window(const Pool2dShape& s, std::int64_t x) {
  return pool_window(x, s.out_width, s.in_width, s.kernel_width, s.stride_width, s.pad_width,
                     s.dilation_width, s.count_include_pad, s.adaptive);
}

/// Throws ShapeError unless the sizes can be pooled.
inline void check(const Pool2dShape& s, const std::string& where) {
  constexpr std::int64_t limit = std::int64_t{1} << 40;
  const auto size = [&](std::int64_t value, std::int64_t low, const char* name) {
    if (value < low || value > limit)
      throw ShapeError(where, concat(name, " is ", value, ", allowed ", low, "..", limit));
  };
  size(s.batch, 0, "batch");
  size(s.channels, 1, "channels");
  size(s.in_height, 1, "in_height");
  size(s.in_width, 1, "in_width");
  size(s.out_height, 1, "out_height");
  size(s.out_width, 1, "out_width");
  if (s.adaptive) return;
  const auto axis = [&](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                        std::int64_t pad, std::int64_t dilation, const char* name) {
    size(kernel, 1, "kernel");
    size(stride, 1, "stride");
    size(pad, 0, "pad");
    size(dilation, 1, "dilation");
    if (pad > kernel / 2)
      throw ShapeError(where, concat("pad ", pad, " must be at most half of kernel ", kernel));
    const std::int64_t low = pool_output_size(in, kernel, stride, pad, dilation, false);
    const std::int64_t high = pool_output_size(in, kernel, stride, pad, dilation, true);
    if (out != low && out != high)
      throw ShapeError(where, concat(name, " is ", out, ", the sizes give ", low, ", in ceil mode ", high));
  };
  axis(s.in_height, s.out_height, s.kernel_height, s.stride_height, s.pad_height, s.dilation_height,
       "out_height");
  axis(s.in_width, s.out_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width, "out_width");
}

MIDTREAD_NAMESPACE_END

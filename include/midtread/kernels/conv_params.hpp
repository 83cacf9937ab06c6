// SPDX-License-Identifier: MIT
// Sizes of a two-dimensional convolution and what is done to its accumulators. A linear layer [M, K] x [O, K]
// is a 1x1 convolution of M images of one pixel; a one-dimensional convolution has height 1.
//
//   out = (in + 2 pad - dilation (kernel - 1) - 1) / stride + 1
#pragma once

#include <midtread/core/qparams.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Input [N, H, W, I], weights [O, I/g, kH, kW] (transposed: [I, O/g, kH, kW]), output [N, outH, outW, O].
struct Conv2dShape {
  std::int64_t batch = 1, in_channels = 1, in_height = 1, in_width = 1;
  std::int64_t out_channels = 1;
  std::int64_t kernel_height = 1, kernel_width = 1;
  std::int64_t stride_height = 1, stride_width = 1;
  std::int64_t pad_height = 0, pad_width = 0;
  std::int64_t dilation_height = 1, dilation_width = 1;
  std::int64_t groups = 1;
  std::int64_t out_height = 1, out_width = 1;

  std::int64_t in_group() const { return in_channels / groups; }
  std::int64_t out_group() const { return out_channels / groups; }
  std::int64_t taps() const { return kernel_height * kernel_width; }
  /// Products per output of an ordinary convolution.
  std::int64_t depth() const { return in_group() * taps(); }
  std::int64_t weight_count() const { return out_channels * in_group() * taps(); }
  std::int64_t in_pixels() const { return in_height * in_width; }
  std::int64_t out_pixels() const { return out_height * out_width; }
  std::int64_t multiply_accumulates() const { return batch * out_pixels() * out_channels * depth(); }
  /// One input channel per output channel.
  bool is_depthwise() const { return groups == in_channels && groups == out_channels && groups > 1; }
  /// A matrix product of all pixels: no neighbours, no padding, no stride.
  bool is_pointwise() const {
    return taps() == 1 && stride_height == 1 && stride_width == 1 && pad_height == 0 && pad_width == 0;
  }
};

inline std::int64_t conv_output_size(std::int64_t in, std::int64_t kernel, std::int64_t stride,
                                     std::int64_t pad, std::int64_t dilation) {
  const std::int64_t reach = in + 2 * pad - dilation * (kernel - 1) - 1;
  return reach < 0 ? 0 : reach / stride + 1;
}

inline std::int64_t conv_transpose_output_size(std::int64_t in, std::int64_t kernel, std::int64_t stride,
                                               std::int64_t pad, std::int64_t dilation,
                                               std::int64_t output_padding) {
  return (in - 1) * stride - 2 * pad + dilation * (kernel - 1) + output_padding + 1;
}

/// [rows, in] x [out, in].
inline Conv2dShape linear_shape(std::int64_t rows, std::int64_t in, std::int64_t out) {
  Conv2dShape shape;
  shape.batch = rows;
  shape.in_channels = in;
  shape.out_channels = out;
  return shape;
}

/// Throws ShapeError unless the sizes agree with each other.
inline void check(const Conv2dShape& s, bool transposed, const char* where) {
  constexpr std::int64_t limit = std::int64_t{1} << 40;
  const auto size = [&](std::int64_t value, std::int64_t low, const char* name) {
    if (value < low || value > limit)
      throw ShapeError(where, concat(name, " is ", value, ", allowed ", low, "..", limit));
  };
  size(s.batch, 0, "batch");
  size(s.in_channels, 1, "in_channels");
  size(s.out_channels, 1, "out_channels");
  size(s.in_height, 1, "in_height");
  size(s.in_width, 1, "in_width");
  size(s.kernel_height, 1, "kernel_height");
  size(s.kernel_width, 1, "kernel_width");
  size(s.stride_height, 1, "stride_height");
  size(s.stride_width, 1, "stride_width");
  size(s.pad_height, 0, "pad_height");
  size(s.pad_width, 0, "pad_width");
  size(s.dilation_height, 1, "dilation_height");
  size(s.dilation_width, 1, "dilation_width");
  size(s.groups, 1, "groups");
  size(s.out_height, 1, "out_height");
  size(s.out_width, 1, "out_width");
  if (s.in_channels % s.groups != 0 || s.out_channels % s.groups != 0)
    throw ShapeError(where, concat("channels ", s.in_channels, " -> ", s.out_channels,
                                   " are not divisible by groups ", s.groups));
  const auto output = [&](std::int64_t out, std::int64_t in, std::int64_t kernel, std::int64_t stride,
                          std::int64_t pad, std::int64_t dilation, const char* name) {
    if (!transposed) {
      const std::int64_t expected = conv_output_size(in, kernel, stride, pad, dilation);
      if (out != expected) throw ShapeError(where, concat(name, " is ", out, ", the sizes give ", expected));
      return;
    }
    const std::int64_t first = conv_transpose_output_size(in, kernel, stride, pad, dilation, 0);
    const std::int64_t last = first + std::max(stride, dilation) - 1;
    if (out < first || out > last)
      throw ShapeError(where, concat(name, " is ", out, ", the sizes give ", first, "..", last));
  };
  output(s.out_height, s.in_height, s.kernel_height, s.stride_height, s.pad_height, s.dilation_height,
         "out_height");
  output(s.out_width, s.in_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width, "out_width");
}

struct CodeTail;

/// From accumulators to codes: y = clamp(round(float(acc + bias[c]) * multiplier[c]), lo - z, hi - z) + z.
struct Epilogue {
  const std::int32_t* bias = nullptr;  ///< [O] bias codes; null: none
  const float* multiplier = nullptr;   ///< [O] bias scale / output scale
  std::int32_t zero_point = 0;
  std::int32_t lo = 0;
  std::int32_t hi = 255;
  Rounding rounding = Rounding::kHalfEven;
  const CodeTail* tail = nullptr;  ///< run on the codes then (code_tail.hpp)
};

MIDTREAD_NAMESPACE_END

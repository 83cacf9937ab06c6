// SPDX-License-Identifier: MIT
// Convolution in plain loops, the statement every other kernel must equal bit for bit.
//
//   acc = sum over taps inside the input of (q - z) * w,  y = requantize(acc + bias)
#pragma once

#include <midtread/kernels/kernel_table.hpp>

#include <cstring>

MIDTREAD_NAMESPACE_BEGIN(kernels::reference)
MIDTREAD_EXACT_BEGIN

/// Copies the codes as they are.
inline Storage pack_plain(const Conv2dShape& shape, const std::int8_t* weights) {
  Storage storage(static_cast<std::size_t>(shape.weight_count()));
  std::memcpy(storage.data(), weights, storage.bytes());
  return storage;
}

/// acc(n, oy, ox, o) of an ordinary (also grouped or depthwise) convolution.
inline std::int32_t conv_accumulator(const Conv2dShape& s, const std::int8_t* w, const std::uint8_t* x,
                                     std::int32_t zero_point, std::int64_t n, std::int64_t oy,
                                     std::int64_t ox, std::int64_t o) {
  const std::int64_t in_group = s.in_group(), first_channel = o / s.out_group() * in_group;
  std::int32_t acc = 0;
  for (std::int64_t ky = 0; ky < s.kernel_height; ++ky) {
    const std::int64_t iy = oy * s.stride_height - s.pad_height + ky * s.dilation_height;
    if (iy < 0 || iy >= s.in_height) continue;
    for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
      const std::int64_t ix = ox * s.stride_width - s.pad_width + kx * s.dilation_width;
      if (ix < 0 || ix >= s.in_width) continue;
      const std::uint8_t* pixel =
          x + ((n * s.in_height + iy) * s.in_width + ix) * s.in_channels + first_channel;
      const std::int8_t* tap = w + ((o * in_group) * s.kernel_height + ky) * s.kernel_width + kx;
      for (std::int64_t i = 0; i < in_group; ++i) acc += (pixel[i] - zero_point) * tap[i * s.taps()];
    }
  }
  return acc;
}

/// acc(n, oy, ox, o) of a transposed convolution: input iy adds to output iy * stride - pad + ky * dilation.
inline std::int32_t conv_transpose_accumulator(const Conv2dShape& s, const std::int8_t* w,
                                               const std::uint8_t* x, std::int32_t zero_point, std::int64_t n,
                                               std::int64_t oy, std::int64_t ox, std::int64_t o) {
  const std::int64_t in_group = s.in_group(), out_group = s.out_group();
  const std::int64_t first_channel = o / out_group * in_group;
  std::int32_t acc = 0;
  for (std::int64_t ky = 0; ky < s.kernel_height; ++ky) {
    const std::int64_t dy = oy + s.pad_height - ky * s.dilation_height;
    if (dy < 0 || dy % s.stride_height != 0 || dy / s.stride_height >= s.in_height) continue;
    for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
      const std::int64_t dx = ox + s.pad_width - kx * s.dilation_width;
      if (dx < 0 || dx % s.stride_width != 0 || dx / s.stride_width >= s.in_width) continue;
      const std::int64_t pixel = (n * s.in_height + dy / s.stride_height) * s.in_width + dx / s.stride_width;
      for (std::int64_t i = first_channel; i < first_channel + in_group; ++i) {
        const std::int64_t tap =
            ((i * out_group + o % out_group) * s.kernel_height + ky) * s.kernel_width + kx;
        acc += (x[pixel * s.in_channels + i] - zero_point) * w[tap];
      }
    }
  }
  return acc;
}

/// Calls store(index, o, acc) for every output in memory order.
template <bool kTransposed, class Store>
void for_each_accumulator(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
                          std::int32_t zero_point, const Store& store) {
  const auto* w = weights.data<std::int8_t>();
  const auto accumulator = kTransposed ? conv_transpose_accumulator : conv_accumulator;
  parallel_for(0, s.batch * s.out_height, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row)
      for (std::int64_t ox = 0; ox < s.out_width; ++ox)
        for (std::int64_t o = 0; o < s.out_channels; ++o)
          store((row * s.out_width + ox) * s.out_channels + o, o,
                accumulator(s, w, x, zero_point, row / s.out_height, row % s.out_height, ox, o));
  });
}

template <bool kTransposed>
void run_conv(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
              std::int32_t x_zero_point, const Epilogue& e, std::uint8_t* y, Scratch&) {
  for_each_accumulator<kTransposed>(
      weights, s, x, x_zero_point, [&](std::int64_t index, std::int64_t o, std::int32_t acc) {
        const std::int32_t bias = e.bias ? e.bias[o] : 0;
        y[index] = static_cast<std::uint8_t>(
            requantize(acc + bias, e.multiplier[o], e.zero_point, e.lo, e.hi, e.rounding));
      });
}

template <bool kTransposed>
void accumulate_conv(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
                     std::int32_t x_zero_point, std::int32_t* out, Scratch&) {
  for_each_accumulator<kTransposed>(
      weights, s, x, x_zero_point,
      [&](std::int64_t index, std::int64_t, std::int32_t acc) { out[index] = acc; });
}

inline constexpr ConvKernel kConv = {"conv_u8s8s32__portable", false, pack_plain, run_conv<false>,
                                     accumulate_conv<false>};
inline constexpr ConvKernel kDepthwise = {"depthwise_u8s8s32__portable", false, pack_plain, run_conv<false>,
                                          accumulate_conv<false>};
inline constexpr ConvKernel kConvTranspose = {"conv_transpose_u8s8s32__portable", true, pack_plain,
                                              run_conv<true>, accumulate_conv<true>};

MIDTREAD_EXACT_END
MIDTREAD_NAMESPACE_END

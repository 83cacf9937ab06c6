// SPDX-License-Identifier: MIT
// Two-dimensional convolution of real numbers, channels-last, and its two gradients.
//
//   y = sum over taps x * w + b      dx = sum over taps dy * w      dw = sum over pixels x * dy
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/conv_params.hpp>

#include <algorithm>
#include <cstdint>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// x [N, H, W, I], w [O, I/g, kH, kW], bias [O] or null, y [N, outH, outW, O].
template <class S>
void conv2d_forward(const Conv2dShape& s, const S* x, const S* w, const S* bias, S* y) {
  const std::int64_t in_group = s.in_group();
  parallel_for(0, s.batch * s.out_height, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row)
      for (std::int64_t ox = 0; ox < s.out_width; ++ox)
        for (std::int64_t o = 0; o < s.out_channels; ++o) {
          S sum = bias ? bias[o] : S(0);
          for (std::int64_t ky = 0; ky < s.kernel_height; ++ky) {
            const std::int64_t iy = row % s.out_height * s.stride_height - s.pad_height + ky * s.dilation_height;
            if (iy < 0 || iy >= s.in_height) continue;
            for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
              const std::int64_t ix = ox * s.stride_width - s.pad_width + kx * s.dilation_width;
              if (ix < 0 || ix >= s.in_width) continue;
              const S* px = x + ((row / s.out_height * s.in_height + iy) * s.in_width + ix) * s.in_channels +
                            o / s.out_group() * in_group;
              const S* pw = w + o * in_group * s.taps() + ky * s.kernel_width + kx;
              for (std::int64_t i = 0; i < in_group; ++i) sum += px[i] * pw[i * s.taps()];
            }
          }
          y[(row * s.out_width + ox) * s.out_channels + o] = sum;
        }
  });
}

/// dy [N, outH, outW, O], w [O, I/g, kH, kW], bias [I] or null, dx [N, H, W, I]. With x for dy it is the transposed
/// convolution.
template <class S>
void conv2d_input_gradient(const Conv2dShape& s, const S* dy, const S* w, const S* bias, S* dx) {
  const std::int64_t in_group = s.in_group(), out_group = s.out_group();
  parallel_for(0, s.batch * s.in_height, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row)
      for (std::int64_t ix = 0; ix < s.in_width; ++ix)
        for (std::int64_t i = 0; i < s.in_channels; ++i) {
          S sum = bias ? bias[i] : S(0);
          for (std::int64_t ky = 0; ky < s.kernel_height; ++ky) {
            const std::int64_t sy = row % s.in_height + s.pad_height - ky * s.dilation_height;
            if (sy < 0 || sy % s.stride_height != 0 || sy / s.stride_height >= s.out_height) continue;
            for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
              const std::int64_t sx = ix + s.pad_width - kx * s.dilation_width;
              if (sx < 0 || sx % s.stride_width != 0 || sx / s.stride_width >= s.out_width) continue;
              const std::int64_t first_o = i / in_group * out_group;
              const S* pg = dy + ((row / s.in_height * s.out_height + sy / s.stride_height) * s.out_width +
                                  sx / s.stride_width) * s.out_channels + first_o;
              const S* pw = w + (first_o * in_group + i % in_group) * s.taps() + ky * s.kernel_width + kx;
              for (std::int64_t o = 0; o < out_group; ++o) sum += pg[o] * pw[o * in_group * s.taps()];
            }
          }
          dx[(row * s.in_width + ix) * s.in_channels + i] = sum;
        }
  });
}

/// x [N, H, W, I], dy [N, outH, outW, O], dw [O, I/g, kH, kW].
template <class S>
void conv2d_weight_gradient(const Conv2dShape& s, const S* x, const S* dy, S* dw) {
  const std::int64_t in_group = s.in_group();
  parallel_for(0, s.out_channels, 1, [&](std::int64_t first, std::int64_t last) {
    std::fill(dw + first * in_group * s.taps(), dw + last * in_group * s.taps(), S(0));
    for (std::int64_t o = first; o < last; ++o)
      for (std::int64_t row = 0; row < s.batch * s.out_height; ++row)
        for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
          const S g = dy[(row * s.out_width + ox) * s.out_channels + o];
          for (std::int64_t ky = 0; ky < s.kernel_height; ++ky) {
            const std::int64_t iy = row % s.out_height * s.stride_height - s.pad_height + ky * s.dilation_height;
            if (iy < 0 || iy >= s.in_height) continue;
            for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
              const std::int64_t ix = ox * s.stride_width - s.pad_width + kx * s.dilation_width;
              if (ix < 0 || ix >= s.in_width) continue;
              const S* px = x + ((row / s.out_height * s.in_height + iy) * s.in_width + ix) * s.in_channels +
                            o / s.out_group() * in_group;
              S* pw = dw + o * in_group * s.taps() + ky * s.kernel_width + kx;
              for (std::int64_t i = 0; i < in_group; ++i) pw[i * s.taps()] += px[i] * g;
            }
          }
        }
  });
}

MIDTREAD_NAMESPACE_END

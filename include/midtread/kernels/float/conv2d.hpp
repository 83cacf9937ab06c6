// SPDX-License-Identifier: MIT
// Two-dimensional convolution of real numbers, channels-last, and the gradient of its input.
//
//   y = sum over taps x * w + b      dx = sum over taps dy * w
//
// Direct convolution: no im2col buffer, which with 16 to 64 channels costs as much as the product. Tasks are bands of
// rows of one image; a band's input is copied once into a zero-padded block that stays in the cache.
#pragma once

#include <midtread/kernels/conv_params.hpp>
#include <midtread/kernels/float/gemm.hpp>
#include <midtread/kernels/float/padded_rows.hpp>
#include <midtread/kernels/float/tap_conv.hpp>

#include <optional>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// Rows of one task: about two million multiply-adds, so that one large image feeds several threads, but 64 pixels,
/// for which the weights are read once.
inline std::int64_t band_rows(std::int64_t rows, std::int64_t pixels_per_row, std::int64_t work_per_pixel) {
  const std::int64_t row = std::max<std::int64_t>(pixels_per_row, 1);
  const std::int64_t pixels = std::max<std::int64_t>((1 << 21) / std::max<std::int64_t>(work_per_pixel, 1), 64);
  return std::min(rows, (pixels + row - 1) / row);
}

/// x [N, H, W, I], w [O, I/g, kH, kW], bias [O] or null, y [N, outH, outW, O].
template <class S>
void conv2d_forward(const Conv2dShape& s, const S* x, const S* w, const S* bias, S* y,
                    const KernelSet<S>& kernels = best_kernels<S>()) {
  if (s.batch <= 0) return;
  if (s.is_pointwise() && s.groups == 1) {
    gemm_nt(s.batch * s.out_pixels(), s.out_channels, s.in_channels, x, w, bias, y, kernels);
    return;
  }
  const std::int64_t channels = s.in_channels;
  const bool padded = s.pad_height > 0 || s.pad_width > 0;
  const std::int64_t reach_y = (s.kernel_height - 1) * s.dilation_height + 1, reach_x = (s.kernel_width - 1) * s.dilation_width + 1;
  const std::int64_t width = padded ? (s.out_width - 1) * s.stride_width + reach_x : s.in_width;
  std::vector<Tap> taps;
  for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
    for (std::int64_t kx = 0; kx < s.kernel_width; ++kx)
      taps.push_back({(ky * s.dilation_height * width + kx * s.dilation_width) * channels, ky * s.kernel_width + kx});
  const WeightView<S> weights{w, s.out_group() * s.depth(), s.depth(), s.taps()};
  const TapConv<S> conv(taps, s.groups, s.in_group(), s.out_group(), weights, bias, kernels);

  const std::int64_t rows = band_rows(s.out_height, s.out_width, s.out_channels * s.depth());
  const std::int64_t bands = (s.out_height + rows - 1) / rows;
  parallel_for(0, s.batch * bands, 1, [&](std::int64_t first, std::int64_t last) {
    const Buffer<S> block(static_cast<std::size_t>(padded ? ((rows - 1) * s.stride_height + reach_y) * width * channels : 1));
    for (std::int64_t task = first; task < last; ++task) {
      const std::int64_t n = task / bands, oy = task % bands * rows, count = std::min(rows, s.out_height - oy);
      const S* image = x + n * s.in_pixels() * channels;
      const S* from = image + oy * s.stride_height * width * channels;
      if (padded) {
        copy_padded(image, s.in_height, s.in_width, channels, oy * s.stride_height - s.pad_height,
                    (count - 1) * s.stride_height + reach_y, -s.pad_width, width, block.data());
        from = block.data();
      }
      conv.run({from, s.stride_height * width * channels, s.stride_width * channels,
                y + (n * s.out_height + oy) * s.out_width * s.out_channels, s.out_width * s.out_channels, s.out_channels, count,
                s.out_width});
    }
  });
}

/// One dimension of an input gradient. Input i = stride * m + phase - pad takes dy[m - d] of the taps k with
/// k * dilation = phase + stride * d.
struct GradientAxis {
  std::int64_t in, kernel, stride, pad, dilation;

  std::int64_t phases() const { return stride; }
  std::int64_t first() const { return pad / stride; }
  std::int64_t last() const { return (in - 1 + pad) / stride + 1; }
  std::int64_t margin() const { return (kernel - 1) * dilation / stride; }
  std::int64_t first(std::int64_t phase) const { return (std::max<std::int64_t>(pad - phase, 0) + stride - 1) / stride; }
  std::int64_t last(std::int64_t phase) const { return in - 1 + pad < phase ? 0 : (in - 1 + pad - phase) / stride + 1; }
  bool has(std::int64_t k, std::int64_t phase) const { return (k * dilation - phase) % stride == 0 && k * dilation >= phase; }
  std::int64_t distance(std::int64_t k, std::int64_t phase) const { return (k * dilation - phase) / stride; }
};

/// dy [N, outH, outW, O], w [O, I/g, kH, kW], bias [I] or null, dx [N, H, W, I]. With x for dy it is the transposed
/// convolution.
template <class S>
void conv2d_input_gradient(const Conv2dShape& s, const S* dy, const S* w, const S* bias, S* dx,
                           const KernelSet<S>& kernels = best_kernels<S>()) {
  if (s.batch <= 0) return;
  if (s.is_pointwise() && s.groups == 1) {
    gemm(s.batch * s.out_pixels(), s.in_channels, s.out_channels, dy, w, bias, dx, kernels);
    return;
  }
  const GradientAxis vertical{s.in_height, s.kernel_height, s.stride_height, s.pad_height, s.dilation_height};
  const GradientAxis horizontal{s.in_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width};
  const std::int64_t channels = s.out_channels, left = horizontal.first() - horizontal.margin();
  const std::int64_t width = horizontal.last() - left;
  const WeightView<S> weights{w, s.out_group() * s.depth(), s.taps(), s.depth()};

  std::vector<TapConv<S>> convs;
  for (std::int64_t py = 0; py < vertical.phases(); ++py)
    for (std::int64_t px = 0; px < horizontal.phases(); ++px) {
      std::vector<Tap> taps;
      for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
        for (std::int64_t kx = 0; kx < s.kernel_width; ++kx)
          if (vertical.has(ky, py) && horizontal.has(kx, px))
            taps.push_back({((vertical.margin() - vertical.distance(ky, py)) * width + horizontal.margin() -
                             horizontal.distance(kx, px)) * channels,
                            ky * s.kernel_width + kx});
      convs.emplace_back(taps, s.groups, s.out_group(), s.in_group(), weights, bias, kernels);
    }

  const std::int64_t all = vertical.last() - vertical.first();
  const std::int64_t rows = band_rows(all, width, s.in_channels * s.out_group() * s.taps());
  const std::int64_t bands = (all + rows - 1) / rows;
  parallel_for(0, s.batch * bands, 1, [&](std::int64_t begin, std::int64_t end) {
    const Buffer<S> block(static_cast<std::size_t>((rows + vertical.margin()) * width * channels));
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t n = task / bands, m = vertical.first() + task % bands * rows, m_end = std::min(m + rows, vertical.last());
      copy_padded(dy + n * s.out_pixels() * channels, s.out_height, s.out_width, channels, m - vertical.margin(),
                  m_end - m + vertical.margin(), left, width, block.data());
      for (std::int64_t py = 0; py < vertical.phases(); ++py)
        for (std::int64_t px = 0; px < horizontal.phases(); ++px) {
          const std::int64_t top = std::max(m, vertical.first(py)), bottom = std::min(m_end, vertical.last(py));
          const std::int64_t from = horizontal.first(px), to = horizontal.last(px);
          if (top >= bottom || from >= to) continue;
          const std::int64_t iy = s.stride_height * top + py - s.pad_height, ix = s.stride_width * from + px - s.pad_width;
          convs[static_cast<std::size_t>(py * horizontal.phases() + px)].run(
              {block.data() + ((top - m) * width + from - horizontal.first()) * channels, width * channels, channels,
               dx + ((n * s.in_height + iy) * s.in_width + ix) * s.in_channels, s.stride_height * s.in_width * s.in_channels,
               s.stride_width * s.in_channels, bottom - top, to - from});
        }
    }
  });
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The gradient of a convolution's weights:  dw = sum over images and pixels x * dy
//
// Pieces of the batch have their own sums, added in the order of the pieces: the same bits for any number of threads.
#pragma once

#include <midtread/kernels/float/conv2d.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// x [N, H, W, I], dy [N, outH, outW, O], dw [O, I/g, kH, kW].
template <class S>
void conv2d_weight_gradient(const Conv2dShape& s, const S* x, const S* dy, S* dw,
                            const KernelSet<S>& kernels = best_kernels<S>()) {
  if (s.is_pointwise() && s.groups == 1) {
    gemm_tn(s.out_channels, s.in_channels, s.batch * s.out_pixels(), dy, x, dw, kernels);
    return;
  }
  const std::int64_t channels = s.in_channels;
  const bool padded = s.pad_height > 0 || s.pad_width > 0, depthwise = s.is_depthwise();
  const std::int64_t reach_y = (s.kernel_height - 1) * s.dilation_height + 1, reach_x = (s.kernel_width - 1) * s.dilation_width + 1;
  const std::int64_t width = padded ? (s.out_width - 1) * s.stride_width + reach_x : s.in_width;
  std::vector<Tap> taps;
  for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
    for (std::int64_t kx = 0; kx < s.kernel_width; ++kx)
      taps.push_back({(ky * s.dilation_height * width + kx * s.dilation_width) * channels, ky * s.kernel_width + kx});
  const TapRuns runs(taps, s.in_group(), s.groups == 1);
  const auto run_count = static_cast<std::int64_t>(runs.offsets.size());
  const PanelLayout layout{s.out_group(), kernels.lanes};
  const std::int64_t group_size = s.depth() * layout.padded();
  const std::int64_t size = depthwise ? s.weight_count() : s.groups * group_size;
  const SumPieces cut(s.batch, 1, size);
  const Buffer<S> sums(static_cast<std::size_t>(cut.pieces * size));

  // Rows whose inputs fill half the first-level cache: each tile of weights passes over them.
  const std::int64_t row_bytes = static_cast<std::int64_t>(sizeof(S)) * width * channels * s.stride_height;
  const std::int64_t rows = std::min(s.out_height, std::max<std::int64_t>((1 << 14) / std::max<std::int64_t>(row_bytes, 1), 1));
  parallel_for(0, cut.pieces, 1, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t in_rows = (rows - 1) * s.stride_height + reach_y;
    const Buffer<S> block(static_cast<std::size_t>(padded ? in_rows * width * channels : 1));
    const Buffer<S> gradient(static_cast<std::size_t>(rows * s.out_width * 2 * kernels.lanes));
    std::fill(sums.data() + first * size, sums.data() + last * size, S(0));
    for (std::int64_t n = first * cut.rows; n < std::min(s.batch, last * cut.rows); ++n) {
      S* sum = sums.data() + n / cut.rows * size;
      for (std::int64_t oy = 0; oy < s.out_height; oy += rows) {
        const std::int64_t count = std::min(rows, s.out_height - oy);
        const S* image = x + n * s.in_pixels() * channels;
        const S* from = image + oy * s.stride_height * width * channels;
        if (padded) {
          copy_padded(image, s.in_height, s.in_width, channels, oy * s.stride_height - s.pad_height,
                      (count - 1) * s.stride_height + reach_y, -s.pad_width, width, block.data());
          from = block.data();
        }
        const S* g = dy + (n * s.out_height + oy) * s.out_width * s.out_channels;
        const std::int64_t x_row = s.stride_height * width * channels, x_step = s.stride_width * channels;
        if (depthwise) {
          kernels.depthwise_outer({from, x_row, x_step, runs.offsets.data(), run_count, channels, g, s.out_width * channels,
                                   channels, sum, count, s.out_width});
          continue;
        }
        for (std::int64_t group = 0; group < s.groups; ++group)
          for (std::int64_t p = 0; p < layout.count(); ++p) {
            pack_panel(layout, p, count * s.out_width, g + group * s.out_group(), s.out_channels, 1, gradient.data());
            kernels.outer({from + group * s.in_group(), x_row, x_step, runs.offsets.data(), run_count, runs.run, gradient.data(),
                           sum + group * group_size + s.depth() * layout.first(p), count, s.out_width, layout.vectors(p)});
          }
      }
    }
  });

  parallel_for(0, s.out_channels, std::max<std::int64_t>(4096 / s.depth(), 1), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t o = first; o < last; ++o) {
      const std::int64_t group = o / s.out_group(), c = o % s.out_group(), p = c / (2 * kernels.lanes);
      const std::int64_t step = depthwise ? channels : layout.padded(p);
      const S* sum = depthwise ? sums.data() + o : sums.data() + group * group_size + s.depth() * layout.first(p) + c - layout.first(p);
      for (const Tap& tap : runs.taps)
        for (std::int64_t i = 0; i < s.in_group(); ++i, sum += step) {
          S total = sum[0];
          for (std::int64_t piece = 1; piece < cut.pieces; ++piece) total += sum[piece * size];
          dw[(o * s.in_group() + i) * s.taps() + tap.index] = total;
        }
    }
  });
}

MIDTREAD_NAMESPACE_END

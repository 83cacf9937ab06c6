// SPDX-License-Identifier: MIT
// Convolution (also grouped, also linear) on AVX2: bands of codes, register tiles on vpmaddubsw that are
// exact.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/fbgemm/avx2/depthwise.hpp>
#include <midtread/kernels/fbgemm/avx2/exact_tile.hpp>
#include <midtread/kernels/fbgemm/vnni/code_band.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline void conv_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                       Scratch& scratch) {
  constexpr std::int64_t kBandBytes = 192 * 1024, kMinPixels = PixelBlock::kMost, kPanelsPerPiece = 8;
  const std::int64_t read_step = exact_step(s);
  const Segments segments(s, read_step);
  const PanelCut cut{s.out_group(), kPanelColumns};
  const std::int64_t panels = cut.count(), all_panels = s.groups * panels,
                     all_columns = s.groups * cut.columns();
  const auto* storage = weights.data<unsigned char>();
  const auto* index = reinterpret_cast<const ExactPanel*>(storage + sums_bytes(all_columns));
  bool any_wide = false, any_narrow = false, any_excess = false;
  for (std::int64_t p = 0; p < all_panels; ++p) {
    any_wide = any_wide || index[p].depth == 0;
    any_narrow = any_narrow || index[p].depth != 0;
    any_excess = any_excess || index[p].any();
  }
  const CodeBand band(s, kBandBytes, kMinPixels, read_step, !any_wide);
  const PaddedBand& plan = band.plan();
  const std::int64_t bands = plan.shape.batch * plan.bands_per_image();

  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * all_columns + segments.count));
  std::int32_t* offsets = bias + 2 * all_columns;
  column_bias({call.x, call.x_zero_point, call.epilogue, call.codes, call.acc}, weights.data<std::int32_t>(),
              s.groups, s.out_group(), cut.columns(), bias);
  const float* multiplier = column_multipliers(call.epilogue, s.groups, s.out_group(), cut.columns(),
                                               reinterpret_cast<float*>(bias + all_columns));
  for (std::int64_t i = 0; i < segments.count; ++i) offsets[i] = segments.offset(s, plan, i);

  TileOutput output{};
  output.pitch = s.out_channels;
  output.bounds = output_codes(call);
  output.general = call.general();
  const std::int64_t block_bytes = any_excess ? (PixelBlock::bytes(segments) + 63) / 64 * 64 : 0;
  const std::int64_t wide_bytes = any_wide ? (2 * plan.elements() + 63) / 64 * 64 : 0;
  scratch.prepare_leases(static_cast<std::size_t>(band.bytes() + block_bytes + wide_bytes) +
                         static_cast<std::size_t>(plan.pixels()) * sizeof(BandPixel));

  // Fewer bands than threads: share out the panels as well, each piece copying its band again.
  const std::int64_t panels_per_piece = bands >= num_threads() ? all_panels : kPanelsPerPiece;
  const std::int64_t splits = (all_panels + panels_per_piece - 1) / panels_per_piece;
  parallel_for(0, bands * splits, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* memory = lease.data<std::uint8_t>() + band.bytes();
    auto* wide = reinterpret_cast<std::int16_t*>(memory + block_bytes);
    auto* pixels = reinterpret_cast<BandPixel*>(memory + block_bytes + wide_bytes);
    const std::int64_t image = piece / splits, n = image / plan.bands_per_image();
    const std::int64_t first = image % plan.bands_per_image() * plan.out_rows;
    const std::int64_t rows = std::min(plan.out_rows, plan.shape.out_height - first);
    const std::uint8_t* codes = nullptr;
    if (any_narrow) codes = band.fill(call.x, n, first, rows, call.x_zero_point, lease.data<std::uint8_t>());
    if (any_wide) plan.fill(call.x, s.in_channels, n, first, rows, call.x_zero_point, widen_pixels, wide);
    band.list_pixels(rows, pixels);
    const std::int64_t origin = (n * plan.shape.out_height + first) * plan.shape.out_width * s.out_channels;
    const std::int64_t first_panel = piece % splits * panels_per_piece;
    const std::int64_t last_panel = std::min(all_panels, first_panel + panels_per_piece);
    const std::int64_t count = rows * plan.shape.out_width;
    const std::int64_t size = PixelBlock::size(count);
    for (std::int64_t i = 0; i < count; i += size)
      for (std::int64_t p = first_panel; p < last_panel;) {
        const std::int64_t group = p / panels, end = std::min((group + 1) * panels, last_panel);
        const std::int64_t input = group * s.in_group(), in_block = std::min(size, count - i);
        PixelBlock block(any_narrow ? codes + input : nullptr, pixels + i, in_block, offsets, segments,
                         memory);
        for (; p < end; ++p) {
          const std::int64_t column = p % panels * kPanelColumns, channel = group * s.out_group() + column;
          TileOutput out = output;
          out.columns = std::min(kPanelColumns, s.out_group() - column);
          out.codes = call.codes ? call.codes + origin + channel : nullptr;
          out.acc = call.acc ? call.acc + origin + channel : nullptr;
          out.bias = bias + p * kPanelColumns;
          out.multiplier = multiplier + p * kPanelColumns;
          if (index[p].depth != 0)
            block.run(storage, index[p], out);
          else
            run_panel(wide + input, pixels + i, in_block,
                      {storage + index[p].weights, offsets, segments.count, segments.length / 2}, out);
        }
      }
  });
}

inline Storage pack_conv(const Conv2dShape& s, const std::int8_t* weights) {
  return has_small_groups(s) ? pack_depthwise(s, weights) : pack_exact(s, weights);
}

inline void conv(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call, Scratch& scratch) {
  (has_small_groups(s) ? depthwise_rows : conv_bands)(weights, s, call, scratch);
}

inline constexpr ConvKernel kConv = conv_kernel<conv>("gemm_u8s8s32_6x16c4__avx2", false, pack_conv);

MIDTREAD_NAMESPACE_END

#endif

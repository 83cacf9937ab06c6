// SPDX-License-Identifier: MIT
// Convolution (also grouped, also linear) on AVX2: bands of codes, register tiles on vpmaddubsw that are
// exact.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/fbgemm/avx2/depthwise.hpp>
#include <midtread/kernels/fbgemm/avx2/few_rows.hpp>
#include <midtread/kernels/fbgemm/avx2/pixel_block.hpp>
#include <midtread/kernels/fbgemm/vnni/code_band.hpp>

#include <limits>

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
  const bool windowed = leaves_taps_out(s, read_step) && s.out_width <= 28;
  const std::int64_t sum_rows = leaves_taps_out(s, read_step) ? 1 + s.taps() : 1;
  const auto* index = reinterpret_cast<const ExactPanel*>(storage + sums_bytes(sum_rows * all_columns));
  bool any_wide = false, any_narrow = false, any_excess = false;
  for (std::int64_t p = 0; p < all_panels; ++p) {
    any_wide = any_wide || index[p].depth == 0;
    any_narrow = any_narrow || index[p].depth != 0;
    any_excess = any_excess || index[p].any();
  }
  const CodeBand band(s, kBandBytes, kMinPixels, read_step, !any_wide);
  const PaddedBand& plan = band.plan();
  const std::int64_t bands = plan.shape.batch * plan.bands_per_image();

  const PlanarCodes planes(plan);
  const bool planar = any_excess && reads_planes(s) && s.out_width >= kRun &&
                      planes.bytes() <= std::numeric_limits<std::int32_t>::max();
  std::int64_t excess_steps = 0;
  for (std::int64_t p = 0; p < all_panels && planar; ++p) excess_steps += index[p].steps;

  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * all_columns + segments.count) +
                                            static_cast<std::size_t>(excess_steps) * sizeof(ExcessStep) / 4);
  std::int32_t* offsets = bias + 2 * all_columns;
  auto* const excess = reinterpret_cast<ExcessStep*>(offsets + segments.count);
  column_bias({call.x, call.x_zero_point, call.epilogue, call.codes, call.acc}, weights.data<std::int32_t>(),
              s.groups, s.out_group(), cut.columns(), bias);
  const float* multiplier = column_multipliers(call.epilogue, s.groups, s.out_group(), cut.columns(),
                                               reinterpret_cast<float*>(bias + all_columns));
  for (std::int64_t i = 0; i < segments.count; ++i) offsets[i] = segments.offset(s, plan, i);
  for (std::int64_t p = 0; p < all_panels && planar; ++p) {
    const PanelExcess own(storage, index[p]);
    for (std::int64_t i = 0; i < index[p].steps; ++i) {
      ExcessStep& step = excess[index[p].before + i] = own.list[i];
      for (auto& two : step.offsets)
        for (std::int32_t& offset : two) offset = planes.offset(segments, offset / 32);
    }
  }

  TileOutput output{};
  output.pitch = s.out_channels;
  output.bounds = output_codes(call);
  output.general = call.general();
  const std::int64_t block_bytes = planar       ? planes.slack() + planes.bytes()
                                   : any_excess ? (PixelBlock::bytes(segments) + 63) / 64 * 64
                                                : 0;
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
    PlaneCodes plane_codes;
    if (planar) {
      std::uint8_t* const to = memory + planes.slack();
      planes.fill(codes, rows, to);
      plane_codes = {to, excess, planes.row_step(), plan.shape.out_width};
    }
    const bool by_rows = planar || windowed;
    const std::int64_t width = plan.shape.out_width,
                       size = by_rows ? PixelBlock::rows_size(
                                            width, planar ? PixelBlock::kMostOfRows : PixelBlock::kMost)
                                      : PixelBlock::size(count);
    BandPixel ordered[PixelBlock::kMostOfRows];
    TapWindow windows[2 * PixelBlock::kMostOfRows + 1];
    for (std::int64_t i = 0; i < count; i += size) {
      const std::int64_t in_block = std::min(size, count - i), row = i / width;
      std::int64_t into_band = 0, into_output = 0;
      BlockWindows block_windows{};
      if (windowed) {
        into_band = row * plan.stride_y * plan.width * plan.pitch;
        into_output = i * s.out_channels;
        block_windows = {codes == nullptr ? nullptr : codes + into_band,
                         ordered,
                         windows,
                         list_windows(plan, first + row, in_block / width, ordered, windows),
                         weights.data<std::int32_t>() + all_columns,
                         all_columns,
                         s.in_channels,
                         s.kernel_width,
                         s.taps(),
                         call.x_zero_point};
      }
      for (std::int64_t p = first_panel; p < last_panel;) {
        const std::int64_t group = p / panels, end = std::min((group + 1) * panels, last_panel);
        const std::int64_t input = group * s.in_group();
        PlaneCodes own = plane_codes;
        if (planar) own.planes += input * planes.channel_step();
        PixelBlock block(any_narrow ? codes + input : nullptr, pixels, i, in_block, offsets, segments, own,
                         memory);
        for (; p < end; ++p) {
          const std::int64_t column = p % panels * kPanelColumns, channel = group * s.out_group() + column;
          TileOutput out = output;
          out.columns = std::min(kPanelColumns, s.out_group() - column);
          const std::int64_t at = origin + channel + (index[p].depth != 0 ? into_output : 0);
          out.codes = call.codes ? call.codes + at : nullptr;
          out.acc = call.acc ? call.acc + at : nullptr;
          out.bias = bias + p * kPanelColumns;
          out.multiplier = multiplier + p * kPanelColumns;
          if (index[p].depth != 0)
            block.run(storage, index[p], out, windowed ? &block_windows : nullptr, p * kPanelColumns);
          else
            run_panel(wide + input, pixels + i, in_block,
                      {storage + index[p].weights, offsets, segments.count, segments.length / 2}, out);
        }
      }
    }
  });
}

inline Storage pack_conv(const Conv2dShape& s, const std::int8_t* weights) {
  return has_small_groups(s) ? pack_depthwise(s, weights) : pack_exact(s, weights);
}

inline void conv(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call, Scratch& scratch) {
  if (has_small_groups(s))
    depthwise_rows(weights, s, call, scratch);
  else if (!run_few_rows(weights, s, call, scratch))
    conv_bands(weights, s, call, scratch);
}

inline constexpr ConvKernel kConv = conv_kernel<conv>("gemm_u8s8s32_6x16c4__avx2", false, pack_conv);

MIDTREAD_NAMESPACE_END

#endif

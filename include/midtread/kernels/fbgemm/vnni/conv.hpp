// SPDX-License-Identifier: MIT
// Convolution (also grouped, also linear) on instruction sets that multiply uint8 by int8 four at a time: bands of
// codes, register tiles on them.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/vnni/code_band.hpp>
#include <midtread/kernels/fbgemm/vnni/panels.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// int32 sums [group][columns], then int8 [group][panel][segment][length / 4][width][4], zero where there is no channel.
inline Storage pack_panels(const Conv2dShape& s, std::int64_t widest, const std::int8_t* weights) {
  const Segments segments(s, 4);
  const PanelCut cut{s.out_group(), widest};
  const std::int64_t columns = cut.columns(), all = s.groups * columns;
  Storage storage(static_cast<std::size_t>(sums_bytes(all) + all * segments.depth()));
  std::memset(storage.data(), 0, storage.bytes());
  auto* sums = static_cast<std::int32_t*>(storage.data());
  auto* packed = static_cast<std::int8_t*>(storage.data()) + sums_bytes(all);
  for (std::int64_t g = 0; g < s.groups; ++g, sums += columns, packed += columns * segments.depth())
    for (std::int64_t p = 0; p < cut.count(); ++p) {
      const std::int64_t width = cut.width(p);
      std::int8_t* panel = packed + cut.first(p) * segments.depth();
      for (std::int64_t c = 0; c < std::min(width, s.out_group() - cut.first(p)); ++c) {
        const std::int64_t within = cut.first(p) + c;
        const std::int8_t* w = weights + (g * s.out_group() + within) * s.depth();
        for (std::int64_t i = 0; i < s.in_group(); ++i)
          for (std::int64_t tap = 0; tap < s.taps(); ++tap, ++w) {
            const std::int64_t k = segments.at(s, i, tap);
            panel[(k / 4 * width + c) * 4 + k % 4] = *w;
            sums[within] += *w;
          }
      }
    }
  return storage;
}

inline void conv_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call, Scratch& scratch,
                       const PanelKernels& kernels) {
  // A band's codes, and a panel of weights, stay in the second cache; 48 pixels of a cache line of codes in the first.
  constexpr std::int64_t kBandBytes = 192 * 1024, kMinPixels = 48, kColumnsPerPiece = 128, kPixelBlock = 48;
  const CodeBand band(s, kBandBytes, kMinPixels, 4);
  const PaddedBand& plan = band.plan();
  const Segments segments(s, 4);
  const PanelCut cut{s.out_group(), kernels.columns};
  const std::int64_t panels = cut.count(), columns = cut.columns(), all_columns = s.groups * columns;
  const std::int64_t bands = plan.shape.batch * plan.bands_per_image(), all_panels = s.groups * panels;
  const auto* sums = weights.data<std::int32_t>();
  const std::int8_t* packed = weights.data<std::int8_t>() + sums_bytes(all_columns);

  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * all_columns + segments.count));
  auto* multiplier = reinterpret_cast<float*>(bias + all_columns);
  std::int32_t* offsets = bias + 2 * all_columns;
  column_terms(call, sums, s.groups, s.out_group(), columns, bias, multiplier);
  for (std::int64_t i = 0; i < segments.count; ++i) offsets[i] = segments.offset(s, plan, i);
  const std::int64_t pixel_bytes = plan.pixels() * static_cast<std::int64_t>(sizeof(BandPixel));
  scratch.prepare_leases(static_cast<std::size_t>(band.bytes() + pixel_bytes));

  // Fewer bands than threads: share out the panels as well, each piece copying its band again.
  const std::int64_t panels_per_piece = bands >= num_threads() ? all_panels : kColumnsPerPiece / kernels.columns;
  const std::int64_t panels_per_line = 64 / kernels.columns;
  const std::int64_t splits = (all_panels + panels_per_piece - 1) / panels_per_piece;
  parallel_for(0, bands * splits, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* pixels = reinterpret_cast<BandPixel*>(lease.data<unsigned char>() + band.bytes());
    const std::int64_t index = piece / splits, n = index / plan.bands_per_image();
    const std::int64_t first = index % plan.bands_per_image() * plan.out_rows;
    const std::int64_t rows = std::min(plan.out_rows, plan.shape.out_height - first);
    const std::uint8_t* codes = band.fill(call.x, n, first, rows, call.x_zero_point, lease.data<std::uint8_t>());
    plan.list_pixels(rows, pixels);
    const std::int64_t origin = (n * plan.shape.out_height + first) * plan.shape.out_width * s.out_channels;
    const std::int64_t last_panel = std::min(all_panels, (piece % splits + 1) * panels_per_piece);
    const std::int64_t count = rows * plan.shape.out_width;
    for (std::int64_t p0 = piece % splits * panels_per_piece; p0 < last_panel; p0 += panels_per_line)
      for (std::int64_t i = 0; i < count; i += kPixelBlock)
        for (std::int64_t p = p0; p < std::min(p0 + panels_per_line, last_panel); ++p) {
          const std::int64_t group = p / panels, column = cut.first(p % panels);
          const std::int64_t channel = group * s.out_group() + column;
          PanelOutput out{};
          out.codes = call.codes ? call.codes + origin + channel : nullptr;
          out.acc = call.acc ? call.acc + origin + channel : nullptr;
          out.pitch = s.out_channels;
          out.columns = std::min(cut.width(p % panels), s.out_group() - column);
          out.bias = bias + group * columns + column;
          out.multiplier = multiplier + group * columns + column;
          out.epilogue = call.epilogue;
          const Panel panel{packed + (group * columns + column) * segments.depth(), offsets, segments.count,
                            segments.length, cut.width(p % panels)};
          kernels.run(codes + group * s.in_group(), pixels + i, std::min(kPixelBlock, count - i), panel, out);
        }
  });
}

MIDTREAD_NAMESPACE_END

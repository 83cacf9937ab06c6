// SPDX-License-Identifier: MIT
// Convolution (also grouped, also linear): bands of int8 codes, register tiles on them, requantization of
// each tile while it is in the first cache. The tile is that of an instruction set.
#pragma once

#include <midtread/kernels/qnnpack/matrix_product.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

template <class Tile>
MIDTREAD_NOINLINE void conv_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                                  Scratch& scratch) {
  constexpr std::int64_t kBandBytes = 64 * 1024, kMinPixels = 48, kPanelsPerPiece = 8, kUnitBlock = 64;
  const CodeBand band(s, s.in_channels, Tile::kPixels == 2, kBandBytes, kMinPixels);
  const PaddedBand& plan = band.plan();
  const Segments segments(s, band.pitch(), Tile::kStep);
  const std::int64_t bands = plan.shape.batch * plan.bands_per_image();
  const std::int64_t all_panels = s.groups * segments.panels;
  const auto* packed = weights.data<unsigned char>();

  auto* offsets = scratch.shared<std::int32_t>(static_cast<std::size_t>(segments.count));
  for (std::int64_t i = 0; i < segments.count; ++i)
    offsets[i] = static_cast<std::int32_t>(segments.whole_rows
                                               ? band.tap_offset(i, 0)
                                               : band.tap_offset(i / s.kernel_width, i % s.kernel_width));

  const PanelOutput output = panel_output(call, s.out_channels);
  scratch.prepare_leases(static_cast<std::size_t>(band.bytes()) +
                         static_cast<std::size_t>(plan.pixels()) * sizeof(BandUnit));

  // Fewer bands than threads: share out the panels as well, each piece copying its band again.
  const std::int64_t panels_per_piece = bands >= num_threads() ? all_panels : kPanelsPerPiece;
  const std::int64_t splits = (all_panels + panels_per_piece - 1) / panels_per_piece;
  parallel_for(0, bands * splits, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* codes = lease.data<std::int8_t>();
    auto* units = reinterpret_cast<BandUnit*>(codes + band.bytes());
    const std::int64_t index = piece / splits, n = index / plan.bands_per_image();
    const std::int64_t first = index % plan.bands_per_image() * plan.out_rows;
    const std::int64_t rows = std::min(plan.out_rows, plan.shape.out_height - first);
    band.fill(call.x, n, first, rows, call.x_zero_point, codes);
    const std::int64_t count = band.list_units(rows, units);
    const std::int64_t origin = (n * plan.shape.out_height + first) * plan.shape.out_width;
    const std::int64_t last_panel = std::min(all_panels, (piece % splits + 1) * panels_per_piece);
    // Four panels are a cache line of codes: finish it for a few pixels before it leaves the first cache.
    for (std::int64_t p0 = piece % splits * panels_per_piece; p0 < last_panel; p0 += 4)
      for (std::int64_t i = 0; i < count; i += kUnitBlock)
        for (std::int64_t p = p0; p < std::min(p0 + 4, last_panel); ++p) {
          const std::int64_t group = p / segments.panels, column = p % segments.panels * kPanelColumns;
          PanelOutput out = output;
          out.columns = std::min(kPanelColumns, s.out_group() - column);
          aim(out, call, origin, group * s.out_group() + column);
          const Panel panel{reinterpret_cast<const PanelHeader*>(packed + p * segments.panel_bytes()),
                            offsets,
                            segments.count,
                            segments.length,
                            out.columns,
                            segments.panel_bytes()};
          run_panels<Tile>(codes + group * s.in_group() * Tile::kPixels, units + i,
                           std::min(kUnitBlock, count - i), panel, 1, out);
        }
    if (splits == 1) call.finish(s, origin, rows * plan.shape.out_width);
  });
  if (splits > 1) call.finish(s);
}

template <class Tile>
MIDTREAD_ALWAYS_INLINE void run_conv_tiles(const PackedWeights& weights, const Conv2dShape& s,
                                           const ConvCall& call, Scratch& scratch) {
  if (!MatrixProduct<Tile>::fits(s)) return conv_bands<Tile>(weights, s, call, scratch);
  const std::int64_t pixels = s.batch * s.out_pixels();
  if constexpr (Tile::kFinishes)
    if (are_few_pixels<Tile>(s, pixels, call)) return few_pixels<Tile>(weights, s, pixels, call, scratch);
  matrix_product<Tile>(weights, s, call, scratch);
}

template <class Tile>
Storage pack_conv(const Conv2dShape& s, const std::int8_t* weights) {
  const std::int64_t pitch = Tile::kPixels == 2 ? (s.in_channels + 7) / 8 * 8 : s.in_channels;
  return pack_panels<Tile>(s, Segments(s, pitch, Tile::kStep), weights);
}

MIDTREAD_NAMESPACE_END

#endif

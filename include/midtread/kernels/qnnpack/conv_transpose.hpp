// SPDX-License-Identifier: MIT
// Transposed convolution (also grouped), phase by phase on the tiles of the ordinary one: rows of int8 codes,
// a tap is a segment. The tile is that of an instruction set.
#pragma once

#include <midtread/kernels/qnnpack/conv.hpp>
#include <midtread/kernels/transpose_phases.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

/// Sizes of the packed weights, [phase][group][panel] {header, weights of the phase's taps}.
template <class Tile>
struct TransposePanels {
  PhaseAxis ys, xs;
  std::int64_t length, panels, all, bytes;  ///< per segment, per group, per phase, per panel

  explicit TransposePanels(const Conv2dShape& s) : ys(row_phases(s)), xs(column_phases(s)) {
    length = (s.in_group() + Tile::kStep - 1) / Tile::kStep * Tile::kStep;
    panels = (s.out_group() + kPanelColumns - 1) / kPanelColumns;
    all = s.groups * panels;
    const std::int64_t most = most_taps(ys) * most_taps(xs);
    bytes = static_cast<std::int64_t>(sizeof(PanelHeader)) + (most * length * kPanelColumns + 63) / 64 * 64;
  }
  std::int64_t phases() const { return ys.stride * xs.stride; }
  /// A phase that no tap reaches has one, of zeros.
  std::int64_t segments(std::int64_t py, std::int64_t px) const {
    return std::max(ys.taps(py) * xs.taps(px), std::int64_t{1});
  }

 private:
  static std::int64_t most_taps(const PhaseAxis& axis) {
    std::int64_t most = 1;
    for (std::int64_t p = 0; p < axis.stride; ++p) most = std::max(most, axis.taps(p));
    return most;
  }
};

template <class Tile>
Storage pack_conv_transpose(const Conv2dShape& s, const std::int8_t* weights) {
  const TransposePanels<Tile> sizes(s);
  Storage storage(static_cast<std::size_t>(sizes.phases() * sizes.all * sizes.bytes));
  auto* packed = static_cast<unsigned char*>(storage.data());
  std::memset(packed, 0, storage.bytes());
  for (std::int64_t py = 0; py < s.stride_height; ++py)
    for (std::int64_t px = 0; px < s.stride_width; ++px)
      for (std::int64_t p = 0; p < sizes.all; ++p, packed += sizes.bytes) {
        auto* const header = reinterpret_cast<PanelHeader*>(packed);
        auto* const block = reinterpret_cast<std::int8_t*>(header + 1);
        const std::int64_t group = p / sizes.panels, first = p % sizes.panels * kPanelColumns;
        const std::int64_t columns = std::min(kPanelColumns, s.out_group() - first);
        const std::int64_t depth = sizes.segments(py, px) * sizes.length;
        std::int64_t segment = 0;
        for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
          if (!sizes.ys.has(py, tap / s.kernel_width) || !sizes.xs.has(px, tap % s.kernel_width)) continue;
          for (std::int64_t i = 0; i < s.in_group(); ++i)
            for (std::int64_t c = 0; c < columns; ++c) {
              const std::int8_t w =
                  weights[((group * s.in_group() + i) * s.out_group() + first + c) * s.taps() + tap];
              block[c / Tile::kColumns * Tile::kColumns * depth + segment * sizes.length * Tile::kColumns +
                    Tile::at(sizes.length, i, c % Tile::kColumns)] = w;
              header->sums[c] += w;
              if (w == -128) header->has_minus_128 = 1;
            }
          ++segment;
        }
      }
  return storage;
}

template <class Tile>
void conv_transpose_rows(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                         Scratch& scratch) {
  const TransposePanels<Tile> sizes(s);
  const auto* packed = weights.data<unsigned char>();
  const TransposeBand band(s);
  band.check();
  const std::int64_t band_bytes = (band.elements + kBandSlack + 63) / 64 * 64;
  const std::int64_t unit_bytes = s.out_width * static_cast<std::int64_t>(sizeof(BandUnit));
  scratch.prepare_leases(static_cast<std::size_t>(band_bytes + unit_bytes + s.taps() * 4 + 4));
  const PanelOutput output = panel_output(call, s.out_channels);
  parallel_for(0, s.batch * s.out_height, 1, [&](std::int64_t image_row, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* codes = lease.data<std::int8_t>();
    auto* units = reinterpret_cast<BandUnit*>(codes + band_bytes);
    auto* offsets = reinterpret_cast<std::int32_t*>(codes + band_bytes + unit_bytes);
    const std::int64_t oy = image_row % s.out_height, py = band.row_phase(oy);
    band.fill(call.x, image_row / s.out_height, oy, static_cast<std::int8_t>(call.x_zero_point - 128), codes,
              flip);
    std::memset(codes + band.elements, 0, kBandSlack);
    for (std::int64_t px = 0; px < s.stride_width; ++px) {
      offsets[0] = 0;
      band.list_taps(py, px, offsets);
      const std::int64_t count = band.list_outputs(px, units);
      const std::int64_t phase = (py * s.stride_width + px) * sizes.all;
      for (std::int64_t p = 0; p < sizes.all; ++p) {
        const std::int64_t group = p / sizes.panels, column = p % sizes.panels * kPanelColumns;
        PanelOutput out = output;
        out.columns = std::min(kPanelColumns, s.out_group() - column);
        aim(out, call, image_row * s.out_width, group * s.out_group() + column);
        const Panel panel{reinterpret_cast<const PanelHeader*>(packed + (phase + p) * sizes.bytes),
                          offsets,
                          sizes.segments(py, px),
                          sizes.length,
                          out.columns,
                          sizes.bytes};
        run_panels<Tile>(codes + group * s.in_group(), units, count, panel, 1, out);
      }
    }
  });
}

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// Convolution (also grouped, also linear) on AVX2: bands of input widened to int16, register tiles on them.
#pragma once

#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/fbgemm/avx2/gemm_tile.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// Taps contiguous in a band form one segment: a row of taps without dilation and groups, else one tap.
struct Segments {
  std::int64_t count, length, pairs, panels;  ///< panels per group
  bool whole_rows;

  explicit Segments(const Conv2dShape& s) {
    whole_rows = s.groups == 1 && s.dilation_width == 1;
    count = whole_rows ? s.kernel_height : s.taps();
    length = whole_rows ? s.kernel_width * s.in_channels : s.in_group();
    pairs = (length + 1) / 2;
    panels = (s.out_group() + kTileColumns - 1) / kTileColumns;
  }
  std::int64_t panel_elements() const { return count * pairs * 2 * kTileColumns; }
};

/// int16 [group][panel][segment][pair][16][2], zero where there is no channel.
inline Storage pack_conv(const Conv2dShape& s, const std::int8_t* weights) {
  const Segments segments(s);
  const std::int64_t elements = s.groups * segments.panels * segments.panel_elements();
  Storage storage(static_cast<std::size_t>(elements) * sizeof(std::int16_t));
  auto* packed = static_cast<std::int16_t*>(storage.data());
  std::memset(packed, 0, storage.bytes());
  for (std::int64_t o = 0; o < s.out_channels; ++o) {
    const std::int64_t group = o / s.out_group(), within = o % s.out_group();
    std::int16_t* panel =
        packed + (group * segments.panels + within / kTileColumns) * segments.panel_elements();
    for (std::int64_t i = 0; i < s.in_group(); ++i)
      for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
        for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
          const std::int64_t segment = segments.whole_rows ? ky : ky * s.kernel_width + kx;
          const std::int64_t k = segments.whole_rows ? kx * s.in_channels + i : i;
          panel[((segment * segments.pairs + k / 2) * kTileColumns + within % kTileColumns) * 2 + k % 2] =
              weights[((o * s.in_group() + i) * s.kernel_height + ky) * s.kernel_width + kx];
        }
  }
  return storage;
}

inline void conv_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                       Scratch& scratch) {
  constexpr std::int64_t kBandBytes = 192 * 1024, kMinPixels = 48, kPanelsPerPiece = 8, kPixelBlock = 48;
  const Segments segments(s);
  const PaddedBand plan(s, s.in_channels, kBandBytes, kMinPixels);
  const std::int64_t bands = plan.shape.batch * plan.bands_per_image();
  const std::int64_t all_panels = s.groups * segments.panels;

  const std::int64_t columns = all_panels * kTileColumns;
  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * columns + segments.count));
  auto* multiplier = reinterpret_cast<float*>(bias + columns);
  std::int32_t* offsets = bias + 2 * columns;
  pad_channels(call.epilogue, s.groups, s.out_group(), segments.panels * kTileColumns, bias, multiplier);
  for (std::int64_t i = 0; i < segments.count; ++i)
    offsets[i] = static_cast<std::int32_t>(segments.whole_rows
                                               ? plan.tap_offset(i, 0)
                                               : plan.tap_offset(i / s.kernel_width, i % s.kernel_width));

  TileOutput output{};
  output.pitch = s.out_channels;
  output.bounds = call.bounds();
  output.general = call.general();
  const std::int64_t band_bytes = (plan.elements() * 2 + 63) / 64 * 64;
  scratch.prepare_leases(static_cast<std::size_t>(band_bytes) +
                         static_cast<std::size_t>(plan.pixels()) * sizeof(BandPixel));

  // Few bands: share out the panels as well, each piece widening its band again.
  const std::int64_t panels_per_piece = bands >= 4 ? all_panels : kPanelsPerPiece;
  const std::int64_t splits = (all_panels + panels_per_piece - 1) / panels_per_piece;
  const auto* packed = weights.data<std::int16_t>();
  parallel_for(0, bands * splits, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* band = lease.data<std::int16_t>();
    auto* pixels = reinterpret_cast<BandPixel*>(lease.data<unsigned char>() + band_bytes);
    const std::int64_t index = piece / splits, n = index / plan.bands_per_image();
    const std::int64_t first = index % plan.bands_per_image() * plan.out_rows;
    const std::int64_t rows = std::min(plan.out_rows, plan.shape.out_height - first);
    plan.fill(call.x, s.in_channels, n, first, rows, call.x_zero_point, widen_pixels, band);
    plan.list_pixels(rows, pixels);
    const std::int64_t origin = (n * plan.shape.out_height + first) * plan.shape.out_width * s.out_channels;
    const std::int64_t last_panel = std::min(all_panels, (piece % splits + 1) * panels_per_piece);
    const std::int64_t count = rows * plan.shape.out_width;
    // Four panels are a cache line of codes: finish it for a few pixels before it leaves the first cache.
    for (std::int64_t p0 = piece % splits * panels_per_piece; p0 < last_panel; p0 += 4)
      for (std::int64_t i = 0; i < count; i += kPixelBlock)
        for (std::int64_t p = p0; p < std::min(p0 + 4, last_panel); ++p) {
          const std::int64_t group = p / segments.panels, column = p % segments.panels * kTileColumns;
          const std::int64_t channel = group * s.out_group() + column;
          TileOutput out = output;
          out.columns = std::min(kTileColumns, s.out_group() - column);
          out.codes = call.codes ? call.codes + origin + channel : nullptr;
          out.acc = call.acc ? call.acc + origin + channel : nullptr;
          out.bias = bias + p * kTileColumns;
          out.multiplier = multiplier + p * kTileColumns;
          const Panel panel{packed + p * segments.panel_elements(), offsets, segments.count, segments.pairs};
          run_panel(band + group * s.in_group(), pixels + i, std::min(kPixelBlock, count - i), panel, out);
        }
  });
}

inline void run_conv(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
                     std::int32_t x_zero_point, const Epilogue& e, std::uint8_t* y, Scratch& scratch) {
  conv_bands(weights, s, {x, x_zero_point, &e, y, nullptr}, scratch);
}

inline void accumulate_conv(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
                            std::int32_t x_zero_point, std::int32_t* acc, Scratch& scratch) {
  conv_bands(weights, s, {x, x_zero_point, nullptr, nullptr, acc}, scratch);
}

inline constexpr ConvKernel kConv = {"gemm_u8s8s32_6x16c2__avx2", false, pack_conv, run_conv,
                                     accumulate_conv};

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// Transposed convolution on AVX2. Outputs of one phase (row and column modulo the stride) have the same taps,
// each at a fixed offset in the input: per phase it is an ordinary convolution of stride 1.
//
//   out row oy, t = oy + pad: input row (t - ky * dilation) / stride where that divides
#pragma once

#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/fbgemm/avx2/gemm_tile.hpp>
#include <midtread/kernels/transpose_phases.hpp>

#include <vector>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline std::int64_t transpose_pairs(const Conv2dShape& s) { return (s.in_group() + 1) / 2; }
inline std::int64_t transpose_panels(const Conv2dShape& s) {
  return (s.out_group() + kTileColumns - 1) / kTileColumns;
}
inline std::int64_t tap_elements(const Conv2dShape& s) { return transpose_pairs(s) * 2 * kTileColumns; }

/// int16 [group][panel][phase row][phase column][tap of the phase][pair][16][2]: a tap has one phase.
inline Storage pack_conv_transpose(const Conv2dShape& s, const std::int8_t* weights) {
  const PhaseAxis ys = row_phases(s), xs = column_phases(s);
  const std::int64_t panels = transpose_panels(s);
  Storage storage(static_cast<std::size_t>(s.groups * panels * s.taps() * tap_elements(s)) *
                  sizeof(std::int16_t));
  auto* packed = static_cast<std::int16_t*>(storage.data());
  std::memset(packed, 0, storage.bytes());
  for (std::int64_t g = 0; g < s.groups; ++g)
    for (std::int64_t panel = 0; panel < panels; ++panel)
      for (std::int64_t py = 0; py < s.stride_height; ++py)
        for (std::int64_t px = 0; px < s.stride_width; ++px)
          for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
            for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
              if (!ys.has(py, ky) || !xs.has(px, kx)) continue;
              const std::int64_t columns = std::min(kTileColumns, s.out_group() - panel * kTileColumns);
              for (std::int64_t i = 0; i < s.in_group(); ++i)
                for (std::int64_t c = 0; c < columns; ++c) {
                  const std::int64_t o = panel * kTileColumns + c;
                  packed[(i / 2 * kTileColumns + c) * 2 + i % 2] =
                      weights[(((g * s.in_group() + i) * s.out_group() + o) * s.kernel_height + ky) *
                                  s.kernel_width +
                              kx];
                }
              packed += tap_elements(s);
            }
  return storage;
}

/// The outputs of one phase in one output row: they read at `input` in the band, one pixel further each.
inline void transpose_row(const PackedWeights& weights, const TransposeBand& band, const ConvCall& call,
                          const std::int32_t* bias, const float* multiplier, const std::int16_t* codes,
                          std::int64_t image_row, BandPixel* pixels, std::int32_t* offsets) {
  const Conv2dShape& s = band.s;
  const PhaseAxis &ys = band.ys, &xs = band.xs;
  const std::int64_t panels = transpose_panels(s), py = band.row_phase(image_row % s.out_height);
  for (std::int64_t px = 0; px < s.stride_width; ++px) {
    const std::int64_t segments = band.list_taps(py, px, offsets), count = band.list_outputs(px, pixels);
    // Taps before this phase in the packed order.
    std::int64_t skipped = 0;
    for (std::int64_t y = 0; y < py; ++y) skipped += ys.taps(y) * s.kernel_width;
    for (std::int64_t x = 0; x < px; ++x) skipped += ys.taps(py) * xs.taps(x);
    for (std::int64_t p = 0; p < s.groups * panels; ++p) {
      const std::int64_t group = p / panels, column = p % panels * kTileColumns;
      const std::int64_t at = image_row * s.out_width * s.out_channels + group * s.out_group() + column;
      TileOutput out{};
      out.codes = call.codes ? call.codes + at : nullptr;
      out.acc = call.acc ? call.acc + at : nullptr;
      out.pitch = s.out_channels;
      out.columns = std::min(kTileColumns, s.out_group() - column);
      out.bias = bias + p * kTileColumns;
      out.multiplier = multiplier + p * kTileColumns;
      out.bounds = output_codes(call);
      out.general = call.general();
      const auto* packed = weights.data<std::int16_t>() + (p * s.taps() + skipped) * tap_elements(s);
      run_panel(codes + group * s.in_group(), pixels, count, {packed, offsets, segments, transpose_pairs(s)},
                out);
    }
  }
}

inline void conv_transpose_rows(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                                Scratch& scratch) {
  const std::int64_t columns = s.groups * transpose_panels(s) * kTileColumns;
  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * columns));
  auto* multiplier = reinterpret_cast<float*>(bias + columns);
  pad_channels(call.epilogue, s.groups, s.out_group(), transpose_panels(s) * kTileColumns, bias, multiplier);

  const TransposeBand band(s);
  band.check();
  const std::int64_t band_bytes = ((band.elements + kBandSlack) * 2 + 63) / 64 * 64;
  const std::int64_t pixel_bytes = s.out_width * static_cast<std::int64_t>(sizeof(BandPixel));
  scratch.prepare_leases(static_cast<std::size_t>(band_bytes + pixel_bytes + s.taps() * 4));
  parallel_for(0, s.batch * s.out_height, 1, [&](std::int64_t row, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* block = lease.data<unsigned char>();
    auto* codes = lease.data<std::int16_t>();
    band.fill(call.x, row / s.out_height, row % s.out_height, std::int16_t{0}, codes,
              [&](const std::uint8_t* from, std::int64_t n, std::int16_t* to) {
                widen(from, n, call.x_zero_point, to);
              });
    std::memset(codes + band.elements, 0, kBandSlack * sizeof(std::int16_t));
    transpose_row(weights, band, call, bias, multiplier, codes, row,
                  reinterpret_cast<BandPixel*>(block + band_bytes),
                  reinterpret_cast<std::int32_t*>(block + band_bytes + pixel_bytes));
  });
}

inline constexpr ConvKernel kConvTranspose =
    conv_kernel<conv_transpose_rows>("conv_transpose_u8s8s32_6x16c2__avx2", true, pack_conv_transpose);

MIDTREAD_NAMESPACE_END

#endif

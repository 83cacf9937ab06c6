// SPDX-License-Identifier: MIT
// Transposed convolution: outputs of one phase (row and column modulo the stride) have the same taps, each at
// a fixed offset in the input, so per phase it is an ordinary convolution of stride 1.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/vnni/panels.hpp>
#include <midtread/kernels/padded_band.hpp>
#include <midtread/kernels/transpose_phases.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// Sizes of the packed weights: int32 sums [phase][group][columns], then int8 [group][panel][phase][tap of
/// the phase] [length / 4][width][4]. A tap has one phase.
struct TransposePlan {
  const Conv2dShape& s;
  PanelCut cut;
  TransposeBand band;
  std::int64_t length;  ///< of a tap, a multiple of four

  TransposePlan(const Conv2dShape& shape, std::int64_t widest)
      : s(shape), cut{shape.out_group(), widest}, band(shape), length((shape.in_group() + 3) / 4 * 4) {}

  std::int64_t phases() const { return s.stride_height * s.stride_width; }
  std::int64_t all_columns() const { return s.groups * cut.columns(); }
  std::int64_t header_bytes() const { return sums_bytes(phases() * all_columns()); }
  /// Taps before phase (py, px) in the packed order.
  std::int64_t taps_before(std::int64_t py, std::int64_t px) const {
    std::int64_t count = 0;
    for (std::int64_t y = 0; y < py; ++y) count += band.ys.taps(y) * s.kernel_width;
    for (std::int64_t x = 0; x < px; ++x) count += band.ys.taps(py) * band.xs.taps(x);
    return count;
  }
  std::int64_t band_bytes() const { return (band.elements + kBandSlack + 63) / 64 * 64; }
};

inline Storage pack_conv_transpose(const Conv2dShape& s, std::int64_t widest, const std::int8_t* weights) {
  const TransposePlan plan(s, widest);
  const PanelCut& cut = plan.cut;
  const std::int64_t columns = cut.columns(), column_bytes = s.taps() * plan.length;
  Storage storage(static_cast<std::size_t>(plan.header_bytes() + plan.all_columns() * column_bytes));
  std::memset(storage.data(), 0, storage.bytes());
  auto* sums = static_cast<std::int32_t*>(storage.data());
  auto* packed = static_cast<std::int8_t*>(storage.data()) + plan.header_bytes();
  for (std::int64_t g = 0; g < s.groups; ++g)
    for (std::int64_t p = 0; p < cut.count(); ++p) {
      const std::int64_t first = cut.first(p), width = cut.width(p);
      std::int8_t* tap = packed + (g * columns + first) * column_bytes;
      for (std::int64_t py = 0; py < s.stride_height; ++py)
        for (std::int64_t px = 0; px < s.stride_width; ++px)
          for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
            for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
              if (!plan.band.ys.has(py, ky) || !plan.band.xs.has(px, kx)) continue;
              std::int32_t* sum =
                  sums + (py * s.stride_width + px) * plan.all_columns() + g * columns + first;
              for (std::int64_t i = 0; i < s.in_group(); ++i)
                for (std::int64_t c = 0; c < std::min(width, s.out_group() - first); ++c) {
                  const std::int8_t w =
                      weights[(((g * s.in_group() + i) * s.out_group() + first + c) * s.kernel_height + ky) *
                                  s.kernel_width +
                              kx];
                  tap[(i / 4 * width + c) * 4 + i % 4] = w;
                  sum[c] += w;
                }
              tap += plan.length * width;
            }
    }
  return storage;
}

/// The outputs of one row, phase by phase: those of a phase read one pixel further each.
inline void transpose_row(const TransposePlan& plan, const ConvCall& call, const std::int8_t* packed,
                          const std::int32_t* bias, const float* multiplier, const std::uint8_t* band,
                          std::int64_t image_row, BandPixel* pixels, std::int32_t* offsets,
                          const PanelKernels& kernels) {
  const Conv2dShape& s = plan.s;
  const std::int64_t py = plan.band.row_phase(image_row % s.out_height);
  for (std::int64_t px = 0; px < s.stride_width; ++px) {
    const std::int64_t segments = plan.band.list_taps(py, px, offsets),
                       count = plan.band.list_outputs(px, pixels);
    const std::int64_t skipped = plan.taps_before(py, px) * plan.length;
    const std::int64_t phase = (py * s.stride_width + px) * plan.all_columns();
    for (std::int64_t g = 0; g < s.groups; ++g)
      for (std::int64_t p = 0; p < plan.cut.count(); ++p) {
        const std::int64_t column = plan.cut.first(p), width = plan.cut.width(p);
        const std::int64_t at = image_row * s.out_width * s.out_channels + g * s.out_group() + column;
        const std::int64_t term = g * plan.cut.columns() + column;
        PanelOutput out{};
        out.codes = call.codes ? call.codes + at : nullptr;
        out.acc = call.acc ? call.acc + at : nullptr;
        out.pitch = s.out_channels;
        out.columns = std::min(width, s.out_group() - column);
        out.bias = bias + phase + term;
        out.multiplier = multiplier + term;
        out.epilogue = call.epilogue;
        const Panel panel{packed + term * s.taps() * plan.length + skipped * width, offsets, segments,
                          plan.length, width};
        kernels.run(band + g * s.in_group(), pixels, count, panel, out);
      }
  }
}

inline void conv_transpose_rows(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                                Scratch& scratch, const PanelKernels& kernels) {
  const TransposePlan plan(s, kernels.columns);
  const std::int64_t columns = plan.all_columns();
  plan.band.check();
  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>((plan.phases() + 1) * columns));
  for (std::int64_t phase = 0; phase < plan.phases(); ++phase)
    column_bias(call, weights.data<std::int32_t>() + phase * columns, s.groups, s.out_group(),
                plan.cut.columns(), bias + phase * columns);
  const float* multiplier = column_multipliers(call.epilogue, s.groups, s.out_group(), plan.cut.columns(),
                                               reinterpret_cast<float*>(bias + plan.phases() * columns));

  const std::int64_t pixel_bytes = s.out_width * static_cast<std::int64_t>(sizeof(BandPixel));
  scratch.prepare_leases(static_cast<std::size_t>(plan.band_bytes() + pixel_bytes + s.taps() * 4));
  parallel_for(0, s.batch * s.out_height, 1, [&](std::int64_t row, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* band = lease.data<std::uint8_t>();
    auto* pixels = reinterpret_cast<BandPixel*>(band + plan.band_bytes());
    const auto zero = static_cast<std::uint8_t>(call.x_zero_point);
    plan.band.fill(call.x, row / s.out_height, row % s.out_height, zero, band,
                   [](const std::uint8_t* from, std::int64_t n, std::uint8_t* to) {
                     std::memcpy(to, from, static_cast<std::size_t>(n));
                   });
    std::memset(band + plan.band.elements, zero, static_cast<std::size_t>(kBandSlack));
    transpose_row(plan, call, weights.data<std::int8_t>() + plan.header_bytes(), bias, multiplier, band, row,
                  pixels, reinterpret_cast<std::int32_t*>(pixels + s.out_width), kernels);
  });
}

MIDTREAD_NAMESPACE_END

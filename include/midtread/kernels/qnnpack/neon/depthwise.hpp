// SPDX-License-Identifier: MIT
// Depthwise convolution on NEON, any window: 16 channels of some pixels at a time, two taps per int16 sum
// (smull, smlal), one where a weight is -128.
#pragma once

#include <midtread/kernels/qnnpack/code_band.hpp>
#include <midtread/kernels/qnnpack/conv_call.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack::neon)

/// At a time: as many as have registers.
inline constexpr int kDepthwisePixels = MIDTREAD_AARCH64 ? 4 : 2;

inline std::int64_t depthwise_panels(const Conv2dShape& s) {
  return (s.out_channels + kPanelColumns - 1) / kPanelColumns;
}
inline std::int64_t depthwise_panel_bytes(const Conv2dShape& s) {
  return static_cast<std::int64_t>(sizeof(PanelHeader)) + s.taps() * kPanelColumns;
}

/// [panel] {header, int8 [tap][16]}, zero where there is no channel.
inline Storage pack_depthwise(const Conv2dShape& s, const std::int8_t* weights) {
  Storage storage(static_cast<std::size_t>(depthwise_panels(s) * depthwise_panel_bytes(s)));
  auto* const packed = static_cast<unsigned char*>(storage.data());
  std::memset(packed, 0, storage.bytes());
  for (std::int64_t c = 0; c < s.out_channels; ++c) {
    auto* header = reinterpret_cast<PanelHeader*>(packed + c / kPanelColumns * depthwise_panel_bytes(s));
    auto* taps = reinterpret_cast<std::int8_t*>(header + 1);
    for (std::int64_t t = 0; t < s.taps(); ++t) {
      const std::int8_t w = weights[c * s.taps() + t];
      taps[t * kPanelColumns + c % kPanelColumns] = w;
      header->sums[c % kPanelColumns] += w;
      if (w == -128) header->has_minus_128 = 1;
    }
  }
  return storage;
}

/// 16 channels of a band.
struct DepthwiseBlock {
  const std::int8_t* weights;
  const std::int32_t* tap_offsets;
  std::int64_t taps;
};

MIDTREAD_NEON_BEGIN

/// acc[16] += 16 products in int16.
inline void add_products(int32x4_t* acc, int16x8_t low, int16x8_t high) {
  acc[0] = vaddw_s16(acc[0], vget_low_s16(low));
  acc[1] = vaddw_high_s16(acc[1], low);
  acc[2] = vaddw_s16(acc[2], vget_low_s16(high));
  acc[3] = vaddw_high_s16(acc[3], high);
}

/// As many pixels as kPixels divides, `count` of them.
template <int kPixels, bool kPaired, Finish kFinish>
MIDTREAD_NOINLINE void depthwise_pixels(const std::int8_t* band, const BandUnit* units, std::int64_t count,
                                        const DepthwiseBlock& block, const PanelOutput& out) {
  const PixelWriter<kFinish> write(out);
  for (std::int64_t p = 0; p < count; p += kPixels, units += kPixels) {
    const std::int8_t* inputs[kPixels];
    int32x4_t acc[kPixels][4];
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < kPixels; ++i) {
      inputs[i] = band + units[i].input;
      acc[i][0] = vld1q_s32(out.bias);
      acc[i][1] = vld1q_s32(out.bias + 4);
      acc[i][2] = vld1q_s32(out.bias + 8);
      acc[i][3] = vld1q_s32(out.bias + 12);
    }
    const std::int8_t* w = block.weights;
    const std::int32_t* offset = block.tap_offsets;
    std::int64_t taps = block.taps;
    for (; kPaired && taps >= 2; taps -= 2, offset += 2, w += 2 * kPanelColumns) {
      const std::int64_t first = offset[0], second = offset[1];
      const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + kPanelColumns);
      MIDTREAD_UNROLL(4)
      for (int i = 0; i < kPixels; ++i) {
        const int8x16_t a = vld1q_s8(inputs[i] + first), b = vld1q_s8(inputs[i] + second);
        const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(w0)), high = vmull_high_s8(a, w0);
        add_products(acc[i], vmlal_s8(low, vget_low_s8(b), vget_low_s8(w1)), vmlal_high_s8(high, b, w1));
      }
    }
    for (; taps > 0; --taps, ++offset, w += kPanelColumns) {
      const std::int64_t first = offset[0];
      const int8x16_t w0 = vld1q_s8(w);
      MIDTREAD_UNROLL(4)
      for (int i = 0; i < kPixels; ++i) {
        const int8x16_t a = vld1q_s8(inputs[i] + first);
        add_products(acc[i], vmull_s8(vget_low_s8(a), vget_low_s8(w0)), vmull_high_s8(a, w0));
      }
    }
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < kPixels; ++i)
      write.store(acc[i][0], acc[i][1], acc[i][2], acc[i][3], units[i].output);
  }
}

MIDTREAD_NEON_END

/// All pixels of a band.
template <bool kPaired>
void depthwise_row(const std::int8_t* band, const BandUnit* units, std::int64_t count,
                   const DepthwiseBlock& block, const PanelOutput& out) {
  const auto run = [&](auto wide, auto one) {
    const std::int64_t rest = count % kDepthwisePixels;
    wide(band, units, count - rest, block, out);
    one(band, units + count - rest, rest, block, out);
  };
  constexpr int kWide = kDepthwisePixels;
  switch (finish_of(out)) {
    case Finish::kWhole:
      return run(depthwise_pixels<kWide, kPaired, Finish::kWhole>,
                 depthwise_pixels<1, kPaired, Finish::kWhole>);
    case Finish::kPart:
      return run(depthwise_pixels<kWide, kPaired, Finish::kPart>,
                 depthwise_pixels<1, kPaired, Finish::kPart>);
    case Finish::kHalf:
      return run(depthwise_pixels<kWide, kPaired, Finish::kHalf>,
                 depthwise_pixels<1, kPaired, Finish::kHalf>);
    case Finish::kSlow:
      return run(depthwise_pixels<kWide, kPaired, Finish::kSlow>,
                 depthwise_pixels<1, kPaired, Finish::kSlow>);
  }
}

inline void depthwise_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                            Scratch& scratch) {
  constexpr std::int64_t kBandBytes = 24 * 1024, kMinPixels = 1;
  const CodeBand band(s, s.out_channels, false, kBandBytes, kMinPixels);
  const PaddedBand& plan = band.plan();
  const std::int64_t panels = depthwise_panels(s);
  const auto* packed = weights.data<unsigned char>();
  auto* offsets = scratch.shared<std::int32_t>(static_cast<std::size_t>(s.taps()));
  for (std::int64_t t = 0; t < s.taps(); ++t)
    offsets[t] = static_cast<std::int32_t>(band.tap_offset(t / s.kernel_width, t % s.kernel_width));

  const PanelOutput output = panel_output(call, s.out_channels);
  scratch.prepare_leases(static_cast<std::size_t>(band.bytes()) +
                         static_cast<std::size_t>(plan.pixels()) * sizeof(BandUnit));
  parallel_for(0, plan.shape.batch * plan.bands_per_image(), 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* codes = lease.data<std::int8_t>();
    auto* units = reinterpret_cast<BandUnit*>(codes + band.bytes());
    const std::int64_t n = piece / plan.bands_per_image();
    const std::int64_t first = piece % plan.bands_per_image() * plan.out_rows;
    const std::int64_t rows = std::min(plan.out_rows, plan.shape.out_height - first);
    band.fill(call.x, n, first, rows, call.x_zero_point, codes);
    const std::int64_t count = band.list_units(rows, units);
    for (std::int64_t p = 0; p < panels; ++p) {
      const auto* header = reinterpret_cast<const PanelHeader*>(packed + p * depthwise_panel_bytes(s));
      const DepthwiseBlock block{reinterpret_cast<const std::int8_t*>(header + 1), offsets, s.taps()};
      PanelOutput out = output;
      out.columns = std::min(kPanelColumns, s.out_channels - p * kPanelColumns);
      aim(out, call, (n * plan.shape.out_height + first) * plan.shape.out_width, p * kPanelColumns);
      const std::int8_t* start = codes + p * kPanelColumns;
      const auto run = header->has_minus_128 ? depthwise_row<false> : depthwise_row<true>;
      const PanelTerms terms(*header, out);
      run(start, units, count, block, terms.in(out));
    }
  });
}

inline constexpr ConvKernel kDepthwise =
    conv_kernel<depthwise_bands>("depthwise_u8s8s32_4x16__neon", false, pack_depthwise);

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// What a convolution call carries to its pieces, and the way of a panel's sums to the output.
//
//   y = requantize(acc + bias - (z - 128) * sum(w))        acc = sum((q - 128) * w)
#pragma once

#include <midtread/kernels/kernel_table.hpp>
#include <midtread/kernels/qnnpack/neon/vector.hpp>
#include <midtread/kernels/qnnpack/panel.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

/// Operands of a call: codes through an epilogue, or accumulators.
struct ConvCall {
  const std::uint8_t* x;
  std::int32_t x_zero_point;
  const Epilogue* epilogue;
  std::uint8_t* codes;
  std::int32_t* acc;
};

/// Where the 16 channels of a panel go.
struct PanelOutput {
  std::uint8_t* codes;
  std::int32_t* acc;
  std::int64_t pitch;        ///< elements from one output pixel to the next
  std::int64_t columns;      ///< at most 16
  const std::int32_t* bias;  ///< 16, less (z - 128) * sum(w)
  const float* multiplier;   ///< 16
  OutputCodes bounds;
  const Epilogue* general;  ///< set for other roundings than half to even
};

MIDTREAD_NEON_BEGIN

/// Accumulators as they are, fewer than 16 channels, and the rarer roundings.
MIDTREAD_NOINLINE inline void finish_slowly(const std::int32_t* row, std::int64_t at,
                                            const PanelOutput& out) {
  if (out.acc != nullptr) {
    std::memcpy(out.acc + at, row, static_cast<std::size_t>(out.columns) * sizeof(std::int32_t));
    return;
  }
  if (out.general == nullptr) {
    const Requantizer requantizer(out.multiplier, out.bounds);
    store_codes(requantizer(vld1q_s32(row), vld1q_s32(row + 4), vld1q_s32(row + 8), vld1q_s32(row + 12)),
                out.codes + at, out.columns);
    return;
  }
  const Epilogue& e = *out.general;
  for (std::int64_t c = 0; c < out.columns; ++c)
    out.codes[at + c] = static_cast<std::uint8_t>(
        requantize(row[c], out.multiplier[c], e.zero_point, e.lo, e.hi, e.rounding));
}

/// Takes 16 sums, the bias included, to where output `pixel` goes. What the usual case needs is held in
/// registers: the compiler must take a store of codes to change anything in memory.
class PixelWriter {
 public:
  MIDTREAD_ALWAYS_INLINE explicit PixelWriter(const PanelOutput& out)
      : requantizer_(out.multiplier, out.bounds),
        codes_(out.acc == nullptr && out.general == nullptr && out.columns == kPanelColumns ? out.codes
                                                                                            : nullptr),
        pitch_(out.pitch),
        out_(out) {}

  /// Whole vectors of codes, rounded half to even: use store, a loop without a call.
  MIDTREAD_ALWAYS_INLINE bool plain() const { return codes_ != nullptr; }
  MIDTREAD_ALWAYS_INLINE void store(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d,
                                    std::int64_t pixel) const {
    vst1q_u8(codes_ + pixel * pitch_, requantizer_(a, b, c, d));
  }
  MIDTREAD_ALWAYS_INLINE void store_slowly(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d,
                                           std::int64_t pixel) const {
    std::int32_t row[kPanelColumns];
    vst1q_s32(row, a);
    vst1q_s32(row + 4, b);
    vst1q_s32(row + 8, c);
    vst1q_s32(row + 12, d);
    finish_slowly(row, pixel * pitch_, out_);
  }

 private:
  Requantizer requantizer_;
  std::uint8_t* codes_;
  std::int64_t pitch_;
  const PanelOutput& out_;
};

MIDTREAD_NEON_END

/// bias - (z - 128) * sum(w), modulo 2^32.
inline std::int32_t corrected_bias(std::int32_t bias, std::int32_t zero_point, std::int32_t sum) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(bias) -
                                   static_cast<std::uint32_t>(zero_point - 128) *
                                       static_cast<std::uint32_t>(sum));
}

/// What all panels of a call share.
inline PanelOutput panel_output(const ConvCall& call, std::int64_t pitch) {
  PanelOutput out{};
  out.pitch = pitch;
  if (const Epilogue* e = call.epilogue) {
    out.bounds = output_codes(e->lo, e->hi, e->zero_point);
    out.general = e->rounding != Rounding::kHalfEven ? e : nullptr;
  }
  return out;
}

/// The output from `channel` of pixel `origin` on.
inline void aim(PanelOutput& out, const ConvCall& call, std::int64_t origin, std::int64_t channel) {
  out.codes = call.codes ? call.codes + origin * out.pitch + channel : nullptr;
  out.acc = call.acc ? call.acc + origin * out.pitch + channel : nullptr;
}

/// Bias and multiplier for every column of every panel, zero where there is no channel.
inline void panel_terms(const ConvCall& call, const unsigned char* packed, std::int64_t panel_bytes,
                        std::int64_t groups, std::int64_t panels, std::int64_t group_channels,
                        std::int32_t* bias, float* multiplier) {
  for (std::int64_t p = 0; p < groups * panels; ++p, packed += panel_bytes) {
    const auto* header = reinterpret_cast<const PanelHeader*>(packed);
    const std::int64_t first = p % panels * kPanelColumns, o = p / panels * group_channels + first;
    for (std::int64_t c = 0; c < kPanelColumns; ++c) {
      const bool there = call.epilogue != nullptr && first + c < group_channels;
      const std::int32_t own = there && call.epilogue->bias != nullptr ? call.epilogue->bias[o + c] : 0;
      *bias++ = corrected_bias(own, call.x_zero_point, header->sums[c]);
      *multiplier++ = there ? call.epilogue->multiplier[o + c] : 0.0f;
    }
  }
}

MIDTREAD_NAMESPACE_END

#endif

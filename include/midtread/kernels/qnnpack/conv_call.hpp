// SPDX-License-Identifier: MIT
// Where a panel's sums go, and the way there.
//
//   y = requantize(acc + bias - (z - 128) * sum(w))        acc = sum((q - 128) * w)
#pragma once

#include <midtread/kernels/conv_call.hpp>
#include <midtread/kernels/qnnpack/neon/vector.hpp>
#include <midtread/kernels/qnnpack/panel.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

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

  /// For codes: where the panel `n` further goes.
  PanelOutput behind(std::int64_t n) const {
    PanelOutput out = *this;
    out.codes += n * kPanelColumns;
    out.bias += n * kPanelColumns;
    out.multiplier += n * kPanelColumns;
    return out;
  }
};

MIDTREAD_NEON_BEGIN

/// Accumulators as they are, and the rarer roundings.
MIDTREAD_NOINLINE inline void finish_slowly(const std::int32_t* row, std::int64_t at,
                                            const PanelOutput& out) {
  if (out.acc != nullptr) {
    std::memcpy(out.acc + at, row, static_cast<std::size_t>(out.columns) * sizeof(std::int32_t));
    return;
  }
  const Epilogue& e = *out.general;
  for (std::int64_t c = 0; c < out.columns; ++c)
    out.codes[at + c] = static_cast<std::uint8_t>(
        requantize(row[c], out.multiplier[c], e.zero_point, e.lo, e.hi, e.rounding));
}

/// How sums become an output: 16 codes rounded half to even, 9 to 15, up to 8, or what finish_slowly does.
enum class Finish { kWhole, kPart, kHalf, kSlow };

inline Finish finish_of(const PanelOutput& out) {
  if (out.acc != nullptr || out.general != nullptr) return Finish::kSlow;
  return out.columns == kPanelColumns ? Finish::kWhole : out.columns > 8 ? Finish::kPart : Finish::kHalf;
}

/// Takes 16 sums, the bias included, to where output `pixel` goes. What it needs is held in registers: the
/// compiler must take a store of codes to change anything in memory.
template <Finish kFinish>
class PixelWriter {
 public:
  MIDTREAD_ALWAYS_INLINE explicit PixelWriter(const PanelOutput& out)
      : requantizer_(out.multiplier, out.bounds),
        codes_(out.codes),
        pitch_(out.pitch),
        columns_(out.columns),
        out_(out) {}

  MIDTREAD_ALWAYS_INLINE void store(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d,
                                    std::int64_t pixel) const {
    if (kFinish == Finish::kWhole) {
      vst1q_u8(codes_ + pixel * pitch_, requantizer_(a, b, c, d));
    } else if (kFinish == Finish::kPart) {
      store_codes(requantizer_(a, b, c, d), codes_ + pixel * pitch_, columns_);
    } else if (kFinish == Finish::kHalf) {
      store_codes(requantizer_.half(a, b), codes_ + pixel * pitch_, columns_);
    } else {
      std::int32_t row[kPanelColumns];
      vst1q_s32(row, a);
      vst1q_s32(row + 4, b);
      vst1q_s32(row + 8, c);
      vst1q_s32(row + 12, d);
      finish_slowly(row, pixel * pitch_, out_);
    }
  }

 private:
  Requantizer requantizer_;
  std::uint8_t* codes_;
  std::int64_t pitch_, columns_;
  const PanelOutput& out_;
};

MIDTREAD_NEON_END

/// What all panels of a call share.
inline PanelOutput panel_output(const ConvCall& call, std::int64_t pitch) {
  PanelOutput out{};
  out.pitch = pitch;
  out.general = call.general();
  if (const Epilogue* e = call.epilogue) out.bounds = output_codes(e->lo, e->hi, e->zero_point);
  return out;
}

/// The output from `channel` of pixel `origin` on.
inline void aim(PanelOutput& out, const ConvCall& call, std::int64_t origin, std::int64_t channel) {
  out.codes = call.codes ? call.codes + origin * out.pitch + channel : nullptr;
  out.acc = call.acc ? call.acc + origin * out.pitch + channel : nullptr;
}

MIDTREAD_NEON_BEGIN

/// 16 of the terms from `all` on, as many as `there` are; zero for the rest.
template <class T>
MIDTREAD_ALWAYS_INLINE void copy_terms(const T* all, std::int64_t there, T* terms) {
  if (all != nullptr && there >= kPanelColumns) {
    std::memcpy(terms, all, kPanelColumns * sizeof(T));
    return;
  }
  std::memset(terms, 0, kPanelColumns * sizeof(T));
  if (all == nullptr) return;
  std::int64_t c = 0;
  for (; c + 4 <= there; c += 4) std::memcpy(terms + c, all + c, 4 * sizeof(T));
  for (; c < there; ++c) terms[c] = all[c];
}

/// Bias, less (z - 128) * sum(w), for every column of every panel, zero where there is no channel. Returns
/// the multipliers in the same order: the epilogue's where its channels fill the panels, else a copy in
/// `multiplier`.
inline const float* panel_terms(const ConvCall& call, const unsigned char* packed, std::int64_t panel_bytes,
                                std::int64_t groups, std::int64_t panels, std::int64_t group_channels,
                                std::int32_t* bias, float* multiplier) {
  const int32x4_t shift = vdupq_n_s32(call.x_zero_point - 128);
  const std::int32_t* own_bias = call.epilogue != nullptr ? call.epilogue->bias : nullptr;
  const float* own_multiplier = call.epilogue != nullptr ? call.epilogue->multiplier : nullptr;
  const bool whole = own_multiplier != nullptr && group_channels % kPanelColumns == 0;
  const bool copies = call.epilogue != nullptr && !whole;
  const float* const terms = whole ? own_multiplier : multiplier;
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t p = 0, there = group_channels; p < panels; ++p, there -= kPanelColumns) {
      const std::int64_t o = g * group_channels + p * kPanelColumns;
      copy_terms(own_bias != nullptr ? own_bias + o : nullptr, there, bias);
      if (copies) copy_terms(own_multiplier != nullptr ? own_multiplier + o : nullptr, there, multiplier);
      const std::int32_t* sums = reinterpret_cast<const PanelHeader*>(packed)->sums;
      MIDTREAD_UNROLL(4)
      for (int c = 0; c < kPanelColumns; c += 4)
        vst1q_s32(bias + c, vmlsq_s32(vld1q_s32(bias + c), vld1q_s32(sums + c), shift));
      packed += panel_bytes;
      bias += kPanelColumns;
      multiplier += kPanelColumns;
    }
  return terms;
}

MIDTREAD_NEON_END

MIDTREAD_NAMESPACE_END

#endif

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

/// Where the channels of a panel go.
struct PanelOutput {
  std::uint8_t* codes;
  std::int32_t* acc;
  std::int64_t pitch;        ///< elements from one output pixel to the next
  std::int64_t columns;      ///< at most 16
  const std::int32_t* bias;  ///< of these channels; null: none
  const float* multiplier;   ///< of these channels
  std::int32_t shift;        ///< z - 128, taken off the bias that often per sum(w)
  OutputCodes bounds;
  const Epilogue* general;  ///< set for other roundings than half to even
};

/// What tiles that write codes themselves are told: their units' outputs lie evenly.
struct TileOutput {
  std::uint8_t* codes;
  std::int64_t step;         ///< bytes from the codes of one unit to those of the next
  std::int32_t* acc;         ///< [unit][16] where it is set, instead of codes; then for one tile of one panel
  const std::int32_t* bias;  ///< of 16 channels of every panel
  const float* multiplier;   ///< of 16 channels of every panel
  std::int32_t shift;        ///< as PanelOutput's
  OutputCodes bounds;
  bool flips = false;  ///< of one pixel: it is still uint8, see Tile::flips
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
  out.shift = call.x_zero_point - 128;
  out.general = call.general();
  if (const Epilogue* e = call.epilogue) out.bounds = output_codes(e->lo, e->hi, e->zero_point);
  return out;
}

/// The output from `channel` of pixel `origin` on.
inline void aim(PanelOutput& out, const ConvCall& call, std::int64_t origin, std::int64_t channel) {
  out.codes = call.codes ? call.codes + origin * out.pitch + channel : nullptr;
  out.acc = call.acc ? call.acc + origin * out.pitch + channel : nullptr;
  const Epilogue* e = call.epilogue;
  out.bias = e != nullptr && e->bias != nullptr ? e->bias + channel : nullptr;
  out.multiplier = e != nullptr && e->multiplier != nullptr ? e->multiplier + channel : nullptr;
}

/// On to the next 16 channels.
inline void next_panel(PanelOutput& out) {
  if (out.codes != nullptr) out.codes += kPanelColumns;
  if (out.acc != nullptr) out.acc += kPanelColumns;
  if (out.bias != nullptr) out.bias += kPanelColumns;
  if (out.multiplier != nullptr) out.multiplier += kPanelColumns;
}

MIDTREAD_NEON_BEGIN

/// The first `there` < 16 terms of `all`.
template <class T>
MIDTREAD_ALWAYS_INLINE void copy_part(const T* all, std::int64_t there, T* terms) {
  if (there >= 4) {  // vectors that may overlap; a loop would become a call of memcpy
    const std::int64_t last = there - 4;
    const std::int64_t second = std::min<std::int64_t>(4, last), third = std::min<std::int64_t>(8, last);
    std::memcpy(terms, all, 4 * sizeof(T));
    std::memcpy(terms + second, all + second, 4 * sizeof(T));
    std::memcpy(terms + third, all + third, 4 * sizeof(T));
    std::memcpy(terms + last, all + last, 4 * sizeof(T));
  } else {
    terms[0] = all[0];
    terms[there / 2] = all[there / 2];
    terms[there - 1] = all[there - 1];
  }
}

/// 16 of the terms from `all` on, as many as `there` are; zero for the rest, and where `all` is null.
template <class T>
MIDTREAD_ALWAYS_INLINE void copy_terms(const T* all, std::int64_t there, T* terms) {
  if (all != nullptr && there == kPanelColumns) {
    std::memcpy(terms, all, kPanelColumns * sizeof(T));
    return;
  }
  std::memset(terms, 0, kPanelColumns * sizeof(T));
  if (all != nullptr) copy_part(all, there, terms);
}

/// bias[16] less shift * sum(w).
MIDTREAD_ALWAYS_INLINE void take_zero_point(const std::int32_t* bias, const PanelHeader& header,
                                            int32x4_t shift, std::int32_t* terms) {
  MIDTREAD_UNROLL(4)
  for (int c = 0; c < kPanelColumns; c += 4)
    vst1q_s32(terms + c, vmlsq_s32(vld1q_s32(bias + c), vld1q_s32(header.sums + c), shift));
}

/// Bias, less shift * sum(w), and multiplier of 16 columns, zero where there is no channel.
struct PanelTerms {
  alignas(16) std::int32_t bias[kPanelColumns];
  alignas(16) float multiplier[kPanelColumns];

  PanelTerms(const PanelHeader& header, const PanelOutput& out) {
    copy_terms(out.bias, out.columns, bias);
    copy_terms(out.multiplier, out.columns, multiplier);
    take_zero_point(bias, header, vdupq_n_s32(out.shift), bias);
  }
  /// `out` with these.
  PanelOutput in(PanelOutput out) const {
    out.bias = bias;
    out.multiplier = multiplier;
    out.shift = 0;
    return out;
  }
};

MIDTREAD_NEON_END

MIDTREAD_NAMESPACE_END

#endif

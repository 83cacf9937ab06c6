// SPDX-License-Identifier: MIT
// A band of output rows and the int8 copy of the input it needs: q - 128, with the zero point for padding.
// Kernels multiply the copy as it is and take (z - 128) * sum(w) off afterwards.
//
// In pairs, for smmla, the copy holds 8 codes of a pixel and 8 of the pixel the next output reads, in turn.
#pragma once

#include <midtread/kernels/padded_band.hpp>
#include <midtread/kernels/qnnpack/neon/vector.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

/// One output pixel (or two neighbours): where it starts to read in the band, and its index among the
/// outputs.
struct BandUnit {
  std::int32_t input;
  std::int32_t output;
  std::int32_t pixels = 1;
};

/// Pixels 0 and 1, 2 and 3, ...; an odd last one with what lies behind it. Returns the end.
inline std::int8_t* pair_even(const std::int8_t* row, std::int64_t pixels, std::int64_t pitch,
                              std::int8_t* out) {
  for (std::int64_t p = 0; p < pixels; p += 2)
    out = interleave_8(row + p * pitch, row + (p + 1) * pitch, pitch, out);
  return out;
}

/// Pixels that are copied before they are paired.
inline constexpr std::int64_t kRowPixels = 64;

/// Memory for copy_pixels, a multiple of 64.
inline std::int64_t pixels_bytes(std::int64_t pixels, std::int64_t pitch, bool paired) {
  const std::int64_t row = paired ? (std::min(pixels, kRowPixels) + 1) * pitch : 0;
  return ((pixels + 1) * pitch + row + kBandSlack + 63) / 64 * 64;
}

/// The int8 copy of `pixels` pixels that lie one behind the other, in pairs or not, and what kernels may read
/// behind them.
inline void copy_pixels(const std::uint8_t* x, std::int64_t pixels, std::int64_t channels, std::int64_t pitch,
                        bool paired, std::int8_t* out) {
  if (!paired) {
    flip(x, pixels * channels, out);
    out += pixels * channels;
  } else {
    std::int8_t* const row = out + (pixels + 1) * pitch + kBandSlack;
    for (; pixels > 0; pixels -= kRowPixels, x += kRowPixels * channels) {
      const std::int64_t now = std::min(kRowPixels, pixels);
      flip_pixels(x, now, channels, channels, row, pitch);
      out = pair_even(row, now, pitch, out);
    }
  }
  std::memset(out, 0, static_cast<std::size_t>(kBandSlack));
}

class CodeBand {
 public:
  /// Bands of about `bytes`, of `channels` codes per pixel.
  CodeBand(const Conv2dShape& s, std::int64_t channels, bool paired, std::int64_t bytes,
           std::int64_t min_pixels)
      : paired_(paired),
        channels_(channels),
        pitch_(paired ? (channels + 7) / 8 * 8 : channels),
        plan_(s, copies_twice(s, paired) ? 2 * pitch_ : pitch_, 2 * bytes, min_pixels) {}

  const PaddedBand& plan() const { return plan_; }
  /// Codes of a pixel, with the fill.
  std::int64_t pitch() const { return pitch_; }
  /// Bytes of the band, and of the row it is paired from behind it.
  std::int64_t bytes() const { return round_up(plan_.elements() + pitch_) + (paired_ ? row_bytes() : 0); }
  /// From a pixel to the one under tap (ky, kx).
  std::int64_t tap_offset(std::int64_t ky, std::int64_t kx) const { return plan_.tap_offset(ky, kx); }

  /// Lists what `rows` rows of outputs read; returns how many units that is.
  std::int64_t list_units(std::int64_t rows, BandUnit* units) const {
    const std::int64_t width = plan_.shape.out_width, step = paired_ ? 2 : 1, pitch = plan_.pitch;
    const bool flat = plan_.shape.taps() == 1;
    const std::int64_t lines = flat ? 1 : rows, length = flat ? rows * width : width;
    const std::int64_t stride_x = flat ? 1 : plan_.stride_x;
    BandUnit* unit = units;
    std::int32_t output = 0;
    const auto pixels = static_cast<std::int32_t>(step),
               advance = static_cast<std::int32_t>(step * stride_x * pitch);
    for (std::int64_t y = 0; y < lines; ++y) {
      auto input = static_cast<std::int32_t>(y * plan_.stride_y * plan_.width * pitch);
      for (std::int64_t x = 0; x < length; x += step, input += advance, output += pixels)
        *unit++ = {input, output, pixels};
      if (length % step != 0) {
        unit[-1].pixels = 1;
        --output;
      }
    }
    return unit - units;
  }

  /// Copies what output rows [first, first + rows) of image `n` need of the channels from x on.
  void fill(const std::uint8_t* x, std::int64_t n, std::int64_t first, std::int64_t rows,
            std::int32_t zero_point, std::int8_t* band) const {
    const Conv2dShape& s = plan_.shape;
    const std::uint8_t* image = x + n * s.in_pixels() * s.in_channels;
    const bool gather = s.taps() == 1;
    const auto padding = static_cast<std::int8_t>(zero_point - 128);
    std::int8_t* row = paired_ ? band + round_up(plan_.elements() + pitch_) : band;
    if (s.is_pointwise()) {
      copy_pixels(image + first * s.in_channels, rows, channels_, pitch_, paired_, band);
      return;
    }
    if (gather && paired_) {
      // Pairs go on from row to row, so an odd pixel waits for the next row.
      std::int64_t waiting = 0;
      for (std::int64_t r = 0; r < rows; ++r) {
        fill_row(image, first + r, padding, row + waiting * pitch_);
        const std::int64_t pixels = waiting + plan_.width;
        waiting = r + 1 < rows ? pixels % 2 : 0;
        band = pair_even(row, pixels - waiting, pitch_, band);
        if (waiting != 0) std::memmove(row, row + (pixels - 1) * pitch_, static_cast<std::size_t>(pitch_));
      }
    } else {
      for (std::int64_t r = 0; r < plan_.in_rows(rows); ++r, band += plan_.width * plan_.pitch) {
        fill_row(image, gather ? first + r : first * s.stride_height + r, padding, paired_ ? row : band);
        if (paired_) pair_all(row, band);
      }
    }
    std::memset(band, 0, static_cast<std::size_t>(kBandSlack));
  }

 private:
  static bool copies_twice(const Conv2dShape& s, bool paired) { return paired && s.taps() > 1; }
  static std::int64_t round_up(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }
  std::int64_t row_bytes() const {
    return round_up((std::max(plan_.width, kRowPixels) + 1 + plan_.stride_x) * pitch_);
  }

  /// Row `r` of the copy; counted from the first row above the image that any output reads.
  void fill_row(const std::uint8_t* image, std::int64_t r, std::int8_t padding, std::int8_t* out) const {
    const Conv2dShape& s = plan_.shape;
    const bool gather = s.taps() == 1;
    const std::int64_t iy = (gather ? r * s.stride_height : r) - s.pad_height, width = plan_.width;
    const std::int64_t step = gather ? s.stride_width : 1;
    // Pixel p of the copy is input column p * step - pad.
    std::int64_t left = std::min((s.pad_width + step - 1) / step, width);
    const std::int64_t end = std::max(std::min((s.in_width + s.pad_width + step - 1) / step, width), left);
    if (iy < 0 || iy >= s.in_height) left = width;
    std::memset(out, padding, static_cast<std::size_t>(left * pitch_));
    if (left >= width) return;
    if (end > left)
      flip_pixels(image + (iy * s.in_width + left * step - s.pad_width) * s.in_channels, end - left,
                  channels_, step * s.in_channels, out + left * pitch_, pitch_);
    std::memset(out + end * pitch_, padding, static_cast<std::size_t>((width - end) * pitch_));
  }

  /// Every pixel of a row with the one a stride further.
  void pair_all(const std::int8_t* row, std::int8_t* out) const {
    for (std::int64_t p = 0; p < plan_.width; ++p)
      out = interleave_8(row + p * pitch_, row + (p + plan_.stride_x) * pitch_, pitch_, out);
  }

  bool paired_;
  std::int64_t channels_, pitch_;
  PaddedBand plan_;
};

MIDTREAD_NAMESPACE_END

#endif

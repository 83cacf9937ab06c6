// SPDX-License-Identifier: MIT
// Weights packed into panels of 16 output channels, and what a register tile is told.
//
//   acc[unit][o] = sum over segments s, k < length of band[input(unit) + offset(s) + k] * w[s][k][o]
//
// A segment is what lies contiguous in the band: a row of taps, or one tap.
#pragma once

#include <midtread/kernels/kernel_table.hpp>

#include <cstring>

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

inline constexpr std::int64_t kPanelColumns = 16;

/// Before the weights of each panel.
struct PanelHeader {
  std::int32_t sums[kPanelColumns];  ///< of the weights of a channel
  std::int32_t has_minus_128;        ///< then two products overflow int16
  std::int32_t fill[15];
};

/// How the weights of a convolution are cut into segments whose length is a multiple of `step`.
struct Segments {
  std::int64_t pitch;                  ///< codes per pixel of the band
  std::int64_t count, length, panels;  ///< panels per group
  bool whole_rows;

  Segments(const Conv2dShape& s, std::int64_t pixel_codes, std::int64_t step) : pitch(pixel_codes) {
    whole_rows = s.groups == 1 && s.dilation_width == 1;
    count = whole_rows ? s.kernel_height : s.taps();
    const std::int64_t codes = whole_rows ? (s.kernel_width - 1) * pitch + s.in_channels : s.in_group();
    length = (codes + step - 1) / step * step;
    panels = (s.out_group() + kPanelColumns - 1) / kPanelColumns;
  }
  std::int64_t depth() const { return count * length; }
  std::int64_t panel_bytes() const {
    return static_cast<std::int64_t>(sizeof(PanelHeader)) + (depth() * kPanelColumns + 63) / 64 * 64;
  }
};

/// Where the four units of a tile start in the band.
struct TileInputs {
  const std::int8_t *a, *b, *c, *d;
};

/// The weights of 16 output channels.
struct Panel {
  const PanelHeader* header;    ///< the weights follow
  const std::int32_t* offsets;  ///< of the segments in the band, bytes
  std::int64_t segments, length;
  std::int64_t columns;  ///< of the 16, those that exist
  std::int64_t bytes;    ///< from one panel to the next

  const std::int8_t* weights() const { return reinterpret_cast<const std::int8_t*>(header + 1); }
  /// The header of the panel behind that of `one`.
  const PanelHeader* behind(const PanelHeader* one) const {
    return reinterpret_cast<const PanelHeader*>(reinterpret_cast<const char*>(one) + bytes);
  }
};

/// [group][panel] {header, weights in the order of Tile::at}, zero where there is no channel.
template <class Tile>
Storage pack_panels(const Conv2dShape& s, const Segments& segments, const std::int8_t* weights) {
  Storage storage(static_cast<std::size_t>(s.groups * segments.panels * segments.panel_bytes()));
  auto* const packed = static_cast<unsigned char*>(storage.data());
  std::memset(packed, 0, storage.bytes());
  for (std::int64_t o = 0; o < s.out_channels; ++o) {
    const std::int64_t group = o / s.out_group(), within = o % s.out_group(), column = within % kPanelColumns;
    unsigned char* const panel =
        packed + (group * segments.panels + within / kPanelColumns) * segments.panel_bytes();
    auto* const header = reinterpret_cast<PanelHeader*>(panel);
    auto* const block = reinterpret_cast<std::int8_t*>(header + 1) +
                        column / Tile::kColumns * Tile::kColumns * segments.depth();
    for (std::int64_t i = 0; i < s.in_group(); ++i)
      for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
        for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
          const std::int8_t w =
              weights[((o * s.in_group() + i) * s.kernel_height + ky) * s.kernel_width + kx];
          const std::int64_t segment = segments.whole_rows ? ky : ky * s.kernel_width + kx;
          const std::int64_t k = segments.whole_rows ? kx * segments.pitch + i : i;
          block[segment * segments.length * Tile::kColumns +
                Tile::at(segments.length, k, column % Tile::kColumns)] = w;
          header->sums[column] += w;
          if (w == -128) header->has_minus_128 = 1;
        }
  }
  return storage;
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Linear layers and convolutions of single pixels: no padding, no neighbours, so any two pixels lie alike.
//
//   y[m][o] = requantize(sum over k of x[m][k] * w[o][k])
#pragma once

#include <midtread/kernels/qnnpack/run_panels.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)

/// The only segment begins where its pixel does.
inline constexpr std::int32_t kOwnPixel = 0;

/// Sizes of a call and its work for some pixels and panels.
template <class Tile>
class MatrixProduct {
 public:
  static constexpr std::int64_t kPanelsPerPiece = 8;  ///< where panels are shared out to threads

  static bool fits(const Conv2dShape& s) {
    return s.is_pointwise() && s.groups == 1 && s.in_channels <= kMostChannels;
  }

  MatrixProduct(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call)
      : pixels(s.batch * s.out_pixels()),
        call_(call),
        packed_(weights.data<unsigned char>()),
        depth_(s.in_channels),
        columns_(s.out_channels),
        pitch_(kPaired ? (depth_ + 7) / 8 * 8 : depth_),
        segments_(s, pitch_, Tile::kStep) {
    band_pixels = std::min(pixels, std::max(kBandBytes / pitch_, kUnitBlock) / kUnitBlock * kUnitBlock);
  }

  std::int64_t pixels, band_pixels;  ///< in all, and per piece of work

  std::int64_t panels() const { return segments_.panels; }
  /// Memory for bias and multiplier of every panel.
  std::int64_t term_bytes() const { return panels() * kPanelColumns * 8; }
  /// Memory of a piece.
  std::int64_t piece_bytes() const {
    return band_bytes() + kUnitBlock * static_cast<std::int64_t>(sizeof(BandUnit));
  }

  /// What all pieces share.
  void prepare(void* terms) {
    auto* bias = static_cast<std::int32_t*>(terms);
    const std::int64_t bytes = segments_.panel_bytes();
    output_ = panel_output(call_, columns_);
    output_.bias = bias;
    output_.multiplier = panel_terms(call_, packed_, bytes, 1, panels(), columns_, bias,
                                     reinterpret_cast<float*>(bias + panels() * kPanelColumns));
  }

  /// `count` pixels from `first` on against panels [first_panel, last_panel).
  void run(std::int64_t first, std::int64_t count, std::int64_t first_panel, std::int64_t last_panel,
           void* memory) const {
    auto* codes = static_cast<std::int8_t*>(memory);
    auto* units = reinterpret_cast<BandUnit*>(codes + band_bytes());
    copy_pixels(call_.x + first * depth_, count, depth_, pitch_, kPaired, codes);
    const std::int64_t all = (count + Tile::kPixels - 1) / Tile::kPixels, unit_codes = Tile::kPixels * pitch_;
    list_units(units, std::min(all, kUnitBlock));
    for (std::int64_t p = first_panel; p < last_panel; p += kPanelsAtOnce)
      for (std::int64_t i = 0; i < all; i += kUnitBlock) {
        const std::int64_t there = std::min(kUnitBlock, all - i);
        const bool odd = kPaired && i + there == all && count % 2 != 0;
        if (odd) units[there - 1].pixels = 1;
        run_block(codes + i * unit_codes, units, there, first + i * Tile::kPixels, p,
                  std::min(kPanelsAtOnce, last_panel - p));
        if (odd) units[there - 1].pixels = 2;
      }
  }

 private:
  static constexpr bool kPaired = Tile::kPixels == 2;
  static constexpr std::int64_t kMostChannels = std::int64_t{1} << 22;
  static constexpr std::int64_t kBandBytes = 64 * 1024;  // codes that a piece of work copies, about
  static constexpr std::int64_t kUnitBlock = 64;         // units against some panels, then the next
  static constexpr std::int64_t kPanelsAtOnce = 4;       // a cache line of codes: finished before it leaves

  std::int64_t band_bytes() const { return pixels_bytes(band_pixels, pitch_, kPaired); }

  void list_units(BandUnit* units, std::int64_t count) const {
    constexpr auto kPixels = static_cast<std::int32_t>(Tile::kPixels);
    const std::int32_t step = kPixels * static_cast<std::int32_t>(pitch_);
    for (std::int32_t i = 0, input = 0, output = 0; i < count; ++i, input += step, output += kPixels)
      units[i] = {input, output, kPixels};
  }

  /// Whole panels at once, the last one, with fewer channels, by itself; accumulators one by one.
  void run_block(const std::int8_t* band, const BandUnit* units, std::int64_t count, std::int64_t origin,
                 std::int64_t p, std::int64_t panels) const {
    const std::int64_t bytes = segments_.panel_bytes();
    while (panels > 0) {
      const std::int64_t channel = p * kPanelColumns, there = columns_ - channel;
      PanelOutput out = output_;
      aim(out, call_, origin, channel);
      out.columns = std::min(kPanelColumns, there);
      out.bias += channel;
      out.multiplier += channel;
      const bool one = there < kPanelColumns || out.acc != nullptr || out.general != nullptr;
      const std::int64_t now = one ? 1 : std::min(panels, there / kPanelColumns);
      const Panel panel{reinterpret_cast<const PanelHeader*>(packed_ + p * bytes), &kOwnPixel, 1,
                        segments_.length, out.columns, bytes};
      run_panels<Tile>(band, units, count, panel, now, out);
      p += now;
      panels -= now;
    }
  }

  const ConvCall& call_;
  const unsigned char* packed_;
  std::int64_t depth_, columns_, pitch_;
  Segments segments_;
  PanelOutput output_{};
};

template <class Tile>
void matrix_product(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                    Scratch& scratch) {
  MatrixProduct<Tile> product(weights, s, call);
  const std::int64_t pixels = product.pixels, panels = product.panels();
  if (pixels == 0) return;
  const std::int64_t bands = (pixels + product.band_pixels - 1) / product.band_pixels;
  // Fewer bands than threads: share out the panels as well, each piece copying its band again.
  const std::int64_t shared = bands >= num_threads() ? panels : MatrixProduct<Tile>::kPanelsPerPiece;
  const std::int64_t splits = (panels + shared - 1) / shared;
  const auto term_bytes = static_cast<std::size_t>(product.term_bytes());
  const auto piece_bytes = static_cast<std::size_t>(product.piece_bytes());
  if (bands * splits == 1) {
    auto* memory = scratch.shared<unsigned char>(term_bytes + piece_bytes);
    product.prepare(memory);
    product.run(0, pixels, 0, panels, memory + term_bytes);
    return;
  }
  product.prepare(scratch.shared<unsigned char>(term_bytes));
  scratch.prepare_leases(piece_bytes);
  parallel_for(0, bands * splits, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    const std::int64_t first = piece / splits * product.band_pixels, p = piece % splits * shared;
    product.run(first, std::min(product.band_pixels, pixels - first), p, std::min(panels, p + shared),
                lease.data<unsigned char>());
  });
}

MIDTREAD_NAMESPACE_END

#endif

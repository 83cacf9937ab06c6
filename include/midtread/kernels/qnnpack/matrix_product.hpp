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

/// A call and how its work is cut.
template <class Tile>
struct MatrixProduct {
  static constexpr bool kPaired = Tile::kPixels == 2;
  static constexpr std::int64_t kBandBytes = 64 * 1024;  ///< codes that a piece of work copies, about
  static constexpr std::int64_t kUnitBlock = 64;         ///< units against some panels, then the next
  static constexpr std::int64_t kPanelsAtOnce = 4;       ///< a cache line of codes: finished before it leaves
  static constexpr std::int64_t kPanelsPerPiece = 8;     ///< where panels are shared out to threads
  static constexpr std::int64_t kMostChannels = std::int64_t{1} << 22;

  static bool fits(const Conv2dShape& s) {
    return s.is_pointwise() && s.groups == 1 && s.in_channels <= kMostChannels;
  }

  const ConvCall& call;
  const unsigned char* packed;
  std::int64_t pixels, depth, columns;
  std::int64_t pitch, length;  ///< codes of a pixel in the copy, and those multiplied
  std::int64_t panels, panel_bytes;
  std::int64_t band_pixels;  ///< per piece of work

  MatrixProduct(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& operands)
      : call(operands),
        packed(weights.data<unsigned char>()),
        pixels(s.batch * s.out_pixels()),
        depth(s.in_channels),
        columns(s.out_channels),
        pitch(kPaired ? (depth + 7) / 8 * 8 : depth) {
    const Segments segments(s, pitch, Tile::kStep);
    length = segments.length;
    panels = segments.panels;
    panel_bytes = segments.panel_bytes();
    band_pixels = pixels;
    if (pixels > kUnitBlock && pixels * pitch > kBandBytes)
      band_pixels = std::min(pixels, std::max(kBandBytes / pitch / kUnitBlock, std::int64_t{1}) * kUnitBlock);
  }

  /// Memory of a piece.
  std::int64_t codes_bytes() const { return pixels_bytes(band_pixels, pitch, kPaired); }
  std::int64_t bytes() const { return codes_bytes() + kUnitBlock * std::int64_t{sizeof(BandUnit)}; }

  /// `count` pixels from `first` on against panels [first_panel, last_panel).
  void run(std::int64_t first, std::int64_t count, std::int64_t first_panel, std::int64_t last_panel,
           void* memory) const {
    auto* codes = static_cast<std::int8_t*>(memory);
    auto* units = reinterpret_cast<BandUnit*>(codes + codes_bytes());
    copy_pixels(call.x + first * depth, count, depth, pitch, kPaired, codes);
    const std::int64_t all = (count + Tile::kPixels - 1) / Tile::kPixels;
    list_units(units, std::min(all, kUnitBlock));
    PanelOutput out = panel_output(call, columns);
    for (std::int64_t p = first_panel; p < last_panel; p += kPanelsAtOnce)
      for (std::int64_t i = 0; i < all; i += kUnitBlock) {
        const std::int64_t there = std::min(kUnitBlock, all - i);
        const bool odd = kPaired && i + there == all && count % 2 != 0;
        if (odd) units[there - 1].pixels = 1;
        aim(out, call, first + i * Tile::kPixels, p * kPanelColumns);
        run_block(codes + i * Tile::kPixels * pitch, units, there, p, std::min(kPanelsAtOnce, last_panel - p),
                  out);
        if (odd) units[there - 1].pixels = 2;
      }
  }

 private:
  void list_units(BandUnit* units, std::int64_t count) const {
    constexpr auto kPixels = static_cast<std::int32_t>(Tile::kPixels);
    const std::int32_t step = kPixels * static_cast<std::int32_t>(pitch);
    for (std::int32_t i = 0, input = 0, output = 0; i < count; ++i, input += step, output += kPixels)
      units[i] = {input, output, kPixels};
  }

  /// Whole panels at once, and the last one, with fewer channels, by itself.
  void run_block(const std::int8_t* band, const BandUnit* units, std::int64_t count, std::int64_t p,
                 std::int64_t now, PanelOutput& out) const {
    const std::int64_t whole = std::min(now, columns / kPanelColumns - p);
    Panel panel{reinterpret_cast<const PanelHeader*>(packed + p * panel_bytes),
                &kOwnPixel,
                1,
                length,
                kPanelColumns,
                panel_bytes};
    if (whole > 0) {
      out.columns = kPanelColumns;
      run_panels<Tile>(band, units, count, panel, whole, out);
    }
    if (whole == now) return;
    for (std::int64_t i = 0; i < whole; ++i) next_panel(out);
    panel.header = reinterpret_cast<const PanelHeader*>(packed + (p + whole) * panel_bytes);
    panel.columns = out.columns = columns % kPanelColumns;
    run_panels<Tile>(band, units, count, panel, 1, out);
  }
};

/// Fewer than 8 pixels, whose tiles write the codes: what a small layer spends its time on.
template <class Tile>
MIDTREAD_NOINLINE void few_pixels(const PackedWeights& weights, const Conv2dShape& s, std::int64_t count,
                                  const ConvCall& call, Scratch& scratch) {
  const Epilogue& e = *call.epilogue;
  const std::int64_t depth = s.in_channels, columns = s.out_channels, all = count * depth;
  const std::int8_t* codes = reinterpret_cast<const std::int8_t*>(call.x);
  const bool flips = Tile::flips(count, depth, columns);
  if (!flips) {
    auto* copy = scratch.shared<std::int8_t>(static_cast<std::size_t>(all + kBandSlack));
    flip(call.x, all, copy);
    std::memset(copy + all, 0, kBandSlack);
    codes = copy;
  }

  const std::int64_t length = (depth + Tile::kStep - 1) & -Tile::kStep, whole = columns >> 4;
  Panel panel{weights.data<PanelHeader>(),
              &kOwnPixel,
              1,
              length,
              kPanelColumns,
              std::int64_t{sizeof(PanelHeader)} + length * kPanelColumns};
  TileOutput to{call.codes,
                columns,
                nullptr,
                e.bias,
                e.multiplier,
                call.x_zero_point - 128,
                output_codes(e.lo, e.hi, e.zero_point),
                flips};
  if (whole > 0) run_rows<Tile>(codes, depth, count, panel, whole, to);
  const std::int64_t behind = whole * kPanelColumns;
  if (behind < columns) {
    panel.header = reinterpret_cast<const PanelHeader*>(weights.data<char>() + whole * panel.bytes);
    panel.columns = columns - behind;
    to.codes = call.codes + behind;
    to.bias += behind;
    to.multiplier += behind;
    run_part_rows<Tile>(codes, depth, count, panel, to);
  }
  if (e.tail != nullptr) e.tail->run(*e.tail, call.codes, 0, count * columns);
}

/// Whether few_pixels can do a call that fits.
template <class Tile>
MIDTREAD_ALWAYS_INLINE bool are_few_pixels(const Conv2dShape& s, std::int64_t pixels, const ConvCall& call) {
  using Product = MatrixProduct<Tile>;
  return Tile::kFinishes && pixels > 0 && pixels < 8 && call.epilogue != nullptr &&
         call.epilogue->bias != nullptr && call.epilogue->multiplier != nullptr &&
         call.general() == nullptr &&
         (s.out_channels <= Product::kPanelsPerPiece * kPanelColumns || num_threads() == 1);
}

template <class Tile>
MIDTREAD_NOINLINE void matrix_product(const PackedWeights& weights, const Conv2dShape& s,
                                      const ConvCall& call, Scratch& scratch) {
  const MatrixProduct<Tile> product(weights, s, call);
  const std::int64_t pixels = product.pixels, panels = product.panels, band = product.band_pixels;
  if (pixels == 0) return;
  constexpr std::int64_t kPerPiece = MatrixProduct<Tile>::kPanelsPerPiece;
  // Fewer bands than threads: share out the panels as well, each piece copying its band again.
  const std::int64_t bands = band == pixels ? 1 : (pixels + band - 1) / band;
  const std::int64_t shared = panels <= kPerPiece || bands >= num_threads() ? panels : kPerPiece;
  const std::int64_t splits = shared == panels ? 1 : (panels + shared - 1) / shared;
  const auto bytes = static_cast<std::size_t>(product.bytes());
  if (bands * splits == 1) {
    product.run(0, pixels, 0, panels, scratch.shared<unsigned char>(bytes));
    return call.finish(s);
  }
  scratch.prepare_leases(bytes);
  parallel_for(0, bands * splits, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    const std::int64_t first = piece / splits * band, p = piece % splits * shared;
    const std::int64_t count = std::min(band, pixels - first);
    product.run(first, count, p, std::min(panels, p + shared), lease.data<unsigned char>());
    if (splits == 1) call.finish(s, first, count);
  });
  if (splits > 1) call.finish(s);
}

MIDTREAD_NAMESPACE_END

#endif

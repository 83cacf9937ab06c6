// SPDX-License-Identifier: MIT
// Pixels of a band against panels of weights, in register tiles: those that can write codes themselves, the
// others through sums in memory.
#pragma once

#include <midtread/kernels/qnnpack/code_band.hpp>
#include <midtread/kernels/qnnpack/conv_call.hpp>
#include <midtread/kernels/qnnpack/panel.hpp>

#if MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)
MIDTREAD_NEON_BEGIN

/// The sums of `count` units, [unit][kPixels][16], to the output.
template <std::int64_t kPixels, Finish kFinish>
MIDTREAD_ALWAYS_INLINE void store_tile(const std::int32_t* acc, const BandUnit* units, std::int64_t count,
                                       const PanelOutput& out) {
  const PixelWriter<kFinish> write(out);  // for each tile: no vector register survives the tile's call
  for (; count > 0; --count, ++units, acc += kPixels * kPanelColumns)
    for (std::int64_t p = 0; p < (kPixels == 1 ? 1 : units->pixels); ++p) {
      const std::int32_t* sums = acc + p * kPanelColumns;
      write.store(vld1q_s32(sums), vld1q_s32(sums + 4), vld1q_s32(sums + 8), vld1q_s32(sums + 12),
                  units->output + p);
    }
}

template <std::int64_t kPixels>
MIDTREAD_ALWAYS_INLINE void finish_tile(const std::int32_t* acc, const BandUnit* units, std::int64_t count,
                                        const PanelOutput& out, Finish finish) {
  switch (finish) {
    case Finish::kWhole: return store_tile<kPixels, Finish::kWhole>(acc, units, count, out);
    case Finish::kPart: return store_tile<kPixels, Finish::kPart>(acc, units, count, out);
    case Finish::kHalf: return store_tile<kPixels, Finish::kHalf>(acc, units, count, out);
    case Finish::kSlow: return store_tile<kPixels, Finish::kSlow>(acc, units, count, out);
  }
}

/// One panel, each tile to memory and from there to the output. Tiles of four units (three: the last one
/// twice) or of one.
template <class Tile>
MIDTREAD_NOINLINE void run_panel_sums(const std::int8_t* band, const BandUnit* units, std::int64_t count,
                                      const Panel& panel, const PanelOutput& output) {
  alignas(64) std::int32_t sums[Tile::kUnits * Tile::kPixels * kPanelColumns];
  const PanelTerms terms(*panel.header, output);
  const PanelOutput out = terms.in(output);
  const Finish finish = finish_of(out);
  if constexpr (Tile::kFinishes) {
    const TileOutput to{nullptr, 0, sums, out.bias, out.multiplier, out.shift, out.bounds};
    for (; count >= Tile::kUnits; count -= Tile::kUnits, units += Tile::kUnits) {
      Tile::run(band, units, 1, panel, 1, to);
      finish_tile<Tile::kPixels>(sums, units, Tile::kUnits, out, finish);
    }
    for (; count > 0; --count, ++units) {
      Tile::run_pixel(band + units->input, panel, 1, to);
      finish_tile<Tile::kPixels>(sums, units, 1, out, finish);
    }
  } else {
    for (; count >= Tile::kUnits; count -= Tile::kUnits, units += Tile::kUnits) {
      Tile::run(band, units, panel, out.bias, sums);
      finish_tile<Tile::kPixels>(sums, units, Tile::kUnits, out, finish);
    }
    if (count == 3) {
      const BandUnit last[4] = {units[0], units[1], units[2], units[2]};
      Tile::run(band, last, panel, out.bias, sums);
      finish_tile<Tile::kPixels>(sums, units, count, out, finish);
      return;
    }
    for (; count > 0; --count, ++units) {
      Tile::run_one(band + units->input, panel, out.bias, sums);
      finish_tile<Tile::kPixels>(sums, units, 1, out, finish);
    }
  }
}

/// Tiles that write codes themselves; a rest of some pixels as a tile that does some of the last one's again.
/// `out` is used up.
template <class Tile>
void run_tiles(const std::int8_t* band, const BandUnit* units, std::int64_t count, const Panel& panel,
               std::int64_t panels, TileOutput& out) {
  static_assert(Tile::kUnits == 4, "as the masks have it");
  std::uint8_t* const codes = out.codes;
  std::int64_t done = count & -4;
  if (done > 0) Tile::run(band, units, done >> 2, panel, panels, out);
  if (done > 0 && count - done >= Tile::kFewest) {
    out.codes = codes + (count - 4) * out.step;
    Tile::run(band, units + count - 4, 1, panel, panels, out);
    return;
  }
  for (; done < count; ++done) {
    out.codes = codes + done * out.step;
    Tile::run_pixel(band + units[done].input, panel, panels, out);
  }
}

/// The same for fewer pixels than a list pays for, which lie `pitch` apart.
template <class Tile>
MIDTREAD_ALWAYS_INLINE void run_rows(const std::int8_t* rows, std::int64_t pitch, std::int64_t count,
                                     const Panel& panel, std::int64_t panels, TileOutput& out) {
  for (; count >= 4; count -= 4, rows += 4 * pitch, out.codes += 4 * out.step)
    Tile::run_four(rows, pitch, panel, panels, out);
  for (; count > 0; --count, rows += pitch, out.codes += out.step) Tile::run_pixel(rows, panel, panels, out);
}

/// Bias and multiplier of a panel with fewer than 16 channels; what the others have makes codes nobody
/// stores.
struct PartTerms {
  alignas(16) std::int32_t bias[kPanelColumns];
  alignas(16) float multiplier[kPanelColumns];

  MIDTREAD_ALWAYS_INLINE PartTerms(const TileOutput& out, std::int64_t columns) {
    copy_part(out.bias, columns, bias);
    copy_part(out.multiplier, columns, multiplier);
  }
  /// For 16 channels of pixels one behind the other.
  TileOutput to(std::uint8_t* codes, const TileOutput& out) const {
    return {codes, kPanelColumns, nullptr, bias, multiplier, out.shift, out.bounds, out.flips};
  }
};

/// A panel with fewer than 16 channels: codes of 16 (8) to memory, then as many as there are.
template <class Tile>
MIDTREAD_NOINLINE void run_part(const std::int8_t* band, const BandUnit* units, std::int64_t count,
                                const Panel& panel, const TileOutput& out) {
  constexpr std::int64_t kAtOnce = 64;
  alignas(16) std::uint8_t codes[kAtOnce * kPanelColumns];
  const PartTerms terms(out, panel.columns);
  std::uint8_t* y = out.codes;
  if (panel.columns == 8 && count >= 4) {  // no more and no less than a tile writes
    const std::int64_t whole = count & -4;
    TileOutput to = terms.to(y, out);
    to.step = out.step;
    Tile::run(band, units, whole >> 2, panel, 1, to);
    y += whole * out.step;
    units += whole;
    count -= whole;
  }
  for (; count > 0; count -= kAtOnce, units += kAtOnce) {
    const std::int64_t now = std::min(count, kAtOnce);
    TileOutput to = terms.to(codes, out);
    run_tiles<Tile>(band, units, now, panel, 1, to);
    for (std::int64_t i = 0; i < now; ++i, y += out.step)
      store_part(codes + i * kPanelColumns, y, panel.columns);
  }
}

/// The same for up to 8 pixels that lie `pitch` apart.
template <class Tile>
MIDTREAD_NOINLINE void run_part_rows(const std::int8_t* rows, std::int64_t pitch, std::int64_t count,
                                     const Panel& panel, const TileOutput& out) {
  alignas(16) std::uint8_t codes[8 * kPanelColumns];
  const PartTerms terms(out, panel.columns);
  TileOutput to = terms.to(codes, out);
  run_rows<Tile>(rows, pitch, count, panel, 1, to);
  std::uint8_t* y = out.codes;
  for (const std::uint8_t* row = codes; count > 0; --count, row += kPanelColumns, y += out.step)
    store_part(row, y, panel.columns);
}

MIDTREAD_NEON_END

/// `count` units against `panels` panels; more than one only of 16 channels each.
template <class Tile>
void run_panels(const std::int8_t* band, const BandUnit* units, std::int64_t count, const Panel& panel,
                std::int64_t panels, const PanelOutput& out) {
  if constexpr (Tile::kFinishes) {
    if (out.acc == nullptr && out.general == nullptr && out.bias != nullptr && out.multiplier != nullptr) {
      const std::int64_t step = count > 1 ? units[1].output - units[0].output : 1;
      TileOutput to{out.codes + units[0].output * out.pitch,
                    step * out.pitch,
                    nullptr,
                    out.bias,
                    out.multiplier,
                    out.shift,
                    out.bounds};
      if (out.columns < kPanelColumns) return run_part<Tile>(band, units, count, panel, to);
      return run_tiles<Tile>(band, units, count, panel, panels, to);
    }
  }
  Panel one = panel;
  PanelOutput to = out;
  for (std::int64_t p = 0; p < panels; ++p) {
    if (p > 0) {
      one.header = panel.behind(one.header);
      next_panel(to);
    }
    run_panel_sums<Tile>(band, units, count, one, to);
  }
}

MIDTREAD_NAMESPACE_END

#endif

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
                                      const Panel& panel, const PanelOutput& out, Finish finish) {
  alignas(64) std::int32_t sums[Tile::kUnits * Tile::kPixels * kPanelColumns];
  for (; count >= Tile::kUnits; count -= Tile::kUnits, units += Tile::kUnits) {
    Tile::run(band, units, 1, panel, 1, out, sums);
    finish_tile<Tile::kPixels>(sums, units, Tile::kUnits, out, finish);
  }
  if constexpr (Tile::kFinishes) {
    if (count > 0) Tile::run_pixels(band, units, count, panel, 1, out, finish);
  } else if (count == 3) {
    const BandUnit last[4] = {units[0], units[1], units[2], units[2]};
    Tile::run(band, last, 1, panel, 1, out, sums);
    finish_tile<Tile::kPixels>(sums, units, count, out, finish);
  } else {
    for (; count > 0; --count, ++units) {
      Tile::run_one(band + units->input, panel, out.bias, sums);
      finish_tile<Tile::kPixels>(sums, units, 1, out, finish);
    }
  }
}

MIDTREAD_NEON_END

/// `count` units against `panels` panels; more than one only to codes rounded half to even, 16 of each.
template <class Tile>
MIDTREAD_NOINLINE void run_panels(const std::int8_t* band, const BandUnit* units, std::int64_t count,
                                  const Panel& panel, std::int64_t panels, const PanelOutput& out) {
  const Finish finish = finish_of(out);
  if constexpr (Tile::kFinishes) {
    if (finish == Finish::kWhole || (finish == Finish::kHalf && out.columns == 8)) {
      const std::int64_t tiles = count / Tile::kUnits;
      std::int64_t rest = count % Tile::kUnits;
      if (tiles > 0) {
        Tile::run(band, units, tiles, panel, panels, out, nullptr);
        if (rest >= Tile::kFewest) {  // once more some of what is done
          Tile::run(band, units + count - Tile::kUnits, 1, panel, panels, out, nullptr);
          rest = 0;
        }
      }
      if (rest > 0) Tile::run_pixels(band, units + count - rest, rest, panel, panels, out, finish);
      return;
    }
  }
  const std::int64_t columns = out.columns;
  run_panel_sums<Tile>(band, units, count, panel, out, finish);
  for (std::int64_t p = 1; p < panels && columns == kPanelColumns; ++p)
    run_panel_sums<Tile>(band, units, count, panel.behind(p), out.behind(p), finish);
}

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// Blocks of tiles, two by two where there are slots enough: each step of 64 codes loads four tiles and
// multiplies four times. The sums of a block become codes while the next block is multiplied, through 4 KiB
// that stay in the first cache, and its tiles are stored between the products of the next block's first step.
#pragma once

#include <midtread/kernels/fbgemm/amx/tile_job.hpp>
#include <midtread/kernels/fbgemm/amx/tiles.hpp>
#include <midtread/kernels/fbgemm/avx512vnni/table.hpp>

#if MIDTREAD_AMX
MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::amx)

/// Codes, and weights, that stay in the second cache while the others pass.
inline constexpr std::int64_t kCodesBytes = 768 * 1024;
inline constexpr std::int64_t kWeightsBytes = 1200 * 1024;

/// Where a tile of slots starts.
struct TileStart {
  std::int64_t image, slot;
};

/// The slots of each image cut into tiles of equal height; the last overlaps the one before. There are as
/// many tiles as fill blocks: one image has tiles of less height instead, of several the last tile is
/// repeated.
struct SlotTiles {
  std::int64_t slots, images, per_image, height, count;

  SlotTiles(const TileJob& job, std::int64_t per_block) : slots(job.slots), images(job.images) {
    const auto whole = [&](std::int64_t n) { return (n + per_block - 1) / per_block * per_block; };
    per_image = (slots + 15) / 16;
    if (images == 1) per_image = whole(per_image);
    height = (slots + per_image - 1) / per_image;
    count = whole(images * per_image);
  }
  TileStart start(std::int64_t tile) const {
    const std::int64_t i = std::min(tile, images * per_image - 1);
    return {i / per_image, std::min(i % per_image * height, slots - height)};
  }
};

/// Tiles of slots that all panels meet before the next ones: two where the weights stay in the cache and the
/// codes of two tiles in the first cache, else as many as the cache holds.
inline std::int64_t tiles_at_once(const TileJob& job, const SlotTiles& tiles) {
  const std::int64_t columns =
      job.cut.first(job.last_panel - 1) + job.cut.width(job.last_panel - 1) - job.cut.first(job.first_panel);
  if (columns >= 256 && job.slots * job.images > 64 && columns * job.step_count * kStep <= kWeightsBytes)
    return 2;
  return std::max(std::int64_t{2}, kCodesBytes / (job.stride * tiles.height) / 2 * 2);
}

/// A block whose sums are in tiles or in memory, not yet codes.
struct Block {
  PanelOutput out;
  std::uint64_t mask;           ///< of the codes of a row that exist
  std::int64_t origin[2];       ///< of each tile's slots: what their outputs are counted from,
  const std::int32_t* list[2];  ///< and the outputs; null: one after the other

  void place(const TileJob& job, int tile, TileStart start) {
    const bool listed = job.outputs != nullptr;
    origin[tile] = start.image * job.image_outputs + (listed ? 0 : start.slot);
    list[tile] = listed ? job.outputs + start.slot : nullptr;
  }
};

MIDTREAD_AMX_BEGIN

using avx512vnni::CodeBounds;
using avx512vnni::Ints;

MIDTREAD_ALWAYS_INLINE Ints upper_half(Ints v) {
  Ints r;
  asm("vshufi64x2 {$0xEE, %1, %1, %0|%0, %1, %1, 0xEE}" : "=v"(r) : "v"(v));
  return r;
}
/// The bytes of `v` that `mask` names; writes no others.
MIDTREAD_ALWAYS_INLINE void store_masked(std::uint8_t* to, Ints v, std::uint64_t mask) {
  asm volatile("vmovdqu8 {%1, %0%{%2%}|%0%{%2%}, %1}"
               : "=m"(*reinterpret_cast<unsigned char(*)[64]>(to))
               : "v"(v), "Yk"(mask)
               : "memory");
}

/// What row_codes needs besides the sums.
struct Finish {
  CodeBounds bounds;
  Ints order;
  bool fast;

  MIDTREAD_ALWAYS_INLINE explicit Finish(const Epilogue* e)
      : bounds(e ? e->lo : 0, e ? e->hi : 0, e ? e->zero_point : 0),
        order(avx512vnni::channel_order()),
        fast(e != nullptr && e->rounding == Rounding::kHalfEven) {}
};

/// Row `i` of each tile of `block`: sums to codes, or as they are.
template <int kRows, int kColumns>
MIDTREAD_ALWAYS_INLINE void finish_row(const Finish& finish, const Block& block, const std::int32_t* sums,
                                       std::int64_t i) {
  constexpr int kWidth = 16 * kColumns;
  const PanelOutput& out = block.out;
  const bool listed = block.list[0] != nullptr;
  const std::int64_t upper = listed ? block.list[0][i] : i;
  [[maybe_unused]] const std::int64_t lower = listed ? block.list[kRows - 1][i] : i;
  sums += i * kWidth;
  if (!finish.fast) {
    if (upper >= 0) finish_slowly(sums, (block.origin[0] + upper) * out.pitch, out);
    if (kRows == 2 && lower >= 0)
      finish_slowly(sums + 16 * kWidth, (block.origin[1] + lower) * out.pitch, out);
    return;
  }
  Ints row[kRows * kColumns];
  MIDTREAD_UNROLL(4)
  for (int j = 0; j < kRows * kColumns; ++j)
    row[j] = avx512vnni::load(sums + j / kColumns * 16 * kWidth + j % kColumns * 16);
  const Ints codes =
      avx512vnni::row_codes<kRows * kColumns, kColumns>(row, out.multiplier, finish.bounds, finish.order);
  if (upper >= 0) store_masked(out.codes + (block.origin[0] + upper) * out.pitch, codes, block.mask);
  if constexpr (kRows == 2) {
    const Ints rest = kColumns == 2 ? upper_half(codes) : avx512vnni::permute(codes, Ints{4, 5, 6, 7});
    if (lower >= 0) store_masked(out.codes + (block.origin[1] + lower) * out.pitch, rest, block.mask);
  }
}

/// What the first step of a block does besides: the last block's sums leave, the bias comes in.
struct Exchange {
  std::int32_t* sums;
  bool pending;
  const std::int32_t* bias;
};

/// Tiles [0, 4) are sums, [4, 4 + kRows) codes, the others weights.
template <class Tiles, int kColumns, int kSums, int kCodes, int kWeights, bool kFirst>
MIDTREAD_ALWAYS_INLINE void multiply(const Exchange& exchange) {
  if constexpr (kFirst) {
    constexpr int kColumn = kSums % kColumns;
    if (exchange.pending)
      Tiles::template store<kSums>(exchange.sums + kSums / kColumns * 256 * kColumns + 16 * kColumn,
                                   64 * kColumns);
    Tiles::template load<kSums>(exchange.bias + 16 * kColumn, 0);
  }
  Tiles::template multiply<kSums, kCodes, kWeights>();
}

template <class Tiles, int kRows, int kColumns, bool kFirst>
MIDTREAD_ALWAYS_INLINE void step(const std::uint8_t* upper, const std::uint8_t* lower, std::int64_t stride,
                                 const std::int8_t* weights, std::int64_t pitch, const Exchange& exchange) {
  constexpr int kW = 4 + kRows, kSpare = 4 - kRows;
  Tiles::template load<4>(upper, stride);
  Tiles::template load<kW>(weights, pitch);
  multiply<Tiles, kColumns, 0, 4, kW, kFirst>(exchange);
  if constexpr (kColumns > 1) {
    Tiles::template load<kW + 1>(weights + 64, pitch);
    multiply<Tiles, kColumns, 1, 4, kW + 1, kFirst>(exchange);
  }
  if constexpr (kColumns > 2) {
    Tiles::template load<kW + 2 % kSpare>(weights + 128, pitch);
    multiply<Tiles, kColumns, 2, 4, kW + 2 % kSpare, kFirst>(exchange);
    Tiles::template load<kW + 3 % kSpare>(weights + 192, pitch);
    multiply<Tiles, kColumns, 3, 4, kW + 3 % kSpare, kFirst>(exchange);
  }
  if constexpr (kRows > 1) {
    Tiles::template load<5>(lower, stride);
    multiply<Tiles, kColumns, kColumns, 5, kW, kFirst>(exchange);
    if constexpr (kColumns > 1) multiply<Tiles, kColumns, kColumns + 1, 5, kW + 1, kFirst>(exchange);
  }
}

template <class Tiles, int kRows, int kColumns>
MIDTREAD_ALWAYS_INLINE void store_sums(std::int32_t* sums) {
  constexpr int kBytes = 64 * kColumns;
  Tiles::template store<0>(sums, kBytes);
  if constexpr (kColumns > 1) Tiles::template store<1>(sums + 16, kBytes);
  if constexpr (kColumns > 2) {
    Tiles::template store<2>(sums + 32, kBytes);
    Tiles::template store<3>(sums + 48, kBytes);
  }
  if constexpr (kRows > 1) {
    Tiles::template store<kColumns>(sums + 256 * kColumns, kBytes);
    if constexpr (kColumns > 1) Tiles::template store<kColumns + 1>(sums + 256 * kColumns + 16, kBytes);
  }
}

/// All slots against panels [first_panel, last_panel), in blocks of kRows tiles of slots by kColumns of
/// columns.
template <class Tiles, int kRows, int kColumns>
MIDTREAD_NOINLINE void run_blocks(const TileJob& job, const SlotTiles& tiles, std::int64_t first_panel,
                                  std::int64_t last_panel) {
  alignas(64) std::int32_t sums[256 * kRows * kColumns];
  const Finish finish(job.out.epilogue);
  const std::int64_t at_once = tiles_at_once(job, tiles), stride = job.stride, height = tiles.height;
  const std::int64_t rows_per_step =
      job.step_count > 1 ? (height + job.step_count - 2) / (job.step_count - 1) : 0;
  Block block{}, last{};
  bool pending = false;
  for (std::int64_t t0 = 0; t0 < tiles.count; t0 += at_once)
    for (std::int64_t p = first_panel; p < last_panel; ++p) {
      const std::int64_t width = job.cut.width(p), pitch = 4 * width;
      for (std::int64_t column = 0; column < width; column += 16 * kColumns) {
        block.out = columns_of(job.out, job.cut.first(p) + column, 16 * kColumns);
        block.mask = ~std::uint64_t{0} >> (64 - block.out.columns);
        for (std::int64_t t = t0; t < std::min(t0 + at_once, tiles.count); t += kRows) {
          const TileStart start[2] = {tiles.start(t), tiles.start(t + kRows - 1)};
          block.place(job, 0, start[0]);
          block.place(job, 1, start[1]);
          const std::uint8_t* const upper = job.input(start[0].image, start[0].slot);
          const std::uint8_t* const lower = job.input(start[1].image, start[1].slot);
          const std::int8_t* weights = job.panel(p) + 4 * column;
          const Exchange exchange{sums, pending, block.out.bias};
          step<Tiles, kRows, kColumns, true>(upper + job.steps[0], lower + job.steps[0], stride, weights,
                                             pitch, exchange);
          std::int64_t row = pending ? 0 : height;
          for (std::int64_t i = 1; i < job.step_count; ++i) {
            weights += kStep * width;
            step<Tiles, kRows, kColumns, false>(upper + job.steps[i], lower + job.steps[i], stride, weights,
                                                pitch, exchange);
            for (std::int64_t end = std::min(height, row + rows_per_step); row < end; ++row)
              finish_row<kRows, kColumns>(finish, last, sums, row);
          }
          for (; row < height; ++row) finish_row<kRows, kColumns>(finish, last, sums, row);
          last = block;
          pending = true;
        }
      }
    }
  store_sums<Tiles, kRows, kColumns>(sums);
  for (std::int64_t row = 0; row < height; ++row) finish_row<kRows, kColumns>(finish, last, sums, row);
}

/// The panels that are at least `least` columns wide, then the narrower ones.
inline std::int64_t narrower_from(const TileJob& job, std::int64_t from, std::int64_t least) {
  while (from < job.last_panel && job.cut.width(from) >= least) ++from;
  return from;
}

MIDTREAD_AMX_END

/// Fewer than kFewestSlots slots an image.
inline void run_few(const TileJob& job) {
  BandPixel pixels[kFewestSlots];
  std::int64_t count = 0;
  for (std::int64_t slot = 0; slot < job.slots; ++slot)
    if (job.output(0, slot) >= 0)
      pixels[count++] = {static_cast<std::int32_t>(slot * job.stride),
                         static_cast<std::int32_t>(job.output(0, slot))};
  for (std::int64_t p = job.first_panel; p < job.last_panel; ++p) {
    const std::int64_t width = job.cut.width(p);
    const Panel panel{job.panel(p), job.steps, job.step_count, kStep, width};
    for (std::int64_t n = 0; n < job.images; ++n)
      avx512vnni::run_panel(job.input(n, 0), pixels, count, panel,
                            columns_of(outputs_of(job.out, n * job.image_outputs), job.cut.first(p), width));
  }
}

MIDTREAD_AMX_BEGIN

/// A job from the configuration of the tiles to their release. One tile of slots takes panels of 64 columns;
/// narrower ones take it as two of half the height.
template <class Tiles>
MIDTREAD_NOINLINE void run_tiles(const TileJob& job) {
  if (job.slots < kFewestSlots) {
    run_few(job);
    return;
  }
  std::int64_t p = job.first_panel;
  if (job.slots <= 16 && job.images == 1) {
    const std::int64_t next = narrower_from(job, p, 64);
    if (next > p) {
      const SlotTiles tiles(job, 1);
      Tiles::configure(TileConfig(5, tiles.height));
      run_blocks<Tiles, 1, 4>(job, tiles, p, next);
      p = next;
    }
  }
  if (p < job.last_panel) {
    const SlotTiles tiles(job, 2);
    Tiles::configure(TileConfig(6, tiles.height));
    const std::int64_t next = narrower_from(job, p, 32);
    if (next > p) run_blocks<Tiles, 2, 2>(job, tiles, p, next);
    if (next < job.last_panel) run_blocks<Tiles, 2, 1>(job, tiles, next, job.last_panel);
  }
  Tiles::release();
}

MIDTREAD_AMX_END
MIDTREAD_NAMESPACE_END
#endif

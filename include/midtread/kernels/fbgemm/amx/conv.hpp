// SPDX-License-Identifier: MIT
// Convolution (also grouped, also linear) in tiles: a matrix product reads its rows where they are, other
// shapes a band of slots. Shapes that would leave tiles mostly empty belong to the AVX512-VNNI kernels.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/amx/slot_band.hpp>
#include <midtread/kernels/fbgemm/amx/tile_job.hpp>
#include <midtread/kernels/fbgemm/avx512vnni/table.hpp>

#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::amx)

/// Columns of a panel: those of the AVX512-VNNI tiles, which take the small calls.
inline constexpr std::int64_t kPanelColumns = 64;
/// Slots of a band at least: two blocks of full tiles.
inline constexpr std::int64_t kBandSlots = 64;

/// A step of 64 codes must hold 16 products or more, for a tile multiplies about eight times as fast as
/// vpdpbusd.
inline bool suits_tiles(const Conv2dShape& s) {
  return !has_groups_of_lanes(s) && s.in_channels < (1 << 24) && 4 * s.depth() >= Segments(s, kStep).depth();
}

inline Storage pack_conv(const Conv2dShape& s, const std::int8_t* weights) {
  return suits_tiles(s) ? pack_panels(s, kPanelColumns, weights, kStep) : avx512vnni::pack_conv(s, weights);
}

/// The panels of all groups that a call multiplies by, in as many pieces as there are threads without one.
struct PanelPieces {
  std::int64_t panels, each, count;

  PanelPieces(std::int64_t all, std::int64_t pieces_of_slots) : panels(all) {
    const std::int64_t wanted =
        (num_threads() + pieces_of_slots - 1) / std::max(pieces_of_slots, std::int64_t{1});
    each = (all + wanted - 1) / wanted;
    count = (all + each - 1) / each;
  }
};

/// Piece `index` of `pieces` for the slots of `job`, group by group.
inline void run_groups(const TileJob& job, const Conv2dShape& s, const PanelPieces& pieces,
                       std::int64_t index, RunTiles run) {
  const std::int64_t of_group = job.cut.count(), columns = job.cut.columns();
  const std::int64_t last = std::min(pieces.panels, (index + 1) * pieces.each);
  for (std::int64_t p = index * pieces.each; p < last;) {
    const std::int64_t g = p / of_group;
    TileJob part = job;
    part.codes += g * s.in_group();
    part.weights += g * columns * job.step_count * kStep;
    if (part.out.codes != nullptr) part.out.codes += g * s.out_group();
    if (part.out.acc != nullptr) part.out.acc += g * s.out_group();
    part.out.bias += g * columns;
    part.out.multiplier += g * columns;
    part.first_panel = p % of_group;
    part.last_panel = std::min(of_group, part.first_panel + last - p);
    run(part);
    p += part.last_panel - part.first_panel;
  }
}

/// Rows near the end of the tensor, where a tile would read across it, are copied.
inline void product_slots(const Conv2dShape& s, const ConvCall& call, const TileJob& call_job,
                          Scratch& scratch, RunTiles run) {
  const std::int64_t rows = s.batch * s.out_pixels(), depth = s.in_channels;
  const std::int64_t reach = depth - s.in_group() + call_job.step_count * kStep;  // of the last group
  const std::int64_t in_place = rows * depth < reach ? 0 : (rows * depth - reach) / depth + 1;
  const std::int64_t share = (rows + num_threads() - 1) / num_threads();
  const std::int64_t band = std::max(kBandSlots, (share + 31) / 32 * 32), bands = (rows + band - 1) / band;
  const PanelPieces pieces(s.groups * call_job.cut.count(), bands);
  if (in_place < rows)
    scratch.prepare_leases(
        static_cast<std::size_t>(std::min(rows, rows - in_place + kBandSlots) * depth + kReadBeyond));
  parallel_for(0, bands * pieces.count, 1, [&](std::int64_t piece, std::int64_t) {
    const std::int64_t first = piece / pieces.count * band, last = std::min(rows, first + band);
    std::int64_t copied = last - std::min(std::max(in_place, first), last);
    if (copied > 0) copied = std::max(copied, std::int64_t{32});  // no block of a few rows, nor beside it
    if (copied > 0 && last - first < copied + 32) copied = last - first;
    const std::int64_t from = last - copied;
    if (from > first) {
      TileJob job = call_job;
      job.out = outputs_of(job.out, first);
      job.codes = call.x + first * depth;
      job.slots = from - first;
      run_groups(job, s, pieces, piece % pieces.count, run);
    }
    if (copied > 0) {
      const Scratch::Lease lease(scratch);
      auto* codes = lease.data<std::uint8_t>();
      std::memcpy(codes, call.x + from * depth, static_cast<std::size_t>(copied * depth));
      std::memset(codes + copied * depth, 0, static_cast<std::size_t>(kReadBeyond));
      TileJob job = call_job;
      job.out = outputs_of(job.out, from);
      job.codes = codes;
      job.slots = copied;
      run_groups(job, s, pieces, piece % pieces.count, run);
    }
    if (pieces.count == 1) call.finish(s, first, last - first);
  });
  if (pieces.count > 1) call.finish(s);
}

inline void conv_slots(const Conv2dShape& s, const ConvCall& call, const SlotBand& band,
                       const TileJob& call_job, Scratch& scratch, RunTiles run) {
  const PanelPieces pieces(s.groups * call_job.cut.count(), band.count());
  scratch.prepare_leases(static_cast<std::size_t>(band.bytes()));
  parallel_for(0, band.count() * pieces.count, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    const std::int64_t index = piece / pieces.count, n = index / band.per_image() * band.images();
    const std::int64_t first = index % band.per_image() * band.out_rows();
    const std::int64_t rows = std::min(band.out_rows(), s.out_height - first);
    TileJob job = call_job;
    job.images = std::min(band.images(), s.batch - n);
    auto* codes = lease.data<std::uint8_t>();
    for (std::int64_t i = 0; i < job.images; ++i)
      band.fill(call.x + (n + i) * s.in_pixels() * s.in_channels, first, rows, call.x_zero_point,
                codes + i * band.image_bytes());
    std::memset(codes + job.images * band.image_bytes(), 0, static_cast<std::size_t>(kReadBeyond));
    job.codes = codes;
    job.slots = band.slots(rows);
    job.out = outputs_of(job.out, (n * s.out_height + first) * s.out_width);
    run_groups(job, s, pieces, piece % pieces.count, run);
    for (std::int64_t i = n; pieces.count == 1 && i < n + job.images; ++i)
      call.finish(s, (i * s.out_height + first) * s.out_width, rows * s.out_width);
  });
  if (pieces.count > 1) call.finish(s);
}

inline void conv_tiles(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                       Scratch& scratch, RunTiles run) {
  if (s.batch == 0) return;
  const PanelCut cut{s.out_group(), kPanelColumns};
  const Segments segments(s, kStep);
  const std::int64_t columns = s.groups * cut.columns(), header = sums_bytes(sum_rows(s) * columns);
  const bool product = s.is_pointwise();
  const SlotBand band(product ? Conv2dShape{} : s, kBandBytes, kBandSlots,
                      (s.batch + num_threads() - 1) / num_threads());
  const std::int64_t listed = product ? 0 : band.out_rows() * band.row_slots();

  auto* bias =
      scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * columns + segments.depth() / kStep + listed));
  column_bias(call, weights.data<std::int32_t>(), s.groups, s.out_group(), cut.columns(), bias);
  auto* room = reinterpret_cast<float*>(bias + columns);
  const float* multiplier = column_multipliers(call.epilogue, s.groups, s.out_group(), cut.columns(), room);
  std::int32_t* steps = bias + 2 * columns;
  std::int32_t* outputs = steps + segments.depth() / kStep;
  for (std::int64_t i = 0, at = 0; i < segments.count; ++i) {
    const std::int64_t start =
        segments.whole_rows ? band.offset(i, 0) : band.offset(i / s.kernel_width, i % s.kernel_width);
    for (std::int64_t k = 0; k < segments.length; k += kStep)
      steps[at++] = static_cast<std::int32_t>(start + k);
  }
  if (listed > 0) band.list_outputs(outputs);

  TileJob job{};
  job.stride = product ? s.in_channels : band.stride();
  job.images = 1;
  job.image_bytes = band.image_bytes();
  job.image_outputs = s.out_pixels();
  job.outputs = listed > 0 ? outputs : nullptr;
  job.steps = steps;
  job.step_count = segments.depth() / kStep;
  job.weights = weights.data<std::int8_t>() + header;
  job.cut = cut;
  job.out = {call.codes, call.acc, s.out_channels, s.out_group(), bias, multiplier, call.epilogue};
  if (product)
    product_slots(s, call, job, scratch, run);
  else
    conv_slots(s, call, band, job, scratch, run);
}

/// The entry of a ConvKernel: tiles, or the AVX512-VNNI kernel of the shape.
template <RunTiles kRun>
void run_conv_call(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                   Scratch& scratch) {
  const bool tiles = suits_tiles(s), few = s.batch * s.out_pixels() < kFewestSlots;
  if (tiles && few && s.in_channels % kStep == 0 && avx512vnni::is_small_product(s))
    avx512vnni::small_product(weights, s, call);  // whose weights lie as those of tiles
  else if (tiles)
    conv_tiles(weights, s, call, scratch, kRun);
  else
    avx512vnni::run_call(weights, s, call, scratch);
}

MIDTREAD_NAMESPACE_END
#endif

// SPDX-License-Identifier: MIT
// Convolution (also grouped, also linear) on instruction sets that multiply uint8 by int8 four at a time:
// bands of codes, register tiles on them.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/vnni/code_band.hpp>
#include <midtread/kernels/fbgemm/vnni/panels.hpp>
#include <midtread/kernels/fbgemm/vnni/tap_windows.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm)

/// Whether taps in the padding can be left out: whole rows of taps are segments, cut between pixels.
inline bool leaves_taps_out(const Conv2dShape& s) {
  return s.taps() > 1 && (s.pad_height > 0 || s.pad_width > 0) && s.groups == 1 && s.dilation_width == 1 &&
         s.in_channels % 4 == 0;
}

/// Rows of `columns` sums of weights: of all taps, and of each tap where they may be left out.
inline std::int64_t sum_rows(const Conv2dShape& s) { return leaves_taps_out(s) ? 1 + s.taps() : 1; }

/// int32 sums [all, tap 0, ...][group][columns], then int8 [group][panel][segment][length / 4][width][4],
/// zero where there is no channel. The length of a segment is a multiple of `step`, itself one of 4.
inline Storage pack_panels(const Conv2dShape& s, std::int64_t widest, const std::int8_t* weights,
                           std::int64_t step = 4) {
  const Segments segments(s, step);
  const PanelCut cut{s.out_group(), widest};
  const std::int64_t columns = cut.columns(), all = s.groups * columns;
  const std::int64_t header = sums_bytes(sum_rows(s) * all);
  const bool each_tap = leaves_taps_out(s);
  Storage storage(static_cast<std::size_t>(header + all * segments.depth()));
  std::memset(storage.data(), 0, storage.bytes());
  auto* sums = static_cast<std::int32_t*>(storage.data());
  auto* packed = static_cast<std::int8_t*>(storage.data()) + header;
  for (std::int64_t g = 0; g < s.groups; ++g, sums += columns, packed += columns * segments.depth())
    for (std::int64_t p = 0; p < cut.count(); ++p) {
      const std::int64_t width = cut.width(p);
      std::int8_t* panel = packed + cut.first(p) * segments.depth();
      for (std::int64_t c = 0; c < std::min(width, s.out_group() - cut.first(p)); ++c) {
        const std::int64_t within = cut.first(p) + c;
        const std::int8_t* w = weights + (g * s.out_group() + within) * s.depth();
        for (std::int64_t i = 0; i < s.in_group(); ++i)
          for (std::int64_t tap = 0; tap < s.taps(); ++tap, ++w) {
            const std::int64_t k = segments.at(s, i, tap);
            panel[(k / 4 * width + c) * 4 + k % 4] = *w;
            sums[within] += *w;
            if (each_tap) sums[(1 + tap) * all + within] += *w;
          }
      }
    }
  return storage;
}

/// Pixels of a cache line of codes that stay in the first cache: a multiple of every tile's rows.
inline constexpr std::int64_t kPixelBlock = 48;
/// Pixels of the tiles of the widest panels.
inline constexpr std::int64_t kTallestTile = 6;
/// Codes that stay in the second cache with a panel of weights.
inline constexpr std::int64_t kBandBytes = 192 * 1024;
/// Where there are fewer bands than threads the panels are shared out too.
inline constexpr std::int64_t kColumnsPerPiece = 128;

/// What all panels of a call share.
struct PanelCall {
  const PanelKernels& kernels;
  const PanelCut& cut;
  const ConvCall& call;
  const std::int8_t* weights;
  const std::int32_t* offsets;
  std::int64_t segments, length, pitch;
  const std::int32_t* bias;
  const float* multiplier;

  /// `count` pixels of output `origin` on against panel `p` of group `g`.
  void run(const std::uint8_t* codes, const BandPixel* pixels, std::int64_t count, std::int64_t origin,
           std::int64_t g, std::int64_t p) const {
    run(codes, pixels, count, origin, g, p, {0, segments}, {0, length}, bias);
  }
  /// One pixel against four panels of 16 channels: more sums at a time than two registers hold.
  void run_four(const std::uint8_t* codes, const BandPixel* pixel, std::int64_t origin,
                std::int64_t p) const {
    const std::int64_t column = cut.first(p), at = origin * pitch + column;
    Panel panel{weights + column * segments * length, offsets, segments, length, 16};
    panel.apart = 16 * segments * length;
    kernels.run(codes, pixel, 1, panel,
                {call.codes ? call.codes + at : nullptr, call.acc ? call.acc + at : nullptr, pitch, 64,
                 bias + column, multiplier + column, call.epilogue});
  }
  /// Only segments `rows` and of each the products `part`.
  void run(const std::uint8_t* codes, const BandPixel* pixels, std::int64_t count, std::int64_t origin,
           std::int64_t g, std::int64_t p, TapRange rows, TapRange part,
           const std::int32_t* bias_of_taps) const {
    const std::int64_t column = cut.first(p), width = cut.width(p), term = g * cut.columns() + column;
    const std::int64_t at = origin * pitch + g * cut.channels + column;
    const PanelOutput out{call.codes ? call.codes + at : nullptr,
                          call.acc ? call.acc + at : nullptr,
                          pitch,
                          std::min(width, cut.channels - column),
                          bias_of_taps + term,
                          multiplier + term,
                          call.epilogue};
    const Panel panel{weights + (term * segments + rows.first * width) * length,
                      offsets + rows.first,
                      rows.last - rows.first,
                      part.last - part.first,
                      width,
                      part.first,
                      length - part.last};
    kernels.run(codes, pixels, count, panel, out);
  }
};

/// A matrix product reads its rows where they are.
inline bool reads_in_place(const Conv2dShape& s, std::int64_t step) {
  return s.is_pointwise() && s.groups == 1 && s.in_channels % step == 0 && s.in_channels < (1 << 24);
}

inline void product_rows(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                         Scratch& scratch, const PanelKernels& kernels) {
  const PanelCut cut{s.out_channels, kernels.columns};
  const std::int64_t panels = cut.count(), columns = cut.columns();
  const std::int64_t rows = s.batch * s.out_pixels(), depth = s.in_channels;
  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(2 * columns));
  column_bias(call, weights.data<std::int32_t>(), 1, s.out_channels, columns, bias);
  const float* multiplier =
      column_multipliers(call.epilogue, 1, s.out_channels, columns, reinterpret_cast<float*>(bias + columns));
  const std::int32_t offset = 0;
  const PanelCall panel_call{kernels, cut,       call,  weights.data<std::int8_t>() + sums_bytes(columns),
                             &offset, 1,         depth, s.out_channels,
                             bias,    multiplier};
  const std::int64_t band = std::max(kPixelBlock, kBandBytes / depth / kPixelBlock * kPixelBlock);
  const std::int64_t bands = rows <= band ? 1 : (rows + band - 1) / band;
  const std::int64_t per_piece = bands >= num_threads() ? panels : kColumnsPerPiece / kernels.columns;
  const std::int64_t splits = per_piece >= panels ? 1 : (panels + per_piece - 1) / per_piece;
  const std::int64_t per_line = 64 / kernels.columns;
  parallel_for(0, rows == 0 ? 0 : bands * splits, 1, [&](std::int64_t piece, std::int64_t) {
    const std::int64_t first = piece / splits * band, last = std::min(rows, first + band);
    const std::int64_t first_panel = piece % splits * per_piece,
                       last_panel = std::min(panels, first_panel + per_piece);
    BandPixel pixels[kPixelBlock];
    for (std::int64_t i = 0; i < std::min(kPixelBlock, last - first); ++i)
      pixels[i] = {static_cast<std::int32_t>(i * depth), static_cast<std::int32_t>(i)};
    for (std::int64_t p0 = first_panel; p0 < last_panel; p0 += per_line)
      for (std::int64_t i = first; i < last; i += kPixelBlock)
        if (per_line == 4 && last - i == 1 && p0 + 4 <= last_panel && s.out_channels - cut.first(p0) >= 64)
          panel_call.run_four(call.x + i * depth, pixels, i, p0);
        else
          for (std::int64_t p = p0; p < std::min(p0 + per_line, last_panel); ++p)
            panel_call.run(call.x + i * depth, pixels, std::min(kPixelBlock, last - i), i, 0, p);
    if (splits == 1) call.finish(s, first, last - first);
  });
  if (splits > 1) call.finish(s);
}

/// The corrected bias of the taps in `window`: whole rows or whole columns.
inline void window_bias(const ConvCall& call, const Conv2dShape& s, const std::int32_t* sums,
                        std::int64_t columns, const TapWindow& window, std::int32_t* bias) {
  const std::int32_t* own = call.epilogue ? call.epilogue->bias : nullptr;
  for (std::int64_t c = 0; c < columns; ++c) bias[c] = own && c < s.out_channels ? own[c] : 0;
  for (std::int64_t ky = window.rows.first; ky < window.rows.last; ++ky)
    for (std::int64_t kx = window.columns.first; kx < window.columns.last; ++kx)
      corrected_bias(bias, sums + (1 + ky * s.kernel_width + kx) * columns, columns, call.x_zero_point, bias);
}

/// The pixels of a band by the taps they have, and the corrected bias of these.
struct BandList {
  TapWindow* windows;
  std::int32_t* biases;  ///< [window][column]; none where all have every tap
  BandPixel* pixels;
  std::int64_t count;  ///< of windows
};

/// Room for the lists of the bands of a plan.
struct BandLists {
  std::int64_t windows, biases, pixels;  ///< at most

  BandLists(const PaddedBand& plan, bool windowed, std::int64_t columns)
      : windows(windowed ? plan.out_rows + plan.shape.out_width + 1 : 1),
        biases(windowed ? windows * columns : 0),
        pixels(plan.pixels()) {}
  std::int64_t bytes() const {
    const std::size_t all = static_cast<std::size_t>(windows) * sizeof(TapWindow) +
                            static_cast<std::size_t>(biases) * sizeof(std::int32_t) +
                            static_cast<std::size_t>(pixels) * sizeof(BandPixel);
    return static_cast<std::int64_t>((all + 63) / 64 * 64);
  }
  BandList at(unsigned char* p) const {
    BandList list;
    list.windows = reinterpret_cast<TapWindow*>(p);
    list.biases = reinterpret_cast<std::int32_t*>(list.windows + windows);
    list.pixels = reinterpret_cast<BandPixel*>(list.biases + biases);
    list.count = 0;
    return list;
  }
};

inline void conv_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                       Scratch& scratch, const PanelKernels& kernels) {
  if (reads_in_place(s, 4)) {
    product_rows(weights, s, call, scratch, kernels);
    return;
  }
  const CodeBand band(s, kBandBytes, kPixelBlock, 4, true);
  const PaddedBand& plan = band.plan();
  const Segments segments(s, 4);
  const PanelCut cut{s.out_group(), kernels.columns};
  const std::int64_t panels = cut.count(), all_columns = s.groups * cut.columns(),
                     all_panels = s.groups * panels;
  const std::int64_t bands = plan.shape.batch * plan.bands_per_image();
  const auto* sums = weights.data<std::int32_t>();
  const bool windowed = leaves_taps_out(s);

  // Bands are listed alike but where they are of different rows of windows.
  const bool alike = !windowed || plan.bands_per_image() == 1;
  const BandLists lists(plan, windowed, all_columns);
  auto* every_band = scratch.shared<unsigned char>(static_cast<std::size_t>(
      (alike ? lists.bytes() : 0) + (2 * all_columns + segments.count) * std::int64_t{sizeof(std::int32_t)}));
  auto* bias = reinterpret_cast<std::int32_t*>(every_band + (alike ? lists.bytes() : 0));
  std::int32_t* offsets = bias + 2 * all_columns;
  column_bias(call, sums, s.groups, s.out_group(), cut.columns(), bias);
  const float* multiplier = column_multipliers(call.epilogue, s.groups, s.out_group(), cut.columns(),
                                               reinterpret_cast<float*>(bias + all_columns));
  for (std::int64_t i = 0; i < segments.count; ++i) offsets[i] = segments.offset(s, plan, i);
  const PanelCall panel_call{kernels,
                             cut,
                             call,
                             weights.data<std::int8_t>() + sums_bytes(sum_rows(s) * all_columns),
                             offsets,
                             segments.count,
                             segments.length,
                             s.out_channels,
                             bias,
                             multiplier};
  const auto list = [&](unsigned char* at, std::int64_t first, std::int64_t rows) {
    BandList l = lists.at(at);
    if (!windowed) {
      l.windows[0] = {{0, segments.count}, {0, 0}, 0, rows * plan.shape.out_width};
      l.count = 1;
      band.list_pixels(rows, l.pixels);
      return l;
    }
    l.count = list_windows(plan, first, rows, l.pixels, l.windows, kTallestTile);
    for (std::int64_t i = 0; i < l.count; ++i)
      window_bias(call, s, sums, all_columns, l.windows[i], l.biases + i * all_columns);
    return l;
  };
  const BandList shared = alike && bands > 0 ? list(every_band, 0, plan.out_rows) : BandList{};
  scratch.prepare_leases(static_cast<std::size_t>(band.bytes() + (alike ? 0 : lists.bytes())));

  // Each piece of fewer bands than threads copies its band again.
  const std::int64_t per_piece = bands >= num_threads() ? all_panels : kColumnsPerPiece / kernels.columns;
  const std::int64_t splits = (all_panels + per_piece - 1) / per_piece, per_line = 64 / kernels.columns;
  parallel_for(0, bands * splits, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    const std::int64_t index = piece / splits, n = index / plan.bands_per_image();
    const std::int64_t first = index % plan.bands_per_image() * plan.out_rows;
    const std::int64_t rows = std::min(plan.out_rows, plan.shape.out_height - first);
    const std::uint8_t* codes =
        band.fill(call.x, n, first, rows, call.x_zero_point, lease.data<std::uint8_t>());
    const std::int64_t count = rows * plan.shape.out_width;
    const BandList own = alike ? shared : list(lease.data<unsigned char>() + band.bytes(), first, rows);
    const std::int64_t origin = (n * plan.shape.out_height + first) * plan.shape.out_width;
    const std::int64_t last_panel = std::min(all_panels, (piece % splits + 1) * per_piece);
    for (std::int64_t p0 = piece % splits * per_piece; p0 < last_panel; p0 += per_line)
      for (std::int64_t w = 0; w < own.count; ++w) {
        const TapWindow window = own.windows[w];
        const TapRange part =
            windowed ? TapRange{window.columns.first * s.in_channels, window.columns.last * s.in_channels}
                     : TapRange{0, segments.length};
        const std::int32_t* bias_of_taps = windowed ? own.biases + w * all_columns : bias;
        const std::int64_t end = windowed ? window.first + window.count : count;
        for (std::int64_t i = window.first; i < end; i += kPixelBlock)
          for (std::int64_t p = p0; p < std::min(p0 + per_line, last_panel); ++p)
            panel_call.run(codes + p / panels * s.in_group(), own.pixels + i, std::min(kPixelBlock, end - i),
                           origin, p / panels, p % panels, window.rows, part, bias_of_taps);
      }
    if (splits == 1) call.finish(s, origin, count);
  });
  if (splits > 1) call.finish(s);
}

MIDTREAD_NAMESPACE_END

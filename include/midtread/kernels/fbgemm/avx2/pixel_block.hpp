// SPDX-License-Identifier: MIT
// A block of pixels against panels of exact weights: what the sums start from, and windows of pixels that
// have no use for the taps in the padding.
#pragma once

#include <midtread/kernels/fbgemm/avx2/add_excess.hpp>
#include <midtread/kernels/fbgemm/avx2/exact_tile.hpp>
#include <midtread/kernels/fbgemm/avx2/planar_codes.hpp>
#include <midtread/kernels/fbgemm/vnni/tap_windows.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// The pixels of a block of whole rows in the order of the windows that share their taps; inputs and outputs
/// are counted from the block's first.
struct BlockWindows {
  const std::uint8_t* band;
  const BandPixel* pixels;
  const TapWindow* windows;
  std::int64_t count;
  const std::int32_t* kept;  ///< sums of the weights that are kept [tap][columns]
  std::int64_t columns;
  std::int64_t channels, kernel_width, taps;
  std::int32_t zero_point;
};

/// The codes of a band channel by channel, if they are there.
struct PlaneCodes {
  const std::uint8_t* planes = nullptr;
  const ExcessStep* steps = nullptr;  ///< the excess of all panels with offsets in the planes
  std::int64_t row_step = 0, out_width = 1;
};

/// A block of pixels of one group. Without planes their own codes are transposed when the first panel asks
/// for it.
class PixelBlock {
 public:
  static constexpr std::int64_t kMost = 64, kMostOfRows = 96;
  static constexpr std::int64_t kFew = 2;  ///< up to these the excess is added one by one

  static std::int64_t bytes(const Segments& segments) { return kMost * segments.depth(); }
  /// In equal blocks, whole tiles where there are any.
  static std::int64_t size(std::int64_t count, std::int64_t most) {
    const std::int64_t blocks = (count + most - 1) / most;
    return ((count + blocks - 1) / blocks + 3) / 4 * 4;
  }
  /// Whole rows where they are short.
  static std::int64_t rows_size(std::int64_t out_width, std::int64_t most_pixels) {
    return out_width > most_pixels ? most_pixels : most_pixels / out_width * out_width;
  }

  /// `first`: the block's first pixel among those of the band.
  PixelBlock(const std::uint8_t* band, const BandPixel* pixels, std::int64_t first, std::int64_t count,
             const std::int32_t* offsets, const Segments& segments, const PlaneCodes& planes,
             std::uint8_t* memory)
      : band_(band),
        pixels_(pixels + first),
        first_(first),
        count_(count),
        offsets_(offsets),
        segments_(segments),
        planes_(planes),
        memory_(memory) {}

  /// `windows` may be null; `column`: the panel's first.
  void run(const unsigned char* storage, const ExactPanel& panel, const TileOutput& out,
           const BlockWindows* windows, std::int64_t column) {
    const fbgemm::Panel dense{reinterpret_cast<const std::int8_t*>(storage + panel.weights), offsets_,
                              segments_.count, segments_.length, kPanelColumns};
    // Runs of pixels reach into their row's neighbours before and after the block.
    alignas(32) std::int32_t room[(kRun + kMostOfRows + kTogether) * kPanelColumns];
    std::int32_t* const start = room + kRun * kPanelColumns;
    if (panel.any()) {
      PanelExcess excess(storage, panel);
      if (count_ <= kFew) {
        add_excess_singly(
            band_, pixels_, count_, excess, out.bias, [&](std::int64_t p) { return at(p); }, start);
      } else if (planes_.planes != nullptr) {
        excess.list = planes_.steps + panel.before;
        add_in_planes(excess, out.bias, start);
      } else {
        add_transposed(excess, out.bias, start);
      }
    }
    TileStart from{panel.any() ? start : out.bias, panel.any() ? kPanelColumns : 0, pixels_[0].output};
    if (windows == nullptr) {
      run_tiles(band_, pixels_, count_, panel.depth, dense, from, out);
      return;
    }
    from.origin = 0;
    alignas(32) std::int32_t terms[kPanelColumns];
    for (std::int64_t i = 0; i < windows->count; ++i) {
      const TapWindow& w = windows->windows[i];
      if (window_terms(*windows, w, column, terms)) {
        if (panel.any())
          for (std::int64_t k = w.first; k < w.first + w.count; ++k)
            add_product(terms, 1, start + windows->pixels[k].output * kPanelColumns);
        else
          add_product(out.bias, 1, terms);
      } else {
        std::memcpy(terms, out.bias, sizeof terms);
      }
      if (!panel.any()) from.from = terms;
      fbgemm::Panel part = dense;
      part.weights += w.rows.first * segments_.length * kPanelColumns;
      part.offsets += w.rows.first;
      part.segments = w.rows.last - w.rows.first;
      part.begin = w.columns.first * windows->channels;
      part.length = (w.columns.last - w.columns.first) * windows->channels;
      part.gap = segments_.length - part.begin - part.length;
      run_tiles(windows->band, windows->pixels + w.first, w.count, panel.depth, part, from, out);
    }
  }

 private:
  static void run_tiles(const std::uint8_t* band, const BandPixel* pixels, std::int64_t count,
                        std::int32_t depth, const fbgemm::Panel& panel, const TileStart& start,
                        const TileOutput& out) {
    if (depth == 1)
      exact_rows<6, 1>(band, pixels, count, panel, start, out);
    else
      exact_rows<4, 2>(band, pixels, count, panel, start, out);
  }

  /// What the taps outside a window would have added: zero point * the weights kept. False where none is
  /// outside.
  static bool window_terms(const BlockWindows& all, const TapWindow& w, std::int64_t column,
                           std::int32_t* terms) {
    std::memset(terms, 0, kPanelColumns * sizeof *terms);
    if (w.rows.last - w.rows.first == all.taps / all.kernel_width &&
        w.columns.last - w.columns.first == all.kernel_width)
      return false;
    for (std::int64_t tap = 0; tap < all.taps; ++tap) {
      const std::int64_t ky = tap / all.kernel_width, kx = tap % all.kernel_width;
      const bool inside =
          ky >= w.rows.first && ky < w.rows.last && kx >= w.columns.first && kx < w.columns.last;
      if (!inside) add_product(all.kept + tap * all.columns + column, all.zero_point, terms);
    }
    return true;
  }

  void add_in_planes(const PanelExcess& excess, const std::int32_t* bias, std::int32_t* start) const {
    const std::int64_t width = planes_.out_width;
    PixelRun waiting{nullptr, nullptr};
    std::int64_t y = first_ / width, x = first_ % width;
    for (std::int64_t i = 0; i < count_;) {
      // A run that would leave the row starts earlier.
      const std::int64_t column = std::min(x, width - kRun);
      const PixelRun run{planes_.planes + y * planes_.row_step + column,
                         start + (i - (x - column)) * kPanelColumns};
      if (waiting.codes != nullptr) add_pair(waiting, run, excess, bias);
      waiting = waiting.codes != nullptr ? PixelRun{nullptr, nullptr} : run;
      i += column + kRun - x;
      x = column + kRun;
      if (x == width) ++y, x = 0;
    }
    if (waiting.codes != nullptr) add_pair(waiting, waiting, excess, bias);
  }

  void add_pair(const PixelRun& a, const PixelRun& b, const PanelExcess& excess,
                const std::int32_t* bias) const {
    (b.codes == a.codes + kRun ? add_excess<true> : add_excess<false>)(a, b, excess, bias);
  }

  void add_transposed(const PanelExcess& excess, const std::int32_t* bias, std::int32_t* start) {
    if (!done_) transpose();
    done_ = true;
    for (std::int64_t i = 0; i < count_; i += kTogether) {
      const std::uint8_t* codes = memory_ + i * segments_.depth();
      add_excess<true>({codes, start + i * kPanelColumns}, {codes + kRun, start + (i + kRun) * kPanelColumns},
                       excess, bias);
    }
  }

  /// [32 pixels][place][pixel]
  void transpose() const {
    std::uint8_t* out = memory_;
    for (std::int64_t i = 0; i < count_; i += kTogether)
      for (std::int64_t s = 0; s < segments_.count; ++s, out += segments_.length * kTogether) {
        const std::uint8_t* rows[kTogether];
        for (std::int64_t r = 0; r < kTogether; ++r)
          rows[r] = band_ + pixels_[std::min(i + r, count_ - 1)].input + offsets_[s];
        transpose_segment(rows, out);
      }
  }

  void transpose_segment(const std::uint8_t* const* rows, std::uint8_t* out) const {
    const std::int64_t length = segments_.length;
    if (length >= 16) {  // the last 16 places overlap those before them
      for (std::int64_t k = 0; k < length; k += 16) {
        const std::int64_t at = std::min(k, length - 16);
        transpose_rows(rows, at, out + at * kTogether);
      }
      return;
    }
    std::uint8_t codes[kTogether][16] = {}, places[16 * kTogether];
    const std::uint8_t* copies[kTogether];
    for (std::int64_t r = 0; r < kTogether; ++r) {
      std::memcpy(codes[r], rows[r], static_cast<std::size_t>(length));
      copies[r] = codes[r];
    }
    transpose_rows(copies, 0, places);
    std::memcpy(out, places, static_cast<std::size_t>(length * kTogether));
  }

  std::int64_t at(std::int64_t place) const {
    return place < segments_.length ? place : offsets_[place / segments_.length] + place % segments_.length;
  }

  const std::uint8_t* band_;
  const BandPixel* pixels_;
  std::int64_t first_, count_;
  const std::int32_t* offsets_;
  const Segments& segments_;
  const PlaneCodes& planes_;
  std::uint8_t* memory_;
  bool done_ = false;
};

MIDTREAD_NAMESPACE_END

#endif

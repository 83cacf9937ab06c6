// SPDX-License-Identifier: MIT
// A block of pixels against panels of exact weights: what the sums start from, and windows of pixels that
// have no use for the taps in the padding.
#pragma once

#include <midtread/kernels/fbgemm/avx2/exact_tile.hpp>
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

/// The codes of a band channel by channel, if they are there, as blocks of pixels ask for them.
struct NeighbourCodes {
  const std::uint8_t* planes = nullptr;
  const std::int32_t* offsets = nullptr;  ///< of the places
  std::int64_t row_step = 0, out_width = 1;
};

/// A block of pixels of one group. Without NeighbourCodes their own are transposed when the first panel asks
/// for it.
class PixelBlock {
 public:
  static constexpr std::int64_t kMost = 48, kMostTransposed = 64, kMostOfRows = 96;
  static constexpr std::int64_t kFew = 4;  ///< up to these the excess is added one by one

  static std::int64_t bytes(const Segments& segments) { return kMostTransposed * segments.depth(); }
  /// In equal blocks, whole tiles where there are any.
  static std::int64_t size(std::int64_t count) {
    const std::int64_t blocks = (count + kMost - 1) / kMost;
    return ((count + blocks - 1) / blocks + 3) / 4 * 4;
  }
  /// Whole rows where they are short, and tiles of 6 where that is possible.
  static std::int64_t rows_size(std::int64_t out_width, std::int64_t most_pixels) {
    if (out_width > kMost) return kMost;
    const std::int64_t most = most_pixels / out_width;
    for (std::int64_t rows = most; rows > most / 2; --rows)
      if (rows * out_width % 6 == 0) return rows * out_width;
    return most * out_width;
  }

  /// `first`: the block's first pixel among those of the band.
  PixelBlock(const std::uint8_t* band, const BandPixel* pixels, std::int64_t first, std::int64_t count,
             const std::int32_t* offsets, const Segments& segments, const NeighbourCodes& neighbours,
             std::uint8_t* memory)
      : band_(band),
        pixels_(pixels + first),
        first_(first),
        count_(count),
        offsets_(offsets),
        segments_(segments),
        neighbours_(neighbours),
        memory_(memory) {}

  /// `windows` may be null; `column`: the panel's first.
  void run(const unsigned char* storage, const ExactPanel& panel, const TileOutput& out,
           const BlockWindows* windows, std::int64_t column) {
    if (count_ <= kFew && panel.few != 0) {
      run_in_16_bits(storage + panel.few, out);
      return;
    }
    const fbgemm::Panel dense{reinterpret_cast<const std::int8_t*>(storage + panel.weights), offsets_,
                              segments_.count, segments_.length, kPanelColumns};
    const auto* pair = reinterpret_cast<const ExcessPair*>(storage + panel.excess);
    alignas(32) std::int32_t start[(kMostOfRows + kTransposed) * kPanelColumns];
    if (!panel.any())
      ;
    else if (count_ <= kFew)
      add_few(pair, panel.pairs, out.bias, start);
    else if (neighbours_.planes != nullptr)
      add_to_rows(pair, panel.pairs, out.bias, start);
    else
      for (std::int64_t i = 0; i < count_; i += kTransposed)
        add_excess<false>(transposed() + i * segments_.depth(), nullptr, pair, panel.pairs, out.bias,
                          start + i * kPanelColumns);
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

  /// 16 outputs of a row at a time; those beyond its end are overwritten.
  void add_to_rows(const ExcessPair* pair, const std::int32_t* pairs, const std::int32_t* bias,
                   std::int32_t* start) const {
    const std::int64_t width = neighbours_.out_width;
    std::int64_t y = first_ / width, x = first_ % width;
    for (std::int64_t i = 0; i < count_;) {
      add_excess<true>(neighbours_.planes + y * neighbours_.row_step + x, neighbours_.offsets, pair, pairs,
                       bias, start + i * kPanelColumns);
      const std::int64_t n = std::min(kTransposed, width - x);
      i += n;
      x += n;
      if (x == width) ++y, x = 0;
    }
  }

  /// [16 pixels][place][pixel]
  const std::uint8_t* transposed() {
    for (std::int64_t i = 0; i < count_ && !done_; i += kTransposed) {
      std::uint8_t* out = memory_ + i * segments_.depth();
      for (std::int64_t s = 0; s < segments_.count; ++s, out += segments_.length * kTransposed) {
        const std::uint8_t* rows[kTransposed];
        for (std::int64_t r = 0; r < kTransposed; ++r)
          rows[r] = band_ + pixels_[std::min(i + r, count_ - 1)].input + offsets_[s];
        transpose_segment(rows, out);
      }
    }
    done_ = true;
    return memory_;
  }

  void transpose_segment(const std::uint8_t* const* rows, std::uint8_t* out) const {
    const std::int64_t length = segments_.length;
    if (length >= 32) {  // the last 32 places overlap those before them
      for (std::int64_t k = 0; k < length; k += 32) {
        const std::int64_t at = std::min(k, length - 32);
        transpose_32(rows, at, out + at * kTransposed);
      }
      return;
    }
    std::uint8_t codes[kTransposed][32] = {}, places[32 * kTransposed];
    const std::uint8_t* copies[kTransposed];
    for (std::int64_t r = 0; r < kTransposed; ++r) {
      std::memcpy(codes[r], rows[r], static_cast<std::size_t>(length));
      copies[r] = codes[r];
    }
    transpose_32(copies, 0, places);
    std::memcpy(out, places, static_cast<std::size_t>(length * kTransposed));
  }

  /// Few rows of a matrix product: their codes widened, int8 weights widened as they are loaded.
  void run_in_16_bits(const unsigned char* weights, const TileOutput& out) {
    auto* wide = reinterpret_cast<std::int16_t*>(memory_);
    BandPixel rows[kFew];
    for (std::int64_t i = 0; i < count_; ++i) {
      if (!done_) widen(band_ + pixels_[i].input, segments_.length, 0, wide + i * segments_.length);
      rows[i] = {static_cast<std::int32_t>(i * segments_.length), pixels_[i].output};
    }
    done_ = true;
    const std::int32_t offset = 0;
    run_few<std::int8_t>(wide, rows, count_, {weights, &offset, 1, segments_.length / 2}, out);
  }

  void add_few(const ExcessPair* pair, const std::int32_t* pairs, const std::int32_t* bias,
               std::int32_t* start) const {
    for (std::int64_t c = 0; c < kPanelColumns; pair += pairs[c], ++c)
      for (std::int64_t i = 0; i < count_; ++i) {
        const std::uint8_t* codes = band_ + pixels_[i].input;
        std::int32_t a = bias[c], b = 0;
        for (const ExcessPair* p = pair; p < pair + pairs[c]; ++p) {
          a += p->weights[0] * codes[at(p->places[0])];
          b += p->weights[1] * codes[at(p->places[1])];
        }
        start[i * kPanelColumns + c] = a + b;
      }
  }
  std::int64_t at(std::int64_t place) const {
    return place < segments_.length ? place : offsets_[place / segments_.length] + place % segments_.length;
  }

  const std::uint8_t* band_;
  const BandPixel* pixels_;
  std::int64_t first_, count_;
  const std::int32_t* offsets_;
  const Segments& segments_;
  const NeighbourCodes& neighbours_;
  std::uint8_t* memory_;
  bool done_ = false;
};

MIDTREAD_NAMESPACE_END

#endif

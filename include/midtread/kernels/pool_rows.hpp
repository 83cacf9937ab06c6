// SPDX-License-Identifier: MIT
// The walk of the SIMD pooling kernels, any number of channels: a window's rows are taken together over the
// whole width, where codes are contiguous, then its columns.
//
//   v[i] = reduce over rows r of x[r * step + i]      out[i] = reduce over columns c of v[c * step + i]
//
// Isa holds what differs between instruction sets: Max and Sum, each with the type Value of v, rows(x, taps,
// step, n, v) and columns(v, taps, step, n, out); divide(sums, n, AverageTerms, codes); average_16(PoolTaps,
// channel, AverageTerms, codes). Of `n` elements at least 16 are read and written.
#pragma once

#include <midtread/kernels/pool_windows.hpp>
#include <midtread/kernels/reference/pool.hpp>

#include <cstring>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// What the channels of one output share.
struct AverageTerms {
  std::int32_t counted;
  std::int32_t codes;  ///< in the window, without padding
  std::int32_t zero_point;

  std::int32_t taken() const { return codes * zero_point; }
};

/// The quotient is exact below (see the kernels), and a sum of that many codes fits 16 bits.
inline constexpr std::int64_t kMaxAverageWindow = (1 << 16) - 1, kMaxSmallWindow = 257;

class PoolRows {
 public:
  explicit PoolRows(const Pool2dShape& s) : s_(s), row_(s.in_width * s.channels) {
    whole_ = row_ >= 16 && row_ <= kElements && s.out_width * s.channels <= kElements;
    const auto most = [](std::int64_t in, std::int64_t out) {
      return (in + out - 1) / out + (in % out != 0 ? 1 : 0);
    };
    height_ = s.adaptive ? most(s.in_height, s.out_height) : s.kernel_height;
    width_ = s.adaptive ? most(s.in_width, s.out_width) : s.kernel_width;
    block_ = std::min(s.channels, kElements / width_ / 16 * 16);
  }

  /// Whether there are 16 contiguous codes, and the scratch holds a window of 16 channels.
  bool fits() const { return whole_ || (s_.channels >= 16 && block_ >= 16); }
  /// Codes of the largest window.
  std::int64_t window() const { return height_ * width_; }

  /// Calls finish(values, first output pixel, pixels, channel, channels, rows) for outputs of every row.
  template <class Reduction, class Finish>
  void run(const std::uint8_t* x, const Finish& finish) const {
    parallel_for(0, s_.batch * s_.out_height, 1, [&](std::int64_t first, std::int64_t last) {
      alignas(64) typename Reduction::Value v[kElements + 16], out[kElements + 16];
      for (std::int64_t row = first; row < last; ++row) {
        const std::uint8_t* image = x + row / s_.out_height * s_.in_height * row_;
        const PoolWindow rows = row_window(s_, row % s_.out_height);
        const std::uint8_t* top = image + rows.first * row_;
        if (whole_) {
          Reduction::rows(top, taps(rows), rows.step * row_, row_, v);
          for (std::int64_t ox = 0; ox < s_.out_width; ++ox) {
            const Columns c = columns(ox);
            Reduction::columns(v + c.first * s_.channels, c.taps, c.step * s_.channels, s_.channels,
                               out + ox * s_.channels);
          }
          finish(out, row * s_.out_width, s_.out_width, 0, s_.channels, rows);
          continue;
        }
        for (std::int64_t ox = 0; ox < s_.out_width; ++ox)
          for (std::int64_t c = 0; c < s_.channels; c += block_) {
            c = std::min(c, s_.channels - block_);
            const Columns w = columns(ox);
            for (std::int64_t i = 0; i < w.taps; ++i)
              Reduction::rows(top + (w.first + i * w.step) * s_.channels + c, taps(rows), rows.step * row_,
                              block_, v + i * block_);
            Reduction::columns(v, w.taps, block_, block_, out);
            finish(out, row * s_.out_width + ox, 1, c, block_, rows);
          }
      }
    });
  }

  static std::int64_t taps(const PoolWindow& w) { return (w.last - w.first + w.step - 1) / w.step; }

  /// The inputs of output column `ox` in a row.
  struct Columns {
    std::int64_t first, step, taps, counted;

    bool counts_like(const Columns& other) const { return counted == other.counted && taps == other.taps; }
  };
  Columns columns(std::int64_t ox) const {
    const std::int64_t start = ox * s_.stride_width - s_.pad_width;
    const std::int64_t reach = s_.dilation_width * (s_.kernel_width - 1);
    if (!s_.adaptive && start >= 0 && start + reach < s_.in_width)
      return {start, s_.dilation_width, s_.kernel_width, reach + 1};
    const PoolWindow w = column_window(s_, ox);
    return {w.first, w.step, taps(w), w.counted};
  }

 private:
  static constexpr std::int64_t kElements = 16 * 1024;

  const Pool2dShape& s_;
  std::int64_t row_, height_, width_, block_;
  bool whole_;
};

template <class Isa>
void run_max_pool_rows(const Pool2dShape& s, const std::uint8_t* x, std::uint8_t* y) {
  const PoolRows pool(s);
  if (!pool.fits()) {
    reference::run_max_pool(s, x, y);
    return;
  }
  pool.run<typename Isa::Max>(x, [&](const std::uint8_t* codes, std::int64_t pixel, std::int64_t pixels,
                                     std::int64_t channel, std::int64_t channels, const PoolWindow&) {
    std::memcpy(y + pixel * s.channels + channel, codes, static_cast<std::size_t>(pixels * channels));
  });
}

/// The codes of sums that share their divisor.
template <class Isa>
void divide_sums(const std::uint16_t* sums, std::int64_t n, const AverageTerms& terms, std::uint8_t* y) {
  if (n >= 16) {
    Isa::divide(sums, n, terms, y);
    return;
  }
  std::uint8_t codes[16];
  Isa::divide(sums, 16, terms, codes);
  std::memcpy(y, codes, static_cast<std::size_t>(n));
}

template <class Isa>
void run_average_pool_rows(const Pool2dShape& s, const std::uint8_t* x, std::int32_t zero_point,
                           std::uint8_t* y, Scratch& scratch) {
  const PoolRows pool(s);
  const auto terms = [&](std::int64_t counted, std::int64_t codes) {
    return AverageTerms{static_cast<std::int32_t>(std::max(counted, std::int64_t{1})),
                        static_cast<std::int32_t>(codes), zero_point};
  };
  const bool small = pool.window() <= kMaxSmallWindow && pool.fits();
  if (!small && (s.channels < 16 || pool.window() > kMaxAverageWindow)) {
    reference::run_average_pool(s, x, zero_point, y, scratch);
    return;
  }
  if (!small) {
    for_each_window(s, x, [&](const PoolTaps& taps, std::int64_t counted, std::int64_t at) {
      const AverageTerms all = terms(counted, taps.rows * taps.columns);
      for (std::int64_t c = 0; c < s.channels; c += 16) {
        c = std::min(c, s.channels - 16);
        Isa::average_16(taps, c, all, y + at + c);
      }
    });
    return;
  }
  pool.run<typename Isa::Sum>(x, [&](const std::uint16_t* sums, std::int64_t pixel, std::int64_t pixels,
                                     std::int64_t channel, std::int64_t channels, const PoolWindow& rows) {
    // Neighbours whose windows count alike are divided together.
    const std::int64_t first = pixel % s.out_width, tall = PoolRows::taps(rows);
    PoolRows::Columns next = pool.columns(first);
    for (std::int64_t p = 0, q; p < pixels; p = q) {
      const PoolRows::Columns w = next;
      for (q = p + 1; q < pixels && w.counts_like(next = pool.columns(first + q)); ++q) {
      }
      divide_sums<Isa>(sums + p * channels, (q - p) * channels,
                       terms(rows.counted * w.counted, tall * w.taps),
                       y + (pixel + p) * s.channels + channel);
    }
  });
}

MIDTREAD_NAMESPACE_END

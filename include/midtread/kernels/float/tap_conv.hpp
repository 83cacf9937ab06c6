// SPDX-License-Identifier: MIT
// A convolution as the inner loops see it: taps at fixed offsets from a pixel, packed weights, no padding, any step
// between neighbouring outputs. The forward pass is one of these, the input gradient one for each phase of the stride.
#pragma once

#include <midtread/kernels/float/dispatch.hpp>
#include <midtread/kernels/float/panels.hpp>

#include <vector>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// One tap: where it reads, in elements from the pixel, and its index in the kernel (row * kernel width + column).
struct Tap {
  std::int64_t offset, index;
};

/// Weight (group, output, input, tap) lies at source[group * group_step + output * out_step + input * in_step + tap].
template <class S>
struct WeightView {
  const S* source;
  std::int64_t group_step, out_step, in_step;
};

/// A grid of output pixels and where its inputs lie. Steps in elements: to the row below, to the pixel at the right.
template <class S>
struct PixelGrid {
  const S* x;
  std::int64_t x_row, x_step;
  S* y;
  std::int64_t y_row, y_step;
  std::int64_t rows, columns;
};

/// Taps in the order of their offsets. Neighbours in memory become one run over all their channels.
struct TapRuns {
  std::vector<Tap> taps;
  std::vector<std::int64_t> offsets;
  std::int64_t run = 0;

  TapRuns(std::vector<Tap> from, std::int64_t channels, bool merge) : taps(std::move(from)) {
    std::sort(taps.begin(), taps.end(), [](const Tap& a, const Tap& b) { return a.offset < b.offset; });
    const auto count = static_cast<std::int64_t>(taps.size());
    std::int64_t length = 1;  // taps that follow each other everywhere
    for (std::int64_t n = 2; merge && n <= count; ++n)
      if (count % n == 0 && merges(n, channels)) length = n;
    for (std::int64_t t = 0; t < count; t += length) offsets.push_back(taps[static_cast<std::size_t>(t)].offset);
    run = length * channels;
  }

 private:
  bool merges(std::int64_t length, std::int64_t channels) const {
    for (std::size_t t = 0; t < taps.size(); ++t)
      if (static_cast<std::int64_t>(t) % length != 0 && taps[t].offset != taps[t - 1].offset + channels) return false;
    return true;
  }
};

template <class S>
class TapConv {
 public:
  /// `channels_in` and `channels_out` per group.
  TapConv(const std::vector<Tap>& taps, std::int64_t groups, std::int64_t channels_in, std::int64_t channels_out,
          const WeightView<S>& weights, const S* bias, const KernelSet<S>& kernels)
      : kernels_(kernels),
        depthwise_(groups > 1 && channels_in == 1 && channels_out == 1),
        groups_(groups),
        in_(channels_in),
        out_(channels_out),
        layout_{channels_out, kernels.lanes},
        runs_(taps, channels_in, groups == 1),
        depth_(channels_in * static_cast<std::int64_t>(taps.size())) {
    if (depthwise_)
      pack_depthwise(weights, bias);
    else
      pack(weights, bias);
  }

  void run(const PixelGrid<S>& g) const {
    const auto taps = static_cast<std::int64_t>(runs_.offsets.size());
    if (depthwise_) {
      kernels_.depthwise({g.x, g.x_row, g.x_step, runs_.offsets.data(), taps, groups_, weights_.data(), bias_.data(), g.y,
                          g.y_row, g.y_step, g.rows, g.columns});
      return;
    }
    for (std::int64_t group = 0; group < groups_; ++group) {
      const S* panels = weights_.data() + group * depth_ * layout_.padded();
      const S* bias = bias_.data() + group * layout_.padded();
      for (std::int64_t p = 0; p < layout_.count(); ++p)
        kernels_.conv({g.x + group * in_, g.x_row, g.x_step, runs_.offsets.data(), taps, runs_.run,
                       panels + depth_ * layout_.first(p), bias + layout_.first(p), g.y + group * out_ + layout_.first(p), g.y_row,
                       g.y_step, g.rows, g.columns, layout_.vectors(p), layout_.width(p)});
    }
  }

 private:
  void pack_depthwise(const WeightView<S>& weights, const S* bias) {
    S* to = weights_.reserve(static_cast<std::size_t>(std::max<std::int64_t>(depth_ * groups_, 1)));
    for (const Tap& tap : runs_.taps)
      for (std::int64_t c = 0; c < groups_; ++c) *to++ = weights.source[c * weights.group_step + tap.index];
    S* init = bias_.reserve(static_cast<std::size_t>(groups_));
    for (std::int64_t c = 0; c < groups_; ++c) init[c] = bias ? bias[c] : S(0);
  }
  void pack(const WeightView<S>& weights, const S* bias) {
    const std::int64_t size = depth_ * layout_.padded();
    weights_.reserve(static_cast<std::size_t>(std::max<std::int64_t>(groups_ * size, 1)));
    bias_.reserve(static_cast<std::size_t>(groups_ * layout_.padded()));
    for (std::int64_t group = 0; group < groups_; ++group) {
      const Buffer<S> init = padded_bias(layout_, bias ? bias + group * out_ : nullptr);
      std::copy_n(init.data(), layout_.padded(), bias_.data() + group * layout_.padded());
    }
    const std::int64_t grain = std::max<std::int64_t>((1 << 14) / std::max<std::int64_t>(depth_ * 2 * layout_.lanes, 1), 1);
    parallel_for(0, groups_ * layout_.count(), grain, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t group = i / layout_.count(), p = i % layout_.count();
        S* to = weights_.data() + group * size + depth_ * layout_.first(p);
        for (const Tap& tap : runs_.taps) {
          pack_panel(layout_, p, in_, weights.source + group * weights.group_step + tap.index, weights.in_step,
                     weights.out_step, to);
          to += in_ * layout_.padded(p);
        }
      }
    });
  }

  const KernelSet<S>& kernels_;
  bool depthwise_;
  std::int64_t groups_, in_, out_;
  PanelLayout layout_;
  TapRuns runs_;
  std::int64_t depth_;
  Buffer<S> weights_, bias_;
};

MIDTREAD_NAMESPACE_END

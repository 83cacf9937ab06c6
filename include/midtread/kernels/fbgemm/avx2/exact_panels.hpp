// SPDX-License-Identifier: MIT
// Weights packed for vpmaddubsw without saturation, in panels of 16 channels.
//
// Trained weights have an excess in a few per cent of the groups of two. Per panel the cheapest of sums of
// two products (D = 1), of four (D = 2) and products in 16 bits (0) is taken, so no weights are slower than
// the latter.
#pragma once

#include <midtread/kernels/fbgemm/avx2/excess.hpp>
#include <midtread/kernels/fbgemm/vnni/panels.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline constexpr std::int64_t kPanelColumns = 16;

/// Of a panel's weights, which are int8 [place / 4][16][4], or int16 [place / 2][16][2] for depth 0.
struct ExactPanel {
  std::int64_t weights;  ///< bytes from the beginning of the storage
  std::int64_t excess;   ///< bytes from the beginning of the storage, to the steps; 0: no channel has one
  std::int64_t few;      ///< bytes from the beginning of the storage, to all panels for few rows; 0: none
  std::int32_t depth;
  std::int32_t before;  ///< steps of the panels before
  std::int32_t
      steps;  ///< of the excess; after them, uint16: how many rounds a channel has, [16]; steps a round

  bool any() const { return excess != 0; }
};

/// The number of places read at a time: a multiple of 8 lets sums run over two groups of four.
inline std::int64_t exact_step(const Conv2dShape& s) {
  const std::int64_t four = Segments(s, 4).length, eight = Segments(s, 8).length;
  return 8 * eight <= 9 * four ? 8 : 4;
}

/// Whether taps in the padding can be left out: whole rows of taps are segments, cut between pixels.
inline bool leaves_taps_out(const Conv2dShape& s, std::int64_t step) {
  return s.taps() > 1 && (s.pad_height > 0 || s.pad_width > 0) && s.groups == 1 && s.dilation_width == 1 &&
         s.stride_height == 1 && s.stride_width == 1 && s.in_channels % step == 0;
}

/// Of sums of the weights: of all, and where taps are left out of each tap's.
inline std::int64_t sum_rows(const Conv2dShape& s) {
  return leaves_taps_out(s, exact_step(s)) ? 1 + s.taps() : 1;
}

/// The excess reads codes that stand channel by channel under the outputs of a row, where moving each of them
/// once is less than moving the codes of every output.
inline bool reads_planes(const Conv2dShape& s) {
  return s.out_width >= 16 && 3 * s.stride_height * s.stride_width < s.taps();
}

/// Places are read two at a time where no panel has another depth than 0.
inline constexpr std::int64_t kWideStep = 2;

// Multiplications bound the register tiles: 8, 8 and 6 of them for 8 places, in hundredths of a clock.
inline constexpr std::int64_t kPerEight[] = {500, 420, 330};

/// What the excess of a panel costs: hundredths of a clock per pixel.
struct ExcessCost {
  std::int64_t step, round, panel;

  /// 32 pixels are taken together, or 16 of a row twice, and fewer cost as much; calls of few rows do
  /// without, so such a shape says nothing about others. The codes of deep products leave the nearest cache.
  /// `panels` share the transposition.
  ExcessCost(const Conv2dShape& s, const Segments& segments, std::int64_t panels) {
    const bool planes = reads_planes(s);
    const std::int64_t own = (s.is_pointwise() ? s.batch : std::int64_t{1}) * s.out_pixels();
    const std::int64_t pixels = planes ? s.out_width : own <= 4 ? 32 : own;
    const std::int64_t together = planes ? (pixels + 15) / 16 * 16 : (pixels + 31) / 32 * 32;
    const auto shared = [&](std::int64_t cost) { return cost * together / pixels; };
    step = shared(segments.depth() > 768 ? 25 : s.out_width % 32 != 0 && planes ? 20 : 17);
    round = shared(13);
    std::int64_t each = 0;  // transposition of the codes
    if (planes)
      each = 450 * ((s.in_channels + 15) / 16) * s.stride_height * s.stride_width / s.groups;
    else
      each = segments.count * (segments.length >= 16 ? 200 * ((segments.length + 15) / 16) : 500);
    panel = shared(500) + each / panels;
  }
};

/// A panel packed with depth `d`, and what a pixel costs in it.
struct PanelChoice {
  std::int64_t d = 0;
  std::int64_t cost = 0;          ///< hundredths of a clock per pixel
  std::vector<std::int8_t> kept;  ///< [channel][place]
  ExcessSteps excess;
  bool any = false;

  PanelChoice(const std::int8_t* weights, std::int64_t depth, std::int64_t sums_of, const ExcessCost& each)
      : d(sums_of), kept(weights, weights + kPanelColumns * depth) {
    cost = kPerEight[d] * depth / 8;
    if (d == 0) return;
    Excess own[kPanelColumns];
    std::int64_t terms = 0;
    for (std::int64_t c = 0; c < kPanelColumns; ++c) {
      move_excess(kept.data() + c * depth, depth, d, own[c]);
      terms += static_cast<std::int64_t>(own[c].size());
    }
    any = terms > 0;
    if (!any) return;
    const std::int64_t least = cost + each.panel + each.step * terms / 4;
    if (least < kPerEight[0] * depth / 8)
      for (const Excess& channel : own) excess.append(channel);
    cost = std::max(least, cost + each.panel + each.step * excess.count() +
                               each.round * static_cast<std::int64_t>(excess.steps.size()));
  }
};

/// A matrix product may be one of few rows: it has its weights a second time [panel][place / 2][16][2], as
/// int16 where they stay in the nearest cache, else as int8.
inline std::int64_t few_depth(const Conv2dShape& s) { return (s.in_channels + 1) / 2 * 2; }
inline bool few_are_wide(const Conv2dShape& s) {
  return (s.out_channels + 15) / 16 * 16 * few_depth(s) <= 8 * 1024;
}

inline void append_few(const Conv2dShape& s, const std::int8_t* weights, std::vector<unsigned char>& bytes) {
  const std::int64_t depth = few_depth(s), columns = (s.out_channels + 15) / 16 * 16;
  const std::int64_t each = few_are_wide(s) ? 2 : 1;
  const std::size_t begin = bytes.size();
  bytes.resize(begin + static_cast<std::size_t>(columns * depth * each));
  for (std::int64_t c = 0; c < s.out_channels; ++c)
    for (std::int64_t k = 0; k < s.in_channels; ++k) {
      const std::int16_t w = weights[c * s.in_channels + k];
      const std::int64_t at = (c / 16 * depth * 16 + k / 2 * 32 + c % 16 * 2 + k % 2) * each;
      unsigned char* to = bytes.data() + begin + at;
      if (each == 2)
        std::memcpy(to, &w, 2);
      else
        *to = static_cast<unsigned char>(w);
    }
}

/// int32 sums [group][columns] (0 where the panel is in 16 bits: its codes come without their zero point),
/// where taps may be left out sums [tap][columns] of what is kept, ExactPanel [group][panel], then what they
/// point at. `cost`: of all panels.
inline Storage pack_panels(const Conv2dShape& s, const std::int8_t* weights, std::int64_t step,
                           std::int64_t& cost) {
  const Segments segments(s, step);
  const PanelCut cut{s.out_group(), kPanelColumns};
  const std::int64_t columns = s.groups * cut.columns(), panels = s.groups * cut.count(),
                     depth = segments.depth(), rows_of_sums = sum_rows(s);
  const std::int64_t index = sums_bytes(rows_of_sums * columns),
                     header = index + (panels * std::int64_t{sizeof(ExactPanel)} + 63) / 64 * 64;
  std::vector<std::int32_t> sums(static_cast<std::size_t>(rows_of_sums * columns));
  const ExcessCost each(s, segments, cut.count());
  std::vector<unsigned char> bytes(static_cast<std::size_t>(header));
  const auto append = [&](const void* from, std::size_t size) {
    const std::size_t at = bytes.size();
    bytes.resize(at + size);
    std::memcpy(bytes.data() + at, from, size);
  };
  const auto append_halves = [&](const std::vector<std::int32_t>& numbers) {
    for (const std::int32_t number : numbers) {
      const auto half = static_cast<std::uint16_t>(number);
      append(&half, sizeof half);
    }
  };
  std::int32_t steps = 0;
  std::vector<std::int8_t> rows(static_cast<std::size_t>(kPanelColumns * depth));
  for (std::int64_t p = 0; p < panels; ++p) {
    const std::int64_t group = p / cut.count(), first = cut.first(p % cut.count());
    std::fill(rows.begin(), rows.end(), std::int8_t{0});
    for (std::int64_t c = 0; c < std::min(kPanelColumns, s.out_group() - first); ++c) {
      const std::int8_t* w = weights + (group * s.out_group() + first + c) * s.depth();
      for (std::int64_t i = 0; i < s.in_group(); ++i)
        for (std::int64_t tap = 0; tap < s.taps(); ++tap, ++w) {
          rows[static_cast<std::size_t>(c * depth + segments.at(s, i, tap))] = *w;
          sums[static_cast<std::size_t>(p * kPanelColumns + c)] += *w;
        }
    }
    PanelChoice best(rows.data(), depth, 0, each);
    for (std::int64_t d = 1; d <= step / 4 && depth <= 65535; ++d) {
      PanelChoice choice(rows.data(), depth, d, each);
      if (choice.cost < best.cost) best = std::move(choice);
    }
    if (best.d == 0) std::fill_n(sums.data() + p * kPanelColumns, kPanelColumns, 0);
    for (std::int64_t tap = 0; tap < rows_of_sums - 1 && best.d != 0; ++tap)
      for (std::int64_t c = 0; c < kPanelColumns; ++c)
        for (std::int64_t i = 0; i < s.in_channels; ++i)
          sums[static_cast<std::size_t>((1 + tap) * columns + p * kPanelColumns + c)] +=
              best.kept[static_cast<std::size_t>(c * depth + segments.at(s, i, tap))];
    ExactPanel panel{};
    panel.depth = static_cast<std::int32_t>(best.d);
    cost += best.cost;
    panel.weights = static_cast<std::int64_t>(bytes.size());
    const std::int64_t each_weight = best.d == 0 ? 2 : 1, lane = 4 / each_weight;
    bytes.resize(bytes.size() + static_cast<std::size_t>(kPanelColumns * depth * each_weight));
    unsigned char* to = bytes.data() + panel.weights;
    for (std::int64_t c = 0; c < kPanelColumns; ++c)
      for (std::int64_t k = 0; k < depth; ++k) {
        const std::int16_t w = best.kept[static_cast<std::size_t>(c * depth + k)];
        const std::int64_t at = k / lane * 64 + c * 4 + k % lane * each_weight;
        if (each_weight == 2)
          std::memcpy(to + at, &w, 2);
        else
          to[at] = static_cast<unsigned char>(w);
      }
    if (best.any) {
      panel.excess = static_cast<std::int64_t>(bytes.size());
      panel.before = steps;
      panel.steps = static_cast<std::int32_t>(best.excess.count());
      steps += panel.steps;
      append(best.excess.list.data(), best.excess.list.size());
      append_halves(best.excess.rounds);
      append_halves(best.excess.steps);
    }
    bytes.resize((bytes.size() + 63) / 64 * 64);
    std::memcpy(bytes.data() + index + p * std::int64_t{sizeof panel}, &panel, sizeof panel);
  }
  if (s.is_pointwise() && s.groups == 1) {
    const auto few = static_cast<std::int64_t>(bytes.size());
    append_few(s, weights, bytes);
    auto* panel = reinterpret_cast<ExactPanel*>(bytes.data() + index);
    for (std::int64_t p = 0; p < panels; ++p) panel[p].few = few;
  }
  std::memcpy(bytes.data(), sums.data(), sums.size() * sizeof(std::int32_t));
  Storage storage(bytes.size());
  std::memcpy(storage.data(), bytes.data(), bytes.size());
  return storage;
}

inline Storage pack_exact(const Conv2dShape& s, const std::int8_t* weights) {
  const std::int64_t panels = s.groups * PanelCut{s.out_group(), kPanelColumns}.count();
  const std::int64_t wide = panels * (kPerEight[0] * Segments(s, kWideStep).depth() / 8);
  std::int64_t cost = 0;
  Storage storage = pack_panels(s, weights, exact_step(s), cost);
  return cost < wide ? std::move(storage) : pack_panels(s, weights, kWideStep, cost);
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Weights that cannot saturate vpmaddubsw. An int16 sum takes 2 D products of a code and a weight; where its
// weights could exceed 255 * 128 the excess moves to a list that is added apart, so the sum of both is exact:
//
//   w = kept + excess,   sum of a group's positive weights kept <= 128, of its negative ones >= -128
//
// Trained weights have an excess in a few per cent of the groups. Per panel of 16 channels the cheapest of D
// = 1, D = 2 and products in 16 bits (0) is taken, so no weights are slower than the latter.
#pragma once

#include <midtread/kernels/fbgemm/vnni/panels.hpp>

#include <vector>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline constexpr std::int64_t kPanelColumns = 16;

/// Two products that a channel's sum lacks. The places are among the products of an output.
struct ExcessPair {
  std::uint16_t places[2];
  std::int16_t weights[2];
};

/// Of a panel's weights, which are int8 [place / 4][16][4], or int16 [place / 2][16][2] for depth 0. A matrix
/// product may be one of few rows, where the excess does not pay: it has its weights a second time, for
/// products in 16 bits.
struct ExactPanel {
  std::int64_t weights;  ///< bytes from the beginning of the storage
  std::int64_t excess;   ///< bytes from the beginning of the storage, to the pairs
  std::int64_t few;      ///< bytes from the beginning of the storage, to int8 [place / 2][16][2]; 0: none
  std::int32_t depth;
  std::int32_t any_pairs;
  std::int32_t pairs[kPanelColumns];  ///< of each channel

  bool any() const { return any_pairs != 0; }
};

struct Excess {
  std::int64_t place;
  std::int32_t weight;
};

/// Makes the groups of one channel safe; appends what it takes away.
inline void move_excess(std::int8_t* w, std::int64_t depth, std::int64_t d, std::vector<Excess>& excess) {
  for (std::int64_t first = 0; first < depth; first += 4 * d)
    for (std::int64_t half = 0; half < 2; ++half)
      for (const std::int32_t sign : {1, -1}) {
        const auto place = [&](std::int64_t i) { return first + i / 2 * 4 + 2 * half + i % 2; };
        std::int32_t over = -128;
        for (std::int64_t i = 0; i < 2 * d; ++i) over += std::max(0, sign * w[place(i)]);
        while (over > 0) {
          std::int64_t largest = place(0);
          for (std::int64_t i = 1; i < 2 * d; ++i)
            if (sign * w[place(i)] > sign * w[largest]) largest = place(i);
          const std::int32_t part = std::min(over, sign * w[largest]);
          w[largest] = static_cast<std::int8_t>(w[largest] - sign * part);
          excess.push_back({largest, sign * part});
          over -= part;
        }
      }
}

/// A panel packed with depth `d`, and what a pixel costs in it: instructions of the register tile and of the
/// excess.
struct PanelChoice {
  std::int64_t d = 0;
  std::int64_t cost = 0;          ///< tenths of an instruction per pixel
  std::vector<std::int8_t> kept;  ///< [channel][place]
  std::vector<Excess> excess[kPanelColumns];

  /// `transposition`: what a panel bears of making the codes ready for the excess.
  PanelChoice(const std::int8_t* weights, std::int64_t depth, std::int64_t sums_of,
              std::int64_t transposition)
      : d(sums_of), kept(weights, weights + kPanelColumns * depth) {
    // Per pixel and 8 places: 20 instructions in 16 bits, 14 for D = 1, 12 for D = 2.
    constexpr std::int64_t kPerEight[] = {200, 140, 120}, kPerPair = 6, kPerPanel = 400;
    cost = kPerEight[d] * depth / 8;
    if (d == 0) return;
    std::int64_t pairs = 0;
    for (std::int64_t c = 0; c < kPanelColumns; ++c) {
      move_excess(kept.data() + c * depth, depth, d, excess[c]);
      pairs += static_cast<std::int64_t>((excess[c].size() + 1) / 2);
    }
    if (pairs != 0) cost = (cost + kPerPanel + kPerPair * pairs + transposition) * 12 / 10;
  }
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

/// Codes stand channel by channel where several taps read them; else an output's are transposed by
/// themselves.
inline bool reads_planes(const Conv2dShape& s) { return s.taps() > 1; }

/// Tenths of an instruction per pixel. Of segments a pixel's codes are transposed 32 at a time; fewer go
/// through a copy, whose short stores the loads after them wait for.
inline std::int64_t transposition_cost(const Conv2dShape& s, const Segments& segments) {
  if (reads_planes(s)) return 50 * ((s.in_channels + 15) / 16) * s.stride_height * s.stride_width / s.groups;
  return segments.count * (segments.length >= 32 ? 5 * ((segments.length + 31) / 32 * 32) + 100 : 1500);
}

/// int32 sums [group][columns] (0 where the panel is in 16 bits: its codes come without their zero point),
/// where taps may be left out sums [tap][columns] of what is kept, ExactPanel [group][panel], then what they
/// point at.
inline Storage pack_exact(const Conv2dShape& s, const std::int8_t* weights) {
  const std::int64_t step = exact_step(s);
  const Segments segments(s, step);
  const PanelCut cut{s.out_group(), kPanelColumns};
  const std::int64_t columns = s.groups * cut.columns(), panels = s.groups * cut.count(),
                     depth = segments.depth();
  const std::int64_t sum_rows = leaves_taps_out(s, step) ? 1 + s.taps() : 1;
  const std::int64_t header = sums_bytes(sum_rows * columns) +
                              (panels * static_cast<std::int64_t>(sizeof(ExactPanel)) + 63) / 64 * 64;
  std::vector<std::int32_t> sums(static_cast<std::size_t>(sum_rows * columns));
  std::vector<ExactPanel> index(static_cast<std::size_t>(panels));
  std::vector<unsigned char> body;
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
    const std::int64_t transposition = transposition_cost(s, segments) / cut.count();
    PanelChoice best(rows.data(), depth, 0, 0);
    for (std::int64_t d = 1; d <= step / 4 && depth <= 65535; ++d) {
      PanelChoice choice(rows.data(), depth, d, transposition);
      if (choice.cost < best.cost) best = std::move(choice);
    }
    if (best.d == 0) std::fill_n(sums.data() + p * kPanelColumns, kPanelColumns, 0);
    for (std::int64_t tap = 0; tap < sum_rows - 1 && best.d != 0; ++tap)
      for (std::int64_t c = 0; c < kPanelColumns; ++c)
        for (std::int64_t i = 0; i < s.in_channels; ++i)
          sums[static_cast<std::size_t>((1 + tap) * columns + p * kPanelColumns + c)] +=
              best.kept[static_cast<std::size_t>(c * depth + segments.at(s, i, tap))];
    ExactPanel& panel = index[static_cast<std::size_t>(p)];
    panel.depth = static_cast<std::int32_t>(best.d);
    panel.weights = header + static_cast<std::int64_t>(body.size());
    const std::int64_t bytes = best.d == 0 ? 2 : 1, lane = 4 / bytes;
    body.resize(body.size() + static_cast<std::size_t>(kPanelColumns * depth * bytes));
    unsigned char* to = body.data() + (panel.weights - header);
    for (std::int64_t c = 0; c < kPanelColumns; ++c)
      for (std::int64_t k = 0; k < depth; ++k) {
        const std::int16_t w = best.kept[static_cast<std::size_t>(c * depth + k)];
        const std::int64_t at = k / lane * 64 + c * 4 + k % lane * bytes;
        if (bytes == 2)
          std::memcpy(to + at, &w, 2);
        else
          to[at] = static_cast<unsigned char>(w);
      }
    panel.excess = header + static_cast<std::int64_t>(body.size());
    for (std::int64_t c = 0; c < kPanelColumns; ++c) {
      std::vector<Excess>& list = best.excess[c];
      if (list.size() % 2 != 0) list.push_back({0, 0});
      panel.pairs[c] = static_cast<std::int32_t>(list.size() / 2);
      panel.any_pairs |= panel.pairs[c];
      for (std::size_t i = 0; i < list.size(); i += 2) {
        ExcessPair pair;
        for (std::size_t j = 0; j < 2; ++j) {
          pair.places[j] = static_cast<std::uint16_t>(list[i + j].place);
          pair.weights[j] = static_cast<std::int16_t>(list[i + j].weight);
        }
        const auto* raw = reinterpret_cast<const unsigned char*>(&pair);
        body.insert(body.end(), raw, raw + sizeof pair);
      }
    }
    if (panel.any() && s.is_pointwise()) {
      panel.few = header + static_cast<std::int64_t>(body.size());
      body.resize(body.size() + rows.size());
      for (std::int64_t c = 0; c < kPanelColumns; ++c)
        for (std::int64_t k = 0; k < depth; ++k)
          body[static_cast<std::size_t>(panel.few - header + k / 2 * 32 + c * 2 + k % 2)] =
              static_cast<unsigned char>(rows[static_cast<std::size_t>(c * depth + k)]);
    }
    body.resize((body.size() + 63) / 64 * 64);
  }
  Storage storage(static_cast<std::size_t>(header) + body.size());
  auto* out = static_cast<unsigned char*>(storage.data());
  std::memset(out, 0, static_cast<std::size_t>(header));
  std::memcpy(out, sums.data(), sums.size() * sizeof(std::int32_t));
  std::memcpy(out + sums_bytes(sum_rows * columns), index.data(), index.size() * sizeof(ExactPanel));
  std::memcpy(out + header, body.data(), body.size());
  return storage;
}

MIDTREAD_NAMESPACE_END

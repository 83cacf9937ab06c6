// SPDX-License-Identifier: MIT
// Weights that cannot saturate vpmaddubsw. An int16 sum takes 2 D products of a code and a weight; where its
// weights could exceed 255 * 128 the excess moves to a list that is added apart, so the sum of both is exact:
//
//   w = kept + excess,   sum of a group's positive weights kept <= 128, of its negative ones >= -128
//
// The excess itself is summed in 16 bits: in bins that keep to the same bounds, two of them widened together.
#pragma once

#include <midtread/core/platform.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// What a channel's sum lacks: the code at `place` times `weight`.
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

/// Two products of each of two bins; weight 0 where there is none. Weights stand twice, as vpmaddubsw takes
/// them for two pixels. Codes of 32 pixels stand side by side: those of place p are at 32 p.
struct ExcessStep {
  std::int32_t offsets[2][2];
  std::int8_t weights[2][4];
};

/// The excess of a panel's channels, one after the other: each has `rounds` of two bins, each round `steps`.
struct ExcessSteps {
  std::vector<std::uint16_t> rounds, steps;
  std::vector<ExcessStep> list;

  /// At least one step, so that a loop over them needs no way around.
  void append(const std::vector<Excess>& channel) {
    const std::vector<Pair> pairs = pair_up(channel);
    std::int32_t above = 0, below = 0;
    for (const Pair& pair : pairs) above += pair.above, below -= pair.below;
    std::vector<Bin> bins(static_cast<std::size_t>(std::max({above, below, 1}) + 255) / 256 * 2);
    while (!distribute(pairs, bins)) bins.resize(bins.size() + bins.size() / 16 * 2 + 2);
    std::stable_sort(bins.begin(), bins.end(),
                     [](const Bin& a, const Bin& b) { return a.pairs.size() > b.pairs.size(); });
    while (bins[bins.size() - 2].pairs.empty()) bins.resize(bins.size() - 2);
    rounds.push_back(static_cast<std::uint16_t>(bins.size() / 2));
    for (std::size_t b = 0; b < bins.size(); b += 2) {
      const std::size_t count = bins[b].pairs.size();
      steps.push_back(static_cast<std::uint16_t>(count));
      for (std::size_t i = 0; i < count; ++i) {
        ExcessStep step{};
        for (std::size_t h = 0; h < 2; ++h)
          for (std::size_t k = 0; k < 2 && i < bins[b + h].pairs.size(); ++k) {
            const Excess& e = bins[b + h].pairs[i]->terms[k];
            step.offsets[h][k] = static_cast<std::int32_t>(32 * e.place);
            step.weights[h][k] = step.weights[h][k + 2] = static_cast<std::int8_t>(e.weight);
          }
        list.push_back(step);
      }
    }
  }

 private:
  struct Pair {
    Excess terms[2];
    std::int32_t above = 0, below = 0;  ///< sums of its positive and of its negative weights

    Pair(const Excess& a, const Excess& b) : terms{a, b} {
      for (const Excess& e : terms) (e.weight > 0 ? above : below) += e.weight;
    }
    std::int32_t size() const { return std::max(above, -below); }
  };
  struct Bin {
    std::vector<const Pair*> pairs;
    std::int32_t above = 0, below = 0;
  };

  /// The largest with the smallest, which is of the other sign if there is one. At least one pair.
  static std::vector<Pair> pair_up(std::vector<Excess> terms) {
    const Excess none{0, 0};
    std::stable_sort(terms.begin(), terms.end(),
                     [](const Excess& a, const Excess& b) { return a.weight > b.weight; });
    std::vector<Pair> pairs;
    std::size_t first = 0, last = terms.size();
    while (first < last) {
      const bool from_above = terms[first].weight >= -terms[last - 1].weight;
      const Excess& largest = from_above ? terms[first++] : terms[--last];
      if (first == last) {
        pairs.emplace_back(largest, none);
        break;
      }
      const Excess& other = from_above ? terms[last - 1] : terms[first];
      if (std::abs(largest.weight + other.weight) > 128) {
        pairs.emplace_back(largest, none);
        continue;
      }
      pairs.emplace_back(largest, other);
      from_above ? --last : ++first;
    }
    if (pairs.empty()) pairs.emplace_back(none, none);
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const Pair& a, const Pair& b) { return a.size() > b.size(); });
    return pairs;
  }

  /// The largest first, each where the fewest are of those bins that have room; false where none has.
  static bool distribute(const std::vector<Pair>& pairs, std::vector<Bin>& bins) {
    for (Bin& bin : bins) bin = {};
    for (const Pair& pair : pairs) {
      Bin* best = nullptr;
      for (Bin& bin : bins)
        if (bin.above + pair.above <= 128 && bin.below + pair.below >= -128 &&
            (best == nullptr || bin.pairs.size() < best->pairs.size()))
          best = &bin;
      if (best == nullptr) return false;
      best->pairs.push_back(&pair);
      best->above += pair.above;
      best->below += pair.below;
    }
    return true;
  }
};

MIDTREAD_NAMESPACE_END

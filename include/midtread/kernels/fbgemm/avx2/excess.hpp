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
#include <cstring>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// What a channel's sum lacks: the codes at `places` times `weights`. (Plain numbers here and below: a
/// std::vector of one more type, or a std::sort, costs the compilation of every program some 10 ms.)
struct Excess {
  std::vector<std::int32_t> places, weights;

  std::size_t size() const { return places.size(); }
  void add(std::int64_t place, std::int32_t weight) {
    places.push_back(static_cast<std::int32_t>(place));
    weights.push_back(weight);
  }
};

/// Makes the groups of one channel safe; adds what it takes away.
inline void move_excess(std::int8_t* w, std::int64_t depth, std::int64_t d, Excess& excess) {
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
          excess.add(largest, sign * part);
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

/// Positions in `keys`, the largest first, equal ones as they stand.
inline std::vector<std::int32_t> falling_order(const std::vector<std::int32_t>& keys) {
  std::vector<std::int32_t> order(keys.size());
  if (keys.empty()) return order;
  std::int32_t low = keys[0], high = keys[0];
  for (const std::int32_t key : keys) {
    low = std::min(low, key);
    high = std::max(high, key);
  }
  std::vector<std::int32_t> begin(static_cast<std::size_t>(high - low) + 2);
  for (const std::int32_t key : keys) ++begin[static_cast<std::size_t>(high - key) + 1];
  for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::int32_t& at = begin[static_cast<std::size_t>(high - keys[i])];
    order[static_cast<std::size_t>(at++)] = static_cast<std::int32_t>(i);
  }
  return order;
}

/// The terms of a channel two by two, and each pair's bin.
class ExcessBins {
 public:
  explicit ExcessBins(const Excess& terms) : terms_(terms) {
    pair_up();
    std::int32_t above = 0, below = 0;
    for (std::size_t p = 0; p < first_.size(); ++p) {
      above += above_[p];
      below -= below_[p];
    }
    std::size_t bins = static_cast<std::size_t>(std::max({above, below, 1}) + 255) / 256 * 2;
    while (!distribute(bins)) bins += bins / 16 * 2 + 2;
  }

  /// Pairs in each bin.
  const std::vector<std::int32_t>& sizes() const { return sizes_; }
  /// Pair `p` as half `h` of a step.
  void write(std::size_t p, std::size_t h, ExcessStep& step) const {
    const std::int32_t terms[2] = {first_[p], second_[p]};
    for (std::size_t k = 0; k < 2; ++k) {
      if (terms[k] < 0) continue;
      const auto t = static_cast<std::size_t>(terms[k]);
      step.offsets[h][k] = 32 * terms_.places[t];
      step.weights[h][k] = step.weights[h][k + 2] = static_cast<std::int8_t>(terms_.weights[t]);
    }
  }
  /// The pairs of all bins, one bin after the other.
  std::vector<std::int32_t> pairs_by_bin() const {
    std::vector<std::int32_t> keys;
    for (const std::int32_t p : largest_first_) keys.push_back(-bin_[static_cast<std::size_t>(p)]);
    std::vector<std::int32_t> pairs = falling_order(keys);
    for (std::int32_t& p : pairs) p = largest_first_[static_cast<std::size_t>(p)];
    return pairs;
  }

 private:
  static constexpr std::int32_t kNone = -1;

  /// The largest with the smallest, which is of the other sign if there is one. At least one pair.
  void pair_up() {
    const std::vector<std::int32_t> order = falling_order(terms_.weights);
    const auto weight = [&](std::size_t i) { return terms_.weights[static_cast<std::size_t>(order[i])]; };
    std::size_t first = 0, last = order.size();
    while (first < last) {
      const bool from_above = weight(first) >= -weight(last - 1);
      const std::size_t largest = from_above ? first++ : --last, other = from_above ? last - 1 : first;
      if (first < last && std::abs(weight(largest) + weight(other)) <= 128) {
        add(order[largest], order[other]);
        from_above ? --last : ++first;
      } else {
        add(order[largest], kNone);
      }
    }
    if (first_.empty()) add(kNone, kNone);
    std::vector<std::int32_t> size;
    for (std::size_t p = 0; p < first_.size(); ++p) size.push_back(std::max(above_[p], -below_[p]));
    largest_first_ = falling_order(size);
  }

  void add(std::int32_t a, std::int32_t b) {
    std::int32_t above = 0, below = 0;
    for (const std::int32_t t : {a, b})
      if (t != kNone) {
        const std::int32_t weight = terms_.weights[static_cast<std::size_t>(t)];
        (weight > 0 ? above : below) += weight;
      }
    first_.push_back(a);
    second_.push_back(b);
    above_.push_back(above);
    below_.push_back(below);
  }

  /// The largest first, each where the fewest are of those bins that have room; false where none has.
  bool distribute(std::size_t bins) {
    bin_.assign(first_.size(), 0);
    sizes_.assign(bins, 0);
    std::vector<std::int32_t> above(bins), below(bins);
    for (const std::int32_t pair : largest_first_) {
      const auto p = static_cast<std::size_t>(pair);
      std::size_t best = bins;
      for (std::size_t b = 0; b < bins; ++b)
        if (above[b] + above_[p] <= 128 && below[b] + below_[p] >= -128 &&
            (best == bins || sizes_[b] < sizes_[best]))
          best = b;
      if (best == bins) return false;
      bin_[p] = static_cast<std::int32_t>(best);
      ++sizes_[best];
      above[best] += above_[p];
      below[best] += below_[p];
    }
    return true;
  }

  const Excess& terms_;
  std::vector<std::int32_t> first_, second_;  ///< of pairs: terms
  std::vector<std::int32_t> above_, below_;   ///< sums of their positive and of their negative weights
  std::vector<std::int32_t> largest_first_, bin_, sizes_;
};

/// The excess of a panel's channels, one after the other: each has `rounds` of two bins, each round `steps`.
struct ExcessSteps {
  std::vector<std::int32_t> rounds, steps;
  std::vector<unsigned char> list;  ///< of ExcessStep

  std::int64_t count() const { return static_cast<std::int64_t>(list.size() / sizeof(ExcessStep)); }

  /// At least one step, so that a loop over them needs no way around.
  void append(const Excess& channel) {
    const ExcessBins bins(channel);
    const std::vector<std::int32_t>&sizes = bins.sizes(), fullest = falling_order(sizes),
          pairs = bins.pairs_by_bin();
    std::vector<std::int32_t> begin(1);  // of each bin in `pairs`
    for (const std::int32_t size : sizes) begin.push_back(begin.back() + size);
    std::int32_t own_rounds = 0;
    for (std::size_t b = 0; b < fullest.size(); b += 2, ++own_rounds) {
      const std::int32_t most = sizes[static_cast<std::size_t>(fullest[b])];
      if (most == 0) break;
      steps.push_back(most);
      for (std::int32_t i = 0; i < most; ++i) {
        ExcessStep step{};
        for (std::size_t h = 0; h < 2; ++h) {
          const auto bin = static_cast<std::size_t>(fullest[b + h]);
          if (i < sizes[bin])
            bins.write(static_cast<std::size_t>(pairs[static_cast<std::size_t>(begin[bin] + i)]), h, step);
        }
        list.resize(list.size() + sizeof step);
        std::memcpy(list.data() + list.size() - sizeof step, &step, sizeof step);
      }
    }
    rounds.push_back(own_rounds);
  }
};

MIDTREAD_NAMESPACE_END

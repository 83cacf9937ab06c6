// SPDX-License-Identifier: MIT
// Weights split for vpmaddubsw: what is kept cannot saturate an int16 sum, what is kept and the excess are
// the weights, and every kind of panel occurs.
#include "kernel_tester.hpp"

#if MIDTREAD_X86
#include <midtread/kernels/fbgemm/avx2/exact_panels.hpp>

namespace exact_panels_test {

using namespace kernel_tester;
namespace k = midtread::kernels;
namespace avx2 = midtread::kernels::fbgemm::avx2;

/// Largest positive and negative int16 sum of any codes in a group of 2 d weights of one channel.
bool is_safe(const std::vector<std::int8_t>& w, std::int64_t d) {
  for (std::size_t first = 0; first < w.size(); first += static_cast<std::size_t>(4 * d))
    for (std::size_t half = 0; half < 2; ++half) {
      int above = 0, below = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(2 * d); ++i) {
        const int v = w[first + i / 2 * 4 + 2 * half + i % 2];
        (v > 0 ? above : below) += 255 * v;
      }
      if (above > 32767 || below < -32768) return false;
    }
  return true;
}

TEST(ExactPanels, KeptAndExcessAreTheWeightsAndNoSumSaturates) {
  Operands make(3);
  int cases = 0;
  std::size_t moved = 0;
  for (int pattern = 0; pattern < Operands::kWeightPatterns; ++pattern)
    for (std::int64_t depth : {8, 64, 576})
      for (std::int64_t d : {1, 2}) {
        const auto original = make.weights(static_cast<std::size_t>(depth), pattern);
        std::vector<std::int8_t> kept = original;
        avx2::Excess excess;
        avx2::move_excess(kept.data(), depth, d, excess);
        EXPECT_TRUE(is_safe(kept, d)) << pattern << " " << depth << " " << d;
        std::vector<int> sum(kept.begin(), kept.end());
        for (std::size_t i = 0; i < excess.size(); ++i)
          sum[static_cast<std::size_t>(excess.places[i])] += excess.weights[i];
        EXPECT_EQ(sum, std::vector<int>(original.begin(), original.end()))
            << pattern << " " << depth << " " << d;
        moved += excess.size();
        ++cases;
      }
  std::printf("cases=%d\n", cases);
  EXPECT_GT(moved, 1000u);
}

// A round adds up two bins of 16 bits, each of any codes, and no term is lost.
TEST(ExactPanels, BinsOfTheExcessDoNotOverflow) {
  Operands make(6);
  int cases = 0, deep = 0;
  for (int pattern = 0; pattern < Operands::kWeightPatterns; ++pattern)
    for (std::int64_t depth : {8, 64, 576})
      for (std::int64_t d : {1, 2}) {
        std::vector<std::int8_t> kept = make.weights(static_cast<std::size_t>(depth), pattern);
        avx2::Excess excess;
        avx2::move_excess(kept.data(), depth, d, excess);
        avx2::ExcessSteps steps;
        steps.append(excess);
        ASSERT_EQ(steps.rounds.size(), 1u);
        ASSERT_EQ(static_cast<std::size_t>(steps.rounds[0]), steps.steps.size());
        ASSERT_GE(steps.rounds[0], 1);
        std::vector<int> sum(static_cast<std::size_t>(depth));
        const auto* step = reinterpret_cast<const avx2::ExcessStep*>(steps.list.data());
        const auto* const end = step + steps.count();
        for (const std::int32_t count : steps.steps) {
          ASSERT_GE(count, 1);
          int above[2] = {}, below[2] = {};
          for (int i = 0; i < count; ++i, ++step)
            for (int bin = 0; bin < 2; ++bin)
              for (int k = 0; k < 2; ++k) {
                const int w = step->weights[bin][k];
                EXPECT_EQ(w, step->weights[bin][k + 2]);
                (w > 0 ? above : below)[bin] += 255 * w;
                sum[static_cast<std::size_t>(step->offsets[bin][k] / 32)] += w;
              }
          for (int bin = 0; bin < 2; ++bin) {
            EXPECT_LE(above[bin], 32767);
            EXPECT_GE(below[bin], -32768);
          }
        }
        EXPECT_TRUE(step == end);
        for (std::size_t i = 0; i < excess.size(); ++i)
          sum[static_cast<std::size_t>(excess.places[i])] -= excess.weights[i];
        EXPECT_EQ(sum, std::vector<int>(sum.size())) << pattern << " " << depth << " " << d;
        deep += steps.rounds[0] > 1;
        ++cases;
      }
  std::printf("cases=%d\n", cases);
  EXPECT_GT(deep, 0);
}

TEST(ExactPanels, EveryKindOfPanelIsChosen) {
  // Products in 16 bits; sums of two and of four products, with and without an excess.
  constexpr std::size_t kChannels = 128;
  bool seen[3][2] = {};
  const auto look = [&](const std::vector<std::int8_t>& w) {
    const auto storage = avx2::pack_exact(
        k::linear_shape(1, static_cast<std::int64_t>(w.size() / kChannels), kChannels), w.data());
    const auto* panel = reinterpret_cast<const avx2::ExactPanel*>(
        static_cast<const unsigned char*>(storage.data()) + k::fbgemm::sums_bytes(kChannels));
    for (std::size_t p = 0; p < kChannels / 16; ++p) seen[panel[p].depth][panel[p].any() ? 1 : 0] = true;
  };
  Operands make(4);
  for (std::size_t depth : {64u, 256u, 1024u}) {
    for (int pattern = 0; pattern < Operands::kWeightPatterns; ++pattern)
      look(make.weights(kChannels * depth, pattern));
    for (int weight : {1, 60}) {
      std::vector<std::int8_t> w(kChannels * depth, static_cast<std::int8_t>(weight));
      look(w);
      for (std::size_t i = 0; i < w.size(); i += 200) w[i] = w[i + 1] = 127;
      look(w);
    }
  }
  EXPECT_TRUE(seen[0][0]);
  EXPECT_TRUE(seen[1][0]);
  EXPECT_TRUE(seen[1][1]);
  EXPECT_TRUE(seen[2][0]);
  EXPECT_TRUE(seen[2][1]);
}

// The places of an excess are 16-bit numbers: beyond them products are taken in 16 bits.
TEST(ExactPanels, DeepProductsAreExact) {
  const std::int64_t depth = 65540;
  Operands make(5);
  const auto w = make.weights(static_cast<std::size_t>(2 * depth), 4);
  const std::vector<std::uint8_t> x = make.activations(static_cast<std::size_t>(depth), 0);
  const k::Conv2dShape shape = k::linear_shape(1, depth, 2);
  for (const KernelSet* set : sets_under_test()) {
    const auto packed = k::pack_weights(set->conv(shape), shape, w.data());
    std::int32_t acc[2];
    k::Scratch scratch;
    k::accumulate_conv(packed, shape, x.data(), 128, acc, scratch);
    for (std::size_t c = 0; c < 2; ++c) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - 128) * w[c * x.size() + i];
      EXPECT_EQ(acc[c], sum) << set->isa_name();
    }
  }
}

}  // namespace exact_panels_test
#endif

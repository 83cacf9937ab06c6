// SPDX-License-Identifier: MIT
// One pass over many lengths, with the extremes and the bad values at every position.
#include <midtread/core/random.hpp>
#include <midtread/quant/min_max.hpp>

#include <gtest/gtest.h>

#include <cstdio>

namespace quant = midtread::quant;

namespace min_max_test {

TEST(MinMax, EveryLengthAndPosition) {
  midtread::Generator generator(5);
  long cases = 0;
  for (std::size_t n = 0; n <= 70; ++n) {
    std::vector<float> x(n);
    for (float& v : x) v = static_cast<float>(generator.uniform(2, 3));
    const auto size = static_cast<std::int64_t>(n);
    EXPECT_EQ(quant::min_max(x.data(), size).empty(), n == 0);
    for (std::size_t at = 0; at < n; ++at) {
      const float before = x[at];
      x[at] = -7;
      quant::MinMax m = quant::min_max(x.data(), size);
      EXPECT_EQ(m.min, -7);
      EXPECT_EQ(m.max, n == 1 ? -7 : *std::max_element(x.begin(), x.end()));
      x[at] = 9;
      m = quant::min_max(x.data(), size);
      EXPECT_EQ(m.max, 9);
      EXPECT_EQ(m.min, *std::min_element(x.begin(), x.end()));
      EXPECT_TRUE(m.finite);
      for (float bad : {HUGE_VALF, -HUGE_VALF, std::nanf("")}) {
        x[at] = bad;
        EXPECT_FALSE(quant::min_max(x.data(), size).finite) << "length " << n << " position " << at;
        const quant::MinMax finite = quant::finite_min_max(x.data(), size);
        EXPECT_EQ(finite.empty(), n == 1);
        if (n > 1) {
          EXPECT_GE(finite.min, 2);
          EXPECT_LE(finite.max, 3);
        }
        ++cases;
      }
      x[at] = before;
    }
  }
  std::printf("cases=%ld\n", cases);
}

TEST(MinMax, HugeAndTinyAreFinite) {
  const std::vector<float> x(40, std::numeric_limits<float>::max());
  EXPECT_TRUE(quant::min_max(x.data(), 40).finite);
  const std::vector<float> y(40, std::numeric_limits<float>::denorm_min());
  EXPECT_TRUE(quant::min_max(y.data(), 40).finite);
  EXPECT_EQ(quant::min_max(y.data(), 40).max, std::numeric_limits<float>::denorm_min());
}

TEST(MinMax, InParallel) {
  std::vector<float> x(300001, 1.0f);
  int cases = 0;
  for (std::size_t at : {std::size_t{0}, std::size_t{65535}, std::size_t{65536}, std::size_t{300000}}) {
    x[at] = -5;
    EXPECT_EQ(quant::parallel_min_max(x.data(), 300001).min, -5);
    x[at] = 5;
    EXPECT_EQ(quant::parallel_min_max(x.data(), 300001).max, 5);
    x[at] = std::nanf("");
    EXPECT_FALSE(quant::parallel_min_max(x.data(), 300001).finite);
    x[at] = 1;
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

}  // namespace min_max_test

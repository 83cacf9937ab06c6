// SPDX-License-Identifier: MIT
// Average, adaptive average and max pooling against window-by-window oracles, on every instruction set.
#include "kernel_tester.hpp"

namespace pool_test {

using namespace kernel_tester;
using midtread::kernels::Pool2dShape;
using midtread::kernels::pool_output_size;
using midtread::kernels::Scratch;

std::uint8_t oracle_average(std::int64_t sum, std::int64_t n, int zero_point) {
  // The quotient of small integers in long double, ties exact.
  const long double mean = static_cast<long double>(sum) / static_cast<long double>(n);
  const long double below = std::floor(mean);
  long double rounded = mean - below > 0.5L ? below + 1 : below;
  if (mean - below == 0.5L && std::fmod(below, 2.0L) != 0) rounded = below + 1;
  return static_cast<std::uint8_t>(static_cast<std::int64_t>(rounded) + zero_point);
}

/// Visits a window as PyTorch's kernels do; returns the divisor.
template <class Visit>
std::int64_t visit_window(const Pool2dShape& s, std::int64_t oy, std::int64_t ox, const Visit& visit) {
  if (s.adaptive) {
    const std::int64_t y0 = oy * s.in_height / s.out_height, x0 = ox * s.in_width / s.out_width;
    const std::int64_t y1 = ((oy + 1) * s.in_height + s.out_height - 1) / s.out_height;
    const std::int64_t x1 = ((ox + 1) * s.in_width + s.out_width - 1) / s.out_width;
    for (std::int64_t y = y0; y < y1; ++y)
      for (std::int64_t x = x0; x < x1; ++x) visit(y, x);
    return (y1 - y0) * (x1 - x0);
  }
  std::int64_t padded = 0, real = 0;
  for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
    for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
      const std::int64_t y = oy * s.stride_height - s.pad_height + ky * s.dilation_height;
      const std::int64_t x = ox * s.stride_width - s.pad_width + kx * s.dilation_width;
      if (y >= s.in_height + s.pad_height || x >= s.in_width + s.pad_width)
        continue;  // beyond the padding: ceil mode
      ++padded;
      if (y < 0 || x < 0 || y >= s.in_height || x >= s.in_width) continue;
      ++real;
      visit(y, x);
    }
  return s.count_include_pad ? padded : real;
}

class PoolTester {
 public:
  std::int64_t cases = 0;

  void check(const Pool2dShape& s, bool average, unsigned seed) {
    midtread::kernels::check(s, "test");
    Operands make(seed);
    const bool at_start = make.below(2) == 0;
    const auto x = make.activations(static_cast<std::size_t>(s.batch * s.in_height * s.in_width * s.channels),
                                    make.below(3) ? 0 : static_cast<int>(make.below(5)));
    const int zero_points[3] = {0, 255, static_cast<int>(make.below(256))};
    const int zero_point = zero_points[make.below(3)];
    std::vector<std::uint8_t> expected;
    for (std::int64_t n = 0; n < s.batch; ++n)
      for (std::int64_t oy = 0; oy < s.out_height; ++oy)
        for (std::int64_t ox = 0; ox < s.out_width; ++ox)
          for (std::int64_t c = 0; c < s.channels; ++c) {
            std::int64_t sum = 0;
            std::uint8_t largest = 0;
            const std::int64_t divisor = visit_window(s, oy, ox, [&](std::int64_t y, std::int64_t w) {
              const std::uint8_t q =
                  x[static_cast<std::size_t>(((n * s.in_height + y) * s.in_width + w) * s.channels + c)];
              sum += q - zero_point;
              largest = std::max(largest, q);
            });
            expected.push_back(average ? oracle_average(sum, divisor, zero_point) : largest);
          }
    for (const KernelSet* set : sets_) {
      auto* y = y_.place<std::uint8_t>(expected.size(), at_start, 0xEE);
      const std::uint8_t* px = x_.place(x, at_start);
      if (average)
        (*set)->average_pool->run(s, px, zero_point, y, scratch_);
      else
        (*set)->max_pool->run(s, px, y);
      ASSERT_EQ(std::memcmp(y, expected.data(), expected.size()), 0)
          << (average ? (*set)->average_pool->label : (*set)->max_pool->label) << " [" << s.batch << ", "
          << s.channels << ", " << s.in_height << ", " << s.in_width << "] kernel " << s.kernel_height << "x"
          << s.kernel_width;
      ASSERT_TRUE(y_.canary_intact());
      ++cases;
    }
  }

 private:
  GuardedArena x_{1 << 20}, y_{1 << 20};
  Scratch scratch_;
  std::vector<const KernelSet*> sets_ = sets_under_test();
};

TEST(Pool, RandomWindowsEqualTheOracle) {
  PoolTester tester;
  Operands pick(4);
  int wanted = 1500;
  for (unsigned seed = 0; wanted > 0; ++seed) {
    const bool average = pick.below(2) == 0;
    Pool2dShape s;
    s.batch = 1 + pick.below(3);
    s.channels = 1 + pick.below(50);
    s.in_height = 1 + pick.below(12);
    s.in_width = 1 + pick.below(12);
    s.kernel_height = 1 + pick.below(5);
    s.kernel_width = 1 + pick.below(5);
    s.stride_height = 1 + pick.below(4);
    s.stride_width = 1 + pick.below(4);
    s.pad_height = pick.below(s.kernel_height / 2 + 1);
    s.pad_width = pick.below(s.kernel_width / 2 + 1);
    s.dilation_height = average ? 1 : 1 + pick.below(3);
    s.dilation_width = average ? 1 : 1 + pick.below(2);
    s.count_include_pad = pick.below(2) == 0;
    const bool ceil_mode = pick.below(2) == 0;
    s.out_height = pool_output_size(s.in_height, s.kernel_height, s.stride_height, s.pad_height,
                                    s.dilation_height, ceil_mode);
    s.out_width = pool_output_size(s.in_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width,
                                   ceil_mode);
    if (s.out_height < 1 || s.out_width < 1) continue;
    tester.check(s, average, seed);
    if (HasFatalFailure()) return;
    --wanted;
  }
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(Pool, AdaptiveAndGlobalWindowsEqualTheOracle) {
  PoolTester tester;
  Operands pick(5);
  for (unsigned seed = 0; seed < 300; ++seed) {
    Pool2dShape s;
    s.adaptive = true;
    s.batch = 1 + pick.below(2);
    s.channels = 1 + pick.below(200);
    s.in_height = 1 + pick.below(15);
    s.in_width = 1 + pick.below(15);
    s.out_height = seed % 3 ? 1 + pick.below(s.in_height) : 1;
    s.out_width = seed % 3 ? 1 + pick.below(s.in_width) : 1;
    tester.check(s, true, seed);
    if (HasFatalFailure()) return;
  }
  for (std::int64_t width : {256, 257, 258, 300}) {  // where 16-bit sums would overflow
    Pool2dShape s;
    s.adaptive = true;
    s.channels = 80;
    s.in_width = width;
    for (unsigned seed = 0; seed < 12; ++seed) tester.check(s, true, seed);
  }
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

// Kernels align what they read where pixels lie a power of two apart.
TEST(Pool, ManyChannelsAtEveryAddressOfALine) {
  namespace k = midtread::kernels;
  GuardedArena x_arena(1 << 17), y_arena(1 << 12);
  Operands make(17);
  Scratch scratch;
  std::int64_t cases = 0;
  for (const KernelSet* set : sets_under_test())
    for (std::int64_t channels : {1024, 2048})
      for (std::int64_t shift = 0; shift < 64; shift += shift < 4 || shift > 58 ? 1 : 6) {
        Pool2dShape s;
        s.channels = channels;
        s.in_height = s.kernel_height = 3;
        s.in_width = s.kernel_width = 5;
        const auto size = static_cast<std::size_t>(15 * channels);
        const auto codes = make.activations(size + static_cast<std::size_t>(shift), 0);
        const std::uint8_t* x = x_arena.place(codes, true) + shift;
        auto* y = y_arena.place<std::uint8_t>(static_cast<std::size_t>(channels), cases % 2 == 0, 0xEE);
        (*set)->average_pool->run(s, x, 7, y, scratch);
        std::vector<std::uint8_t> expected(static_cast<std::size_t>(channels));
        k::reference::kTable.average_pool->run(s, x, 7, expected.data(), scratch);
        ASSERT_EQ(std::memcmp(y, expected.data(), expected.size()), 0)
            << set->isa_name() << " " << channels << " channels, " << shift;
        ASSERT_TRUE(y_arena.canary_intact());
        ++cases;
      }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
}

TEST(Pool, EveryQuotientIsExact) {
  // All windows of up to 7x7 codes: sums from one end to the other, ties among them.
  namespace k = midtread::kernels;
  Scratch scratch;
  std::int64_t cases = 0, ties = 0;
  for (const KernelSet* set : sets_under_test())
    for (std::int64_t n = 1; n <= 49; ++n)
      for (int zero_point : {0, 101, 255})
        for (std::int64_t sum = 0; sum <= 255 * n; sum += n > 8 ? 3 : 1) {
          Pool2dShape s;
          s.adaptive = true;
          s.channels = 16;
          s.in_width = n;
          std::vector<std::uint8_t> x(static_cast<std::size_t>(16 * n)), y(16);
          for (std::int64_t i = 0, left = sum; i < n; ++i) {
            const std::int64_t q = std::min<std::int64_t>(left, 255);
            std::fill_n(x.data() + 16 * i, 16, static_cast<std::uint8_t>(q));
            left -= q;
          }
          (*set)->average_pool->run(s, x.data(), zero_point, y.data(), scratch);
          const std::int64_t centred = sum - n * zero_point;
          ASSERT_EQ(y[0], oracle_average(centred, n, zero_point)) << sum << " / " << n << " z " << zero_point;
          ++cases;
          if ((2 * centred) % n == 0 && centred % n != 0) ++ties;
        }
  std::printf("cases=%lld ties=%lld\n", static_cast<long long>(cases), static_cast<long long>(ties));
  EXPECT_GT(ties, 1000);
}

TEST(Pool, LargeWindowsAreExactBesideTies) {
  // n codes of which the first `more` are 201, the others 200: the mean is 200 + more / n.
  Scratch scratch;
  for (const KernelSet* set : sets_under_test())
    for (std::int64_t n : {65535, 65536, 90000})
      for (std::int64_t more : {n / 2 - 1, n / 2, n / 2 + 1}) {
        Pool2dShape s;
        s.adaptive = true;
        s.channels = 16;
        s.in_width = n;
        std::vector<std::uint8_t> x(static_cast<std::size_t>(16 * n), 200), y(16);
        std::fill_n(x.begin(), 16 * more, static_cast<std::uint8_t>(201));
        (*set)->average_pool->run(s, x.data(), 0, y.data(), scratch);
        EXPECT_EQ(y[0], 2 * more > n ? 201 : 200) << set->isa_name() << " " << more << " of " << n;
      }
}

TEST(Pool, OutputSizesAndRefusals) {
  namespace k = midtread::kernels;
  EXPECT_EQ(pool_output_size(7, 2, 2, 0, 1, false), 3);
  EXPECT_EQ(pool_output_size(7, 2, 2, 0, 1, true), 4);
  EXPECT_EQ(pool_output_size(7, 3, 2, 1, 1, true), 4);
  EXPECT_EQ(pool_output_size(1, 2, 3, 1, 1, true), 1);  // a second window would start in the right padding
  EXPECT_EQ(pool_output_size(2, 3, 1, 0, 1, false), 0);
  Pool2dShape s;
  s.in_height = s.in_width = 8;
  s.kernel_height = s.kernel_width = 2;
  s.stride_height = s.stride_width = 2;
  s.out_height = s.out_width = 4;
  EXPECT_NO_THROW(k::check(s, "pool"));
  s.pad_height = 2;
  EXPECT_THROW(k::check(s, "pool"), midtread::ShapeError);
  s.pad_height = 0;
  s.out_height = 5;
  EXPECT_THROW(k::check(s, "pool"), midtread::ShapeError);
  s.out_height = 4;
  s.stride_width = 0;
  EXPECT_THROW(k::check(s, "pool"), midtread::ShapeError);
}

}  // namespace pool_test

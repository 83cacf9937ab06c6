// SPDX-License-Identifier: MIT
// Linear layers against an int64 oracle: every shape of a cube, then large random ones; every instruction
// set.
#include "kernel_tester.hpp"

namespace gemm_test {

using namespace kernel_tester;
using midtread::Rounding;
using midtread::kernels::Epilogue;
using midtread::kernels::Scratch;

/// Operands and expected results of [rows, depth] x [columns, depth]. Fewer rows are a prefix.
struct Problem {
  std::int64_t rows, columns, depth;
  int x_zero_point, zero_point, lo, hi, policy;
  std::vector<std::uint8_t> x;
  std::vector<std::int8_t> w;
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier;
  std::vector<std::int32_t> acc;
  std::vector<std::uint8_t> y;

  Problem(std::int64_t m, std::int64_t n, std::int64_t k, unsigned seed) : rows(m), columns(n), depth(k) {
    Operands make(seed);
    const int zero_points[4] = {0, 255, 128, static_cast<int>(make.below(256))};
    x_zero_point = zero_points[make.below(4)];
    zero_point = static_cast<int>(make.below(256));
    lo = make.below(3) ? 0 : zero_point;
    hi = make.below(3) ? 255 : std::max(lo, 200);
    policy = make.below(4) ? 0 : static_cast<int>(make.below(4));
    x = make.activations(static_cast<std::size_t>(m * k),
                         make.below(2) ? 0 : static_cast<int>(make.below(5)));
    w = make.weights(static_cast<std::size_t>(n * k),
                     make.below(2) ? 5 : static_cast<int>(make.below(Operands::kWeightPatterns)));
    bias = make.biases(static_cast<std::size_t>(n));
    multiplier = make.multipliers(static_cast<std::size_t>(n), k);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        std::int64_t sum = 0;
        for (std::int64_t p = 0; p < k; ++p)
          sum += (std::int64_t{x[static_cast<std::size_t>(i * k + p)]} - x_zero_point) *
                 std::int64_t{w[static_cast<std::size_t>(j * k + p)]};
        const auto c = static_cast<std::size_t>(j);
        acc.push_back(static_cast<std::int32_t>(sum));
        y.push_back(oracle_requantize(sum + bias[c], multiplier[c], zero_point, lo, hi, policy));
      }
  }
  Epilogue epilogue() const {
    return {bias.data(), multiplier.data(), zero_point, lo, hi, static_cast<Rounding>(policy)};
  }
};

class Runner {
 public:
  explicit Runner(std::size_t capacity)
      : x_(capacity), w_(capacity), bias_(1 << 16), scale_(1 << 16), y_(capacity) {}

  /// Empty, or what differs.
  std::string run(const KernelSet& set, const Problem& p, const std::vector<std::int64_t>& row_counts,
                  bool at_start) {
    Conv2dShape shape = midtread::kernels::linear_shape(p.rows, p.depth, p.columns);
    const auto packed = midtread::kernels::pack_weights(set.conv(shape), shape, w_.place(p.w, at_start));
    Epilogue epilogue = p.epilogue();
    epilogue.bias = bias_.place(p.bias, at_start);
    epilogue.multiplier = scale_.place(p.multiplier, at_start);
    for (std::int64_t rows : row_counts) {
      shape.batch = rows;
      const auto outputs = static_cast<std::size_t>(rows * p.columns);
      const std::vector<std::uint8_t> head(p.x.data(), p.x.data() + rows * p.depth);
      const std::uint8_t* x = x_.place(head, at_start);
      auto* y = y_.place<std::uint8_t>(outputs, at_start, 0xEE);
      midtread::kernels::run_conv(packed, shape, x, p.x_zero_point, epilogue, y, scratch_);
      if (std::memcmp(y, p.y.data(), outputs) != 0) return describe(set, p, rows, "codes");
      if (!y_.canary_intact()) return describe(set, p, rows, "written outside the codes");
      auto* acc = y_.place<std::int32_t>(outputs, at_start, 0xEE);
      midtread::kernels::accumulate_conv(packed, shape, x, p.x_zero_point, acc, scratch_);
      if (std::memcmp(acc, p.acc.data(), outputs * 4) != 0) return describe(set, p, rows, "accumulators");
      if (!y_.canary_intact()) return describe(set, p, rows, "written outside the accumulators");
    }
    return {};
  }

 private:
  static std::string describe(const KernelSet& set, const Problem& p, std::int64_t rows, const char* what) {
    return std::string(set->conv->label) + ": " + what + " differ at " + std::to_string(rows) + "x" +
           std::to_string(p.columns) + "x" + std::to_string(p.depth) + " zero point " +
           std::to_string(p.x_zero_point);
  }

  GuardedArena x_, w_, bias_, scale_, y_;
  Scratch scratch_;
};

TEST(Gemm, TheOracleAgreesWithHandComputedCases) {
  EXPECT_EQ(oracle_requantize(5, 0.5f, 0, 0, 255, 0), 2);  // 2.5 -> 2
  EXPECT_EQ(oracle_requantize(7, 0.5f, 0, 0, 255, 0), 4);  // 3.5 -> 4
  EXPECT_EQ(oracle_requantize(5, 0.5f, 0, 0, 255, 1), 3);
  EXPECT_EQ(oracle_requantize(5, 0.5f, 0, 0, 255, 2), 2);
  EXPECT_EQ(oracle_requantize(5, 0.5f, 0, 0, 255, 3), 3);
  EXPECT_EQ(oracle_requantize(-5, 0.5f, 100, 0, 255, 0), 98);  // -2.5
  EXPECT_EQ(oracle_requantize(-5, 0.5f, 100, 0, 255, 1), 98);
  EXPECT_EQ(oracle_requantize(-5, 0.5f, 100, 0, 255, 2), 98);
  EXPECT_EQ(oracle_requantize(-5, 0.5f, 100, 0, 255, 3), 97);
  EXPECT_EQ(oracle_requantize(5, 0.5f, 3, 0, 255, 0), 5);  // rounds before the zero point is added
  EXPECT_EQ(oracle_requantize(1 << 30, 1.0f, 3, 0, 200, 0), 200);
  EXPECT_EQ(oracle_requantize(-(1 << 30), 1.0f, 3, 3, 200, 0), 3);
  EXPECT_EQ(oracle_requantize(16777217, 1e-5f, 0, 0, 255, 0), 168);  // 167.77
}

TEST(Gemm, EveryShapeUpTo33By33By97EqualsTheOracle) {
  Runner runner(1 << 16);
  std::vector<std::int64_t> rows(33);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i) + 1;
  const auto sets = sets_under_test();
  std::int64_t cases = 0;
  for (std::int64_t n = 1; n <= 33; ++n)
    for (std::int64_t k = 1; k <= 97; ++k) {
      const Problem problem(33, n, k, static_cast<unsigned>(n * 1000 + k));
      for (const KernelSet* set : sets) {
        ASSERT_EQ(runner.run(*set, problem, rows, (n + k) % 2 == 0), "");
        cases += 33;
      }
    }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
  EXPECT_EQ(cases, 105633 * static_cast<std::int64_t>(sets.size()));
}

TEST(Gemm, LargeRandomShapesEqualTheOracle) {
  Runner runner(16 << 20);
  Operands pick(11);
  const auto sets = sets_under_test();
  std::int64_t cases = 0;
  for (unsigned seed = 0; seed < 500; ++seed) {
    const std::int64_t m = pick.log_uniform(1, 64), n = pick.log_uniform(1, 1024),
                       k = pick.log_uniform(1, 4608);
    const Problem problem(m, n, k, seed);
    for (const KernelSet* set : sets) {
      ASSERT_EQ(runner.run(*set, problem, {m}, seed % 2 == 0), "");
      ++cases;
    }
  }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
}

TEST(Gemm, ExtremeSumsStayExact) {
  // 2^30 is the contract's bound on an accumulator: 255 * 128 * K.
  Runner runner(1 << 20);
  for (const KernelSet* set : sets_under_test())
    for (int x_zero : {0, 255})
      for (int pattern : {1, 2}) {
        Problem p(2, 17, 32896, 5);
        std::fill(p.x.begin(), p.x.end(), static_cast<std::uint8_t>(255 - x_zero));
        p.w = Operands(1).weights(p.w.size(), pattern);
        p.x_zero_point = x_zero;
        p.policy = 0;
        const std::int64_t sum = std::int64_t{p.depth} * (255 - 2 * x_zero) * p.w[0];
        for (std::size_t i = 0; i < p.acc.size(); ++i) {
          p.acc[i] = static_cast<std::int32_t>(sum);
          p.y[i] = oracle_requantize(sum + p.bias[i % 17], p.multiplier[i % 17], p.zero_point, p.lo, p.hi, 0);
        }
        ASSERT_EQ(runner.run(*set, p, {1, 2}, false), "");
      }
}

TEST(Gemm, RequantizationIsExactBesideTies) {
  // acc * multiplier as near to k + 1/2 as floats allow: the bias makes the accumulator, x is at its zero
  // point.
  Runner runner(1 << 20);
  Operands make(21);
  std::int64_t cases = 0, ties = 0;
  for (unsigned repeat = 0; repeat < 40; ++repeat) {
    Problem p(1, 1000, 1, repeat);
    p.x[0] = static_cast<std::uint8_t>(p.x_zero_point);
    p.lo = 0;
    p.hi = 255;
    for (std::size_t c = 0; c < 1000; ++c) {
      p.bias[c] = static_cast<std::int32_t>(make.log_uniform(1, 1 << 30)) * (c % 2 ? 1 : -1);
      const double k = static_cast<double>(make.below(200)) + 0.5;
      float m = static_cast<float>(k / std::fabs(static_cast<double>(p.bias[c])));
      const std::int64_t nudge = make.below(5) - 2;
      for (std::int64_t i = 0; i < std::abs(nudge); ++i) m = std::nextafter(m, nudge < 0 ? 0.0f : 1e30f);
      p.multiplier[c] = m;
      p.acc[c] = 0;
      p.y[c] = oracle_requantize(p.bias[c], m, p.zero_point, p.lo, p.hi, p.policy);
      const float v =
          static_cast<float>(static_cast<double>(static_cast<float>(p.bias[c])) * static_cast<double>(m));
      if (v + v == std::floor(v + v) && v != std::floor(v)) ++ties;
    }
    for (const KernelSet* set : sets_under_test()) {
      ASSERT_EQ(runner.run(*set, p, {1}, false), "");
      cases += 1000;
    }
  }
  std::printf("cases=%lld ties=%lld\n", static_cast<long long>(cases), static_cast<long long>(ties));
  EXPECT_GT(ties, 4000);
}

TEST(Gemm, TheNumberOfThreadsDoesNotChangeTheCodes) {
  Runner runner(4 << 20);
  const int threads = midtread::num_threads();
  for (const KernelSet* set : sets_under_test())
    for (int count : {1, 2, 3, 7}) {
      midtread::set_num_threads(count);
      ASSERT_EQ(runner.run(*set, Problem(300, 70, 333, 3), {1, 300}, false), "");
      ASSERT_EQ(runner.run(*set, Problem(3, 700, 200, 4), {3}, false), "");
    }
  midtread::set_num_threads(threads);
}

}  // namespace gemm_test

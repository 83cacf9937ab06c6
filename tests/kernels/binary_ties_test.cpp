// SPDX-License-Identifier: MIT
// add and mul of every pair of codes where results lie on ties and next to them: kernels that take a shorter way
// to a sum or product must notice where the contract's roundings decide.
#include "kernel_tester.hpp"

namespace binary_ties_test {

using namespace kernel_tester;
using midtread::Rounding;
using midtread::kernels::AffineParams;
using midtread::kernels::elementwise;
using midtread::kernels::QuantizeParams;

constexpr std::size_t kPairs = 65536;

class PairTester {
 public:
  std::int64_t cases = 0;

  PairTester() : a_(kPairs), b_(kPairs), expected_(kPairs), y_(kPairs) {
    for (std::size_t i = 0; i < kPairs; ++i) {
      a_[i] = static_cast<std::uint8_t>(i >> 8);
      b_[i] = static_cast<std::uint8_t>(i);
    }
  }

  /// Against the portable loops of the contract.
  void check(AffineParams qa, AffineParams qb, const QuantizeParams& out) {
    namespace reference = midtread::kernels::reference;
    const auto shape = elementwise(static_cast<std::int64_t>(kPairs));
    for (bool mul : {false, true}) {
      (mul ? reference::kMul : reference::kAdd).run(shape, a_.data(), qa, b_.data(), qb, out, expected_.data());
      for (const KernelSet* set : sets_) {
        (mul ? (*set)->mul : (*set)->add)->run(shape, a_.data(), qa, b_.data(), qb, out, y_.data());
        for (std::size_t i = 0; i < kPairs; ++i)
          ASSERT_EQ(y_[i], expected_[i])
              << set->isa_name() << (mul ? " mul " : " add ") << int{a_[i]} << ", " << int{b_[i]} << ": scales "
              << qa.scale << ", " << qb.scale << ", " << out.scale << ", zero points " << qa.zero_point << ", "
              << qb.zero_point << ", " << out.zero_point;
        ++cases;
      }
    }
  }

 private:
  std::vector<std::uint8_t> a_, b_, expected_, y_;
  std::vector<const KernelSet*> sets_ = sets_under_test();
};

TEST(BinaryTies, ScalesThatMakeThem) {
  PairTester tester;
  // Ratios with few bits, such whose last bits the contract rounds, and both sides of where products change kernels.
  const float inputs[] = {1.0f, 0.5f, 0.1f, 0.0371f, 1.0f / 3.0f};
  const float ratios[] = {1.0f, 2.0f, 3.0f, 3.98f, 4.0f, 4.02f, 256.0f, 255.0f, 1023.5f, 100.0f / 3.0f};
  unsigned n = 0;
  for (float first : inputs)
    for (float ratio : ratios) {
      const AffineParams qa{first, static_cast<std::int32_t>(++n * 37 % 256)};
      const AffineParams qb{inputs[n % 5], static_cast<std::int32_t>(n * 91 % 256)};
      const auto zero_point = static_cast<std::int32_t>(n * 53 % 256);
      const std::int32_t lo = n % 3 == 0 ? zero_point : 0, hi = n % 4 == 0 ? std::max(zero_point, 200) : 255;
      tester.check(qa, qb, {first * qb.scale * ratio, zero_point, {lo, hi}, Rounding::kHalfEven});
      // After ReLU zero points are 0, and kernels take a shorter way.
      tester.check({qa.scale, n % 2 == 0 ? 0 : qa.zero_point}, {qb.scale, 0},
                   {first * qb.scale * ratio, 0, {0, 255}, Rounding::kHalfEven});
    }
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(BinaryTies, ScalesAtRandom) {
  PairTester tester;
  Operands make(31);
  for (int n = 0; n < 40; ++n) {
    const AffineParams qa{make.real(0.001f, 0.1f), static_cast<std::int32_t>(make.below(256))};
    const AffineParams qb{make.real(0.001f, 0.1f), static_cast<std::int32_t>(make.below(256))};
    const float scale = n % 2 ? make.real(0.005f, 0.2f) : qa.scale * qb.scale * make.real(3.0f, 400.0f);
    tester.check(qa, qb, {scale, static_cast<std::int32_t>(make.below(256)), {0, 255}, Rounding::kHalfEven});
  }
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

}  // namespace binary_ties_test

// SPDX-License-Identifier: MIT
#include <midtread/ops/dropout.hpp>

#include <midtread/ops/elementwise.hpp>
#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>

namespace midtread {
namespace dropout_test {

using namespace test;

TEST(Dropout, DropsWithProbabilityPAndScalesTheRest) {
  manual_seed(1);
  int cases = 0;
  for (const double p : {0.1, 0.3, 0.5, 0.9}) {
    const std::int64_t n = 200000;
    const Tensor y = dropout(ones({n}), p);
    std::int64_t dropped = 0;
    for (const float v : y.to_vector()) {
      dropped += v == 0.0f ? 1 : 0;
      ASSERT_TRUE(v == 0.0f || v == static_cast<float>(1.0 / (1.0 - p)));
    }
    const double deviation = std::sqrt(p * (1 - p) * static_cast<double>(n));
    EXPECT_NEAR(static_cast<double>(dropped), p * static_cast<double>(n), 5 * deviation);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Dropout, TheSeedDecides) {
  const auto draw = [] { return dropout(ones({3, 4, 50, 51}), 0.4); };
  expect_same_on_threads([&] {
    manual_seed(7);
    return draw();
  });
  manual_seed(7);
  const Tensor first = draw(), second = draw();
  EXPECT_FALSE(identical(first, second));
  EXPECT_EQ(default_generator().counter(), 2u * 3 * 4 * 50 * 51);
  manual_seed(8);
  EXPECT_FALSE(identical(first, draw()));
}

TEST(Dropout, TheGradientPassesWhereTheValueDid) {
  manual_seed(2);
  Generator g(3);
  for (int order = 0; order < 4; ++order) {
    Tensor x = in_order(full({2, 3, 4, 5}, 2.0f), order).requires_grad_();
    const Tensor y = dropout(x, 0.5);
    y.backward(full({2, 3, 4, 5}, 3.0f));
    for (std::int64_t k = 0; k < 120; ++k) {
      const auto at = index_of(x.shape(), k);
      EXPECT_EQ(element(x.grad(), at), element(y, at) == 0.0f ? 0.0f : 6.0f);
    }
  }
}

TEST(Dropout, InEvalItIsAnotherHandleOnTheSameValues) {
  QParams q;
  q.scale = 0.5f;
  const Tensor x = with_codes(full<std::uint8_t>({4}, 3), q).requires_grad_();
  for (const Tensor& y : {dropout(x, 0.5, false), dropout(x, 0.0, true)}) {
    EXPECT_FALSE(y.is(x));
    EXPECT_TRUE(identical(x, y));
    expect_consistent_codes(y);
    x.set_grad({});
    (y * 2.0).backward(ones({4}));
    EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{2, 2, 2, 2}));
  }
  EXPECT_FALSE(dropout(x, 0.5, true).codes());
}

TEST(Dropout, WithPOneNothingIsLeft) {
  Tensor x = full({3}, 5.0f);
  x.requires_grad_();
  const Tensor y = dropout(x, 1.0);
  EXPECT_EQ(y.to_vector(), (std::vector<float>{0, 0, 0}));
  y.backward(ones({3}));
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{0, 0, 0}));
}

TEST(Dropout, RejectsAProbabilityOutsideItsRange) {
  for (const double p : {-0.1, 1.1, std::nan("")})
    expect_error<ConfigError>([p] { return dropout(ones({1}), p); }, {"dropout", "allowed 0..1"});
  EXPECT_EQ(ops::Dropout{0.5}.attributes(), "p 0.5");
}

}  // namespace dropout_test
}  // namespace midtread

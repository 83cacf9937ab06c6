// SPDX-License-Identifier: MIT
// The numeric suite's distances against PyTorch's.
#include <midtread/quant/numeric_suite.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>
#include <support/golden.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

TEST(GoldenNumericSuite, Distances) {
  int cases = 0;
  for (const golden::Case& c : golden::load("e2e")) {
    if (c.op != "numeric_suite") continue;
    SCOPED_TRACE(c.id);
    const mt::Tensor x = golden::tensor(c.inputs.at("x")), y = golden::tensor(c.inputs.at("y"));
    const auto near = [&](double got, const char* name) {
      const double want = c.expected.at(name);
      EXPECT_LE(std::abs(got - want), c.tolerance.abs + c.tolerance.rel * std::abs(want))
          << name << ": " << got << ", expected " << want;
    };
    near(quant::compute_sqnr(x, y), "sqnr_db");
    near(quant::compute_normalized_l2_error(x, y), "normalized_l2");
    near(quant::compute_cosine_similarity(x, y), "cosine");
    ++cases;
  }
  EXPECT_EQ(cases, 2);
  std::printf("cases=%d\n", cases);
}

TEST(NumericSuite, EqualAndUnequalTensors) {
  const mt::Tensor x = mt::from_vector(std::vector<float>{3, 4, 0, 0}, mt::Shape{1, 2, 1, 2}),
                   zero = mt::zeros(x.shape());
  EXPECT_EQ(quant::compute_sqnr(x, x.channels_last()), HUGE_VAL);
  EXPECT_EQ(quant::compute_normalized_l2_error(x, x), 0.0);
  EXPECT_DOUBLE_EQ(quant::compute_cosine_similarity(x, x), 1.0);
  EXPECT_DOUBLE_EQ(quant::compute_normalized_l2_error(x, zero), 1.0);
  EXPECT_DOUBLE_EQ(quant::compute_sqnr(x, zero), 0.0);
  EXPECT_EQ(quant::compute_cosine_similarity(x, zero), 0.0);
  EXPECT_EQ(quant::compute_sqnr(zero, zero), HUGE_VAL);
  EXPECT_EQ(quant::compute_normalized_l2_error(zero, zero), 0.0);
  expect_error<mt::ShapeError>([&] { quant::compute_sqnr(x, mt::zeros(mt::Shape{4})); },
                               {"[4]", "need one shape"});
  EXPECT_THROW(quant::compute_normalized_l2_error(x, mt::zeros(mt::Shape{4})), mt::ShapeError);
  EXPECT_THROW(quant::compute_cosine_similarity(x, mt::zeros(mt::Shape{4})), mt::ShapeError);
}

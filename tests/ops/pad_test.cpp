// SPDX-License-Identifier: MIT
#include <midtread/ops/pad.hpp>

#include <midtread/autograd/grad_check.hpp>

#include <gtest/gtest.h>
#include <cstdio>

namespace midtread {
namespace pad_test {

TEST(Pad2d, PutsTheInputInsideAFrame) {
  Generator g(1);
  int cases = 0;
  for (; cases < 50; ++cases) {
    ops::Pad2d op{g.below(3), g.below(4), g.below(3), g.below(4), 1.5};
    const Tensor x = randn({1 + g.below(2), 1 + g.below(4), 1 + g.below(4), 1 + g.below(4)}, g),
                 y = pad2d(x, op);
    ASSERT_EQ(y.shape(),
              (Shape{x.size(0), x.size(1), x.size(2) + op.top + op.bottom, x.size(3) + op.left + op.right}));
    for (std::int64_t n = 0; n < y.size(0); ++n)
      for (std::int64_t c = 0; c < y.size(1); ++c)
        for (std::int64_t i = 0; i < y.size(2); ++i)
          for (std::int64_t j = 0; j < y.size(3); ++j) {
            const std::int64_t row = i - op.top, column = j - op.left;
            const bool inside = row >= 0 && row < x.size(2) && column >= 0 && column < x.size(3);
            EXPECT_EQ(y.at({n, c, i, j}), inside ? x.at({n, c, row, column}) : 1.5f);
          }
  }
  std::printf("cases=%d\n", cases);
}

TEST(Pad2d, GradientsAgreeWithDifferences) {
  Generator g(2);
  const ops::Pad2d op{1, 2, 0, 3, -1.0};
  const auto result =
      autograd::grad_check([&](const std::vector<BasicTensor<double>>& t) { return pad2d(t[0], op); },
                           {randn<double>({2, 3, 4, 5}, g)});
  EXPECT_TRUE(result.ok) << result.where;
}

TEST(Pad2d, ZeroKeepsCodesAndOtherValuesDropThem) {
  QParams qparams;
  qparams.scale = 0.5f;
  qparams.zero_point = 7;
  for (const DType dtype : {DType::kUInt8, DType::kInt8}) {
    qparams.dtype = dtype;
    if (dtype == DType::kInt8) qparams.range = {-128, 127};
    const int zero = dtype == DType::kInt8 ? 135 : 7;
    BasicTensor<std::uint8_t> q = full<std::uint8_t>({1, 1, 1, 1}, 9);
    const Tensor x = full({1, 1, 1, 1}, static_cast<float>(9 - zero) * 0.5f);
    x.set_codes(std::make_shared<const Codes>(Codes{q, qparams}));
    const Tensor y = pad2d(x, {1, 0, 0, 0, 0});
    ASSERT_TRUE(y.codes());
    EXPECT_EQ(y.codes()->values.to_vector(), (std::vector<std::uint8_t>{static_cast<std::uint8_t>(zero), 9}));
    EXPECT_EQ(y.codes()->qparams, qparams);
    EXPECT_EQ(y.to_vector(), (std::vector<float>{0.0f, static_cast<float>(9 - zero) * 0.5f}));
    EXPECT_FALSE(pad2d(x, {1, 0, 0, 0, 1.0}).codes());
  }
}

TEST(Pad2d, RejectsWhatDoesNotFit) {
  EXPECT_THROW(pad2d(zeros({1, 2, 3}), {1, 1, 1, 1, 0}), ShapeError);
  EXPECT_THROW(pad2d(zeros({1, 2, 3, 3}), {-1, 1, 1, 1, 0}), ShapeError);
}

}  // namespace pad_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
#include <midtread/ops/upsample.hpp>

#include <midtread/autograd/grad_check.hpp>

#include <gtest/gtest.h>
#include <cstdio>

namespace midtread {
namespace upsample_test {

TEST(UpsampleNearest2d, RepeatsElements) {
  Generator g(1);
  int cases = 0;
  for (; cases < 50; ++cases) {
    const ops::UpsampleNearest2d op{1 + g.below(4), 1 + g.below(4)};
    const Tensor x = randn({1 + g.below(2), 1 + g.below(4), 1 + g.below(4), 1 + g.below(4)}, g),
                 y = upsample_nearest2d(x, op);
    ASSERT_EQ(y.shape(),
              (Shape{x.size(0), x.size(1), x.size(2) * op.scale_height, x.size(3) * op.scale_width}));
    for (std::int64_t n = 0; n < y.size(0); ++n)
      for (std::int64_t c = 0; c < y.size(1); ++c)
        for (std::int64_t i = 0; i < y.size(2); ++i)
          for (std::int64_t j = 0; j < y.size(3); ++j)
            EXPECT_EQ(y.at({n, c, i, j}), x.at({n, c, i / op.scale_height, j / op.scale_width}));
  }
  std::printf("cases=%d\n", cases);
}

TEST(UpsampleNearest2d, GradientsAgreeWithDifferences) {
  Generator g(2);
  const auto result = autograd::grad_check(
      [&](const std::vector<BasicTensor<double>>& t) {
        return upsample_nearest2d(t[0], {2, 3});
      },
      {randn<double>({2, 3, 4, 2}, g)});
  EXPECT_TRUE(result.ok) << result.where;
}

TEST(UpsampleNearest2d, KeepsCodes) {
  QParams qparams;
  qparams.scale = 0.5f;
  const Tensor x = from_vector<float>({1, 2}, {1, 2, 1, 1});
  x.set_codes(std::make_shared<const Codes>(Codes{from_vector<std::uint8_t>({2, 4}, {1, 2, 1, 1}), qparams}));
  const Tensor y = upsample_nearest2d(x, {1, 2});
  ASSERT_TRUE(y.codes());
  EXPECT_EQ(y.codes()->values.to_vector(), (std::vector<std::uint8_t>{2, 2, 4, 4}));
  EXPECT_EQ(y.codes()->qparams, qparams);
}

TEST(UpsampleNearest2d, RejectsWhatDoesNotFit) {
  EXPECT_THROW(upsample_nearest2d(zeros({1, 2, 3}), {2, 2}), ShapeError);
  EXPECT_THROW(upsample_nearest2d(zeros({1, 2, 3, 3}), {0, 2}), ShapeError);
}

}  // namespace upsample_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
#include <midtread/ops/conv1d.hpp>

#include <midtread/autograd/grad_check.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>
#include <cstdio>

namespace midtread {
namespace conv1d_test {

TEST(Conv1d, EqualsPlainLoops) {
  Generator g(1);
  int cases = 0;
  while (cases < 200) {
    ops::Conv1d op;
    op.stride = 1 + g.below(3), op.padding = g.below(4), op.dilation = 1 + g.below(3),
    op.groups = 1 + g.below(3);
    const std::int64_t n = 1 + g.below(3), in = 1 + g.below(5), out = 1 + g.below(18),
                       length = 1 + g.below(12), k = 1 + g.below(4);
    const std::int64_t reach = length + 2 * op.padding - op.dilation * (k - 1) - 1;
    if (reach < 0) continue;
    const Tensor x = randn({n, in * op.groups, length}, g), w = randn({out * op.groups, in, k}, g),
                 b = randn({out * op.groups}, g);
    const Tensor y = conv1d(x, w, b, op);
    ASSERT_EQ(y.shape(), (Shape{n, out * op.groups, reach / op.stride + 1}));
    double worst = 0;
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t o = 0; o < out * op.groups; ++o)
        for (std::int64_t at = 0; at < y.size(2); ++at) {
          double sum = static_cast<double>(b.at({o}));
          for (std::int64_t c = 0; c < in; ++c)
            for (std::int64_t u = 0; u < k; ++u) {
              const std::int64_t from = at * op.stride - op.padding + u * op.dilation;
              if (from < 0 || from >= length) continue;
              sum += static_cast<double>(x.at({i, o / out * in + c, from})) *
                     static_cast<double>(w.at({o, c, u}));
            }
          worst = std::max(worst, std::abs(sum - static_cast<double>(y.at({i, o, at}))));
        }
    EXPECT_LT(worst, 1e-4) << op.attributes();
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Conv1d, GradientsAgreeWithDifferences) {
  Generator g(2);
  int cases = 0;
  while (cases < 40) {
    ops::Conv1d op;
    op.stride = 1 + g.below(3), op.padding = g.below(3), op.dilation = 1 + g.below(3),
    op.groups = 1 + g.below(3);
    const std::int64_t in = 1 + g.below(3), out = 1 + g.below(4), length = 1 + g.below(9), k = 1 + g.below(4);
    if (length + 2 * op.padding - op.dilation * (k - 1) - 1 < 0) continue;
    const auto result = autograd::grad_check(
        [&](const std::vector<BasicTensor<double>>& t) { return conv1d(t[0], t[1], t[2], op); },
        {randn<double>({1 + g.below(2), in * op.groups, length}, g),
         randn<double>({out * op.groups, in, k}, g), randn<double>({out * op.groups}, g)});
    EXPECT_TRUE(result.ok) << op.attributes() << " " << result.where;
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Conv1d, RejectsOtherRanks) {
  EXPECT_THROW(conv1d(zeros({2, 3}), zeros({4, 3, 1})), ShapeError);
  EXPECT_THROW(conv1d(zeros({2, 3, 5}), zeros({4, 3, 1, 1})), ShapeError);
  EXPECT_THROW(conv1d(zeros({2, 3, 5}), zeros({4, 2, 1})), ShapeError);
  EXPECT_THROW(conv1d(zeros({2, 3, 5}), zeros({4, 3, 6})), ShapeError);
}

}  // namespace conv1d_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
#include <midtread/ops/conv2d.hpp>

#include <midtread/autograd/grad_check.hpp>
#include <midtread/tensor/compare.hpp>

#include <cstdio>
#include <gtest/gtest.h>

namespace midtread {
namespace {

template <class S>
BasicTensor<S> plain_conv2d(const BasicTensor<S>& x, const BasicTensor<S>& w, const BasicTensor<S>& b, const ops::Conv2d& p) {
  const kernels::Conv2dShape s = p.shape(x.shape(), w.shape());
  BasicTensor<S> y(Shape{s.batch, s.out_channels, s.out_height, s.out_width});
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t o = 0; o < s.out_channels; ++o)
      for (std::int64_t i = 0; i < s.out_height; ++i)
        for (std::int64_t j = 0; j < s.out_width; ++j) {
          double sum = b.defined() ? static_cast<double>(b.at({o})) : 0.0;
          for (std::int64_t c = 0; c < s.in_group(); ++c)
            for (std::int64_t u = 0; u < s.kernel_height; ++u)
              for (std::int64_t v = 0; v < s.kernel_width; ++v) {
                const std::int64_t row = i * p.stride[0] - p.padding[0] + u * p.dilation[0];
                const std::int64_t column = j * p.stride[1] - p.padding[1] + v * p.dilation[1];
                if (row < 0 || row >= s.in_height || column < 0 || column >= s.in_width) continue;
                const std::int64_t channel = o / s.out_group() * s.in_group() + c;
                sum += static_cast<double>(x.at({n, channel, row, column})) * static_cast<double>(w.at({o, c, u, v}));
              }
          y.set({n, o, i, j}, static_cast<S>(sum));
        }
  return y;
}

struct Case {
  Shape x, w;
  ops::Conv2d op;
  bool bias = true;
};

/// A random small convolution that is valid.
Case random_case(Generator& g) {
  for (;;) {
    Case c;
    const std::int64_t groups = g.below(3) == 0 ? 1 + g.below(4) : 1;
    const std::int64_t in = groups * (1 + g.below(g.below(2) ? 3 : 9)), out = groups * (1 + g.below(g.below(2) ? 3 : 20));
    c.op.groups = groups;
    c.op.stride = {1 + g.below(3), 1 + g.below(3)};
    c.op.padding = {g.below(4), g.below(4)};
    c.op.dilation = {1 + g.below(2), 1 + g.below(3)};
    c.x = Shape{1 + g.below(3), in, 1 + g.below(9), 1 + g.below(9)};
    c.w = Shape{out, in / groups, 1 + g.below(4), 1 + g.below(4)};
    c.bias = g.below(2) == 0;
    if (g.below(4) == 0) {  // depthwise
      c.op.groups = 1 + g.below(20);
      c.x[1] = c.op.groups;
      c.w[0] = c.op.groups * (1 + g.below(2));
      c.w[1] = 1;
    }
    if (c.x[2] + 2 * c.op.padding[0] > c.op.dilation[0] * (c.w[2] - 1) && c.x[3] + 2 * c.op.padding[1] > c.op.dilation[1] * (c.w[3] - 1))
      return c;
  }
}

TEST(Conv2d, EqualsPlainLoops) {
  Generator g(1);
  int cases = 0;
  for (; cases < 400; ++cases) {
    const Case c = random_case(g);
    const Tensor x = randn(c.x, g), w = randn(c.w, g), b = c.bias ? randn(Shape{c.w[0]}, g) : Tensor();
    const Tensor y = conv2d(x, w, b, c.op);
    EXPECT_TRUE(allclose(y, plain_conv2d(x, w, b, c.op), 1e-4, 1e-4)) << c.x << c.w << c.op.attributes();
    EXPECT_TRUE(y.is_channels_last());
  }
  std::printf("cases=%d\n", cases);
}

TEST(Conv2d, GradientsAgreeWithDifferences) {
  Generator g(2);
  int cases = 0;
  for (; cases < 60; ++cases) {
    const Case c = random_case(g);
    if (element_count(c.x) > 300 || element_count(c.w) > 300) continue;
    std::vector<BasicTensor<double>> inputs{randn<double>(c.x, g), randn<double>(c.w, g)};
    if (c.bias) inputs.push_back(randn<double>(Shape{c.w[0]}, g));
    const auto result = autograd::grad_check(
        [&](const std::vector<BasicTensor<double>>& in) { return conv2d(in[0], in[1], c.bias ? in[2] : BasicTensor<double>(), c.op); },
        inputs);
    EXPECT_TRUE(result.ok) << c.x << c.w << c.op.attributes() << " " << result.where;
  }
  std::printf("cases=%d\n", cases);
}

}  // namespace
}  // namespace midtread

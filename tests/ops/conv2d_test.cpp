// SPDX-License-Identifier: MIT
#include <midtread/ops/conv2d.hpp>

#include <midtread/autograd/grad_check.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>
#include <cstdio>
#include <string>

namespace midtread {
namespace conv2d_test {

template <class S>
BasicTensor<S> plain_conv2d(const BasicTensor<S>& x, const BasicTensor<S>& w, const BasicTensor<S>& b,
                            const ops::Conv2d& p) {
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
                sum += static_cast<double>(x.at({n, channel, row, column})) *
                       static_cast<double>(w.at({o, c, u, v}));
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
    const std::int64_t in = groups * (1 + g.below(g.below(2) ? 3 : 9)),
                       out = groups * (1 + g.below(g.below(2) ? 3 : 20));
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
    if (c.x[2] + 2 * c.op.padding[0] > c.op.dilation[0] * (c.w[2] - 1) &&
        c.x[3] + 2 * c.op.padding[1] > c.op.dilation[1] * (c.w[3] - 1))
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
        [&](const std::vector<BasicTensor<double>>& in) {
          return conv2d(in[0], in[1], c.bias ? in[2] : BasicTensor<double>(), c.op);
        },
        inputs);
    EXPECT_TRUE(result.ok) << c.x << c.w << c.op.attributes() << " " << result.where;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Conv2d, GivenValuesGetTheSameGradients) {
  Generator g(3);
  ops::Conv2d op;
  op.padding = {1, 1};
  const Tensor dy = randn({2, 4, 5, 5}, g);
  Tensor x = randn({2, 3, 5, 5}, g).requires_grad_(), w = randn({4, 3, 3, 3}, g).requires_grad_(),
         b = randn({4}, g).requires_grad_();
  conv2d(x, w, b, op).backward(dy);
  const Tensor dx = x.grad(), dw = w.grad(), db = b.grad();
  for (Tensor* t : {&x, &w, &b}) t->set_grad({});
  const Tensor value = full({2, 4, 5, 5}, 7.0f), y = with_gradient_of(op, x, w, b, value);
  EXPECT_EQ(y.at({1, 3, 4, 4}), 7.0f);
  y.backward(dy);
  EXPECT_TRUE(identical(x.grad(), dx));
  EXPECT_TRUE(identical(w.grad(), dw));
  EXPECT_TRUE(identical(b.grad(), db));
}

TEST(Conv2d, ComputesOnlyTheGradientsThatAreAskedFor) {
  Generator g(4);
  for (int wanted = 0; wanted < 8; ++wanted) {
    Tensor x = randn({1, 3, 4, 4}, g), w = randn({4, 3, 3, 3}, g), b = randn({4}, g);
    if (wanted & 1) x.requires_grad_();
    if (wanted & 2) w.requires_grad_();
    if (wanted & 4) b.requires_grad_();
    const Tensor y = conv2d(x, w, b);
    EXPECT_EQ(y.requires_grad(), wanted != 0);
    if (wanted) y.backward(ones({1, 4, 2, 2}));
    EXPECT_EQ(x.grad().defined(), (wanted & 1) != 0);
    EXPECT_EQ(w.grad().defined(), (wanted & 2) != 0);
    EXPECT_EQ(b.grad().defined(), (wanted & 4) != 0);
  }
}

TEST(Conv2d, MemoryOrderDoesNotMatter) {
  Generator g(5);
  const Tensor x = randn({2, 5, 6, 7}, g), w = randn({9, 5, 3, 3}, g);
  EXPECT_TRUE(identical(conv2d(x, w), conv2d(x.channels_last(), w)));
  EXPECT_TRUE(identical(conv2d(x, w), conv2d(x, w.channels_last())));
}

TEST(Conv2d, TakesAnEmptyBatch) {
  Tensor x = zeros({0, 3, 5, 5}), w = ones({4, 3, 3, 3}).requires_grad_(), b = ones({4}).requires_grad_();
  x.requires_grad_();
  const Tensor y = conv2d(x, w, b);
  EXPECT_EQ(y.shape(), (Shape{0, 4, 3, 3}));
  y.backward(zeros({0, 4, 3, 3}));
  EXPECT_TRUE(identical(w.grad(), zeros({4, 3, 3, 3})));
  EXPECT_TRUE(identical(b.grad(), zeros({4})));
  EXPECT_EQ(x.grad().shape(), x.shape());
}

TEST(Conv2d, RejectsWhatDoesNotFit) {
  const Tensor x = zeros({1, 4, 5, 5}), w = zeros({6, 4, 3, 3});
  const auto message = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const ShapeError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  const auto expect = [&](const std::string& part, const auto& call) {
    const std::string text = message(call);
    EXPECT_NE(text.find("ShapeError: conv2d: "), std::string::npos) << text;
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect("needs [N, C, H, W]", [&] { conv2d(zeros({4, 5, 5}), w); });
  expect("needs [O, I/groups, kH, kW]", [&] { conv2d(x, zeros({6, 4, 3})); });
  expect("expects 3 input channels, input has 4", [&] { conv2d(x, zeros({6, 3, 3, 3})); });
  expect("bias has shape [5]", [&] { conv2d(x, w, zeros({5})); });
  expect("larger than the padded input 5x5", [&] { conv2d(x, zeros({6, 4, 6, 3})); });
  expect("every dimension must be at least 1", [&] { conv2d(x, zeros({6, 4, 0, 3})); });
  ops::Conv2d op;
  op.groups = 4;
  expect("groups 4 must divide 6", [&] { conv2d(x, zeros({6, 1, 3, 3}), {}, op); });
  op = {};
  op.stride = {0, 1};
  expect("stride is 0x1", [&] { conv2d(x, w, {}, op); });
  op = {};
  op.padding = {-1, 0};
  expect("padding is -1x0", [&] { conv2d(x, w, {}, op); });
  op = {};
  op.dilation = {1, 0};
  expect("dilation is 1x0", [&] { conv2d(x, w, {}, op); });
}

}  // namespace conv2d_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
#include <midtread/ops/conv_transpose2d.hpp>

#include <midtread/autograd/grad_check.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>
#include <cstdio>

#include <data/expect_error.hpp>

namespace midtread {
namespace conv_transpose2d_test {

/// Adds every product where it belongs, in double.
template <class S>
BasicTensor<double> scattered(const BasicTensor<S>& x, const BasicTensor<S>& w, const BasicTensor<S>& b,
                              const ops::ConvTranspose2d& p, const Shape& shape) {
  BasicTensor<double> y(shape);
  y.fill_(0);
  const std::int64_t in_group = x.size(1) / p.groups, out_group = w.size(1);
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    for (std::int64_t i = 0; i < x.size(1); ++i)
      for (std::int64_t r = 0; r < x.size(2); ++r)
        for (std::int64_t c = 0; c < x.size(3); ++c)
          for (std::int64_t o = 0; o < out_group; ++o)
            for (std::int64_t u = 0; u < w.size(2); ++u)
              for (std::int64_t v = 0; v < w.size(3); ++v) {
                const std::int64_t row = r * p.stride[0] - p.padding[0] + u * p.dilation[0];
                const std::int64_t column = c * p.stride[1] - p.padding[1] + v * p.dilation[1];
                if (row < 0 || row >= shape[2] || column < 0 || column >= shape[3]) continue;
                const std::int64_t channel = i / in_group * out_group + o;
                y.set({n, channel, row, column},
                      y.at({n, channel, row, column}) +
                          static_cast<double>(x.at({n, i, r, c})) * static_cast<double>(w.at({i, o, u, v})));
              }
    if (b.defined())
      for (std::int64_t o = 0; o < shape[1]; ++o)
        for (std::int64_t r = 0; r < shape[2]; ++r)
          for (std::int64_t c = 0; c < shape[3]; ++c)
            y.set({n, o, r, c}, y.at({n, o, r, c}) + static_cast<double>(b.at({o})));
  }
  return y;
}

struct Transposed {
  Shape x, w;
  ops::ConvTranspose2d op;
  bool bias = true;
};

Transposed random_transposed(Generator& g) {
  for (;;) {
    Transposed c;
    c.op.groups = g.below(3) == 0 ? 1 + g.below(4) : 1;
    c.op.stride = {1 + g.below(3), 1 + g.below(3)};
    c.op.padding = {g.below(3), g.below(3)};
    c.op.dilation = {1 + g.below(2), 1 + g.below(3)};
    c.op.output_padding = {g.below(std::max(c.op.stride[0], c.op.dilation[0])),
                           g.below(std::max(c.op.stride[1], c.op.dilation[1]))};
    c.x = Shape{1 + g.below(2), c.op.groups * (1 + g.below(5)), 1 + g.below(5), 1 + g.below(5)};
    c.w = Shape{c.x[1], 1 + g.below(g.below(2) ? 3 : 10), 1 + g.below(4), 1 + g.below(4)};
    c.bias = g.below(2) == 0;
    bool valid = true;
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
      const int d = static_cast<int>(i) + 2;
      valid = valid && kernels::conv_transpose_output_size(c.x[d], c.w[d], c.op.stride[i], c.op.padding[i],
                                                           c.op.dilation[i], c.op.output_padding[i]) >= 1;
    }
    if (valid) return c;
  }
}

TEST(ConvTranspose2d, EqualsScatteredProducts) {
  Generator g(1);
  int cases = 0;
  for (; cases < 300; ++cases) {
    const Transposed c = random_transposed(g);
    const Tensor x = randn(c.x, g), w = randn(c.w, g),
                 b = c.bias ? randn({c.w[1] * c.op.groups}, g) : Tensor();
    const Tensor y = conv_transpose2d(x, w, b, c.op);
    EXPECT_TRUE(y.is_channels_last());
    EXPECT_TRUE(allclose(cast<double>(y), scattered(x, w, b, c.op, y.shape()), 1e-4, 1e-4))
        << c.x << c.w << c.op.attributes();
  }
  std::printf("cases=%d\n", cases);
}

TEST(ConvTranspose2d, GradientsAgreeWithDifferences) {
  Generator g(2);
  int cases = 0;
  while (cases < 50) {
    const Transposed c = random_transposed(g);
    if (element_count(c.x) > 150 || element_count(c.w) > 250) continue;
    std::vector<BasicTensor<double>> inputs{randn<double>(c.x, g), randn<double>(c.w, g)};
    if (c.bias) inputs.push_back(randn<double>({c.w[1] * c.op.groups}, g));
    const auto result = autograd::grad_check(
        [&](const std::vector<BasicTensor<double>>& t) {
          return conv_transpose2d(t[0], t[1], c.bias ? t[2] : BasicTensor<double>(), c.op);
        },
        inputs);
    EXPECT_TRUE(result.ok) << c.x << c.w << c.op.attributes() << " " << result.where;
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(ConvTranspose2d, RejectsWhatDoesNotFit) {
  const Tensor x = zeros({1, 4, 3, 3});
  EXPECT_THROW(conv_transpose2d(x, zeros({3, 2, 2, 2})), ShapeError);
  EXPECT_THROW(conv_transpose2d(zeros({4, 3, 3}), zeros({4, 2, 2, 2})), ShapeError);
  EXPECT_THROW(conv_transpose2d(x, zeros({4, 2, 2})), ShapeError);
  EXPECT_THROW(conv_transpose2d(x, zeros({4, 2, 2, 2}), zeros({3})), ShapeError);
  expect_error<ShapeError>(
      [&] {
        return conv_transpose2d(x, zeros({4, 2, 0, 2}));
      },
      {"weight has shape [4, 2, 0, 2], every dimension must be at least 1"});
  expect_error<ShapeError>(
      [&] {
        return conv_transpose2d(zeros({1, 4, 0, 3}), zeros({4, 2, 2, 2}));
      },
      {"input has shape [1, 4, 0, 3], needs at least one pixel"});
  ops::ConvTranspose2d op;
  op.output_padding = {1, 0};
  EXPECT_THROW(conv_transpose2d(x, zeros({4, 2, 2, 2}), {}, op), ShapeError);
  op = {};
  op.groups = 3;
  EXPECT_THROW(conv_transpose2d(x, zeros({4, 2, 2, 2}), {}, op), ShapeError);
  op = {};
  op.padding = {2, 2};
  expect_error<ShapeError>(
      [&] {
        return conv_transpose2d(zeros({1, 4, 1, 1}), zeros({4, 2, 2, 2}), {}, op);
      },
      {"padding", "leaves an output of -2x-2"});
  op = {};
  op.stride = {0, 1};
  EXPECT_THROW(conv_transpose2d(x, zeros({4, 2, 2, 2}), {}, op), ShapeError);
}

}  // namespace conv_transpose2d_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
#include <midtread/ops/view.hpp>

#include <midtread/ops/elementwise.hpp>

#include <support/random_tensor.hpp>

#include <cstdio>

namespace midtread {
namespace view_test {

using namespace test;

/// Every view operation moves codes like values: the results are consistent, with the same qparams.
template <class F>
void expect_codes_move(const Shape& shape, Generator& g, const F& view) {
  const QParams q = random_qparams(g);
  const Tensor x = with_codes(in_order(random_codes(shape, g), static_cast<int>(g.below(4))), q);
  const Tensor y = view(x);
  expect_consistent_codes(y);
  EXPECT_EQ(y.codes()->qparams, q);
  EXPECT_FALSE(y.is(x));
}

TEST(View, ReshapeFollowsLogicalOrder) {
  Generator g(1);
  int cases = 0;
  for (; cases < 300; ++cases) {
    const Shape shape = random_shape(g, static_cast<int>(g.below(5)), 4);
    std::vector<std::int64_t> to{element_count(shape)};
    while (to.size() < 4 && g.below(3) != 0) {  // split off a divisor
      const std::int64_t n = to.back();
      std::int64_t divisor = 1 + g.below(n);
      while (n % divisor != 0) --divisor;
      to.back() = divisor;
      to.push_back(n / divisor);
    }
    std::vector<std::int64_t> asked = to;
    if (g.below(2) == 0)
      asked[static_cast<std::size_t>(g.below(static_cast<std::int64_t>(asked.size())))] = -1;
    const Tensor x = in_order(randn(shape, g), static_cast<int>(g.below(4))), y = reshape(x, asked);
    EXPECT_EQ(y.shape(), Shape(to));
    EXPECT_EQ(y.to_vector(), x.to_vector());
    expect_codes_move(shape, g, [&](const Tensor& t) { return reshape(t, asked); });
    if (cases % 10 == 0)
      expect_gradients([&](const Doubles& t) { return reshape(t[0], asked); }, {randn<double>(shape, g)});
  }
  std::printf("cases=%d\n", cases);
}

TEST(View, ReshapeSharesRowMajorStorage) {
  const Tensor x = ones({2, 6});
  EXPECT_TRUE(reshape(x, {3, 4}).storage().same_as(x.storage()));
  EXPECT_TRUE(flatten(ones({2, 6, 1, 1}).channels_last()).is_contiguous());
  const Tensor image = Tensor({2, 3, 2, 2}, channels_last_strides({2, 3, 2, 2})).fill_(1.0f);
  EXPECT_FALSE(reshape(image, {2, 12}).storage().same_as(image.storage()));
  EXPECT_FALSE(reshape(x, {2, 6}).is(x));
}

TEST(View, ReshapeInfersAndKeepsDimensions) {
  EXPECT_EQ(reshape(ones({2, 3, 4}), {0, -1}).shape(), (Shape{2, 12}));
  EXPECT_EQ(reshape(ones({2, 3, 4}), {-1, 0, 0}).shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(reshape(ones({}), {1, -1}).shape(), (Shape{1, 1}));
  EXPECT_EQ(reshape(Tensor({0, 3}), {3, -1}).shape(), (Shape{3, 0}));
  EXPECT_EQ(reshape(Tensor({0, 3}), {-1, 3}).shape(), (Shape{0, 3}));
  EXPECT_EQ((ops::Reshape{{2, -1}}.attributes()), "to [2, -1]");
}

TEST(View, ReshapeRejectsWhatDoesNotFit) {
  expect_error<ShapeError>(
      [] {
        return reshape(ones({2, 3}), {4, 2});
      },
      {"reshape", "[2, 3]", "6 elements", "[4, 2]"});
  expect_error<ShapeError>([] { return reshape(ones({2, 3}), {4, -1}); }, {"does not fit"});
  expect_error<ShapeError>([] { return reshape(ones({2, 3}), {4, 2, -1}); }, {"does not fit"});
  expect_error<ShapeError>([] { return reshape(ones({2, 3}), {-1, -1}); }, {"only one"});
  expect_error<ShapeError>([] { return reshape(ones({2, 3}), {-2, 3}); }, {"only one"});
  expect_error<ShapeError>([] { return reshape(ones({2, 3}), {2, 3, 0}); }, {"keep"});
  expect_error<ShapeError>([] { return reshape(Tensor({0, 3}), {0, -1, 0}); }, {"keep"});
  expect_error<ShapeError>([] { return reshape(Tensor({0, 3}), {0, -1}); }, {"does not fit"});
  const std::int64_t huge = std::int64_t{1} << 62;
  expect_error<ShapeError>([&] { return reshape(ones({2, 3}), {huge, huge, -1}); }, {"does not fit"});
  expect_error<ShapeError>([&] { return reshape(ones({2, 3}), {huge, 4}); }, {"too many"});
}

TEST(View, FlattenJoinsDimensions) {
  Generator g(2);
  int cases = 0;
  for (; cases < 200; ++cases) {
    const Shape shape = random_shape(g, 1 + static_cast<int>(g.below(5)), 4);
    const int first = static_cast<int>(g.below(shape.rank())),
              last = first + static_cast<int>(g.below(shape.rank() - first));
    Shape expected;
    std::int64_t joined = 1;
    for (int i = 0; i < shape.rank(); ++i) {
      if (i >= first && i <= last) joined *= shape[i];
      if (i == last) expected.push_back(joined);
      if (i < first || i > last) expected.push_back(shape[i]);
    }
    const Tensor x = in_order(randn(shape, g), static_cast<int>(g.below(4))),
                 y = flatten(x, first, last - shape.rank());
    EXPECT_EQ(y.shape(), expected);
    EXPECT_EQ(y.to_vector(), x.to_vector());
    expect_codes_move(shape, g, [&](const Tensor& t) { return flatten(t, first, last); });
    if (cases % 10 == 0)
      expect_gradients([&](const Doubles& t) { return flatten(t[0], first, last); },
                       {randn<double>(shape, g)});
  }
  EXPECT_EQ(flatten(ones({2, 3, 4})).shape(), (Shape{2, 12}));
  EXPECT_EQ(flatten(ones({})).shape(), (Shape{1}));
  expect_error<ShapeError>(
      [] {
        return flatten(ones({2, 3, 4}), 2, 1);
      },
      {"flatten", "start 2 lies behind end 1"});
  expect_error<ShapeError>([] { return flatten(ones({2}), 1); }, {"flatten", "dimension 1"});
  EXPECT_EQ((ops::Flatten{1, -1}.attributes()), "dims 1..-1");
  std::printf("cases=%d\n", cases);
}

TEST(View, PermuteAndTranspose) {
  Generator g(3);
  int cases = 0;
  for (; cases < 200; ++cases) {
    const Shape shape = random_shape(g, 1 + static_cast<int>(g.below(5)), 4);
    std::vector<int> order;
    for (int i = 0; i < shape.rank(); ++i) order.push_back(i);
    g.shuffle(order);
    const Tensor x = in_order(randn(shape, g), static_cast<int>(g.below(4)));
    const auto expect = [&](const Tensor& y, const std::vector<int>& from) {
      for (std::int64_t k = 0; k < y.numel(); ++k) {
        const auto at = index_of(y.shape(), k);
        std::vector<std::int64_t> source(at.size());
        for (std::size_t i = 0; i < at.size(); ++i) source[static_cast<std::size_t>(from[i])] = at[i];
        ASSERT_EQ(element(y, at), element(x, source));
      }
    };
    expect(permute(x, order), order);
    const int a = static_cast<int>(g.below(shape.rank())), b = static_cast<int>(g.below(shape.rank()));
    std::vector<int> swapped;
    for (int i = 0; i < shape.rank(); ++i) swapped.push_back(i == a ? b : (i == b ? a : i));
    expect(transpose(x, a, b - shape.rank()), swapped);
    expect_codes_move(shape, g, [&](const Tensor& t) { return permute(t, order); });
    expect_codes_move(shape, g, [&](const Tensor& t) { return transpose(t, a, b); });
    if (cases % 10 == 0) {
      expect_gradients([&](const Doubles& t) { return permute(t[0], order); }, {randn<double>(shape, g)});
      expect_gradients([&](const Doubles& t) { return transpose(t[0], a, b); }, {randn<double>(shape, g)});
    }
  }
  expect_error<ShapeError>([] { return permute(ones({2, 3}), {0, 0}); }, {"permute", "once"});
  expect_error<ShapeError>([] { return permute(ones({2, 3}), {0}); }, {"permute", "once"});
  expect_error<ShapeError>([] { return transpose(ones({2, 3}), 0, 2); }, {"transpose", "dimension 2"});
  EXPECT_EQ((ops::Permute{{1, 0}}.attributes()), "1, 0");
  EXPECT_EQ((ops::Transpose{0, 1}.attributes()), "0 and 1");
  std::printf("cases=%d\n", 2 * cases);
}

// Python: range(size)[start:stop:step]
TEST(View, SliceFollowsPython) {
  Generator g(4);
  int cases = 0;
  for (std::int64_t size = 0; size <= 5; ++size)
    for (std::int64_t start = -7; start <= 7; ++start)
      for (std::int64_t stop = -7; stop <= 7; ++stop)
        for (std::int64_t step = 1; step <= 3; ++step) {
          std::vector<float> expected;
          const std::int64_t from = std::max<std::int64_t>(0, start < 0 ? start + size : start),
                             to = stop < 0 ? stop + size : stop;
          for (std::int64_t i = from; i < std::min(to, size); i += step)
            expected.push_back(static_cast<float>(i));
          EXPECT_EQ(slice(arange(size), 0, start, stop, step).to_vector(), expected)
              << size << ": " << start << ':' << stop << ':' << step;
          ++cases;
        }
  EXPECT_EQ(slice(arange(5), 0, 2).to_vector(), (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(slice(arange(5), 0, 0, 5, std::int64_t{1} << 62).to_vector(), (std::vector<float>{0}));
  expect_error<ShapeError>([] { return slice(arange(5), 0, 0, 5, 0); }, {"slice", "step 0"});
  expect_error<ShapeError>([] { return slice(arange(5), 1, 0); }, {"slice", "dimension 1"});
  EXPECT_EQ((ops::Slice{1, 0, 4, 2}.attributes()), "dim 1, 0:4:2");
  EXPECT_EQ((ops::Slice{1, 2}.attributes()), "dim 1, 2:");
  std::printf("cases=%d\n", cases);
}

TEST(View, SlicesOfManyDimensions) {
  Generator g(5);
  int cases = 0;
  for (; cases < 200; ++cases) {
    const Shape shape = random_shape(g, 1 + static_cast<int>(g.below(5)), 5);
    const int dim = static_cast<int>(g.below(shape.rank()));
    const std::int64_t start = g.below(shape[dim]), stop = start + 1 + g.below(shape[dim] - start),
                       step = 1 + g.below(3);
    const Tensor x = in_order(randn(shape, g), static_cast<int>(g.below(4))),
                 y = slice(x, dim, start, stop, step);
    for (std::int64_t k = 0; k < y.numel(); ++k) {
      auto at = index_of(y.shape(), k);
      const float value = element(y, at);
      at[static_cast<std::size_t>(dim)] = start + at[static_cast<std::size_t>(dim)] * step;
      EXPECT_EQ(value, element(x, at));
    }
    expect_codes_move(shape, g, [&](const Tensor& t) { return slice(t, dim, start, stop, step); });
    if (cases % 5 == 0)
      expect_gradients([&](const Doubles& t) { return slice(t[0], dim, start, stop, step); },
                       {randn<double>(shape, g)});
  }
  std::printf("cases=%d\n", cases);
}

TEST(View, SqueezeAndUnsqueeze) {
  Generator g(6);
  int cases = 0;
  for (; cases < 100; ++cases) {
    const Shape shape = random_shape(g, static_cast<int>(g.below(5)), 4);
    const int dim = static_cast<int>(g.below(shape.rank() + 1));
    const Tensor x = in_order(randn(shape, g), static_cast<int>(g.below(4))),
                 y = unsqueeze(x, dim - shape.rank() - 1);
    EXPECT_EQ(y.rank(), shape.rank() + 1);
    EXPECT_EQ(y.size(dim), 1);
    EXPECT_EQ(y.to_vector(), x.to_vector());
    EXPECT_TRUE(identical(squeeze(y, dim), x));
    expect_codes_move(shape, g, [&](const Tensor& t) { return unsqueeze(t, dim); });
    expect_codes_move(y.shape(), g, [&](const Tensor& t) { return squeeze(t, dim); });
    expect_gradients([&](const Doubles& t) { return squeeze(unsqueeze(t[0], dim) * 2.0, dim); },
                     {randn<double>(shape, g)});
  }
  expect_error<ShapeError>([] { return squeeze(ones({2, 3}), 1); }, {"squeeze", "has size 3, needs 1"});
  expect_error<ShapeError>([] { return unsqueeze(ones({2, 3}), 3); }, {"unsqueeze", "dimension 3"});
  EXPECT_EQ(ops::Squeeze{1}.attributes() + ops::Unsqueeze{2}.attributes(), "dim 1dim 2");
  std::printf("cases=%d\n", cases);
}

}  // namespace view_test
}  // namespace midtread

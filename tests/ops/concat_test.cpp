// SPDX-License-Identifier: MIT
#include <midtread/ops/concat.hpp>

#include <support/random_tensor.hpp>

#include <cstdio>

namespace midtread {
namespace concat_test {

using namespace test;

TEST(Cat, JoinsAlongEveryDimension) {
  Generator g(1);
  int cases = 0;
  for (; cases < 300; ++cases) {
    Shape shape = random_shape(g, 1 + static_cast<int>(g.below(5)), 4);
    const int dim = static_cast<int>(g.below(2 * shape.rank())) - shape.rank(),
              along = dim < 0 ? dim + shape.rank() : dim;
    Tensors parts;
    std::int64_t total = 0;
    for (std::int64_t i = 0, n = 1 + g.below(4); i < n; ++i) {
      shape[along] = g.below(4);
      total += shape[along];
      parts.push_back(in_order(randn(shape, g), static_cast<int>(g.below(4))));
    }
    const Tensor y = cat(parts, dim);
    shape[along] = total;
    ASSERT_EQ(y.shape(), shape);
    EXPECT_TRUE(y.is_channels_last());
    for (std::int64_t k = 0; k < y.numel(); ++k) {
      auto at = index_of(shape, k);
      const float value = element(y, at);
      std::size_t part = 0;
      auto& position = at[static_cast<std::size_t>(along)];
      while (position >= parts[part].size(along)) position -= parts[part++].size(along);
      EXPECT_EQ(value, element(parts[part], at));
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(Cat, GradientsAgreeWithDifferences) {
  Generator g(2);
  int cases = 0;
  for (; cases < 20; ++cases) {
    Shape shape = random_shape(g, 1 + static_cast<int>(g.below(4)), 3);
    const int dim = static_cast<int>(g.below(shape.rank()));
    const Double a = randn<double>(shape, g);
    shape[dim] += 1;
    const Double b = randn<double>(shape, g);
    expect_gradients([&](const Doubles& t) { return cat(t, dim); }, {a, b});
    expect_gradients([&](const Doubles& t) { return cat(Doubles{t[0], t[0], t[0]}, dim); }, {a});
  }
  std::printf("cases=%d\n", 2 * cases);
}

TEST(Cat, TakesABracedListAndMakesANewHandle) {
  const Tensor a = tensor({1.0f, 2.0f}), b = tensor({3.0f});
  EXPECT_EQ(cat({a, b}).to_vector(), (std::vector<float>{1, 2, 3}));
  EXPECT_FALSE(cat({a}, 0).storage().same_as(a.storage()));
}

TEST(Cat, DropsCodes) {
  QParams q;
  const Tensor x = with_codes(full<std::uint8_t>({2}, 1), q);
  EXPECT_FALSE(cat({x, x}, 0).codes());
}

TEST(Cat, NamesTheInputThatDoesNotFit) {
  expect_error<ShapeError>([] { return cat(Tensors{}, 0); }, {"cat", "at least one"});
  expect_error<ShapeError>(
      [] {
        return cat({ones({2, 3}), ones({2, 3}), ones({3, 3})}, 1);
      },
      {"input 2", "[3, 3]", "[2, 3]"});
  expect_error<ShapeError>([] { return cat({ones({2, 3}), ones({2})}, 0); }, {"input 1", "[2]"});
  expect_error<ShapeError>([] { return cat({ones({2, 3})}, 2); }, {"dimension 2"});
  EXPECT_EQ(ops::Cat{1}.attributes(), "dim 1");
}

}  // namespace concat_test
}  // namespace midtread

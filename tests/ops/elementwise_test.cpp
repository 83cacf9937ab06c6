// SPDX-License-Identifier: MIT
#include <midtread/ops/elementwise.hpp>

#include <support/random_tensor.hpp>

#include <cstdio>

namespace midtread {
namespace elementwise_test {

using namespace test;

/// Two shapes that broadcast to `shape`: sizes become 1 and leading dimensions go, at random.
Shape shrunk(const Shape& shape, Generator& g) {
  Shape out;
  const int from = g.below(3) == 0 ? static_cast<int>(g.below(shape.rank() + 1)) : 0;
  for (int i = from; i < shape.rank(); ++i) out.push_back(g.below(3) == 0 ? 1 : shape[i]);
  return out;
}

template <class Op, class F>
int check_values(const F& f, std::uint64_t seed) {
  Generator g(seed);
  int cases = 0;
  for (; cases < 400; ++cases) {
    const Shape full = random_shape(g, static_cast<int>(g.below(6)), 5);
    const Shape sa = g.below(2) == 0 ? full : shrunk(full, g), sb = g.below(2) == 0 ? full : shrunk(full, g);
    const Tensor a = in_order(positive<float>(sa, g), static_cast<int>(g.below(4)));
    const Tensor b = in_order(positive<float>(sb, g), static_cast<int>(g.below(4)));
    const Tensor y = Op{}(a, b);
    const Shape shape = broadcast(sa, sb, "test");
    EXPECT_EQ(y.shape(), shape);
    EXPECT_TRUE(y.is_dense());
    for (std::int64_t k = 0; k < y.numel(); ++k) {
      const auto at = index_of(shape, k);
      const auto own = [&](const Tensor& t) {
        std::vector<std::int64_t> index(at.end() - t.rank(), at.end());
        for (int i = 0; i < t.rank(); ++i)
          if (t.size(i) == 1) index[static_cast<std::size_t>(i)] = 0;
        return element(t, index);
      };
      EXPECT_EQ(element(y, at), f(own(a), own(b))) << sa << " and " << sb;
    }
  }
  return cases;
}

TEST(Elementwise, BroadcastsAsNumpyDoes) {
  int cases = check_values<ops::Add>([](float a, float b) { return a + b; }, 1);
  cases += check_values<ops::Sub>([](float a, float b) { return a - b; }, 2);
  cases += check_values<ops::Mul>([](float a, float b) { return a * b; }, 3);
  cases += check_values<ops::Div>([](float a, float b) { return a / b; }, 4);
  std::printf("cases=%d\n", cases);
}

TEST(Elementwise, LongRowsAreCutCorrectly) {
  Generator g(5);
  int cases = 0;
  for (const Shape& small : {Shape{}, Shape{1}, Shape{70000}, Shape{3, 1}, Shape{1, 70000}}) {
    const Tensor a = randn({3, 70000}, g), b = randn(small, g), y = a + b;
    const Tensor wide = b.rank() == 2 && b.size(0) == 3 ? b : Tensor();
    for (std::int64_t i = 0; i < 3; ++i)
      for (std::int64_t j = 0; j < 70000; ++j) {
        const float right = wide.defined() ? b.data()[i] : (b.numel() == 1 ? b.data()[0] : b.data()[j]);
        ASSERT_EQ(y.at({i, j}), a.at({i, j}) + right);
      }
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Elementwise, GradientsAgreeWithDifferences) {
  Generator g(6);
  int cases = 0;
  for (; cases < 30; ++cases) {
    const Shape full = random_shape(g, 1 + static_cast<int>(g.below(4)), 3);
    const Double a = positive<double>(shrunk(full, g), g), b = positive<double>(shrunk(full, g), g);
    expect_gradients([](const Doubles& t) { return t[0] + t[1]; }, {a, b});
    expect_gradients([](const Doubles& t) { return t[0] - t[1]; }, {a, b});
    expect_gradients([](const Doubles& t) { return t[0] * t[1]; }, {a, b});
    expect_gradients([](const Doubles& t) { return t[0] / t[1]; }, {a, b});
  }
  const Double x = positive<double>({2, 3, 2, 2}, g), s = positive<double>({1, 3, 1, 1}, g);
  expect_gradients([](const Doubles& t) { return t[0] * t[1] + t[0]; }, {x, s});
  expect_gradients([](const Doubles& t) { return t[0] * t[0] / t[0]; }, {x});
  expect_gradients([](const Doubles& t) { return 2.0 - (t[0] * 3.0 - 1.5) / 4.0 + -t[0]; }, {x});
  std::printf("cases=%d\n", 4 * cases + 3);
}

TEST(Elementwise, OnlyTheSideThatNeedsItGetsAGradient) {
  Tensor a = ones({2}), b = full({2}, 3.0f);
  a.requires_grad_();
  (a * b).backward(ones({2}));
  EXPECT_EQ(a.grad().to_vector(), (std::vector<float>{3, 3}));
  EXPECT_FALSE(b.grad().defined());
  a.set_grad({});
  (b / a).backward(ones({2}));
  EXPECT_EQ(a.grad().to_vector(), (std::vector<float>{-3, -3}));
}

TEST(Elementwise, NumbersOnEitherSide) {
  const Tensor x = tensor({1.0f, -2.0f});
  EXPECT_EQ((x + 1.5).to_vector(), (std::vector<float>{2.5f, -0.5f}));
  EXPECT_EQ((1.5 + x).to_vector(), (std::vector<float>{2.5f, -0.5f}));
  EXPECT_EQ((x - 1).to_vector(), (std::vector<float>{0, -3}));
  EXPECT_EQ((1 - x).to_vector(), (std::vector<float>{0, 3}));
  EXPECT_EQ((x * 2.f).to_vector(), (std::vector<float>{2, -4}));
  EXPECT_EQ((2.f * x).to_vector(), (std::vector<float>{2, -4}));
  EXPECT_EQ((x / 4).to_vector(), (std::vector<float>{0.25f, -0.5f}));
  EXPECT_EQ((-x).to_vector(), (std::vector<float>{-1, 2}));
  EXPECT_EQ(ops::AddScalar{0.5}.value(2.0f), 2.5f);
  EXPECT_EQ(ops::MulScalar{0.5}.value(3.0f), 1.5f);
  EXPECT_EQ(ops::AddScalar{0.5}.attributes(), "0.5");
}

TEST(Elementwise, KeepsTheMemoryOrderOfTheFullInput) {
  Generator g(7);
  const Tensor x = randn({2, 3, 4, 5}, g), scale = randn({1, 3, 1, 1}, g);
  EXPECT_TRUE((x + x).is_contiguous());
  EXPECT_TRUE((x * scale).is_contiguous());
  EXPECT_TRUE((scale * x.channels_last()).is_channels_last());
  EXPECT_TRUE((x.channels_last() + x).is_channels_last());
  EXPECT_TRUE((randn({2, 1, 4, 5}, g) * scale).is_channels_last());
}

TEST(Elementwise, BitsDoNotDependOnThreads) {
  Generator g(8);
  const Tensor a = randn({7, 5, 60, 61}, g).channels_last(), b = randn({1, 5, 1, 1}, g);
  expect_same_on_threads([&] { return a * b + a; });
  expect_same_on_threads([&] {
    Tensor scale = b.clone();
    scale.requires_grad_();
    (a * scale).backward(a);
    return scale.grad();
  });
}

TEST(Elementwise, EmptyTensorsStayEmpty) {
  const Tensor empty({0, 3}), row = ones({3});
  EXPECT_EQ((empty + row).shape(), (Shape{0, 3}));
  Tensor leaf = ones({3});
  leaf.requires_grad_();
  (empty * leaf).backward(Tensor({0, 3}));
  EXPECT_EQ(leaf.grad().to_vector(), (std::vector<float>{0, 0, 0}));
}

TEST(Elementwise, DropsCodesAndMakesANewHandle) {
  QParams q;
  q.scale = 0.5f;
  const Tensor x = with_codes(full<std::uint8_t>({4}, 3), q);
  for (const Tensor& y : {x + x, x * x, x + 0.0, x * 1.0, x - x, x / x}) {
    EXPECT_FALSE(y.codes());
    EXPECT_FALSE(y.is(x));
    EXPECT_FALSE(y.storage().same_as(x.storage()));
  }
}

TEST(Elementwise, NamesShapesThatDoNotBroadcast) {
  expect_error<ShapeError>([] { return ones({2, 3}) + ones({4, 3}); }, {"add", "[2, 3]", "[4, 3]"});
  expect_error<ShapeError>([] { return ones({2, 3}) / ones({2}); }, {"div"});
  expect_error<StateError>([] { return ones({2}) * Tensor(); }, {"undefined"});
}

}  // namespace elementwise_test
}  // namespace midtread

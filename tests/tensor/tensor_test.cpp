// SPDX-License-Identifier: MIT
// Handles, views, memory orders, factories, broadcasting of shapes.
#include <midtread/tensor/any_tensor.hpp>
#include <midtread/tensor/factory.hpp>
#include <midtread/tensor/tensor.hpp>

#include <support/random_tensor.hpp>

#include <cstdio>

namespace midtread {
namespace tensor_test {

using namespace test;

TEST(Tensor, CopiesShareAndClonesDoNot) {
  const Tensor a = ones({2, 3}), b = a, c = a.clone(), d = a.detach();
  b.set({0, 1}, 5.0f);
  EXPECT_EQ(a.at({0, 1}), 5.0f);
  EXPECT_EQ(d.at({0, 1}), 5.0f);
  EXPECT_EQ(c.at({0, 1}), 1.0f);
  EXPECT_TRUE(a.is(b));
  EXPECT_FALSE(a.is(d));
  EXPECT_TRUE(a.storage().same_as(d.storage()));
}

TEST(Tensor, UndefinedIsOnlyForAssignment) {
  Tensor t;
  EXPECT_FALSE(t.defined());
  EXPECT_EQ(t.identity(), nullptr);
  expect_error<StateError>([&] { return t.shape(); }, {"this tensor is undefined"});
  expect_error<StateError>([&] { return t.data(); }, {"undefined"});
  t = ones({1});
  EXPECT_TRUE(t.defined());
}

TEST(Tensor, ElementsByIndex) {
  const Tensor t = from_vector<float>({0, 1, 2, 3, 4, 5}, {2, 3});
  EXPECT_EQ(t.at({1, 2}), 5.0f);
  EXPECT_EQ(t.at({-1, -3}), 3.0f);
  expect_error<ShapeError>([&] { return t.at({2, 0}); }, {"index 2 outside dimension 0 of [2, 3]"});
  expect_error<ShapeError>([&] { return t.at({0, -4}); }, {"index -4"});
  expect_error<ShapeError>([&] { return t.at({0}); }, {"1 indices for shape [2, 3]"});
  expect_error<ShapeError>([&] { t.set({0, 3}, 1.0f); }, {"index 3"});
  expect_error<ShapeError>([&] { return t.item(); }, {"item", "[2, 3]"});
  expect_error<ShapeError>([&] { return t.size(2); }, {"dimension 2"});
  EXPECT_EQ(scalar(4.0f).item(), 4.0f);
  EXPECT_EQ(t.size(-1), 3);
}

TEST(Tensor, MemoryOrdersHoldTheSameElements) {
  Generator g(1);
  int cases = 0;
  for (; cases < 300; ++cases) {
    const Shape shape = random_shape(g, static_cast<int>(g.below(6)), 4);
    const Tensor x = randn(shape, g), y = in_order(x, static_cast<int>(g.below(4)));
    EXPECT_EQ(y.to_vector(), x.to_vector());
    EXPECT_TRUE(y.contiguous().is_contiguous());
    EXPECT_TRUE(y.channels_last().is_channels_last());
    EXPECT_TRUE(y.clone().is_dense());
    for (const Tensor& z : {y.contiguous(), y.channels_last(), y.clone()})
      EXPECT_EQ(z.to_vector(), x.to_vector());
    Tensor to = in_order(zeros(shape), static_cast<int>(g.below(4)));
    to.copy_(y);
    EXPECT_TRUE(identical(to, x));
    to.fill_(3.0f);
    for (const float v : to.to_vector()) EXPECT_EQ(v, 3.0f);
    if (x.rank() >= 3) {
      EXPECT_TRUE(x.channels_last().clone().is_channels_last());
    }
  }
  EXPECT_TRUE(ones({2, 3, 1, 1}).is_channels_last());
  EXPECT_FALSE(ones({2, 3, 2, 1}).is_channels_last());
  expect_error<ShapeError>([] { zeros({2}).copy_(zeros({3})); }, {"copy_", "[3]", "[2]"});
  std::printf("cases=%d\n", cases);
}

TEST(Tensor, FillingAViewLeavesItsNeighbours) {
  const Tensor block = zeros({4});
  Tensor view(block.storage(), 1, {2}, {2});
  view.fill_(1.0f);
  EXPECT_EQ(block.to_vector(), (std::vector<float>{0, 1, 0, 1}));
}

TEST(Tensor, WritesDropCodesAndCount) {
  QParams q;
  const auto make = [&] { return with_codes(full<std::uint8_t>({2}, 3), q); };
  const Tensor x = make();
  EXPECT_TRUE(x.codes());
  EXPECT_TRUE(x.detach().codes());
  EXPECT_FALSE(x.clone().codes());
  const auto version = x.version();
  EXPECT_EQ(x.data()[0], 3.0f);
  EXPECT_EQ(x.version(), version);
  x.set({0}, 1.0f);
  EXPECT_FALSE(x.codes());
  EXPECT_GT(x.version(), version);
  Tensor y = make(), z = make(), w = make();
  y.fill_(0.0f);
  z.copy_(x);
  w.set_data(ones({5}));
  EXPECT_FALSE(y.codes() || z.codes() || w.codes());
  EXPECT_EQ(w.shape(), (Shape{5}));
}

TEST(Tensor, SetDataReachesEveryHolder) {
  Tensor a = zeros({0});
  const Tensor b = a;
  a.set_data(ones({3}));
  EXPECT_EQ(b.numel(), 3);
}

TEST(Tensor, LargeShapesAreRefused) {
  expect_error<ShapeError>(
      [] {
        Tensor t(Shape{std::int64_t{1} << 40, std::int64_t{1} << 40});
      },
      {"too many"});
  expect_error<ShapeError>([] { Tensor t(Shape{2, -1}); }, {"[2, -1] has a negative dimension"});
  expect_error<ShapeError>([] { Shape s{1, 1, 1, 1, 1, 1, 1, 1, 1}; }, {"more than 8"});
}

TEST(Shape, BroadcastsAsNumpyDoes) {
  const auto together = [](const Shape& a, const Shape& b) { return broadcast(a, b, "test"); };
  EXPECT_EQ(together({2, 3}, {3}), (Shape{2, 3}));
  EXPECT_EQ(together({2, 1}, {1, 3}), (Shape{2, 3}));
  EXPECT_EQ(together({}, {4}), (Shape{4}));
  EXPECT_EQ(together({0, 3}, {1, 3}), (Shape{0, 3}));
  EXPECT_EQ(together({8, 1, 6, 1}, {7, 1, 5}), (Shape{8, 7, 6, 5}));
  expect_error<ShapeError>(
      [&] {
        together({2, 3}, {2});
      },
      {"test", "shapes [2, 3] and [2] do not broadcast", "dimension 1: 3 and 2"});
  expect_error<ShapeError>([&] { together({0}, {2}); }, {"0 and 2"});
}

TEST(Factory, MakesWhatItSays) {
  EXPECT_EQ(arange(3).to_vector(), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(tensor({1.5, 2.5}).dtype(), DType::kFloat64);
  EXPECT_EQ((full<std::int64_t>({2}, 7).to_vector()), (std::vector<std::int64_t>{7, 7}));
  EXPECT_TRUE(empty_channels_last({2, 3, 4, 5}).is_channels_last());
  const Tensor image = zeros_like(ones({2, 3, 4, 5}).channels_last());
  EXPECT_TRUE(image.is_channels_last() && !image.is_contiguous());
  const float values[] = {1, 2};
  EXPECT_EQ(from_blob(values, {2, 1}).to_vector(), (std::vector<float>{1, 2}));
  expect_error<ShapeError>(
      [] {
        from_vector<float>({1, 2, 3}, {2});
      },
      {"from_vector", "3 values for shape [2]"});
  EXPECT_EQ((cast<std::int64_t>(tensor({1.9f, -1.9f})).to_vector()), (std::vector<std::int64_t>{1, -1}));
  Generator a(3), b(3);
  EXPECT_TRUE(identical(randn({4, 4}, a), randn({4, 4}, b)));
  for (const float v : rand({1000}, a).to_vector()) EXPECT_TRUE(v >= 0.0f && v < 1.0f);
}

TEST(AnyTensor, KnowsItsType) {
  const AnyTensor any = ones<double>({2, 3});
  EXPECT_EQ(any.dtype(), DType::kFloat64);
  EXPECT_EQ(any.shape(), (Shape{2, 3}));
  EXPECT_EQ(any.bytes(), 48);
  EXPECT_FALSE(any.clone().get<double>().is(any.get<double>()));
  expect_error<DTypeError>([&] { any.get<float>("scale"); }, {"scale", "float64", "float32"});
}

}  // namespace tensor_test
}  // namespace midtread

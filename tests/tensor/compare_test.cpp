// SPDX-License-Identifier: MIT
// Comparing, printing, and the view for Eigen.
#include <midtread/tensor/compare.hpp>

#include <midtread/tensor/eigen_view.hpp>
#include <midtread/tensor/print.hpp>
#include <support/random_tensor.hpp>

#include <cmath>
#include <limits>
#include <sstream>

namespace midtread {
namespace compare_test {

using namespace test;

TEST(Compare, IdenticalMeansTheSameBits) {
  const float nan = std::nanf("");
  EXPECT_TRUE(identical(tensor({nan, 1.0f}), tensor({nan, 1.0f})));
  EXPECT_FALSE(identical(tensor({0.0f}), tensor({-0.0f})));
  EXPECT_FALSE(identical(tensor({1.0f}), tensor({std::nextafter(1.0f, 2.0f)})));
  EXPECT_FALSE(identical(ones({2, 1}), ones({2})));
  Generator g(1);
  const Tensor x = randn({2, 3, 4, 5}, g);
  for (int order = 0; order < 4; ++order) EXPECT_TRUE(identical(x, in_order(x, order)));
}

TEST(Compare, AllcloseFollowsPyTorch) {
  const Tensor a = tensor({100.0f, 0.0f}), b = tensor({100.5f, 0.001f});
  EXPECT_TRUE(allclose(a, b, 0.01, 0.01));
  EXPECT_FALSE(allclose(a, b, 0.01, 0.0001));
  EXPECT_FALSE(allclose(a, b, 0.001, 0.01));
  EXPECT_FALSE(allclose(a, ones({3})));
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  EXPECT_TRUE(allclose(tensor({inf, nan}), tensor({inf, nan})));
  EXPECT_FALSE(allclose(tensor({inf}), tensor({-inf})));
  EXPECT_FALSE(allclose(tensor({nan}), tensor({1.0f})));
  EXPECT_FALSE(allclose(tensor({1.0f, 1.0f}), tensor({nan, 1.0f})));
  EXPECT_NEAR(closeness(tensor({3.0f}), tensor({1.0f}), 0.0, 1.0), 2.0, 1e-12);
}

template <class T>
std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

TEST(Print, NestedBrackets) {
  EXPECT_EQ(text(from_vector<float>({1, 2.5f, -3, 4}, {2, 2})),
            "tensor([[1, 2.5], [-3, 4]], shape [2, 2], float32)");
  EXPECT_EQ(text(scalar(2.0)), "tensor(2, shape [], float64)");
  EXPECT_EQ(text(arange(8)), "tensor([0, 1, 2, ..., 5, 6, 7], shape [8], float32)");
  EXPECT_EQ(text(arange(6)), "tensor([0, 1, 2, 3, 4, 5], shape [6], float32)");
  EXPECT_EQ(text(tensor<std::uint8_t>({65})), "tensor([65], shape [1], uint8)");
  EXPECT_EQ(text(Tensor({2, 0})), "tensor([[], []], shape [2, 0], float32)");
  EXPECT_EQ(text(Tensor()), "tensor(undefined)");
  EXPECT_EQ(text(in_order(from_vector<float>({1, 2, 3, 4}, {2, 2}), 3)),
            "tensor([[1, 2], [3, 4]], shape [2, 2], float32)");
}

TEST(EigenView, SeesTheSameMemory) {
  const Tensor a = from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const auto view = matrix_view(a);
  EXPECT_EQ(view.rows(), 2);
  EXPECT_EQ(view.cols(), 3);
  EXPECT_EQ(view(1, 0), 4.0f);
  mutable_matrix_view(a)(0, 2) = 9.0f;
  EXPECT_EQ(a.at({0, 2}), 9.0f);
  const Double v = arange<double>(4);
  EXPECT_EQ(matrix_view(v).rows(), 1);
  EXPECT_EQ(matrix_view(v).sum(), 6.0);
  expect_error<ShapeError>([] { matrix_view(ones({2, 2, 2})); }, {"matrix_view", "rank 1 or 2"});
  expect_error<ShapeError>([] { matrix_view(in_order(ones({2, 3}), 3)); }, {"row-major"});
  expect_error<ShapeError>([] { mutable_matrix_view(scalar(1.0f)); }, {"rank 1 or 2"});
}

}  // namespace compare_test
}  // namespace midtread

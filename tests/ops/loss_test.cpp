// SPDX-License-Identifier: MIT
#include <midtread/ops/loss.hpp>

#include <midtread/ops/elementwise.hpp>
#include <midtread/ops/softmax.hpp>
#include <midtread/ops/view.hpp>
#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>

namespace midtread {
namespace loss_test {

using namespace test;
using Labels = BasicTensor<std::int64_t>;

Labels random_labels(std::int64_t batch, std::int64_t classes, Generator& g) {
  Labels out(Shape{batch});
  for (std::int64_t n = 0; n < batch; ++n) out.mutable_data()[n] = g.below(classes);
  return out;
}

/// The losses of each example, by the definition.
std::vector<double> reference(const Double& x, const Labels& labels, double smoothing) {
  std::vector<double> out;
  const auto classes = static_cast<double>(x.size(1));
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    double sum = 0, loss = 0;
    for (std::int64_t k = 0; k < x.size(1); ++k) sum += std::exp(x.at({n, k}));
    for (std::int64_t k = 0; k < x.size(1); ++k) {
      const double target = smoothing / classes + (k == labels.at({n}) ? 1 - smoothing : 0);
      loss -= target * (x.at({n, k}) - std::log(sum));
    }
    out.push_back(loss);
  }
  return out;
}

TEST(CrossEntropy, EqualsItsDefinition) {
  Generator g(1);
  int cases = 0;
  for (; cases < 100; ++cases) {
    const Double x =
        in_order(randn<double>({1 + g.below(6), 1 + g.below(6)}, g), static_cast<int>(g.below(4)));
    const Labels labels = random_labels(x.size(0), x.size(1), g);
    const double smoothing = g.below(2) == 0 ? 0.0 : g.uniform();
    const std::vector<double> each = reference(x, labels, smoothing);
    double total = 0;
    for (double l : each) total += l;
    EXPECT_NEAR(cross_entropy(x, labels, smoothing).item(), total / static_cast<double>(each.size()), 1e-12);
    EXPECT_NEAR(cross_entropy(x, labels, smoothing, Reduction::kSum).item(), total, 1e-12);
    const Double none = cross_entropy(x, labels, smoothing, Reduction::kNone);
    ASSERT_EQ(none.shape(), labels.shape());
    for (std::size_t n = 0; n < each.size(); ++n) EXPECT_NEAR(none.data()[n], each[n], 1e-12);
    for (const Reduction reduction : {Reduction::kMean, Reduction::kSum, Reduction::kNone})
      expect_gradients([&](const Doubles& t) { return cross_entropy(t[0], labels, smoothing, reduction); },
                       {x});
    if (smoothing == 0.0) {
      EXPECT_NEAR(nll_loss(log_softmax(x, 1), labels).item(), total / static_cast<double>(each.size()),
                  1e-12);
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  Tensor x = from_vector<float>({10000, 0, -10000, 10000}, {2, 2});
  x.requires_grad_();
  const Tensor loss = cross_entropy(x, tensor<std::int64_t>({0, 0}));
  EXPECT_EQ(loss.item(), 10000.0f);
  loss.backward();
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{0, 0, -0.5f, 0.5f}));
}

TEST(CrossEntropy, ScalesWithTheGradientThatComesIn) {
  Tensor x = from_vector<float>({0, 0}, {1, 2});
  x.requires_grad_();
  (cross_entropy(x, tensor<std::int64_t>({1})) * 4.0).backward();
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{2, -2}));
}

TEST(NllLoss, PicksTheLabel) {
  Generator g(2);
  const Double x = randn<double>({5, 3}, g);
  const Labels labels = random_labels(5, 3, g);
  double sum = 0;
  for (std::int64_t n = 0; n < 5; ++n) sum -= x.at({n, labels.at({n})});
  EXPECT_NEAR(nll_loss(x, labels, Reduction::kSum).item(), sum, 1e-12);
  EXPECT_NEAR(nll_loss(x, labels).item(), sum / 5, 1e-12);
  for (const Reduction reduction : {Reduction::kMean, Reduction::kSum, Reduction::kNone})
    expect_gradients([&](const Doubles& t) { return nll_loss(t[0], labels, reduction); }, {x});
}

TEST(MseLoss, SquaresDifferences) {
  const Tensor a = tensor({1.0f, 2.0f, 4.0f}), b = tensor({0.0f, 2.0f, 1.0f});
  EXPECT_FLOAT_EQ(mse_loss(a, b).item(), 10.0f / 3.0f);
  EXPECT_FLOAT_EQ(mse_loss(a, b, Reduction::kSum).item(), 10.0f);
  EXPECT_EQ(mse_loss(a, b, Reduction::kNone).to_vector(), (std::vector<float>{1, 0, 9}));
  Generator g(3);
  const Double x = randn<double>({2, 3, 2, 2}, g), target = randn<double>({2, 3, 2, 2}, g).channels_last();
  for (const Reduction reduction : {Reduction::kMean, Reduction::kSum, Reduction::kNone})
    expect_gradients([&](const Doubles& t) { return mse_loss(t[0], target, reduction); }, {x});
}

TEST(Loss, LabelsMustBeClasses) {
  const Tensor x = ones({3, 4});
  expect_error<NumericError>(
      [&] {
        return cross_entropy(x, tensor<std::int64_t>({0, 4, 1}));
      },
      {"cross_entropy", "label 4", "index 1", "0..3"});
  expect_error<NumericError>(
      [&] {
        return cross_entropy(x, tensor<std::int64_t>({0, 3, -1}));
      },
      {"label -1", "index 2"});
  expect_error<NumericError>(
      [&] {
        return nll_loss(x, tensor<std::int64_t>({9, 0, 0}));
      },
      {"nll_loss", "label 9", "index 0"});
}

TEST(Loss, ShapesMustFit) {
  expect_error<ShapeError>(
      [] {
        return cross_entropy(ones({3, 4}), tensor<std::int64_t>({0, 1}));
      },
      {"got logits [3, 4] and labels [2]", "[N, C] and [N]"});
  expect_error<ShapeError>([] { return cross_entropy(ones({3}), tensor<std::int64_t>({0, 1, 2})); }, {"[3]"});
  expect_error<ShapeError>(
      [] {
        return cross_entropy(Tensor({0, 3}), Labels(Shape{0}));
      },
      {"logits [0, 3] are empty"});
  expect_error<ShapeError>(
      [] {
        return mse_loss(ones({3}), ones({3, 1}));
      },
      {"mse_loss", "got input [3] and target [3, 1]"});
  expect_error<ShapeError>([] { return mse_loss(Tensor({0}), Tensor({0})); }, {"input [0] is empty"});
  expect_error<ConfigError>(
      [] {
        return cross_entropy(ones({1, 2}), tensor<std::int64_t>({0}), 1.5);
      },
      {"label_smoothing is 1.5"});
}

}  // namespace loss_test
}  // namespace midtread

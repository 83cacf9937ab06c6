// SPDX-License-Identifier: MIT
// The gradients of a folded batch norm and of the training batch norm, against differences of the same
// formulas in double, written out here.
#include <midtread/qat/batch_norm_fold.hpp>
#include <midtread/qat/batch_norm_unscale.hpp>

#include <gtest/gtest.h>

#include <support/random_tensor.hpp>

#include <cstdio>

namespace mt = midtread;
namespace qat = midtread::qat;
using mt::test::expect_error;
using Values = std::vector<double>;

namespace batch_norm_fold_test {

Values values(const mt::Tensor& t) {
  Values out;
  for (float v : t.to_vector()) out.push_back(static_cast<double>(v));
  return out;
}
mt::Tensor leaf(mt::Tensor t) {
  t.requires_grad_();
  return t;
}

struct Setting {
  std::int64_t channels = 3, inner = 4, rows = 7;
  mt::Tensor weight, bias, y0, factor;
  qat::BatchNormView bn;
};
/// Random; `dead`: channel 1 has gamma 0 and channel 2 gamma 1e-14.
Setting setting(std::uint64_t seed, bool dead) {
  mt::Generator g(seed);
  Setting s;
  s.weight = leaf(mt::randn(mt::Shape{s.channels, s.inner}, g));
  s.bias = leaf(mt::randn(mt::Shape{s.channels}, g));
  s.y0 = leaf(mt::randn(mt::Shape{s.rows, s.channels}, g));
  s.bn.gamma = leaf(mt::randn(mt::Shape{s.channels}, g));
  s.bn.beta = leaf(mt::randn(mt::Shape{s.channels}, g));
  s.bn.mean = mt::randn(mt::Shape{s.channels}, g);
  s.bn.variance = mt::test::positive<float>(mt::Shape{s.channels}, g);
  s.bn.eps = 1e-3f;
  if (dead) {
    s.bn.gamma.set({1}, 0.0f);
    s.bn.gamma.set({2}, 1e-14f);
  }
  return s;
}
double factor(double gamma, double variance, double eps, bool zero) {
  const double s = gamma / std::sqrt(variance + eps);
  return std::abs(s) < 1e-12 ? (zero ? 0.0 : 1.0) : s;
}

/// The gradient of sum(weights * function(v)) for one input vector, by central differences.
template <class Function>
Values differences(const Function& function, Values at, const Values& weights) {
  Values out;
  const auto total = [&] {
    const Values y = function(at);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * weights[i];
    return sum;
  };
  for (double& v : at) {
    const double before = v, step = 1e-5;
    v = before + step;
    const double high = total();
    v = before - step;
    const double low = total();
    v = before;
    out.push_back((high - low) / (2 * step));
  }
  return out;
}
void expect_near(const mt::Tensor& got, const Values& want, const char* what, double tolerance = 2e-4) {
  ASSERT_TRUE(got.defined()) << what;
  const Values g = values(got);
  ASSERT_EQ(g.size(), want.size()) << what;
  for (std::size_t i = 0; i < g.size(); ++i)
    EXPECT_NEAR(g[i], want[i], tolerance * (1 + std::abs(want[i]))) << what << " " << i;
}

TEST(BatchNormFold, ScaleWeightGradients) {
  int cases = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Setting s = setting(seed, false);
    const Values variance = values(s.bn.variance);
    const auto eps = static_cast<double>(s.bn.eps);
    const auto formula = [&](const Values& w, const Values& gamma) {
      Values out;
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < 4; ++i)
          out.push_back(w[c * 4 + i] * factor(gamma[c], variance[c], eps, true));
      return out;
    };
    mt::Generator g(seed + 50);
    const mt::Tensor dy = mt::randn(s.weight.shape(), g);
    const mt::Tensor y =
        qat::scale_weight(s.weight, s.bn, qat::batch_norm_factor(s.bn, qat::Vanishing::kZero));
    expect_near(y, formula(values(s.weight), values(s.bn.gamma)), "value", 1e-6);
    s.bn.variance.fill_(9.0f);  // running statistics move between forward and backward
    y.backward(dy);
    expect_near(s.weight.grad(),
                differences([&](const Values& w) { return formula(w, values(s.bn.gamma)); }, values(s.weight),
                            values(dy)),
                "dw");
    expect_near(s.bn.gamma.grad(),
                differences([&](const Values& v) { return formula(values(s.weight), v); }, values(s.bn.gamma),
                            values(dy)),
                "dgamma");
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(BatchNormFold, FoldBiasGradients) {
  int cases = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed)
    for (const bool has_bias : {true, false}) {
      Setting s = setting(seed, false);
      const Values variance = values(s.bn.variance), mean = values(s.bn.mean);
      const auto eps = static_cast<double>(s.bn.eps);
      const auto formula = [&](const Values& b, const Values& gamma, const Values& beta) {
        Values out;
        for (std::size_t c = 0; c < 3; ++c)
          out.push_back(((has_bias ? b[c] : 0.0) - mean[c]) * factor(gamma[c], variance[c], eps, true) +
                        beta[c]);
        return out;
      };
      const Values b = values(s.bias), gamma = values(s.bn.gamma), beta = values(s.bn.beta);
      mt::Generator g(seed + 60);
      const mt::Tensor dy = mt::randn(mt::Shape{3}, g);
      const mt::Tensor y = qat::fold_bias(has_bias ? s.bias : mt::Tensor(), s.bn);
      expect_near(y, formula(b, gamma, beta), "value", 1e-6);
      s.bn.mean.fill_(3.0f);
      y.backward(dy);
      EXPECT_EQ(s.bias.grad().defined(), has_bias);
      if (has_bias)
        expect_near(s.bias.grad(),
                    differences([&](const Values& v) { return formula(v, gamma, beta); }, b, values(dy)),
                    "db");
      expect_near(s.bn.gamma.grad(),
                  differences([&](const Values& v) { return formula(b, v, beta); }, gamma, values(dy)),
                  "dgamma");
      expect_near(s.bn.beta.grad(), values(dy), "dbeta", 0);
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

// A channel without weights: zero weight, bias beta, and no gradient of gamma that could be infinite.
TEST(BatchNormFold, DeadChannels) {
  Setting s = setting(1, true);
  const mt::Tensor zero = qat::batch_norm_factor(s.bn, qat::Vanishing::kZero),
                   one = qat::batch_norm_factor(s.bn, qat::Vanishing::kOne);
  EXPECT_EQ(zero.at({1}), 0.0f);
  EXPECT_EQ(zero.at({2}), 0.0f);
  EXPECT_EQ(one.at({1}), 1.0f);
  EXPECT_EQ(one.at({2}), 1.0f);
  EXPECT_EQ(zero.at({0}), one.at({0}));
  const mt::Tensor w = qat::scale_weight(s.weight, s.bn, zero), b = qat::fold_bias(s.bias, s.bn);
  for (std::int64_t i = 0; i < s.inner; ++i) EXPECT_EQ(w.at({1, i}), 0.0f);
  EXPECT_EQ(b.at({1}), s.bn.beta.at({1}));
  EXPECT_EQ(b.at({2}), s.bn.beta.at({2}));
  w.backward(mt::ones(w.shape()));
  b.backward(mt::ones(b.shape()));
  EXPECT_EQ(s.bn.gamma.grad().at({1}), 0.0f);
  EXPECT_EQ(s.bn.gamma.grad().at({2}), 0.0f);
  EXPECT_NE(s.bn.gamma.grad().at({0}), 0.0f);
  EXPECT_EQ(s.weight.grad().at({1, 0}), 0.0f);
  // A weight that is not finite does not come through a dead channel.
  s.weight.set({1, 0}, INFINITY);
  EXPECT_EQ(qat::scale_weight(s.weight, s.bn, zero).at({1, 0}), 0.0f);
  // Without gamma and beta: ones and zeros.
  Setting plain = setting(2, false);
  plain.bn.gamma = mt::Tensor();
  plain.bn.beta = mt::Tensor();
  const mt::Tensor y = qat::fold_bias(plain.bias, plain.bn);
  for (std::int64_t c = 0; c < 3; ++c)
    EXPECT_NEAR(
        y.at({c}),
        (plain.bias.at({c}) - plain.bn.mean.at({c})) / std::sqrt(plain.bn.variance.at({c}) + plain.bn.eps),
        1e-5f);
}

/// y = gamma (y0 / s + b - mean) / sqrt(var + eps) + beta over the batch, with s = s(gamma) where `through`
/// and s fixed elsewhere: y0 was computed with weights scaled by s, so dL/dgamma holds both ways.
Values unscaled(const Setting& s, const Values& y0, const Values& bias, const Values& gamma,
                const Values& beta, const Values& f) {
  const auto n = static_cast<std::size_t>(s.rows);
  Values out(y0.size());
  for (std::size_t c = 0; c < 3; ++c) {
    double mean = 0, variance = 0;
    for (std::size_t r = 0; r < n; ++r) mean += (y0[r * 3 + c] / f[c] + bias[c]) / static_cast<double>(n);
    for (std::size_t r = 0; r < n; ++r)
      variance += std::pow(y0[r * 3 + c] / f[c] + bias[c] - mean, 2) / static_cast<double>(n);
    for (std::size_t r = 0; r < n; ++r)
      out[r * 3 + c] = gamma[c] * (y0[r * 3 + c] / f[c] + bias[c] - mean) /
                           std::sqrt(variance + static_cast<double>(s.bn.eps)) +
                       beta[c];
  }
  return out;
}

TEST(UnscaledBatchNorm, ValuesStatisticsAndGradients) {
  int cases = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed)
    for (const bool dead : {false, true}) {
      Setting s = setting(seed, dead);
      const mt::Tensor factors = qat::batch_norm_factor(s.bn, qat::Vanishing::kOne);
      const Values y0 = values(s.y0), bias = values(s.bias), gamma = values(s.bn.gamma),
                   beta = values(s.bn.beta), f = values(factors), running_mean = values(s.bn.mean),
                   running_variance = values(s.bn.variance);
      mt::Generator g(seed + 70);
      const mt::Tensor dy = mt::randn(s.y0.shape(), g);
      const double momentum = 0.3;
      const mt::Tensor y = qat::unscaled_batch_norm(s.y0, s.bias, s.bn, factors, momentum);
      expect_near(y, unscaled(s, y0, bias, gamma, beta, f), "y", 1e-5);
      for (std::size_t c = 0; c < 3; ++c) {
        double mean = 0, variance = 0;
        const auto n = static_cast<double>(s.rows);
        for (std::size_t r = 0; r < 7; ++r) mean += (y0[r * 3 + c] / f[c] + bias[c]) / n;
        for (std::size_t r = 0; r < 7; ++r)
          variance += std::pow(y0[r * 3 + c] / f[c] + bias[c] - mean, 2) / (n - 1);
        const auto at = static_cast<std::int64_t>(c);
        EXPECT_NEAR(static_cast<double>(s.bn.mean.at({at})),
                    (1 - momentum) * running_mean[c] + momentum * mean, 1e-5);
        EXPECT_NEAR(static_cast<double>(s.bn.variance.at({at})),
                    (1 - momentum) * running_variance[c] + momentum * variance, 1e-4 * (1 + variance));
      }
      y.backward(dy);
      expect_near(
          s.y0.grad(),
          differences([&](const Values& v) { return unscaled(s, v, bias, gamma, beta, f); }, y0, values(dy)),
          "dy0", 1e-3);
      expect_near(
          s.bn.beta.grad(),
          differences([&](const Values& v) { return unscaled(s, y0, bias, gamma, v, f); }, beta, values(dy)),
          "dbeta", 1e-3);
      expect_near(s.bias.grad(), Values(3, 0.0), "dbias", 0);
      // gamma stands in front and, through s, in the division.
      const auto through = [&](const Values& v) {
        Values scaled;
        for (std::size_t c = 0; c < 3; ++c) {
          const double deviation = std::sqrt(running_variance[c] + static_cast<double>(s.bn.eps));
          const bool vanishes = std::abs(gamma[c] / deviation) < 1e-12;
          scaled.push_back(vanishes ? 1.0 : v[c] / deviation);
        }
        return unscaled(s, y0, bias, v, beta, scaled);
      };
      expect_near(s.bn.gamma.grad(), differences(through, gamma, values(dy)), "dgamma", 2e-3);
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

TEST(UnscaledBatchNorm, NeedsTwoValuesAndKeepsMemoryOrder) {
  Setting s = setting(3, false);
  const mt::Tensor factors = qat::batch_norm_factor(s.bn, qat::Vanishing::kOne);
  expect_error<mt::ShapeError>(
      [&] {
        qat::unscaled_batch_norm(mt::ones(mt::Shape{1, 3}), s.bias, s.bn, factors, 0.1);
      },
      {"[1, 3]", "1 values", "at least 2"});
  expect_error<mt::ShapeError>(
      [&] {
        qat::unscaled_batch_norm(mt::ones(mt::Shape{0, 3, 2, 2}), s.bias, s.bn, factors, 0.1);
      },
      {"0 values"});
  mt::Generator g(9);
  const mt::Tensor x = mt::randn(mt::Shape{2, 3, 4, 5}, g);
  qat::BatchNormView a = s.bn, b = s.bn;
  a.mean = s.bn.mean.clone(), a.variance = s.bn.variance.clone(), b.mean = s.bn.mean.clone(),
  b.variance = s.bn.variance.clone();
  EXPECT_TRUE(mt::identical(qat::unscaled_batch_norm(x, s.bias, a, factors, 0.1),
                            qat::unscaled_batch_norm(x.channels_last(), s.bias, b, factors, 0.1)));
  EXPECT_TRUE(mt::identical(a.mean, b.mean));
  mt::test::expect_same_on_threads([&] {
    qat::BatchNormView v = s.bn;
    v.mean = s.bn.mean.clone(), v.variance = s.bn.variance.clone();
    return qat::unscaled_batch_norm(x, s.bias, v, factors, 0.1);
  });
}

}  // namespace batch_norm_fold_test

// SPDX-License-Identifier: MIT
#include <midtread/nn/batch_norm.hpp>

#include <support/call_log.hpp>
#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>

namespace midtread {
namespace batch_norm_test {

using namespace test;

/// Per channel: mean, biased variance, unbiased variance.
struct Statistics {
  std::vector<double> mean, biased, unbiased;
};
Statistics statistics(const Double& x) {
  Statistics s;
  for (std::int64_t c = 0; c < x.size(1); ++c) {
    double sum = 0, squares = 0, n = 0;
    for (std::int64_t k = 0; k < x.numel(); ++k) {
      const auto at = index_of(x.shape(), k);
      if (at[1] == c) sum += element(x, at), n += 1;
    }
    for (std::int64_t k = 0; k < x.numel(); ++k) {
      const auto at = index_of(x.shape(), k);
      if (at[1] == c) squares += std::pow(element(x, at) - sum / n, 2);
    }
    s.mean.push_back(sum / n);
    s.biased.push_back(squares / n);
    s.unbiased.push_back(squares / (n - 1));
  }
  return s;
}

// Spec: batch statistics in training (biased), running ones by momentum (unbiased), as PyTorch.
template <class Layer>
int check_training_and_eval(int low_rank, int high_rank, std::uint64_t seed) {
  Generator g(seed);
  int cases = 0;
  for (; cases < 20; ++cases) {
    Shape shape = random_shape(g, low_rank + static_cast<int>(g.below(high_rank - low_rank + 1)), 4);
    shape[0] += 1;
    const std::int64_t channels = shape[1];
    Layer layer(nn::BatchNormOptions(channels).momentum(0.3).eps(1e-3));
    layer.weight.copy_(positive<double>({channels}, g));
    layer.bias.copy_(randn<double>({channels}, g));
    std::vector<double> mean(static_cast<std::size_t>(channels), 0.0),
        var(static_cast<std::size_t>(channels), 1.0);
    for (int step = 1; step <= 3; ++step) {
      const Double x = randn<double>(shape, g);
      const Statistics s = statistics(x);
      const Double y = layer.forward(x);
      const auto expect = [&](const Double& out, const std::vector<double>& m, const std::vector<double>& v) {
        for (std::int64_t k = 0; k < x.numel(); ++k) {
          const auto at = index_of(shape, k);
          const auto c = static_cast<std::size_t>(at[1]);
          const double wanted = (element(x, at) - m[c]) / std::sqrt(v[c] + 1e-3) * layer.weight.data()[c] +
                                layer.bias.data()[c];
          EXPECT_NEAR(element(out, at), wanted, 1e-9);
        }
      };
      expect(y, s.mean, s.biased);
      for (std::size_t c = 0; c < mean.size(); ++c) {
        mean[c] = 0.7 * mean[c] + 0.3 * s.mean[c];
        var[c] = 0.7 * var[c] + 0.3 * s.unbiased[c];
        EXPECT_NEAR(layer.running_mean.data()[c], mean[c], 1e-12);
        EXPECT_NEAR(layer.running_var.data()[c], var[c], 1e-12);
      }
      EXPECT_EQ(layer.num_batches_tracked.item(), step);
      layer.eval();
      expect(layer.forward(x), mean, var);
      EXPECT_EQ(layer.num_batches_tracked.item(), step);
      layer.train();
    }
  }
  return cases;
}

TEST(BatchNorm, TrainsOnTheBatchAndEvaluatesOnRunningStatistics) {
  int cases = check_training_and_eval<nn::BasicBatchNorm1dImpl<double>>(2, 3, 1);
  cases += check_training_and_eval<nn::BasicBatchNorm2dImpl<double>>(4, 4, 2);
  std::printf("cases=%d\n", cases);
}

TEST(BatchNorm, WithoutMomentumTheStatisticsAreAPlainAverage) {
  Generator g(3);
  nn::BasicBatchNorm1dImpl<double> layer(nn::BatchNormOptions(2).momentum(std::nullopt));
  double mean = 0, var = 0;
  for (int step = 1; step <= 5; ++step) {
    const Double x = randn<double>({6, 2}, g);
    const Statistics s = statistics(x);
    layer.forward(x);
    mean += s.mean[1];
    var += s.unbiased[1];
    EXPECT_NEAR(layer.running_mean.at({1}), mean / step, 1e-12);
    EXPECT_NEAR(layer.running_var.at({1}), var / step, 1e-12);
  }
}

TEST(BatchNorm, FrozenStatisticsStandStillInTrainMode) {
  Generator g(4);
  nn::BatchNorm2d bn(3);
  const Tensor x = randn({4, 3, 5, 5}, g);
  bn(x);
  EXPECT_TRUE(bn->uses_batch_statistics());
  bn->freeze_stats();
  bn->train();
  EXPECT_TRUE(bn->training());
  EXPECT_TRUE(bn->stats_frozen());
  EXPECT_FALSE(bn->uses_batch_statistics());
  const Tensor mean = bn->running_mean.clone();
  const Tensor y = bn(x);
  EXPECT_TRUE(identical(bn->running_mean, mean));
  EXPECT_EQ(bn->num_batches_tracked.item(), 1);
  bn->eval();
  EXPECT_TRUE(identical(bn(x), y));
  bn->freeze_stats(false);
  EXPECT_FALSE(bn->uses_batch_statistics());
  bn->train();
  bn(x);
  EXPECT_EQ(bn->num_batches_tracked.item(), 2);
}

TEST(BatchNorm, FrozenLayersStillLearnWeightAndBias) {
  Generator g(5);
  nn::BatchNorm2d bn(3);
  bn->freeze_stats();
  bn(randn({2, 3, 4, 4}, g)).backward(ones({2, 3, 4, 4}));
  EXPECT_EQ(bn->bias.grad().to_vector(), (std::vector<float>{32, 32, 32}));
  EXPECT_TRUE(bn->weight.grad().defined());
}

TEST(BatchNorm, OptionsDecideWhatIsThere) {
  nn::BatchNorm2d bn(4);
  const auto names = [](nn::Module& module) {
    std::string text;
    for (const auto& item : module.state_dict())
      text += concat(item.first, item.second.shape(), item.second.dtype(), ' ');
    return text;
  };
  EXPECT_EQ(names(*bn),
            "weight[4]float32 bias[4]float32 running_mean[4]float32 running_var[4]float32 "
            "num_batches_tracked[]int64 ");
  EXPECT_EQ(names(*nn::BatchNorm2d(nn::BatchNormOptions(4).affine(false).track_running_stats(false))), "");
  nn::BatchNorm2d plain(nn::BatchNormOptions(2).affine(false).track_running_stats(false));
  Generator g(6);
  const Tensor x = randn({3, 2, 4, 4}, g), y = plain(x);
  plain->eval();
  EXPECT_TRUE(plain->uses_batch_statistics());
  EXPECT_TRUE(identical(plain(x), y));
}

TEST(BatchNorm, ResetsToItsStart) {
  Generator g(7);
  nn::BatchNorm2d bn(2);
  bn(randn({3, 2, 4, 4}, g));
  bn->weight.fill_(3.0f);
  bn->reset_running_stats();
  EXPECT_EQ(bn->running_mean.to_vector(), (std::vector<float>{0, 0}));
  EXPECT_EQ(bn->running_var.to_vector(), (std::vector<float>{1, 1}));
  EXPECT_EQ(bn->num_batches_tracked.item(), 0);
  EXPECT_EQ(bn->weight.at({0}), 3.0f);
  bn->reset_parameters();
  EXPECT_EQ(bn->weight.at({0}), 1.0f);
}

TEST(BatchNorm, ClonesHaveTheirOwnStatistics) {
  Generator g(8);
  nn::BatchNorm2d bn(2);
  bn->freeze_stats();
  nn::Module::CloneMap map;
  const auto copy = std::dynamic_pointer_cast<nn::BatchNorm2dImpl>(bn->clone(map));
  ASSERT_TRUE(copy);
  EXPECT_TRUE(copy->stats_frozen());
  copy->freeze_stats(false);
  copy->forward(randn({3, 2, 4, 4}, g));
  EXPECT_EQ(copy->num_batches_tracked.item(), 1);
  EXPECT_EQ(bn->num_batches_tracked.item(), 0);
  EXPECT_EQ(bn->running_mean.at({0}), 0.0f);
  EXPECT_NE(copy->running_mean.at({0}), 0.0f);
  EXPECT_EQ(get_tensor<std::int64_t>(copy->state_dict().at("num_batches_tracked"), "t").item(), 1);
  EXPECT_TRUE(bn->stats_frozen());
  nn::BatchNorm2d plain(nn::BatchNormOptions(2).affine(false).track_running_stats(false));
  nn::Module::CloneMap other;
  EXPECT_TRUE(plain->clone(other));
}

TEST(BatchNorm, IsOneLeafForATracer) {
  nn::BatchNorm2d bn(2);
  bn->eval();
  CallLog log;
  bn->forward(ones({1, 2, 2, 2}));
  EXPECT_EQ(log.calls, (Calls{"leaf BatchNorm2d 1->1"}));
}

TEST(BatchNorm, PrintsAsPyTorch) {
  EXPECT_EQ(nn::BatchNorm2d(16)->extra_repr(),
            "16, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True");
  EXPECT_EQ(nn::BatchNorm1d(nn::BatchNormOptions(3).momentum(std::nullopt).affine(false))->extra_repr(),
            "3, eps=1e-05, momentum=None, affine=False, track_running_stats=True");
  EXPECT_EQ(nn::BatchNorm1d(3)->type_name(), "BatchNorm1d");
}

TEST(BatchNorm, RejectsWhatDoesNotFit) {
  expect_error<ConfigError>([] { nn::BatchNorm2d bn(0); }, {"num_features is 0"});
  expect_error<ConfigError>([] { nn::BatchNorm2d bn(nn::BatchNormOptions(1).eps(0)); }, {"eps is 0"});
  expect_error<ConfigError>([] { nn::BatchNorm2d bn(nn::BatchNormOptions(1).momentum(1.5)); },
                            {"momentum is 1.5"});
  expect_error<ShapeError>(
      [] {
        return nn::BatchNorm2d(2)(ones({4, 2}));
      },
      {"BatchNorm2d", "[4, 2]", "[N, C, H, W]"});
  expect_error<ShapeError>(
      [] {
        return nn::BatchNorm1d(2)(ones({4, 2, 1, 1}));
      },
      {"BatchNorm1d", "[N, C, L]"});
  expect_error<ShapeError>(
      [] {
        return nn::BatchNorm2d(2)(ones({4, 3, 2, 2}));
      },
      {"3 channels", "num_features is 2"});
  nn::BatchNorm1d bn(2);
  EXPECT_THROW(bn(ones({1, 2})), ShapeError);  // one value per channel has no variance
  EXPECT_EQ(bn->num_batches_tracked.item(), 0);
}

}  // namespace batch_norm_test
}  // namespace midtread

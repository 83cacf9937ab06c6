// SPDX-License-Identifier: MIT
#include <midtread/data/synthetic.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"

using midtread::Shape;
using midtread::data::synthetic_images;
using midtread::data::SyntheticOptions;
using midtread::data::TensorDataset;

namespace synthetic_test {

/// The share of `test` that is nearest to its own class's mean image of `train`.
double nearest_mean_accuracy(const TensorDataset& train, const TensorDataset& test) {
  const auto classes = static_cast<std::size_t>(train.classes());
  const auto pixels = static_cast<std::size_t>(train.get(0).input.numel());
  std::vector<std::vector<double>> mean(classes, std::vector<double>(pixels));
  for (std::int64_t n = 0; n < train.size(); ++n) {
    const auto example = train.get(n);
    for (std::size_t i = 0; i < pixels; ++i)
      mean[static_cast<std::size_t>(example.label)][i] +=
          example.input.data()[i] * static_cast<double>(classes) / static_cast<double>(train.size());
  }
  int right = 0;
  for (std::int64_t n = 0; n < test.size(); ++n) {
    const auto example = test.get(n);
    std::size_t best = 0;
    double least = 1e30;
    for (std::size_t c = 0; c < classes; ++c) {
      double distance = 0;
      for (std::size_t i = 0; i < pixels; ++i)
        distance += (example.input.data()[i] - mean[c][i]) * (example.input.data()[i] - mean[c][i]);
      if (distance < least) least = distance, best = c;
    }
    right += static_cast<std::int64_t>(best) == example.label;
  }
  return right / static_cast<double>(test.size());
}

TEST(Synthetic, TestSetIsLearntFromTrainingSet) {
  int cases = 0;
  for (const auto& [channels, size] : {std::pair{1, 28}, {3, 32}, {1, 16}}) {
    SyntheticOptions options;
    options.channels = channels;
    options.height = options.width = size;
    const auto train = synthetic_images(1000, 1, options), test = synthetic_images(500, 2, options);
    EXPECT_EQ(train.images().shape(), (Shape{1000, channels, size, size}));
    const double accuracy = nearest_mean_accuracy(train, test);
    std::printf("%dx%dx%d: %.3f by the nearest mean\n", channels, size, size, accuracy);
    EXPECT_GT(accuracy, 0.8);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Synthetic, IsAFunctionOfItsArguments) {
  const auto a = synthetic_images(40, 1), b = synthetic_images(40, 1), c = synthetic_images(40, 2),
             d = synthetic_images(20, 1);
  EXPECT_TRUE(midtread::identical(a.images(), b.images()));
  EXPECT_FALSE(midtread::identical(a.images(), c.images()));
  EXPECT_TRUE(midtread::identical(a.first(20).images(), d.images()));
  EXPECT_FALSE(midtread::identical(a.get(0).input, a.get(10).input)) << "two images of one class";
  for (std::int64_t i = 0; i < a.size(); ++i) EXPECT_EQ(a.get(i).label, i % 10);
  std::uint64_t sum = 0;
  for (const std::uint8_t byte : a.images().to_vector()) sum = sum * 1099511628211ull + byte;
  EXPECT_EQ(sum, 11103732482571517991u) << "the same bytes on every machine";
}

TEST(Synthetic, AllowsExtremes) {
  SyntheticOptions options;
  options.height = options.width = 1;
  options.classes = 1;
  options.shift = options.noise = 0;
  EXPECT_EQ(synthetic_images(3, 0, options).images().numel(), 3);
  EXPECT_EQ(synthetic_images(0, 0).size(), 0);
  options.noise = 128;
  expect_error<midtread::ConfigError>([&] { synthetic_images(1, 0, options); },
                                      {"shift 0..1024, noise 0..127"});
  expect_error<midtread::ConfigError>([] { synthetic_images(-1, 0); }, {"got -1 images"});
}

}  // namespace synthetic_test

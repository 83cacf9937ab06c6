// SPDX-License-Identifier: MIT
#include <midtread/data/tensor_dataset.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"

using midtread::BasicTensor;
using midtread::Shape;
using midtread::Tensor;
using midtread::data::Batch;
using midtread::data::Example;
using midtread::data::Normalize;
using midtread::data::normalize;
using midtread::data::TensorDataset;

namespace tensor_dataset_test {

BasicTensor<std::uint8_t> bytes(const Shape& shape) {
  BasicTensor<std::uint8_t> out(shape);
  for (std::int64_t i = 0; i < out.numel(); ++i)
    out.mutable_data()[i] = static_cast<std::uint8_t>(i * 37 % 256);
  return out;
}

TEST(TensorDataset, GivesBytesAsFractions) {
  const auto images = bytes({3, 2, 4, 5});
  const TensorDataset set(images, midtread::arange<std::int64_t>(3), 3);
  ASSERT_EQ(set.size(), 3);
  EXPECT_EQ(set.classes(), 3);
  for (std::int64_t n = 0; n < 3; ++n) {
    const Example example = set.get(n);
    EXPECT_EQ(example.label, n);
    ASSERT_EQ(example.input.shape(), (Shape{2, 4, 5}));
    for (std::int64_t c = 0; c < 2; ++c)
      for (std::int64_t y = 0; y < 4; ++y)
        for (std::int64_t x = 0; x < 5; ++x)
          EXPECT_EQ(example.input.at({c, y, x}), static_cast<float>(images.at({n, c, y, x})) / 255.0f);
  }
}

TEST(TensorDataset, BatchHasTheBitsOfExamples) {
  int cases = 0;
  for (const std::int64_t channels : {1, 2, 3, 5})
    for (const bool per_channel : {false, true}) {
      const TensorDataset set(bytes({7, channels, 6, 4}), midtread::arange<std::int64_t>(7));
      std::vector<float> mean, std;
      for (std::int64_t c = 0; c < (per_channel ? channels : 1); ++c) {
        mean.push_back(0.1f + 0.2f * static_cast<float>(c));
        std.push_back(0.3f + 0.1f * static_cast<float>(c));
      }
      for (const Normalize& step : {Normalize(), Normalize(mean, std)}) {
        Batch batch;
        const std::vector<std::int64_t> indices = {6, 0, 3, 3};
        ASSERT_TRUE(set.get_batch(indices, step, batch));
        EXPECT_TRUE(batch.input.is_channels_last());
        EXPECT_EQ(batch.target.to_vector(), indices);
        for (std::size_t i = 0; i < indices.size(); ++i) {
          const Tensor wanted = step(set.get(indices[i]).input);
          const Tensor got(batch.input.storage(), static_cast<std::int64_t>(i) * batch.input.strides()[0],
                           wanted.shape(),
                           Shape(batch.input.strides().begin() + 1, batch.input.strides().end()));
          EXPECT_TRUE(midtread::identical(got, wanted));
          ++cases;
        }
      }
    }
  std::printf("cases=%d\n", cases);
}

TEST(TensorDataset, TakesTheFirst) {
  const TensorDataset set(bytes({5, 3, 2, 2}), midtread::arange<std::int64_t>(5));
  const TensorDataset part = set.first(2);
  EXPECT_EQ(part.size(), 2);
  EXPECT_TRUE(part.images().storage().same_as(set.images().storage()));
  EXPECT_TRUE(midtread::identical(part.get(1).input, set.get(1).input));
  EXPECT_EQ(set.first(5).size(), 5);
  EXPECT_EQ(set.first(0).size(), 0);
  expect_error<midtread::ShapeError>([&] { set.first(6); }, {"the first 6 of 5 examples"});
  expect_error<midtread::ShapeError>([&] { set.first(-1); }, {"the first -1 of 5"});
}

TEST(TensorDataset, RefusesWhatDoesNotFit) {
  const auto labels = midtread::arange<std::int64_t>(3);
  expect_error<midtread::ShapeError>(
      [&] {
        TensorDataset(bytes({3, 4, 4}), labels);
      },
      {"images have shape [3, 4, 4]", "[N, C, H, W]"});
  expect_error<midtread::ShapeError>(
      [&] {
        TensorDataset(bytes({3, 1, 2, 2}), midtread::scalar<std::int64_t>(1));
      },
      {"labels have shape []", "[N]"});
  expect_error<midtread::ShapeError>(
      [&] {
        TensorDataset(bytes({4, 1, 2, 2}), labels);
      },
      {"4 images but 3 labels"});
  expect_error<midtread::ConfigError>(
      [&] {
        TensorDataset(bytes({3, 1, 2, 2}), labels, 2);
      },
      {"label 2 is 2", "0..1"});
  const TensorDataset set(bytes({3, 2, 2, 2}), labels);
  expect_error<midtread::ShapeError>([&] { set.get(3); }, {"example 3 of 3"});
  expect_error<midtread::ShapeError>([&] { set.get(-1); }, {"example -1"});
  Batch batch;
  expect_error<midtread::ShapeError>(
      [&] {
        set.get_batch({0}, Normalize({1, 2, 3}, {1, 1, 1}), batch);
      },
      {"3 channels, the image 2"});
  expect_error<midtread::ShapeError>([&] { set.get_batch({7}, {}, batch); }, {"example 7"});
}

TEST(Normalize, SubtractsAndDivides) {
  const Tensor image = midtread::from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 1, 3});
  EXPECT_EQ(normalize({1, 4}, {2, 0.5f})(image).to_vector(), (std::vector<float>{0, 0.5f, 1, 0, 2, 4}));
  EXPECT_EQ(normalize({1}, {2})(image).to_vector(), (std::vector<float>{0, 0.5f, 1, 1.5f, 2, 2.5f}));
  EXPECT_EQ(image.to_vector(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  const Tensor turned(image.storage(), 0, {2, 1, 3}, {1, 6, 2});
  EXPECT_EQ(normalize({1, 2}, {1, 2})(turned).to_vector(), (std::vector<float>{0, 2, 4, 0, 1, 2}));
}

TEST(Normalize, RefusesBadNumbers) {
  int cases = 0;
  const auto refuse = [&](std::vector<float> mean, std::vector<float> std,
                          std::initializer_list<std::string> words) {
    expect_error<midtread::ConfigError>([&] { normalize(mean, std); }, words);
    ++cases;
  };
  refuse({}, {}, {"0 means and 0 standard deviations", "at least one"});
  refuse({1, 2}, {1}, {"2 means and 1 standard"});
  refuse({1}, {0}, {"channel 0", "std 0; both must be finite, std positive"});
  refuse({1, 1}, {1, -1}, {"channel 1", "std -1"});
  refuse({1}, {INFINITY}, {"std inf"});
  refuse({1}, {NAN}, {"nan"});
  refuse({NAN}, {1}, {"mean nan"});
  expect_error<midtread::ShapeError>([] { normalize({1}, {1})(midtread::scalar(1.0f)); },
                                     {"the image is a scalar"});
  std::printf("cases=%d\n", cases);
  expect_error<midtread::ShapeError>(
      [] {
        normalize({1, 2}, {1, 1})(midtread::zeros({3, 2, 2}));
      },
      {"2 channels, the image 3"});
}

}  // namespace tensor_dataset_test

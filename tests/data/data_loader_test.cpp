// SPDX-License-Identifier: MIT
#include <midtread/data/data_loader.hpp>
#include <midtread/data/tensor_dataset.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "data/expect_error.hpp"

using midtread::BasicTensor;
using midtread::ConfigError;
using midtread::Generator;
using midtread::Shape;
using midtread::Tensor;
using midtread::data::Batch;
using midtread::data::DataLoader;
using midtread::data::DataLoaderOptions;
using midtread::data::Dataset;
using midtread::data::Example;
using midtread::data::normalize;
using midtread::data::random_crop;
using midtread::data::random_horizontal_flip;
using midtread::data::TensorDataset;
using midtread::data::Transform;

namespace data_loader_test {

using Labels = std::vector<std::int64_t>;

TensorDataset numbered(std::int64_t count, std::int64_t channels = 2) {
  BasicTensor<std::uint8_t> images(Shape{count, channels, 4, 3});
  for (std::int64_t i = 0; i < images.numel(); ++i)
    images.mutable_data()[i] = static_cast<std::uint8_t>(i * 31 % 251);
  return TensorDataset(images, midtread::arange<std::int64_t>(count));
}

std::vector<Batch> all(DataLoader& loader) {
  std::vector<Batch> out;
  for (const Batch& batch : loader) out.push_back(batch);
  return out;
}
Labels labels(const std::vector<Batch>& batches) {
  Labels out;
  for (const Batch& batch : batches)
    for (const std::int64_t label : batch.target.to_vector()) out.push_back(label);
  return out;
}
bool same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Batch& x, const Batch& y) {
    return midtread::identical(x.input, y.input) && midtread::identical(x.target, y.target);
  });
}
Labels sorted(Labels values) {
  std::sort(values.begin(), values.end());
  return values;
}
Labels upto(std::int64_t count) { return midtread::arange<std::int64_t>(count).to_vector(); }

/// The same examples through get() alone.
class ByExample : public Dataset {
 public:
  explicit ByExample(TensorDataset from) : from_(std::move(from)) {}
  std::int64_t size() const override { return from_.size(); }
  Example get(std::int64_t index) const override { return from_.get(index); }

 private:
  TensorDataset from_;
};

TEST(DataLoader, CutsIntoBatches) {
  int cases = 0;
  for (std::int64_t count = 0; count < 12; ++count)
    for (std::int64_t batch = 1; batch < 14; ++batch)
      for (const bool drop : {false, true})
        for (const std::int64_t prefetch : {0, 1, 3}) {
          DataLoader loader(numbered(count), DataLoaderOptions(batch).drop_last(drop).prefetch(prefetch));
          const auto batches = all(loader);
          const std::int64_t used = drop ? count / batch * batch : count;
          ASSERT_EQ(static_cast<std::int64_t>(batches.size()), loader.size());
          ASSERT_EQ(labels(batches), upto(used)) << count << " in " << batch;
          for (std::size_t i = 0; i < batches.size(); ++i) {
            const std::int64_t n = std::min(batch, count - static_cast<std::int64_t>(i) * batch);
            ASSERT_EQ(batches[i].input.shape(), (Shape{n, 2, 4, 3}));
            ASSERT_TRUE(batches[i].input.is_channels_last());
            ASSERT_EQ(batches[i].size(), n);
          }
          ++cases;
        }
  std::printf("cases=%d\n", cases);
}

TEST(DataLoader, OrderIsAFunctionOfSeedAndEpoch) {
  const auto order = [](std::uint64_t seed, std::int64_t epoch, std::int64_t batch, std::int64_t prefetch) {
    DataLoader loader(numbered(50), DataLoaderOptions(batch).shuffle(true).seed(seed).prefetch(prefetch));
    loader.set_epoch(epoch);
    return labels(all(loader));
  };
  const Labels wanted = order(7, 2, 8, 0);
  EXPECT_EQ(sorted(wanted), upto(50));
  EXPECT_EQ(order(7, 2, 8, 2), wanted);
  EXPECT_EQ(order(7, 2, 3, 5), wanted);
  EXPECT_NE(order(7, 3, 8, 0), wanted);
  EXPECT_NE(order(8, 2, 8, 0), wanted);

  DataLoader loader(numbered(50), DataLoaderOptions(8).shuffle(true).seed(7));
  EXPECT_EQ(loader.epoch(), 0);
  all(loader);
  const Labels second = labels(all(loader));
  EXPECT_EQ(loader.epoch(), 2);
  EXPECT_EQ(labels(all(loader)), wanted) << "the third loop is epoch 2";
  EXPECT_NE(second, wanted);
  expect_error<ConfigError>([&] { loader.set_epoch(-1); }, {"got -1", "allowed 0 and more"});
}

TEST(DataLoader, EveryPositionIsEquallyLikely) {
  constexpr int kEpochs = 4000, kExamples = 5;
  DataLoader loader(numbered(kExamples, 1), DataLoaderOptions(kExamples).shuffle(true).prefetch(0));
  int seen[kExamples][kExamples] = {};
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const Labels order = labels(all(loader));
    for (std::size_t i = 0; i < kExamples; ++i) ++seen[i][order[i]];
  }
  for (const auto& row : seen)
    for (const int count : row) EXPECT_NEAR(count, kEpochs / kExamples, 130);  // five standard deviations
}

TEST(DataLoader, ResumesInTheMiddleOfAnEpoch) {
  int cases = 0;
  for (const std::int64_t prefetch : {0, 2}) {
    DataLoader loader(numbered(23), DataLoaderOptions(4).shuffle(true).seed(3).prefetch(prefetch).transform(
                                        random_crop(1)));
    loader.set_epoch(5);
    const auto whole = all(loader);
    for (std::int64_t first = 0; first <= loader.size(); ++first) {
      loader.set_epoch(5);
      std::vector<Batch> rest;
      for (auto it = loader.begin_at(first); it != loader.end(); ++it) rest.push_back(*it);
      EXPECT_TRUE(same(rest, {whole.begin() + first, whole.end()}));
      ++cases;
    }
    expect_error<ConfigError>([&] { loader.begin_at(7); }, {"batch 7", "allowed 0..6"});
    expect_error<ConfigError>([&] { loader.begin_at(-1); }, {"batch -1"});
  }
  std::printf("cases=%d\n", cases);
}

TEST(DataLoader, FastPathHasTheBitsOfExamples) {
  int cases = 0;
  for (const std::int64_t channels : {1, 3}) {
    const std::vector<float> mean(static_cast<std::size_t>(channels), 0.3f),
        std(static_cast<std::size_t>(channels), 0.7f);
    const DataLoaderOptions plain(5), normal = DataLoaderOptions(5).transform(normalize(mean, std));
    for (const DataLoaderOptions& options : {plain, normal}) {
      DataLoader fast(numbered(12, channels), options), slow(ByExample(numbered(12, channels)), options);
      EXPECT_TRUE(same(all(fast), all(slow)));
      ++cases;
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(DataLoader, AugmentationDependsOnSeedEpochAndExampleOnly) {
  const auto run = [](std::uint64_t seed, std::int64_t epoch, std::int64_t batch, bool shuffle,
                      std::int64_t prefetch) {
    DataLoader loader(numbered(40), DataLoaderOptions(batch)
                                        .shuffle(shuffle)
                                        .seed(seed)
                                        .prefetch(prefetch)
                                        .transform(random_crop(2))
                                        .transform(random_horizontal_flip())
                                        .transform(normalize({0.5f}, {0.5f})));
    loader.set_epoch(epoch);
    std::vector<std::vector<float>> by_example(40);
    for (const Batch& b : loader)
      for (std::int64_t i = 0; i < b.size(); ++i)
        for (std::int64_t c = 0; c < 2; ++c)
          for (std::int64_t y = 0; y < 4; ++y)
            for (std::int64_t x = 0; x < 3; ++x)
              by_example[static_cast<std::size_t>(b.target.at({i}))].push_back(b.input.at({i, c, y, x}));
    return by_example;
  };
  const auto wanted = run(1, 0, 8, false, 0);
  EXPECT_EQ(run(1, 0, 8, true, 2), wanted);
  EXPECT_EQ(run(1, 0, 7, true, 1), wanted);
  EXPECT_EQ(run(1, 0, 40, false, 4), wanted);
  EXPECT_NE(run(1, 1, 8, false, 0), wanted);
  EXPECT_NE(run(2, 0, 8, false, 0), wanted);
}

TEST(DataLoader, NormalizeInTheMiddleIsAppliedInOrder) {
  const auto brightness = [](const Tensor& image, Generator&) {
    return midtread::full<float>(image.shape(), image.at({0, 0, 0}) * 2);
  };
  DataLoader first(numbered(1), DataLoaderOptions(1).transform(normalize({0.5f}, {1})).transform(brightness));
  DataLoader last(numbered(1), DataLoaderOptions(1).transform(brightness).transform(normalize({0.5f}, {1})));
  EXPECT_EQ(all(first)[0].input.at({0, 0, 0, 0}), -1.0f);
  EXPECT_EQ(all(last)[0].input.at({0, 0, 0, 0}), -0.5f);
}

/// Examples of any shape; a wrong one at `bad`, an exception at `broken`.
class Vectors : public Dataset {
 public:
  Vectors(Shape shape, std::int64_t bad, std::int64_t broken) : shape_(shape), bad_(bad), broken_(broken) {}
  std::int64_t size() const override { return 10; }
  Example get(std::int64_t index) const override {
    if (index == broken_) throw midtread::IoError("example 7", "disk on fire");
    return {midtread::full<float>(index == bad_ ? Shape{9} : shape_, static_cast<float>(index)), index};
  }

 private:
  Shape shape_;
  std::int64_t bad_, broken_;
};

TEST(DataLoader, StacksExamplesOfAnyRank) {
  int cases = 0;
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3}, Shape{2, 3, 4, 5}}) {
    DataLoader loader(Vectors(shape, -1, -1), DataLoaderOptions(4));
    for (const Batch& batch : loader) {
      ASSERT_EQ(batch.input.rank(), shape.rank() + 1);
      const std::int64_t each = batch.input.numel() / batch.size();
      for (std::int64_t i = 0; i < batch.size(); ++i, ++cases)
        EXPECT_EQ(batch.input.to_vector()[static_cast<std::size_t>(i * each)],
                  static_cast<float>(batch.target.at({i})));
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(DataLoader, ExceptionsReachTheConsumer) {
  for (const std::int64_t prefetch : {0, 1, 8}) {
    DataLoader broken(Vectors({3}, -1, 7), DataLoaderOptions(2).prefetch(prefetch));
    Labels got;
    expect_error<midtread::IoError>(
        [&] {
          for (const Batch& batch : broken)
            for (const std::int64_t label : batch.target.to_vector()) got.push_back(label);
        },
        {"disk on fire"});
    EXPECT_EQ(got, upto(6)) << "batches before the broken one arrive";

    DataLoader wrong(Vectors({3}, 3, -1), DataLoaderOptions(2).prefetch(prefetch));
    expect_error<midtread::ShapeError>([&] { all(wrong); }, {"example 3 has shape [9]", "[3]"});
  }
}

TEST(DataLoader, StopsWhenThePassIsDropped) {
  struct Slow : Dataset {
    std::shared_ptr<std::atomic<int>> calls = std::make_shared<std::atomic<int>>(0);
    std::int64_t size() const override { return 1000000; }
    Example get(std::int64_t index) const override {
      ++*calls;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return {midtread::ones({1}), index};
    }
  };
  const Slow data;
  {
    DataLoader loader(data, DataLoaderOptions(1).prefetch(4));
    for (int i = 0; i < 5; ++i) {
      auto it = loader.begin();
      ++it;
      EXPECT_EQ(it->target.item(), 1);
    }
    for (const Batch& batch : loader)
      if (batch.target.item() == 3) break;
  }
  EXPECT_LT(*data.calls, 100);
}

TEST(DataLoader, PassOutlivesItsLoaderAndPassesAreIndependent) {
  DataLoader::Iterator pass;
  {
    DataLoader loader(numbered(9), DataLoaderOptions(2));
    auto other = loader.begin();
    pass = loader.begin();
    ++other, ++other;
  }
  Labels got;
  for (; pass != DataLoader::Iterator(); ++pass)
    for (const std::int64_t label : pass->target.to_vector()) got.push_back(label);
  EXPECT_EQ(got, upto(9));
}

TEST(DataLoader, RefusesBadOptions) {
  const auto refuse = [](const DataLoaderOptions& options, std::initializer_list<std::string> words) {
    expect_error<ConfigError>([&] { DataLoader(numbered(3), options); }, words);
  };
  refuse(DataLoaderOptions(0), {"batch size 0", "1 and more"});
  refuse(DataLoaderOptions(-4), {"batch size -4"});
  refuse(DataLoaderOptions(1).prefetch(-1), {"prefetch -1 batches", "allowed 0..1024"});
  refuse(DataLoaderOptions(1).prefetch(1025), {"prefetch 1025 batches, allowed"});
  expect_error<ConfigError>([] { DataLoader(std::shared_ptr<const Dataset>(), DataLoaderOptions(1)); },
                            {"data set is null"});
  expect_error<ConfigError>([] { DataLoaderOptions(1).transform(Transform()); }, {"the transform is empty"});
  struct Negative : Dataset {
    std::int64_t size() const override { return -1; }
    Example get(std::int64_t) const override { return {}; }
  };
  expect_error<ConfigError>([] { DataLoader(Negative(), DataLoaderOptions(1)); }, {"data set's size is -1"});
  DataLoader huge(numbered(3), DataLoaderOptions(INT64_MAX));
  EXPECT_EQ(labels(all(huge)), upto(3));
}

}  // namespace data_loader_test

// SPDX-License-Identifier: MIT
// The data sets of the examples: Fashion-MNIST where it is there, synthetic images elsewhere.
#pragma once

#include <midtread/data/data_loader.hpp>
#include <midtread/data/mnist.hpp>
#include <midtread/data/synthetic.hpp>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <sys/stat.h>

namespace examples {

namespace data = midtread::data;

constexpr const char* kDebianData = "/usr/share/datasets/fashion-mnist";

struct DataSets {
  std::shared_ptr<const data::TensorDataset> train, test;
};

/// The first so many images.
inline std::shared_ptr<const data::TensorDataset> limited(data::TensorDataset set, std::int64_t limit) {
  const bool shorter = limit > 0 && limit < set.size();
  return std::make_shared<const data::TensorDataset>(shorter ? set.first(limit) : std::move(set));
}

/// `directory` holds the four IDX files; "synthetic": made here; empty: Debian's, or synthetic. Limits: 0 is
/// all.
inline DataSets load_data(const std::string& directory, std::int64_t train_limit, std::int64_t test_limit) {
  struct stat status;
  const bool debian = ::stat(kDebianData, &status) == 0;
  const std::string from = directory.empty() && debian ? kDebianData : directory;
  if (from.empty() || from == "synthetic") {
    if (directory.empty())
      std::printf("No data set: apt-get install dataset-fashion-mnist puts it into %s. ", kDebianData);
    std::printf("Using synthetic images.\n");
    return {limited(data::synthetic_images(train_limit > 0 ? train_limit : 20000, 1), train_limit),
            limited(data::synthetic_images(test_limit > 0 ? test_limit : 4000, 2), test_limit)};
  }
  return {limited(data::load_mnist(from, true), train_limit),
          limited(data::load_mnist(from, false), test_limit)};
}

/// Fashion-MNIST's mean and deviation to 0 and 1.
inline data::Normalize normalized() { return data::normalize({0.2860f}, {0.3530f}); }

/// Shuffled batches of one size. Throws ConfigError where there is not one.
inline data::DataLoader training_loader(const std::shared_ptr<const data::TensorDataset>& set,
                                        std::int64_t batch_size, std::uint64_t seed) {
  if (set->size() < batch_size)
    throw midtread::ConfigError("--batch-size", midtread::concat("got ", batch_size, ", but there are ",
                                                                 set->size(), " training images"));
  return {
      set,
      data::DataLoaderOptions(batch_size).transform(normalized()).shuffle(true).seed(seed).drop_last(true)};
}

/// All images in order.
inline data::DataLoader test_loader(const std::shared_ptr<const data::TensorDataset>& set) {
  return {set, data::DataLoaderOptions(250).transform(normalized())};
}

}  // namespace examples

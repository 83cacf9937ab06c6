// SPDX-License-Identifier: MIT
// How a DataLoader cuts, orders and changes its data set.
#pragma once

#include <midtread/data/transform.hpp>

#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

/// DataLoaderOptions(64).shuffle(true).transform(random_crop(4)).transform(normalize({0.29f}, {0.35f}))
class DataLoaderOptions {
 public:
  explicit DataLoaderOptions(std::int64_t batch_size) : batch_size_(batch_size) {}

  /// A new order every epoch; off by default.
  DataLoaderOptions& shuffle(bool value) { return shuffle_ = value, *this; }
  /// Of the order and of random transforms; 0 by default.
  DataLoaderOptions& seed(std::uint64_t value) { return seed_ = value, *this; }
  /// Without the last batch if it is not full; off by default.
  DataLoaderOptions& drop_last(bool value) { return drop_last_ = value, *this; }
  /// Batches made ahead on a thread of their own; 0: none, and no thread. 2 by default.
  DataLoaderOptions& prefetch(std::int64_t value) { return prefetch_ = value, *this; }
  /// Added after those given before.
  DataLoaderOptions& transform(Transform value) {
    if (!value) throw ConfigError("DataLoaderOptions", "the transform is empty");
    end_normalize();
    transforms_.push_back(std::move(value));
    return *this;
  }
  /// As the only transform of a TensorDataset it costs no pass of its own.
  DataLoaderOptions& transform(Normalize value) {
    end_normalize();
    normalize_ = std::move(value);
    return *this;
  }

  std::int64_t batch_size() const noexcept { return batch_size_; }
  bool shuffle() const noexcept { return shuffle_; }
  std::uint64_t seed() const noexcept { return seed_; }
  bool drop_last() const noexcept { return drop_last_; }
  std::int64_t prefetch() const noexcept { return prefetch_; }
  const std::vector<Transform>& transforms() const noexcept { return transforms_; }
  /// The last step.
  const Normalize& normalize() const noexcept { return normalize_; }

  /// Throws ConfigError.
  void check() const {
    if (batch_size_ < 1)
      throw ConfigError("DataLoaderOptions", concat("batch size ", batch_size_, ", allowed 1 and more"));
    if (prefetch_ < 0 || prefetch_ > 1024)
      throw ConfigError("DataLoaderOptions", concat("prefetch ", prefetch_, " batches, allowed 0..1024"));
  }

 private:
  void end_normalize() {
    if (normalize_.empty()) return;
    transforms_.push_back([n = std::move(normalize_)](const Tensor& image, Generator&) { return n(image); });
    normalize_ = Normalize();
  }

  std::int64_t batch_size_;
  bool shuffle_ = false;
  std::uint64_t seed_ = 0;
  bool drop_last_ = false;
  std::int64_t prefetch_ = 2;
  std::vector<Transform> transforms_;
  Normalize normalize_;
};

MIDTREAD_NAMESPACE_END

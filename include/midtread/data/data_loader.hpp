// SPDX-License-Identifier: MIT
// Batches of a data set, made ahead on one thread; their order is a function of seed and epoch only.
#pragma once

#include <midtread/data/batch_maker.hpp>
#include <midtread/data/prefetcher.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(data)

/// for (const Batch& batch : loader) is one epoch; the next such loop is the next one.
class DataLoader {
 public:
  /// One pass. It may outlive its loader, and several may run at once.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using pointer = const Batch*;
    using reference = const Batch&;

    Iterator() = default;
    explicit Iterator(std::shared_ptr<Prefetcher> source) : source_(std::move(source)) { ++*this; }

    const Batch& operator*() const noexcept { return batch_; }
    const Batch* operator->() const noexcept { return &batch_; }
    /// Throws what making the batch threw.
    Iterator& operator++() {
      if (source_ && !source_->next(batch_)) source_.reset(), batch_ = Batch();
      return *this;
    }
    /// Only the end compares equal.
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.source_ == b.source_; }
    friend bool operator!=(const Iterator& a, const Iterator& b) noexcept { return !(a == b); }

   private:
    std::shared_ptr<Prefetcher> source_;
    Batch batch_;
  };

  /// Throws ConfigError for options out of range.
  DataLoader(std::shared_ptr<const Dataset> dataset, const DataLoaderOptions& options)
      : dataset_(std::move(dataset)), options_(options) {
    if (!dataset_) throw ConfigError("DataLoader", "the data set is null");
    if (dataset_->size() < 0)
      throw ConfigError("DataLoader", concat("the data set's size is ", dataset_->size()));
    options_.check();
  }
  template <class Data, class = std::enable_if_t<std::is_base_of_v<Dataset, Data>>>
  DataLoader(Data dataset, const DataLoaderOptions& options)
      : DataLoader(std::make_shared<const Data>(std::move(dataset)), options) {}

  /// Batches in an epoch.
  std::int64_t size() const {
    const std::int64_t examples = dataset_->size(), batch = options_.batch_size();
    return options_.drop_last() ? examples / batch : examples / batch + (examples % batch != 0);
  }
  const Dataset& dataset() const noexcept { return *dataset_; }
  const DataLoaderOptions& options() const noexcept { return options_; }

  /// The epoch that the next begin() is.
  std::int64_t epoch() const noexcept { return epoch_; }
  void set_epoch(std::int64_t epoch) {
    if (epoch < 0) throw ConfigError("set_epoch", concat("got ", epoch, ", allowed 0 and more"));
    epoch_ = epoch;
  }

  Iterator begin() { return begin_at(0); }
  /// An epoch without its first `batch` batches: to resume in its middle.
  Iterator begin_at(std::int64_t batch) {
    if (batch < 0 || batch > size())
      throw ConfigError("begin_at", concat("batch ", batch, ", allowed 0..", size()));
    const BatchMaker maker(dataset_, options_, epoch_);
    Iterator pass(std::make_shared<Prefetcher>(maker, batch, size(), options_.prefetch()));
    ++epoch_;
    return pass;
  }
  Iterator end() const noexcept { return {}; }

 private:
  std::shared_ptr<const Dataset> dataset_;
  DataLoaderOptions options_;
  std::int64_t epoch_ = 0;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The n-th batch of an epoch: a function of data set, options, epoch and n, whatever was asked for before.
#pragma once

#include <midtread/core/fp_env.hpp>
#include <midtread/data/data_loader_options.hpp>
#include <midtread/data/dataset.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

class BatchMaker {
 public:
  BatchMaker(std::shared_ptr<const Dataset> dataset, const DataLoaderOptions& options, std::int64_t epoch)
      : dataset_(std::move(dataset)),
        options_(options),
        augmentation_(Generator(options.seed()).fork(2 * static_cast<std::uint64_t>(epoch) + 1)),
        order_(static_cast<std::size_t>(dataset_->size())) {
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    if (options.shuffle())
      Generator(options.seed()).fork(2 * static_cast<std::uint64_t>(epoch)).shuffle(order_);
  }

  Batch operator()(std::int64_t number) const {
    const FpEnvGuard fp_env;
    const std::size_t size = static_cast<std::size_t>(options_.batch_size());
    const std::size_t first = static_cast<std::size_t>(number) * size,
                      last = std::min(order_.size(), first + size);
    const std::vector<std::int64_t> indices(order_.begin() + static_cast<std::ptrdiff_t>(first),
                                            order_.begin() + static_cast<std::ptrdiff_t>(last));
    Batch batch;
    if (options_.transforms().empty() && dataset_->get_batch(indices, options_.normalize(), batch))
      return batch;
    for (std::size_t i = 0; i < indices.size(); ++i) put(indices, i, batch);
    return batch;
  }

 private:
  /// Example indices[at] into its place; the first one makes the batch.
  void put(const std::vector<std::int64_t>& indices, std::size_t at, Batch& batch) const {
    const std::int64_t index = indices[at];
    Example example = dataset_->get(index);
    Generator generator = augmentation_.fork(static_cast<std::uint64_t>(index));
    for (const Transform& transform : options_.transforms())
      example.input = transform(example.input, generator);
    const Tensor image = options_.normalize()(example.input);
    if (at == 0) {
      std::vector<std::int64_t> dims = {static_cast<std::int64_t>(indices.size())};
      dims.insert(dims.end(), image.shape().begin(), image.shape().end());
      const Shape shape(dims);
      batch.input = Tensor(shape, channels_last_strides(shape));
      batch.target = BasicTensor<std::int64_t>(Shape{shape[0]});
    }
    const Shape wanted(batch.input.shape().begin() + 1, batch.input.shape().end());
    if (image.shape() != wanted)
      throw ShapeError("DataLoader", concat("example ", index, " has shape ", image.shape(), ", example ",
                                            indices[0], " of the same batch ", wanted));
    const Shape strides(batch.input.strides().begin() + 1, batch.input.strides().end());
    float* to = batch.input.mutable_data() + static_cast<std::int64_t>(at) * batch.input.strides()[0];
    const float* from = image.data();
    Tensor::for_each_offset_pair(wanted, strides, image.strides(),
                                 [&](std::int64_t a, std::int64_t b) { to[a] = from[b]; });
    batch.target.mutable_data()[at] = example.label;
  }

  std::shared_ptr<const Dataset> dataset_;
  DataLoaderOptions options_;
  Generator augmentation_;  // forked by example: what an image gets does not depend on its place in the epoch
  std::vector<std::int64_t> order_;
};

MIDTREAD_NAMESPACE_END

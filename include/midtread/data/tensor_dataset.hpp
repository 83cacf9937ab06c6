// SPDX-License-Identifier: MIT
// A data set in memory: uint8 images and their labels. A byte b becomes the float b / 255 when it is asked
// for.
#pragma once

#include <midtread/data/dataset.hpp>

#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

/// Copies share the images.
class TensorDataset : public Dataset {
 public:
  /// `images` [N, C, H, W], `labels` [N], all in [0, classes) unless classes is 0. Throws ShapeError, or
  /// ConfigError for a label out of range.
  TensorDataset(const BasicTensor<std::uint8_t>& images, const BasicTensor<std::int64_t>& labels,
                std::int64_t classes = 0)
      : classes_(classes) {
    const char* const where = "TensorDataset";
    if (images.rank() != 4)
      throw ShapeError(where, concat("images have shape ", images.shape(), ", wanted [N, C, H, W]"));
    if (labels.rank() != 1)
      throw ShapeError(where, concat("labels have shape ", labels.shape(), ", wanted [N]"));
    if (images.size(0) != labels.size(0))
      throw ShapeError(where, concat(images.size(0), " images but ", labels.size(0), " labels"));
    images_ = images.channels_last();
    labels_ = labels.contiguous();
    for (std::int64_t i = 0; classes > 0 && i < size(); ++i)
      if (labels_.data()[i] < 0 || labels_.data()[i] >= classes)
        throw ConfigError(where,
                          concat("label ", i, " is ", labels_.data()[i], ", allowed 0..", classes - 1));
  }

  std::int64_t size() const override { return images_.size(0); }
  /// Number of classes, 0 if it was not given.
  std::int64_t classes() const noexcept { return classes_; }
  /// [N, C, H, W], channels-last.
  const BasicTensor<std::uint8_t>& images() const noexcept { return images_; }
  const BasicTensor<std::int64_t>& labels() const noexcept { return labels_; }

  /// The first `count` examples, sharing their memory. Throws ShapeError if there are fewer.
  TensorDataset first(std::int64_t count) const {
    if (count < 0 || count > size())
      throw ShapeError("TensorDataset", concat("wanted the first ", count, " of ", size(), " examples"));
    TensorDataset out = *this;
    Shape shape = images_.shape();
    shape[0] = count;
    out.images_ = BasicTensor<std::uint8_t>(images_.storage(), images_.offset(), shape, images_.strides());
    out.labels_ =
        BasicTensor<std::int64_t>(labels_.storage(), labels_.offset(), Shape{count}, labels_.strides());
    return out;
  }

  /// Values in [0, 1].
  Example get(std::int64_t index) const override {
    check_index(index);
    const std::int64_t channels = images_.size(1), pixels = images_.size(2) * images_.size(3);
    Tensor image(Shape{channels, images_.size(2), images_.size(3)});
    float* to = image.mutable_data();
    const std::uint8_t* from = images_.data() + index * pixels * channels;
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t i = 0; i < pixels; ++i) *to++ = value(from[i * channels + c]);
    return {image, labels_.data()[index]};
  }

  /// One pass from bytes to normalised floats through a table per channel; the same bits as get() and
  /// Normalize.
  bool get_batch(const std::vector<std::int64_t>& indices, const Normalize& normalize,
                 Batch& out) const override {
    const auto count = static_cast<std::int64_t>(indices.size());
    const std::int64_t channels = images_.size(1), pixels = images_.size(2) * images_.size(3);
    normalize.check_channels(channels);
    std::vector<float> tables(static_cast<std::size_t>(channels) * 256);
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t b = 0; b < 256; ++b) {
        const float x = value(static_cast<std::uint8_t>(b));
        tables[static_cast<std::size_t>(c * 256 + b)] =
            normalize.empty() ? x : (x - normalize.mean(c)) / normalize.std(c);
      }
    const Shape shape{count, channels, images_.size(2), images_.size(3)};
    out.input = Tensor(shape, channels_last_strides(shape));
    out.target = BasicTensor<std::int64_t>(Shape{count});
    float* to = out.input.mutable_data();
    std::int64_t* target = out.target.mutable_data();
    for (const std::int64_t index : indices) {
      check_index(index);
      *target++ = labels_.data()[index];
      const std::uint8_t* from = images_.data() + index * pixels * channels;
      if (channels == 1) {
        for (std::int64_t i = 0; i < pixels; ++i) to[i] = tables[from[i]];
      } else {
        for (std::int64_t i = 0; i < pixels; ++i)
          for (std::int64_t c = 0; c < channels; ++c)
            to[i * channels + c] = tables[static_cast<std::size_t>(c * 256) + from[i * channels + c]];
      }
      to += pixels * channels;
    }
    return true;
  }

 private:
  static float value(std::uint8_t byte) { return static_cast<float>(byte) / 255.0f; }
  void check_index(std::int64_t index) const {
    if (index < 0 || index >= size())
      throw ShapeError("TensorDataset", concat("example ", index, " of ", size(), " examples"));
  }

  BasicTensor<std::uint8_t> images_;
  BasicTensor<std::int64_t> labels_;
  std::int64_t classes_ = 0;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// MNIST and the sets that come in its files: Fashion-MNIST, KMNIST.
#pragma once

#include <midtread/data/idx.hpp>
#include <midtread/data/tensor_dataset.hpp>

#include <string>

MIDTREAD_NAMESPACE_BEGIN(data)

/// `stem` or, where that does not exist, `stem`.gz. Throws IoError if neither is there.
inline std::string find_mnist_file(const std::string& stem) {
  struct stat status;
  if (::stat(stem.c_str(), &status) == 0) return stem;
  const int error = errno;
  if (::stat((stem + ".gz").c_str(), &status) == 0) return stem + ".gz";
  throw io_error(
      stem,
      "neither it nor its .gz can be read; give the directory of the four IDX files (Debian: apt-get "
      "install dataset-fashion-mnist, then /usr/share/datasets/fashion-mnist)",
      error);
}

/// Images [N, 1, H, W] of `images_path` with the labels of `labels_path`, each in [0, classes).
/// Throws IoError, FormatError.
inline TensorDataset load_idx_images(const std::string& images_path, const std::string& labels_path,
                                     std::int64_t classes) {
  const AnyTensor images = load_idx(images_path);
  if (!images.holds<std::uint8_t>() || images.shape().rank() != 3)
    throw FormatError(images_path + ":2", concat("holds ", images.dtype(), " of shape ", images.shape(),
                                                 ", wanted uint8 images [N, H, W] (magic 2051)"));
  const AnyTensor labels = load_idx(labels_path);
  if (!labels.holds<std::uint8_t>() || labels.shape().rank() != 1)
    throw FormatError(labels_path + ":2", concat("holds ", labels.dtype(), " of shape ", labels.shape(),
                                                 ", wanted uint8 labels [N] (magic 2049)"));
  const auto pixels = images.get<std::uint8_t>(), codes = labels.get<std::uint8_t>();
  if (codes.size(0) != pixels.size(0))
    throw FormatError(labels_path + ":4", concat("holds ", codes.size(0), " labels, but ", images_path,
                                                 " holds ", pixels.size(0), " images"));
  BasicTensor<std::int64_t> target(codes.shape());
  std::int64_t* to = target.mutable_data();
  for (std::int64_t i = 0; i < target.numel(); ++i) {
    const std::int64_t label = codes.data()[i];
    if (label >= classes)
      throw FormatError(concat(labels_path, ":", 8 + i),
                        concat("label ", i, " is ", label, ", allowed 0..", classes - 1));
    to[i] = label;
  }
  const Shape shape{pixels.size(0), 1, pixels.size(1), pixels.size(2)};
  return TensorDataset(BasicTensor<std::uint8_t>(pixels.storage(), 0, shape, contiguous_strides(shape)),
                       target, classes);
}

/// The training set (60,000 images) or the test set (10,000) of `directory`, plain or .gz, ten classes.
/// Throws IoError where a file is missing, FormatError where one is damaged.
inline TensorDataset load_mnist(const std::string& directory, bool train) {
  const std::string stem = directory + (train ? "/train" : "/t10k");
  const std::string images = find_mnist_file(stem + "-images-idx3-ubyte");
  return load_idx_images(images, find_mnist_file(stem + "-labels-idx1-ubyte"), 10);
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// CIFAR-10, binary version: records of one label and 32 x 32 bytes each of red, green and blue.
#pragma once

#include <midtread/data/read_file.hpp>
#include <midtread/data/tensor_dataset.hpp>

#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

/// The records of these files, one after the other. Throws IoError, FormatError.
inline TensorDataset load_cifar10_files(const std::vector<std::string>& paths) {
  constexpr std::int64_t kPixels = 32 * 32, kRecord = 1 + 3 * kPixels, kClasses = 10;
  std::vector<std::string> files;
  std::int64_t count = 0;
  for (const std::string& path : paths) {
    files.push_back(read_file(path));
    const auto size = static_cast<std::int64_t>(files.back().size());
    if (size == 0 || size % kRecord != 0)
      throw FormatError(concat(path, ":", size),
                        concat("ends here, after ", size / kRecord, " records of ", kRecord, " bytes and ",
                               size % kRecord, " bytes more"));
    count += size / kRecord;
  }
  const Shape shape{count, 3, 32, 32};
  BasicTensor<std::uint8_t> images(shape, channels_last_strides(shape));
  BasicTensor<std::int64_t> labels(Shape{count});
  std::uint8_t* to = images.mutable_data();
  std::int64_t* label = labels.mutable_data();
  for (std::size_t f = 0; f < files.size(); ++f)
    for (std::size_t at = 0; at < files[f].size(); at += kRecord) {
      const char* record = files[f].data() + at;
      *label = static_cast<unsigned char>(record[0]);
      if (*label >= kClasses)
        throw FormatError(concat(paths[f], ":", at),
                          concat("label is ", *label, ", allowed 0..", kClasses - 1));
      ++label;
      for (std::int64_t i = 0; i < kPixels; ++i)
        for (std::int64_t c = 0; c < 3; ++c) *to++ = static_cast<std::uint8_t>(record[1 + c * kPixels + i]);
    }
  return TensorDataset(images, labels, kClasses);
}

/// The 50,000 training images or the 10,000 test images of `directory` (cifar-10-batches-bin).
inline TensorDataset load_cifar10(const std::string& directory, bool train) {
  std::vector<std::string> paths;
  if (train)
    for (int i = 1; i <= 5; ++i) paths.push_back(concat(directory, "/data_batch_", i, ".bin"));
  else
    paths.push_back(directory + "/test_batch.bin");
  struct stat status;
  if (::stat(paths[0].c_str(), &status) != 0) {
    const int error = errno;
    throw io_error(paths[0],
                   "cannot be read; give the directory cifar-10-batches-bin of cifar-10-binary.tar.gz "
                   "(https://www.cs.toronto.edu/~kriz/cifar.html)",
                   error);
  }
  return load_cifar10_files(paths);
}

MIDTREAD_NAMESPACE_END

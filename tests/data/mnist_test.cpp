// SPDX-License-Identifier: MIT
#include <midtread/data/mnist.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"
#include "io/scratch_directory.hpp"

using midtread::FormatError;
using midtread::IoError;
using midtread::Shape;
using midtread::data::load_mnist;

namespace mnist_test {

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}
std::string images(std::uint32_t count, std::uint32_t height = 2, std::uint32_t width = 3) {
  std::string out = big_endian(2051) + big_endian(count) + big_endian(height) + big_endian(width);
  for (std::uint32_t i = 0; i < count * height * width; ++i) out += static_cast<char>(i);
  return out;
}
std::string labels(const std::string& values) {
  return big_endian(2049) + big_endian(static_cast<std::uint32_t>(values.size())) + values;
}

TEST(Mnist, ReadsBothParts) {
  const ScratchDirectory directory;
  directory.put("train-images-idx3-ubyte", images(3));
  directory.put("train-labels-idx1-ubyte", labels({9, 0, 4}));
  directory.put("t10k-images-idx3-ubyte", images(1));
  directory.put("t10k-labels-idx1-ubyte", labels({7}));
  const auto train = load_mnist(directory.path(), true), test = load_mnist(directory.path(), false);
  EXPECT_EQ(train.images().shape(), (Shape{3, 1, 2, 3}));
  EXPECT_EQ(train.labels().to_vector(), (std::vector<std::int64_t>{9, 0, 4}));
  EXPECT_EQ(train.classes(), 10);
  EXPECT_EQ(train.images().at({2, 0, 1, 2}), 17);
  EXPECT_EQ(test.size(), 1);
  EXPECT_EQ(test.get(0).label, 7);
}

TEST(Mnist, SaysWhatIsWrong) {
  const ScratchDirectory directory;
  const auto load = [&] { load_mnist(directory.path(), true); };
  expect_error<IoError>([] { load_mnist("/nonexistent", true); },
                        {"/nonexistent/train-images-idx3-ubyte", "No such file", "dataset-fashion-mnist"});
  directory.put("train-images-idx3-ubyte", images(3));
  expect_error<IoError>(load, {"train-labels-idx1-ubyte", "No such file"});
  directory.put("train-labels-idx1-ubyte", labels({1, 2}));
  expect_error<FormatError>(load, {"train-labels-idx1-ubyte:4", "2 labels, but", "3 images"});
  directory.put("train-labels-idx1-ubyte", labels({1, 10, 2}));
  expect_error<FormatError>(load, {"train-labels-idx1-ubyte:9", "label 1 is 10", "0..9"});
  directory.put("train-labels-idx1-ubyte", images(3));
  expect_error<FormatError>(load, {"train-labels-idx1-ubyte:2", "[3, 2, 3]", "2049"});
  directory.put("train-images-idx3-ubyte", labels({1, 2, 3}));
  expect_error<FormatError>(load, {"train-images-idx3-ubyte:2", "[3]", "2051"});
  directory.put("train-images-idx3-ubyte", images(3) + "x");
  expect_error<FormatError>(load, {"train-images-idx3-ubyte:35", "promise 18"});
}

#if MIDTREAD_HAVE_ZLIB
TEST(Mnist, ReadsPackedFiles) {
  const ScratchDirectory directory;
  for (const auto& [name, bytes] :
       {std::pair{"t10k-images-idx3-ubyte.gz", images(2)}, {"t10k-labels-idx1-ubyte.gz", labels({5, 6})}}) {
    const gzFile file = gzopen((directory / name).c_str(), "wb");
    ASSERT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
              static_cast<int>(bytes.size()));
    ASSERT_EQ(gzclose(file), Z_OK);
  }
  const auto test = load_mnist(directory.path(), false);
  EXPECT_EQ(test.labels().to_vector(), (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(test.images().at({1, 0, 1, 2}), 11);
}
#endif

}  // namespace mnist_test

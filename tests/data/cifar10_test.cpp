// SPDX-License-Identifier: MIT
#include <midtread/data/cifar10.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"
#include "io/scratch_directory.hpp"

using midtread::FormatError;
using midtread::IoError;
using midtread::Shape;
using midtread::data::load_cifar10;

namespace cifar10_test {

std::string record(int label, int salt) {
  std::string out(1, static_cast<char>(label));
  for (int i = 0; i < 3072; ++i) out += static_cast<char>((i * 7 + salt) % 256);
  return out;
}

TEST(Cifar10, ReadsPlanesIntoImages) {
  const ScratchDirectory directory;
  for (int i = 1; i <= 5; ++i)
    directory.put("data_batch_" + std::to_string(i) + ".bin", record(i, i) + record(9, 10 + i));
  directory.put("test_batch.bin", record(0, 99));
  const auto train = load_cifar10(directory.path(), true), test = load_cifar10(directory.path(), false);
  EXPECT_EQ(train.images().shape(), (Shape{10, 3, 32, 32}));
  EXPECT_EQ(train.labels().to_vector(), (std::vector<std::int64_t>{1, 9, 2, 9, 3, 9, 4, 9, 5, 9}));
  EXPECT_EQ(test.size(), 1);
  int cases = 0;
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < 32; ++y)
      for (std::int64_t x = 0; x < 32; ++x, ++cases)
        ASSERT_EQ(train.images().at({5, c, y, x}), ((c * 1024 + y * 32 + x) * 7 + 13) % 256);
  std::printf("cases=%d\n", cases);
}

TEST(Cifar10, SaysWhatIsWrong) {
  const ScratchDirectory directory;
  const auto load = [&] { load_cifar10(directory.path(), false); };
  expect_error<IoError>(load, {"test_batch.bin", "No such file", "cifar-10-binary.tar.gz"});
  directory.put("test_batch.bin", "");
  expect_error<FormatError>(load, {"test_batch.bin:0", "0 records"});
  directory.put("test_batch.bin", record(1, 1) + record(2, 2).substr(1));
  expect_error<FormatError>(load, {"test_batch.bin:6145", "1 records of 3073", "3072 bytes more"});
  directory.put("test_batch.bin", record(1, 1) + record(10, 2));
  expect_error<FormatError>(load, {"test_batch.bin:3073", "label is 10", "0..9"});
  expect_error<IoError>([&] { load_cifar10(directory.path(), true); }, {"data_batch_1.bin"});
  directory.put("data_batch_1.bin", record(1, 1));
  expect_error<IoError>([&] { load_cifar10(directory.path(), true); }, {"data_batch_2.bin", "No such file"});
}

}  // namespace cifar10_test

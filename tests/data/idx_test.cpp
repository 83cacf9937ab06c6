// SPDX-License-Identifier: MIT
#include <midtread/data/idx.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"
#include "io/scratch_directory.hpp"

using midtread::AnyTensor;
using midtread::BasicTensor;
using midtread::FormatError;
using midtread::IoError;
using midtread::Shape;
using midtread::data::load_idx;
using midtread::data::parse_idx;

namespace idx_test {

/// Header of these dimensions, then the bytes given.
std::string idx(int type, const std::vector<std::uint32_t>& dims, const std::string& body) {
  std::string out = {'\0', '\0', static_cast<char>(type), static_cast<char>(dims.size())};
  for (const std::uint32_t dim : dims)
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(dim >> shift & 255u);
  return out + body;
}
std::string hex(const std::string& digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}
template <class Scalar>
std::vector<Scalar> values(const AnyTensor& tensor) {
  return tensor.get<Scalar>().to_vector();
}

TEST(Idx, ReadsAllSixTypes) {
  EXPECT_EQ(values<std::uint8_t>(parse_idx(idx(8, {3}, hex("007fff")), "f")),
            (std::vector<std::uint8_t>{0, 127, 255}));
  EXPECT_EQ(values<std::int8_t>(parse_idx(idx(9, {3}, hex("80ff7f")), "f")),
            (std::vector<std::int8_t>{-128, -1, 127}));
  EXPECT_EQ(values<std::int32_t>(parse_idx(idx(11, {3}, hex("8000ffff0102")), "f")),
            (std::vector<std::int32_t>{-32768, -1, 258}));
  EXPECT_EQ(values<std::int32_t>(parse_idx(idx(12, {2}, hex("8000000001020304")), "f")),
            (std::vector<std::int32_t>{INT32_MIN, 0x01020304}));
  EXPECT_EQ(values<float>(parse_idx(idx(13, {2}, hex("3fc00000c0490fdb")), "f")),
            (std::vector<float>{1.5f, -3.14159274f}));
  EXPECT_EQ(values<double>(parse_idx(idx(14, {1}, hex("3ff8000000000000")), "f")),
            (std::vector<double>{1.5}));
}

TEST(Idx, ReadsAllRanks) {
  int cases = 0;
  for (std::size_t rank = 1; rank <= 8; ++rank, ++cases) {
    std::vector<std::uint32_t> dims(rank, 2);
    dims[0] = 3;
    const std::string body(std::size_t{3} << (rank - 1), 'x');
    const AnyTensor tensor = parse_idx(idx(8, dims, body), "f");
    EXPECT_EQ(tensor.shape(), Shape(dims.begin(), dims.end()));
    EXPECT_EQ(values<std::uint8_t>(tensor), std::vector<std::uint8_t>(body.size(), 'x'));
  }
  EXPECT_EQ(parse_idx(idx(8, {0, 28, 28}, ""), "f").shape(), (Shape{0, 28, 28}));
  std::printf("cases=%d\n", cases);
}

TEST(Idx, RefusesEveryBrokenRule) {
  int cases = 0;
  const auto refuse = [&](const std::string& bytes, std::initializer_list<std::string> words) {
    expect_error<FormatError>([&] { parse_idx(bytes, "file"); }, words);
    ++cases;
  };
  refuse("", {"file:0", "got 0 bytes"});
  refuse(std::string(3, '\0'), {"file:0", "got 3 bytes"});
  refuse("\x01" + idx(8, {1}, "x").substr(1), {"file:0", "bytes 1 0", "0 0"});
  refuse(std::string("\0\x01\x08\x01", 4), {"file:0", "bytes 0 1"});
  refuse(hex("1f8b0800"), {"file:0", "gzip", ".gz"});
  for (const int type : {0, 1, 7, 10, 15, 255})
    refuse(idx(type, {1}, "x"), {"file:2", "type " + std::to_string(type), "8, 9, 11"});
  refuse(idx(8, {}, ""), {"file:3", "0 dimensions", "1..8"});
  refuse(idx(8, std::vector<std::uint32_t>(9, 1), "x"), {"file:3", "9 dimensions", "1..8"});
  refuse(idx(8, {1, 1}, "").substr(0, 11), {"file:11", "header of 12"});
  refuse(idx(8, {4}, "abc"), {"file:11", "3 bytes", "[4]", "promise 4"});
  refuse(idx(8, {4}, "abcde"), {"file:13", "5 bytes", "promise 4"});
  refuse(idx(14, {2}, "12345678"), {"file:16", "promise 16"});
  refuse(idx(8, {0}, "x"), {"file:9", "1 bytes", "promise 0"});
  refuse(idx(8, {0xffffffffu, 0xffffffffu}, ""), {"overflow", "dimension 1"});
  refuse(idx(8, {0xffffffffu, 0x07ffffffu}, "x"), {"promise 57646074"});
  refuse(idx(8, {0xffffffffu, 0x0fffffffu}, "x"), {"overflow"});
  refuse(idx(8, {0x5b000000u, 0, 0x1c000000u}, ""), {"overflow", "dimension 2"});
  refuse(idx(14, {0x80000000u, 0x80000000u}, ""), {"overflow"});
  refuse(idx(8, std::vector<std::uint32_t>(8, 0xffffffffu), ""), {"overflow"});
  refuse(idx(8, {0, 0xffffffffu, 0xffffffffu}, ""), {"overflow"});
  std::printf("cases=%d\n", cases);
}

TEST(Idx, RefusesEveryTruncation) {
  const std::string whole = idx(11, {3, 5, 2}, std::string(60, 'q'));
  EXPECT_EQ(parse_idx(whole, "f").shape(), (Shape{3, 5, 2}));
  int cases = 0;
  for (std::size_t size = 0; size < whole.size(); ++size, ++cases)
    EXPECT_THROW(parse_idx(whole.substr(0, size), "f"), FormatError);
  EXPECT_THROW(parse_idx(whole + '\0', "f"), FormatError);
  std::printf("cases=%d\n", cases);
}

TEST(Idx, SaysWhyAFileCannotBeRead) {
  const ScratchDirectory directory;
  expect_error<IoError>([&] { load_idx(directory / "none"); },
                        {directory / "none", "cannot open", "No such file"});
  expect_error<IoError>([&] { load_idx(directory.path()); }, {"directory"});
  expect_error<IoError>([&] { load_idx("/dev/zero"); }, {"/dev/zero", "is a device"});
  const std::string path = directory.put("labels", idx(8, {3}, "abc"));
  EXPECT_EQ(values<std::uint8_t>(load_idx(path)), (std::vector<std::uint8_t>{'a', 'b', 'c'}));
  expect_error<FormatError>([&] { load_idx(directory.put("short", idx(8, {3}, "ab"))); },
                            {directory / "short:10"});
  EXPECT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  expect_error<IoError>([&] { load_idx(directory / "pipe"); }, {"a pipe"});
}

}  // namespace idx_test

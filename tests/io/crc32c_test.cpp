// SPDX-License-Identifier: MIT
#include <midtread/io/crc32c.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

using midtread::io::crc32c;

namespace crc32c_test {

/// Bit by bit, as RFC 3720 states it.
std::uint32_t slow(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1u) ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

TEST(Crc32c, AgreesWithPublishedValues) {
  std::string up, down;
  for (int i = 0; i < 32; ++i) up += static_cast<char>(i), down += static_cast<char>(31 - i);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(up), 0x46DD794Eu);
  EXPECT_EQ(crc32c(down), 0x113FDB5Cu);
}

TEST(Crc32c, AgreesWithTheDefinitionAtEveryLengthAndOffset) {
  std::string bytes;
  for (int i = 0; i < 200; ++i) bytes += static_cast<char>(i * 89 + i / 7);
  int cases = 0;
  for (std::size_t begin = 0; begin < 16; ++begin)
    for (std::size_t size = 0; size + begin <= bytes.size(); ++size, ++cases)
      ASSERT_EQ(crc32c(std::string_view(bytes).substr(begin, size)),
                slow(std::string_view(bytes).substr(begin, size)));
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut, ++cases)
    ASSERT_EQ(crc32c(bytes.substr(cut), crc32c(bytes.substr(0, cut))), slow(bytes));
  std::printf("cases=%d\n", cases);
}

}  // namespace crc32c_test

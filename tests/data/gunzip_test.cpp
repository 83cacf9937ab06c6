// SPDX-License-Identifier: MIT
#include <midtread/data/gunzip.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"

namespace gunzip_test {

#if MIDTREAD_HAVE_ZLIB

using midtread::FormatError;
using midtread::data::gunzip;

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(&out[0]);
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}
/// Bytes that do not pack well.
std::string noise(std::size_t size) {
  std::string out(size, '\0');
  std::uint32_t state = 1;
  for (char& c : out) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  return out;
}

TEST(Gunzip, GivesBackWhatWasPacked) {
  int cases = 0;
  for (const std::size_t size :
       std::initializer_list<std::size_t>{0, 1, 100, 65535, 65536, 65537, 131072, 1048576, 3000000}) {
    for (const std::string& bytes : {std::string(size, 'a'), noise(size)}) {
      EXPECT_EQ(gunzip(gzip(bytes), "f"), bytes) << size;
      ++cases;
    }
  }
  EXPECT_EQ(gunzip(gzip("first ") + gzip("") + gzip("second"), "f"), "first second");
  std::printf("cases=%d\n", cases);
}

TEST(Gunzip, RefusesDamage) {
  const std::string packed = gzip("the quick brown fox " + noise(300));
  int cases = 0;
  for (std::size_t size = 0; size < packed.size(); ++size, ++cases)
    expect_error<FormatError>([&] { gunzip(packed.substr(0, size), "f.gz"); },
                              {"f.gz:", "gzip file is cut off"});
  for (std::size_t at = 0; at < packed.size(); ++at)
    for (int bit = 0; bit < 8; ++bit, ++cases) {
      std::string flipped = packed;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      try {  // the time stamp and the names in the header are not protected
        EXPECT_EQ(gunzip(flipped, "f"), gunzip(packed, "f")) << "byte " << at;
      } catch (const FormatError&) {
      }
    }
  expect_error<FormatError>([&] { gunzip(packed + "x", "f.gz"); }, {"f.gz:"});
  expect_error<FormatError>([&] { gunzip(packed + "trailing bytes", "f.gz"); },
                            {"f.gz:", "not a sound gzip file"});
  std::printf("cases=%d\n", cases);
}

TEST(Gunzip, StopsABomb) {
  const std::string packed = gzip(std::string(std::size_t{32} << 20, '\0'));
  EXPECT_LT(packed.size(), 40000u);
  expect_error<FormatError>([&] { gunzip(packed, "f.gz", std::size_t{1} << 20); },
                            {"f.gz:", "more than 1048576 bytes"});
  EXPECT_EQ(gunzip(gzip("12345"), "f", 5), "12345");
  EXPECT_THROW(gunzip(gzip("123456"), "f", 5), FormatError);
}

#else

TEST(Gunzip, SaysWhatToDoWithoutZlib) {
  expect_error<midtread::IoError>([] { midtread::data::gunzip("x", "set.gz"); },
                                  {"set.gz", "gunzip", "MIDTREAD_HAVE_ZLIB"});
}

#endif

}  // namespace gunzip_test

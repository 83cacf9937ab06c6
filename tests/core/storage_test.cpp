// SPDX-License-Identifier: MIT
#include <midtread/core/random.hpp>
#include <midtread/core/storage.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

namespace storage_test {

using midtread::BlockCache;
using midtread::Buffer;
using midtread::Storage;

TEST(BlockCache, RoundsToWholeLinesWithLittleWaste) {
  int n = 0;
  for (std::size_t bytes = 1; bytes < 300000; ++bytes, ++n) {
    const std::size_t rounded = BlockCache::rounded(bytes);
    ASSERT_GE(rounded, bytes);
    ASSERT_EQ(rounded % midtread::kAlignment, 0u) << bytes;
    ASSERT_LE(rounded - bytes, bytes / 8 + 63) << bytes;
    ASSERT_EQ(BlockCache::rounded(rounded), rounded) << bytes;
  }
  std::printf("cases=%d\n", n);
}

TEST(BlockCache, NeverHandsOutABlockTwice) {
  midtread::Generator random(1);
  std::vector<Storage> live;
  int n = 0;
  for (; n < 100000; ++n) {
    if (live.size() > 200) {
      const std::size_t i = random.next() % live.size();
      const auto* bytes = static_cast<const unsigned char*>(live[i].data());
      for (std::size_t k = 0; k < live[i].bytes(); ++k)
        ASSERT_EQ(bytes[k], live[i].bytes() & 255) << "seed 1, step " << n << ", size " << live[i].bytes();
      live[i] = live.back();
      live.pop_back();
    }
    live.emplace_back(random.next() % 5000);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(live.back().data()) % midtread::kAlignment, 0u);
    if (live.back().bytes() > 0)
      std::memset(live.back().data(), static_cast<int>(live.back().bytes() & 255), live.back().bytes());
  }
  BlockCache::instance().clear();
  std::printf("cases=%d\n", n);
}

TEST(Storage, CopiesShareAndAFreedBlockComesBack) {
  Storage a(1000);
  const Storage b = a;
  EXPECT_TRUE(a.same_as(b));
  EXPECT_EQ(a.data(), b.data());
  EXPECT_FALSE(a.same_as(Storage(1000)));
#if MIDTREAD_CACHE_BLOCKS
  void* block = nullptr;
  {
    const Storage c(123456);
    block = c.data();
  }
  EXPECT_EQ(Storage(123456).data(), block);
#endif
}

TEST(Storage, SizesThatWrapAreRefused) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  for (int less : {0, 1, 100}) EXPECT_THROW(Storage(most - static_cast<std::size_t>(less)), std::bad_alloc);
  EXPECT_THROW(Storage(most / 2 + 1), std::bad_alloc);
  EXPECT_THROW(Buffer<double>(most / 8 + 2), std::bad_alloc);
}

TEST(Buffer, Grows) {
  midtread::Buffer<float> buffer;
  EXPECT_EQ(buffer.size(), 0u);
  float* first = buffer.reserve(10);
  EXPECT_EQ(buffer.reserve(5), first);
  EXPECT_EQ(buffer.size(), 10u);
  buffer.reserve(1000);
  buffer[999] = 1.0f;
  EXPECT_EQ(buffer.data()[999], 1.0f);
}

}  // namespace storage_test

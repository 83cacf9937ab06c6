// SPDX-License-Identifier: MIT
// The fuzz targets over damaged seeds; the sanitizer builds run them too.
#include "fuzz/mutation.hpp"

#include <gtest/gtest.h>

#include <cstdio>

#include "fuzz/idx_fuzz.hpp"
#include "fuzz/safetensors_fuzz.hpp"

namespace mutation_test {

using Target = int (*)(const std::uint8_t*, std::size_t);

int run(Target target, const std::string& bytes) {
  return target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

void run_mutations(Target target, const std::vector<std::string>& seeds, int rounds) {
  const midtread::Generator base(20240607);
  int read = 0;
  for (int round = 0; round < rounds; ++round) {
    midtread::Generator random = base.fork(static_cast<std::uint64_t>(round));
    const auto pick = [&] {
      return static_cast<std::size_t>(random.below(static_cast<std::int64_t>(seeds.size())));
    };
    const std::string& seed = seeds[pick()];
    const std::string bytes = mutated(seed, seeds[pick()], random);
    try {
      read += run(target, bytes) > 0;
    } catch (const std::exception& error) {
      FAIL() << "round " << round << ": " << error.what();
    }
  }
  std::printf("cases=%d (%d were read)\n", rounds, read);
  EXPECT_GT(read, rounds / 100) << "the damage is too great to say anything";
}

TEST(Fuzz, Idx) {
  for (const std::string& seed : idx_seeds())
    EXPECT_GE(run(fuzz_idx, seed), MIDTREAD_HAVE_ZLIB || seed[0] == 0);
  run_mutations(fuzz_idx, idx_seeds(), 50000);
}

TEST(Fuzz, Safetensors) {
  int read = 0;
  for (const std::string& seed : safetensors_seeds()) read += run(fuzz_safetensors, seed) > 0;
  EXPECT_EQ(read, static_cast<int>(safetensors_seeds().size()) - 1) << "all but the one with BF16";
  run_mutations(fuzz_safetensors, safetensors_seeds(), 50000);
}

}  // namespace mutation_test

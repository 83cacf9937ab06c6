// SPDX-License-Identifier: MIT
// clang++ -std=c++17 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I include -I tests
//   tests/fuzz/idx_fuzz.cpp && ./a.out -max_total_time=60 -max_len=4096 -malloc_limit_mb=64 -timeout=2
#include "fuzz/idx_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz_idx(data, size);
  return 0;
}

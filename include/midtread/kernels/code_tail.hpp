// SPDX-License-Identifier: MIT
// Work on codes that a kernel has just written, while they are near: in place, code by code.
#pragma once

#include <midtread/core/parallel.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// What follows a kernel. Called for disjoint pieces of its dense output, from several threads at a time.
struct CodeTail {
  /// Codes [first, first + count) of the output at `codes`.
  void (*run)(const CodeTail& self, std::uint8_t* codes, std::int64_t first, std::int64_t count);
};

/// Over an output of `count` codes that is there as a whole.
inline void run_tail(const CodeTail& tail, std::uint8_t* codes, std::int64_t count) {
  constexpr std::int64_t kGrain = 1 << 15;
  parallel_for(0, count, kGrain,
               [&](std::int64_t first, std::int64_t last) { tail.run(tail, codes, first, last - first); });
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// What both translation units do. Each instantiates the same templates and inline functions under its own flags.
#pragma once

#include <midtread/core/parallel.hpp>

#include <cstdint>
#include <vector>

namespace {

// Sums 0..n-1 through the pool; large enough that the loop is vectorised.
inline std::int64_t sum_through_pool(std::int64_t n) {
  std::vector<std::int64_t> part(static_cast<std::size_t>(n));
  midtread::parallel_for(0, n, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) part[static_cast<std::size_t>(i)] = i;
  });
  std::int64_t sum = 0;
  for (const std::int64_t value : part) sum += value;
  return sum;
}

inline bool unit_works() {
  if (sum_through_pool(1000) != 499500) return false;
  try {
    throw midtread::ShapeError("unit", midtread::concat("got ", 1, ", allowed ", 2));
  } catch (const midtread::Error& error) {
    return error.where() == "unit";
  }
}

}  // namespace

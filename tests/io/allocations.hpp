// SPDX-License-Identifier: MIT
// operator new, taken over by the test: the n-th allocation fails, once or from then on. Included by one file
// of a program. Other threads' allocations count too.
#pragma once

#include <midtread/core/platform.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

struct Allocations {
  std::atomic<long> left{-1};  // until one fails; negative: none does
  std::atomic<bool> forever{false};
  std::atomic<std::size_t> largest{SIZE_MAX};
  std::atomic<bool> failed{false};

  void fail_at(long nth, bool from_then_on) { failed = false, forever = from_then_on, left = nth; }
  /// True if one failed since fail_at().
  bool stop() {
    left = -1;
    return failed;
  }
  bool refuse(std::size_t size) {
    if (size > largest) return true;
    if (left < 0) return false;
    if (left > 0) return --left, false;
    if (!forever) left = -1;
    return failed = true;
  }
};
inline Allocations allocations;

inline void* allocate(std::size_t size, std::size_t alignment) {
  if (allocations.refuse(size)) throw std::bad_alloc();
  void* block = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
  if (!block) throw std::bad_alloc();
  return block;
}
MIDTREAD_NOINLINE void* operator new(std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
MIDTREAD_NOINLINE void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
MIDTREAD_NOINLINE void operator delete(void* block) noexcept { std::free(block); }
MIDTREAD_NOINLINE void operator delete(void* block, std::size_t) noexcept { std::free(block); }
MIDTREAD_NOINLINE void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
MIDTREAD_NOINLINE void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  std::free(block);
}
MIDTREAD_NOINLINE void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocations.refuse(size) ? nullptr : std::malloc(size);
}
MIDTREAD_NOINLINE void operator delete(void* block, const std::nothrow_t&) noexcept { std::free(block); }

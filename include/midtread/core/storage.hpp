// SPDX-License-Identifier: MIT
// A shared, 64-byte aligned block of bytes from one allocator of our own.
//
// Own, because Eigen's and the system's choice of alignment and of malloc depends on the translation unit's
// flags. Freed blocks are kept by size and handed out again: a training step asks for the same sizes every
// time, and a fresh mmap costs a page fault per 4 KiB (measured: a third of a small network's step).
#pragma once

#include <midtread/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define MIDTREAD_CACHE_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MIDTREAD_CACHE_BLOCKS 0
#endif
#endif
#ifndef MIDTREAD_CACHE_BLOCKS
#define MIDTREAD_CACHE_BLOCKS 1
#endif

MIDTREAD_ROOT_NAMESPACE_BEGIN

inline constexpr std::size_t kAlignment = 64;

/// Freed blocks by size, at most `kLimit` bytes of them. A list runs through its blocks: a container of
/// std's would be code that units with other flags share.
class BlockCache {
 public:
  static BlockCache& instance() {
    static BlockCache* cache = new BlockCache;  // never destroyed: tensors may outlive static destructors
    return *cache;
  }

  /// 1..16 steps of a power of two: at most 1/8 waste.
  static std::size_t rounded(std::size_t bytes) {
    const std::size_t unit = std::size_t{1} << step_log2(bytes);
    return (bytes + unit - 1) / unit * unit;
  }

  void* allocate(std::size_t rounded_bytes) {
#if MIDTREAD_CACHE_BLOCKS
    {
      std::lock_guard<std::mutex> lock(mutex_);
      FreeBlock*& head = list(rounded_bytes);
      if (head != nullptr) {
        FreeBlock* block = head;
        head = block->next;
        cached_ -= rounded_bytes;
        return block;
      }
    }
#endif
    return ::operator new(rounded_bytes, std::align_val_t(kAlignment));
  }

  void release(void* block, [[maybe_unused]] std::size_t rounded_bytes) noexcept {
#if MIDTREAD_CACHE_BLOCKS
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (cached_ + rounded_bytes <= kLimit) {
        FreeBlock*& head = list(rounded_bytes);
        head = new (block) FreeBlock{head};
        cached_ += rounded_bytes;
        return;
      }
    }
#endif
    ::operator delete(block, std::align_val_t(kAlignment));
  }

  /// Returns every cached block to the system.
  void clear() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (FreeBlock*& head : lists_)
      while (head != nullptr) {
        FreeBlock* block = head;
        head = block->next;
        ::operator delete(block, std::align_val_t(kAlignment));
      }
    cached_ = 0;
  }

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  static constexpr int kMinLog2 = 6;  // of kAlignment
  static constexpr std::size_t kLimit = std::size_t{1} << 29;

  static int step_log2(std::size_t bytes) {
    int log2 = kMinLog2;
    while (log2 < std::numeric_limits<std::size_t>::digits - 5 && std::size_t{16} << log2 < bytes) ++log2;
    return log2;
  }
  FreeBlock*& list(std::size_t rounded_bytes) {
    const int log2 = step_log2(rounded_bytes);
    return lists_[static_cast<std::size_t>(log2 - kMinLog2) * 17 + (rounded_bytes >> log2)];
  }

  std::mutex mutex_;
  FreeBlock* lists_[(64 - kMinLog2) * 17] = {};  // by step and number of steps
  std::size_t cached_ = 0;
};

/// Shared bytes. Copying a Storage shares them.
class Storage {
 public:
  Storage() = default;
  /// `bytes` uninitialised bytes. Throws std::bad_alloc.
  explicit Storage(std::size_t bytes) : bytes_(bytes) {
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max())) throw std::bad_alloc();
    const std::size_t rounded = BlockCache::rounded(bytes ? bytes : 1);
    void* block = BlockCache::instance().allocate(rounded);
    block_ = std::shared_ptr<void>(block, [rounded](void* p) { BlockCache::instance().release(p, rounded); });
  }

  void* data() const noexcept { return block_.get(); }
  std::size_t bytes() const noexcept { return bytes_; }
  bool same_as(const Storage& other) const noexcept { return block_ == other.block_; }

 private:
  std::shared_ptr<void> block_;
  std::size_t bytes_ = 0;
};

/// A private, growing scratch array with aligned, uninitialised elements: what kernels use between calls.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) { reserve(count); }

  /// Makes room for `count` elements; contents are not kept when it grows. Returns the data.
  T* reserve(std::size_t count) {
    if (count > size_) {
      if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
      storage_ = Storage(count * sizeof(T));
      size_ = count;
    }
    return data();
  }
  T* data() const noexcept { return static_cast<T*>(storage_.data()); }
  std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) const noexcept { return data()[i]; }

 private:
  Storage storage_;
  std::size_t size_ = 0;
};

MIDTREAD_ROOT_NAMESPACE_END

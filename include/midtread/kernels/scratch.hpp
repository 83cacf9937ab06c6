// SPDX-License-Identifier: MIT
// Memory kernels use during a call. The caller owns it and passes it again: after the first call at a size
// nothing is allocated. One Scratch serves one call at a time; the threads of that call lease blocks from it.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/core/storage.hpp>

#include <cstddef>
#include <mutex>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(kernels)

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// A block all threads of the call see. Valid until the next request.
  template <class T>
  T* shared(std::size_t count) {
    return reinterpret_cast<T*>(shared_.reserve(count * sizeof(T)));
  }

  /// Makes every lease of this call at least `bytes` long.
  void prepare_leases(std::size_t bytes) {
    const auto threads = static_cast<std::size_t>(num_threads());
    if (blocks_.size() < threads) {
      blocks_.resize(threads);
      free_.reserve(threads);
      free_.clear();
      for (std::size_t i = 0; i < threads; ++i) free_.push_back(i);
    }
    for (auto& block : blocks_) block.reserve(bytes);
  }

  /// A block for the thread that asks, given back at the end of the scope.
  class Lease {
   public:
    explicit Lease(Scratch& scratch) : scratch_(scratch) {
      const auto lock = scratch_.lock();
      if (scratch_.free_.empty())
        throw StateError("scratch", "more leases than threads: call prepare_leases first");
      index_ = scratch_.free_.back();
      scratch_.free_.pop_back();
    }
    ~Lease() {
      const auto lock = scratch_.lock();
      scratch_.free_.push_back(index_);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    template <class T>
    T* data() const {
      return reinterpret_cast<T*>(scratch_.blocks_[index_].data());
    }

   private:
    Scratch& scratch_;
    std::size_t index_ = 0;
  };

 private:
  /// One thread needs none.
  std::unique_lock<std::mutex> lock() {
    return blocks_.size() > 1 ? std::unique_lock<std::mutex>(mutex_) : std::unique_lock<std::mutex>();
  }

  Buffer<unsigned char> shared_;
  std::vector<Buffer<unsigned char>> blocks_;
  std::vector<std::size_t> free_;
  std::mutex mutex_;
};

MIDTREAD_NAMESPACE_END

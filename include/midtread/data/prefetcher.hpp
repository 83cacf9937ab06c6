// SPDX-License-Identifier: MIT
// Makes batches ahead of their use on one background thread.
#pragma once

#include <midtread/data/batch_maker.hpp>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(data)

/// Batches first..last-1 of `maker`, at most `ahead` of them waiting; ahead 0: no thread, made when asked
/// for.
class Prefetcher {
 public:
  Prefetcher(BatchMaker maker, std::int64_t first, std::int64_t last, std::int64_t ahead)
      : maker_(std::move(maker)), next_(first), last_(last), ahead_(static_cast<std::size_t>(ahead)) {
    if (ahead_ > 0 && next_ < last_) thread_ = std::thread([this] { work(); });
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  ~Prefetcher() {
    if (!thread_.joinable()) return;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// The next batch, or false after the last one. Throws what making it threw; there is nothing after that.
  bool next(Batch& out) {
    if (!thread_.joinable()) {
      if (next_ >= last_) return false;
      const std::int64_t number = next_;
      next_ = last_;  // stays so if it throws
      out = maker_(number);
      next_ = number + 1;
      return true;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return done_ || !ready_.empty(); });
    if (ready_.empty()) {
      if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
      return false;
    }
    out = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return true;
  }

 private:
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    try {
      while (next_ < last_) {
        changed_.wait(lock, [this] { return stop_ || ready_.size() < ahead_; });
        if (stop_) return;
        lock.unlock();
        Batch batch = maker_(next_);
        lock.lock();
        ready_.push_back(std::move(batch));
        ++next_;
        changed_.notify_all();
      }
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      error_ = std::current_exception();
    }
    done_ = true;
    changed_.notify_all();
  }

  const BatchMaker maker_;
  std::int64_t next_;  // of the thread, where there is one
  const std::int64_t last_;
  const std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr error_;
  bool done_ = false;
  bool stop_ = false;
  std::thread thread_;
};

MIDTREAD_NAMESPACE_END

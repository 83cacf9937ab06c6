// SPDX-License-Identifier: MIT
// A small thread pool. Work is cut into the same pieces whatever the number of threads, so results do not
// depend on it.
#pragma once

#include <midtread/core/error.hpp>
#include <midtread/core/fp_env.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

namespace midtread_state {
inline std::atomic<int> thread_count{0};  // 0: not chosen yet
}

MIDTREAD_ROOT_NAMESPACE_BEGIN

inline constexpr int kMostThreads = 1024;

/// Threads that share one parallel_for: MIDTREAD_NUM_THREADS, else the number of processors.
inline int num_threads() {
  int count = midtread_state::thread_count.load(std::memory_order_relaxed);
  if (count > 0) return count;
  if (const char* text = std::getenv("MIDTREAD_NUM_THREADS")) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > kMostThreads)
      throw ConfigError("MIDTREAD_NUM_THREADS",
                        concat("got '", printable(text), "', allowed 1..", kMostThreads));
    count = static_cast<int>(value);
  } else {
    count = static_cast<int>(std::thread::hardware_concurrency());
    if (count < 1) count = 1;
  }
  midtread_state::thread_count.store(count, std::memory_order_relaxed);
  return count;
}

inline void set_num_threads(int count) {
  if (count < 1 || count > kMostThreads)
    throw ConfigError("set_num_threads", concat("got ", count, ", allowed 1..", kMostThreads));
  midtread_state::thread_count.store(count, std::memory_order_relaxed);
}

/// Workers that wait for pieces of one job at a time.
class ThreadPool {
 public:
  using Function = void (*)(void* context, std::int64_t piece);

  static ThreadPool& instance() {
    static ThreadPool pool;
    return pool;
  }

  /// Calls function(context, i) for i in [0, pieces) on up to `threads` threads, the caller among them.
  void run(std::int64_t pieces, int threads, Function function, void* context) {
    if (threads <= 1 || pieces <= 1 || inside() || !owner_.try_lock()) {  // nested or contended: run here
      for (std::int64_t i = 0; i < pieces; ++i) function(context, i);
      return;
    }
    std::lock_guard<std::mutex> owner(owner_, std::adopt_lock);
    grow(threads - 1);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      function_ = function;
      context_ = context;
      pieces_ = pieces;
      next_.store(0, std::memory_order_relaxed);
      error_ = nullptr;
      wanted_ = threads - 1;
      running_ = 0;
      ++generation_;
    }
    wake_.notify_all();
    inside() = true;
    work();
    inside() = false;
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;  // late workers stay asleep
    done_.wait(lock, [this] { return running_ == 0; });
    if (error_) std::rethrow_exception(error_);
  }

  ~ThreadPool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (int i = 0; i < started_; ++i) workers_[i].join();
  }

 private:
  ThreadPool() = default;

  static bool& inside() {
    thread_local bool value = false;
    return value;
  }

  void grow(int count) {
    for (; started_ < count; ++started_) workers_[started_] = std::thread(enter, this);
  }

  static void enter(ThreadPool* pool) { pool->loop(); }

  void loop() {
    const FpEnvGuard fp_env;  // a thread inherits its creator's rounding mode
    inside() = true;
    std::uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stop_ || (generation_ != seen && wanted_ > 0); });
      if (stop_) return;
      seen = generation_;
      --wanted_;
      ++running_;
      lock.unlock();
      work();
      lock.lock();
      if (--running_ == 0) done_.notify_all();
    }
  }

  void work() {
    try {
      for (;;) {
        const std::int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
        if (i >= pieces_) return;
        function_(context_, i);
      }
    } catch (...) {
      next_.store(pieces_, std::memory_order_relaxed);
      std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  std::mutex owner_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::thread workers_[kMostThreads];
  int started_ = 0;
  Function function_ = nullptr;
  void* context_ = nullptr;
  std::int64_t pieces_ = 0;
  std::atomic<std::int64_t> next_{0};
  std::exception_ptr error_;
  int wanted_ = 0;
  int running_ = 0;
  std::uint64_t generation_ = 0;
  bool stop_ = false;
};

/// Calls body(first, last) over [begin, end) in pieces of `grain`. The pieces do not depend on the thread
/// count.
template <class Body>
void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Body& body) {
  if (end <= begin) return;
  if (grain < 1) grain = 1;
  struct Context {
    std::int64_t begin, end, grain;
    const Body& body;
  } context{begin, end, grain, body};
  const auto piece = [](void* raw, std::int64_t i) {
    const auto& c = *static_cast<const Context*>(raw);
    const std::int64_t first = c.begin + i * c.grain;
    c.body(first, first + c.grain < c.end ? first + c.grain : c.end);
  };
  const std::int64_t pieces = (end - begin + grain - 1) / grain;
  ThreadPool::instance().run(pieces, num_threads(), piece, &context);
}

MIDTREAD_ROOT_NAMESPACE_END

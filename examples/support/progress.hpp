// SPDX-License-Identifier: MIT
// Progress of an epoch: a bar with the time left on a terminal, a plain line now and then where output is
// piped.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include <unistd.h>

namespace examples {

class Progress {
 public:
  Progress(std::string title, std::int64_t total)
      : title_(std::move(title)),
        total_(std::max<std::int64_t>(total, 1)),
        start_(Clock::now()),
        terminal_(isatty(STDOUT_FILENO) != 0) {}

  /// `done` of the total; `text` is shown behind the bar. At most ten updates a second reach a terminal.
  void update(std::int64_t done, const std::string& text) {
    text_ = text;
    done_ = done;
    const double now = seconds();
    if (terminal_ && now - shown_ >= 0.1) {
      shown_ = now;
      draw();
    } else if (!terminal_ && now - shown_ >= 10.0) {
      shown_ = now;
      std::printf("%s: %3.0f %%, %s, %.0f s left\n", title_.c_str(), percent(), text_.c_str(), left());
      std::fflush(stdout);
    }
  }
  /// The last line of the epoch.
  void finish() {
    if (terminal_) std::printf("\r\033[K");
    std::printf("%s: %s, %.1f s\n", title_.c_str(), text_.c_str(), seconds());
    std::fflush(stdout);
  }

 private:
  using Clock = std::chrono::steady_clock;
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double percent() const { return 100.0 * static_cast<double>(done_) / static_cast<double>(total_); }
  double left() const {
    return done_ == 0 ? 0.0 : seconds() / static_cast<double>(done_) * static_cast<double>(total_ - done_);
  }
  void draw() const {
    constexpr int kWidth = 28;
    const auto filled = static_cast<int>(kWidth * done_ / total_);
    const std::string bar = std::string(static_cast<std::size_t>(filled), '#') +
                            std::string(static_cast<std::size_t>(kWidth - filled), '.');
    std::printf("\r\033[K%s [%s] %3.0f %%  %s  ETA %.0f s", title_.c_str(), bar.c_str(), percent(),
                text_.c_str(), left());
    std::fflush(stdout);
  }

  std::string title_;
  std::int64_t total_;
  Clock::time_point start_;
  bool terminal_;
  double shown_ = 0;
  std::int64_t done_ = 0;
  std::string text_;
};

}  // namespace examples

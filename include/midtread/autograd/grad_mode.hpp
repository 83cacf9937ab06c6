// SPDX-License-Identifier: MIT
// Whether operations are recorded for backward, per thread.
#pragma once

#include <midtread/core/platform.hpp>

MIDTREAD_ROOT_NAMESPACE_BEGIN

inline bool& grad_enabled() {
  thread_local bool enabled = true;
  return enabled;
}

/// Nothing is recorded while it lives.
class NoGradGuard {
 public:
  NoGradGuard() : before_(grad_enabled()) { grad_enabled() = false; }
  ~NoGradGuard() { grad_enabled() = before_; }
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool before_;
};

/// Recorded again inside a NoGradGuard.
class EnableGradGuard {
 public:
  EnableGradGuard() : before_(grad_enabled()) { grad_enabled() = true; }
  ~EnableGradGuard() { grad_enabled() = before_; }
  EnableGradGuard(const EnableGradGuard&) = delete;
  EnableGradGuard& operator=(const EnableGradGuard&) = delete;

 private:
  bool before_;
};

MIDTREAD_ROOT_NAMESPACE_END

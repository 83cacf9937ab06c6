// SPDX-License-Identifier: MIT
// Operations inside a module's forward belong to it, also where forward is called directly.
#pragma once

#include <midtread/nn/module.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Tells a tracer that a module's forward runs, for the time of a scope.
class Scope {
 public:
  template <class Scalar>
  explicit Scope(BasicModule<Scalar>& module) {
    if constexpr (std::is_same_v<Scalar, float>) {
      recorder_ = ops::recorder();
      if (recorder_) recorder_->enter(module);
    } else {
      (void)module;
    }
  }
  ~Scope() {
    if (recorder_) recorder_->leave();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  ops::Recorder* recorder_ = nullptr;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Puts the mode of every module back at the end of a scope, also after an exception.
#pragma once

#include <midtread/nn/module.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

class ModeGuard {
 public:
  /// Remembers the modes of `root` and of all below.
  explicit ModeGuard(Module& root) {
    for (const auto& item : root.named_modules()) modes_.emplace_back(item.second, item.second->training());
  }
  ~ModeGuard() {  // parents come first, so that children get their own
    for (const auto& mode : modes_) mode.first->train(mode.second);
  }
  ModeGuard(const ModeGuard&) = delete;
  ModeGuard& operator=(const ModeGuard&) = delete;

  bool root_mode() const { return modes_.front().second; }

 private:
  std::vector<std::pair<Module*, bool>> modes_;
};

MIDTREAD_NAMESPACE_END

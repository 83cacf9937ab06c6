// SPDX-License-Identifier: MIT
// A module's qconfig: unset (inherit), none (stay float), or one. The concrete type lives in quant/.
#pragma once

#include <midtread/core/platform.hpp>

#include <cstddef>
#include <memory>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(quant)
class AnyQConfig;
MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(nn)

/// `model->qconfig = quant::QConfig<A, W>{}` sets it, `= nullptr` keeps the module and its children float.
class QConfigSlot {
 public:
  QConfigSlot() = default;
  QConfigSlot& operator=(std::nullptr_t) {
    set_ = true;
    value_.reset();
    return *this;
  }
  QConfigSlot& operator=(std::shared_ptr<const quant::AnyQConfig> value) {
    set_ = true;
    value_ = std::move(value);
    return *this;
  }
  /// Anything for which quant provides `erase(qconfig)`, found by argument-dependent lookup.
  template <class QConfig>
  auto operator=(const QConfig& qconfig) -> decltype(erase(qconfig), *this) {
    return *this = std::shared_ptr<const quant::AnyQConfig>(erase(qconfig));
  }
  /// Back to inheriting from the parent.
  void reset() {
    set_ = false;
    value_.reset();
  }

  bool is_set() const noexcept { return set_; }
  const std::shared_ptr<const quant::AnyQConfig>& value() const noexcept { return value_; }

 private:
  bool set_ = false;
  std::shared_ptr<const quant::AnyQConfig> value_;
};

MIDTREAD_NAMESPACE_END

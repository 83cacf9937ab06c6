// SPDX-License-Identifier: MIT
// Which module gets which qconfig, by rising priority: everywhere, by type, by module path. A module's own
// `qconfig` wins over the mapping.
#pragma once

#include <midtread/quant/qconfig.hpp>

#include <optional>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// The setters take a QConfig, a shared AnyQConfig, or nullptr for "stays float":
///
///   QConfigMapping{}.set_global(QConfig<A, W>{}).set_object_type("Linear",
///   nullptr).set_module_name("block.conv2", q)
class QConfigMapping {
 public:
  template <class Q>
  QConfigMapping& set_global(const Q& qconfig) {
    global_ = qconfig;
    return *this;
  }
  /// For modules whose type_name() is `type` and operations of this name ("Linear", "Conv2dBnReLU", "add").
  /// prepare_qat throws ConfigError where the model has none.
  template <class Q>
  QConfigMapping& set_object_type(const std::string& type, const Q& qconfig) {
    return set(types_, named(type, "set_object_type"), qconfig);
  }
  /// For the module at `path` and everything below it that has no longer path set; for one call of a module
  /// ("conv#2"), which shares its weight quantizer with the first; for the quantizer of an input ("input_0").
  /// prepare_qat throws ConfigError where the model has no such name.
  template <class Q>
  QConfigMapping& set_module_name(const std::string& path, const Q& qconfig) {
    return set(paths_, named(path, "set_module_name"), qconfig);
  }

  /// Null: stays float. No value: the mapping says nothing. `path` may be that of a repeated call
  /// ("block.conv1#2").
  std::optional<std::shared_ptr<const AnyQConfig>> resolve(const std::string& path,
                                                           const std::string& type) const {
    if (const nn::QConfigSlot* found = paths_.find(path)) return found->value();
    for (std::string at = path.substr(0, path.find('#')); !at.empty();) {
      if (const nn::QConfigSlot* found = paths_.find(at)) return found->value();
      const std::size_t dot = at.rfind('.');
      at = dot == std::string::npos ? std::string() : at.substr(0, dot);
    }
    if (const nn::QConfigSlot* found = types_.find(type)) return found->value();
    if (global_.is_set()) return global_.value();
    return std::nullopt;
  }

  bool empty() const { return !global_.is_set() && types_.empty() && paths_.empty(); }
  const nn::QConfigSlot& global() const noexcept { return global_; }
  /// For passes, which name those that fit no module.
  const OrderedDict<nn::QConfigSlot>& object_types() const noexcept { return types_; }
  const OrderedDict<nn::QConfigSlot>& module_names() const noexcept { return paths_; }

 private:
  static const std::string& named(const std::string& name, const char* where) {
    if (name.empty()) throw ConfigError(where, "got an empty name; set_global is for everything");
    return name;
  }

  template <class Q>
  QConfigMapping& set(OrderedDict<nn::QConfigSlot>& where, const std::string& name, const Q& qconfig) {
    nn::QConfigSlot slot;
    slot = qconfig;
    where.assign(name, std::move(slot));
    return *this;
  }

  nn::QConfigSlot global_;
  OrderedDict<nn::QConfigSlot> types_;
  OrderedDict<nn::QConfigSlot> paths_;
};

MIDTREAD_NAMESPACE_END

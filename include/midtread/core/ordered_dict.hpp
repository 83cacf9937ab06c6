// SPDX-License-Identifier: MIT
// Name -> value, in order of insertion.
#pragma once

#include <midtread/core/error.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Small dictionaries of modules and parameters; look-ups are linear.
template <class Value>
class OrderedDict {
 public:
  using Item = std::pair<std::string, Value>;

  /// Adds a new name; throws ConfigError if it is taken.
  Value& insert(const std::string& name, Value value) {
    if (find(name)) throw ConfigError(name, "this name is registered already; choose another");
    items_.emplace_back(name, std::move(value));
    return items_.back().second;
  }
  /// Adds or replaces.
  Value& assign(const std::string& name, Value value) {
    if (Value* found = find(name)) return *found = std::move(value);
    items_.emplace_back(name, std::move(value));
    return items_.back().second;
  }
  void erase(const std::string& name) {
    for (std::size_t i = 0; i < items_.size(); ++i)
      if (items_[i].first == name) {
        items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(i));
        return;
      }
  }

  Value* find(const std::string& name) {
    for (Item& item : items_)
      if (item.first == name) return &item.second;
    return nullptr;
  }
  const Value* find(const std::string& name) const { return const_cast<OrderedDict*>(this)->find(name); }
  bool contains(const std::string& name) const { return find(name) != nullptr; }

  /// Throws ConfigError listing what is there.
  Value& at(const std::string& name) {
    if (Value* found = find(name)) return *found;
    std::string names;
    for (const Item& item : items_) names += (names.empty() ? "" : ", ") + item.first;
    throw ConfigError(printable(name), "no such name; there is: " + (names.empty() ? "nothing" : names));
  }
  const Value& at(const std::string& name) const { return const_cast<OrderedDict*>(this)->at(name); }

  std::size_t size() const noexcept { return items_.size(); }
  bool empty() const noexcept { return items_.empty(); }
  auto begin() noexcept { return items_.begin(); }
  auto end() noexcept { return items_.end(); }
  auto begin() const noexcept { return items_.begin(); }
  auto end() const noexcept { return items_.end(); }

 private:
  std::vector<Item> items_;
};

MIDTREAD_ROOT_NAMESPACE_END

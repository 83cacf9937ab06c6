// SPDX-License-Identifier: MIT
// Sets and maps of objects by their address: one hash table type for all of them, since each costs compile
// time.
#pragma once

#include <midtread/core/platform.hpp>

#include <cstddef>
#include <unordered_map>
#include <utility>
#include <vector>

MIDTREAD_ROOT_NAMESPACE_BEGIN

class IdentitySet {
 public:
  /// False if it was there.
  bool insert(const void* object) { return places_.emplace(object, places_.size()).second; }
  bool contains(const void* object) const { return places_.count(object) > 0; }
  /// The object's number in order of insertion; as many as there are if it is not there.
  std::size_t place(const void* object) const {
    const auto found = places_.find(object);
    return found == places_.end() ? places_.size() : found->second;
  }
  std::size_t size() const noexcept { return places_.size(); }

 private:
  std::unordered_map<const void*, std::size_t> places_;
};

/// What was not written is not there. A new entry moves the others.
template <class Value>
class IdentityMap {
 public:
  /// The entry of `object`, made if it is not there.
  Value& operator[](const void* object) {
    if (objects_.insert(object)) values_.push_back(Value());
    return values_[objects_.place(object)];
  }
  Value* find(const void* object) {
    const std::size_t place = objects_.place(object);
    return place < objects_.size() ? &values_[place] : nullptr;
  }
  const Value* find(const void* object) const { return const_cast<IdentityMap*>(this)->find(object); }
  void insert(const void* object, Value value) { (*this)[object] = std::move(value); }

 private:
  IdentitySet objects_;
  std::vector<Value> values_;
};

MIDTREAD_ROOT_NAMESPACE_END

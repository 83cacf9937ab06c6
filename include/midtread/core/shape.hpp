// SPDX-License-Identifier: MIT
// Dimensions of a tensor (also used for its strides), the broadcasting rule, and checked element counts.
#pragma once

#include <midtread/core/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Up to eight 64-bit numbers, held in place. A negative index counts from the end.
class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(dims.begin(), dims.end()) {}
  explicit Shape(const std::vector<std::int64_t>& dims) : Shape(dims.begin(), dims.end()) {}
  template <class Iterator>
  Shape(Iterator first, Iterator last) {
    for (; first != last; ++first) push_back(static_cast<std::int64_t>(*first));
  }

  int rank() const noexcept { return rank_; }
  std::int64_t operator[](int i) const { return dims_[position(i)]; }
  std::int64_t& operator[](int i) { return dims_[position(i)]; }
  const std::int64_t* begin() const noexcept { return dims_.data(); }
  const std::int64_t* end() const noexcept { return dims_.data() + rank_; }

  void push_back(std::int64_t dim) {
    if (rank_ == kMaxRank) throw ShapeError("shape", concat("more than ", kMaxRank, " dimensions"));
    dims_[static_cast<std::size_t>(rank_++)] = dim;
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    return a.rank_ == b.rank_ && std::equal(a.begin(), a.end(), b.begin());
  }
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '[';
    for (int i = 0; i < shape.rank_; ++i) out << (i ? ", " : "") << shape[i];
    return out << ']';
  }

 private:
  std::size_t position(int i) const {
    const int at = i < 0 ? i + rank_ : i;
    if (at < 0 || at >= rank_)
      throw ShapeError("shape",
                       concat("dimension ", i, " of ", *this, ", allowed ", -rank_, "..", rank_ - 1));
    return static_cast<std::size_t>(at);
  }

  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

/// Product of the dimensions. Throws ShapeError on a negative dimension or where the bytes could not be
/// addressed.
inline std::int64_t element_count(const Shape& shape) {
  constexpr std::int64_t limit = std::numeric_limits<std::ptrdiff_t>::max() / 16;
  std::int64_t count = 1;
  bool empty = false;
  for (std::int64_t dim : shape) {
    if (dim < 0) throw ShapeError("shape", concat(shape, " has a negative dimension"));
    if (dim == 0) empty = true;
  }
  for (std::int64_t dim : shape) {
    if (dim != 0 && count > limit / dim) throw ShapeError("shape", concat(shape, " has too many elements"));
    if (dim != 0) count *= dim;
  }
  return empty ? 0 : count;
}

/// Row-major strides, in elements. Throws as `element_count` does.
inline Shape contiguous_strides(const Shape& shape) {
  (void)element_count(shape);
  Shape strides = shape;
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

/// Strides of [N, C, ...spatial] stored with C last. Rank 2 and below: row-major. Throws as `element_count`
/// does.
inline Shape channels_last_strides(const Shape& shape) {
  if (shape.rank() < 3) return contiguous_strides(shape);
  (void)element_count(shape);
  Shape strides = shape;
  std::int64_t step = 1;
  strides[1] = step;
  step *= std::max<std::int64_t>(shape[1], 1);
  for (int i = shape.rank() - 1; i >= 2; --i) {
    strides[i] = step;
    step *= std::max<std::int64_t>(shape[i], 1);
  }
  strides[0] = step;
  return strides;
}

/// numpy's rule: aligned at the last dimension, 1 stretches. Throws ShapeError naming `where`.
inline Shape broadcast(const Shape& a, const Shape& b, const std::string& where) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<std::int64_t> dims(static_cast<std::size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const std::int64_t da = i < rank - a.rank() ? 1 : a[i - (rank - a.rank())];
    const std::int64_t db = i < rank - b.rank() ? 1 : b[i - (rank - b.rank())];
    if (da != db && da != 1 && db != 1)
      throw ShapeError(where, concat("shapes ", a, " and ", b, " do not broadcast (dimension ", i, ": ", da,
                                     " and ", db, ")"));
    dims[static_cast<std::size_t>(i)] = da == 1 ? db : da;
  }
  return Shape(dims);
}

MIDTREAD_ROOT_NAMESPACE_END

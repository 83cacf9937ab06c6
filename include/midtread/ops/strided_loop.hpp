// SPDX-License-Identifier: MIT
// A loop over several strided operands of one shape: dimensions go in the order of the first operand's
// memory, and neighbours are merged where every operand allows, so that the innermost row is as long as it
// can be.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/core/shape.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

MIDTREAD_NAMESPACE_BEGIN(ops)

template <int kOperands>
class StridedLoop {
 public:
  using Offsets = std::array<std::int64_t, static_cast<std::size_t>(kOperands)>;

  StridedLoop(const Shape& shape, const std::array<Shape, static_cast<std::size_t>(kOperands)>& strides) {
    std::array<int, Shape::kMaxRank> order{};
    int count = 0;
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] == 0) empty_ = true;
      if (shape[i] != 1) order[static_cast<std::size_t>(count++)] = i;
    }
    std::stable_sort(order.begin(), order.begin() + count,
                     [&](int a, int b) { return strides[0][a] > strides[0][b]; });
    for (int k = 0; k < count; ++k) {
      const int from = order[static_cast<std::size_t>(k)];
      Dim dim;
      dim.size = shape[from];
      for (std::size_t o = 0; o < strides.size(); ++o) dim.stride[o] = strides[o][from];
      if (rank_ > 0 && continues(dims_[static_cast<std::size_t>(rank_ - 1)], dim)) {
        dim.size *= dims_[static_cast<std::size_t>(rank_ - 1)].size;
        dims_[static_cast<std::size_t>(rank_ - 1)] = dim;
      } else {
        dims_[static_cast<std::size_t>(rank_++)] = dim;
      }
    }
    if (rank_ == 0) {
      rank_ = 1;
      dims_[0].size = 1;
      dims_[0].stride.fill(1);
    }
  }

  bool empty() const { return empty_; }
  int rank() const { return rank_; }
  std::int64_t size(int dim) const { return dims_[static_cast<std::size_t>(dim)].size; }
  std::int64_t stride(int operand, int dim) const {
    return dims_[static_cast<std::size_t>(dim)].stride[static_cast<std::size_t>(operand)];
  }
  /// Between neighbours of a row.
  std::int64_t step(int operand) const { return stride(operand, rank_ - 1); }

  /// Calls row(offsets, count) for every innermost row, in parallel; long rows are cut.
  template <class Row>
  void for_each_row(const Row& row) const {
    constexpr std::int64_t grain = std::int64_t{1} << 15;
    if (empty_) return;
    std::int64_t rows = 1;
    for (int d = 0; d + 1 < rank_; ++d) rows *= size(d);
    const std::int64_t length = size(rank_ - 1), parts = (length + grain - 1) / grain;
    if (parts > 1) {
      parallel_for(0, rows * parts, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          Offsets at = offsets_of_row(i / parts);
          const std::int64_t begin = i % parts * grain;
          for (int o = 0; o < kOperands; ++o) at[static_cast<std::size_t>(o)] += begin * step(o);
          row(at, std::min(grain, length - begin));
        }
      });
    } else {
      parallel_for(0, rows, std::max<std::int64_t>(1, grain / length),
                   [&](std::int64_t first, std::int64_t last) { rows_between(first, last, row); });
    }
  }

  /// The rows whose outermost index lies in [first, last), in memory order, on this thread.
  template <class Row>
  void for_each_row_between(std::int64_t first, std::int64_t last, const Row& row) const {
    if (empty_) return;
    if (rank_ == 1) {
      Offsets at{};
      for (int o = 0; o < kOperands; ++o) at[static_cast<std::size_t>(o)] = first * step(o);
      return row(at, last - first);
    }
    std::int64_t inner = 1;
    for (int d = 1; d + 1 < rank_; ++d) inner *= size(d);
    rows_between(first * inner, last * inner, row);
  }

 private:
  struct Dim {
    std::int64_t size = 1;
    Offsets stride{};
  };

  static bool continues(const Dim& outer, const Dim& inner) {
    for (std::size_t o = 0; o < outer.stride.size(); ++o)
      if (outer.stride[o] != inner.stride[o] * inner.size) return false;
    return true;
  }

  Offsets offsets_of_row(std::int64_t row, std::array<std::int64_t, Shape::kMaxRank>* index = nullptr) const {
    Offsets at{};
    for (int d = rank_ - 2; d >= 0; --d) {
      const std::int64_t i = row % size(d);
      row /= size(d);
      if (index) (*index)[static_cast<std::size_t>(d)] = i;
      for (int o = 0; o < kOperands; ++o) at[static_cast<std::size_t>(o)] += i * stride(o, d);
    }
    return at;
  }

  template <class Row>
  void rows_between(std::int64_t first, std::int64_t last, const Row& row) const {
    std::array<std::int64_t, Shape::kMaxRank> index{};
    Offsets at = offsets_of_row(first, &index);
    const std::int64_t length = size(rank_ - 1);
    for (std::int64_t r = first; r < last; ++r) {
      row(at, length);
      for (int d = rank_ - 2; d >= 0; --d) {
        for (int o = 0; o < kOperands; ++o) at[static_cast<std::size_t>(o)] += stride(o, d);
        if (++index[static_cast<std::size_t>(d)] < size(d)) break;
        for (int o = 0; o < kOperands; ++o) at[static_cast<std::size_t>(o)] -= stride(o, d) * size(d);
        index[static_cast<std::size_t>(d)] = 0;
      }
    }
  }

  std::array<Dim, Shape::kMaxRank> dims_{};
  int rank_ = 0;
  bool empty_ = false;
};

MIDTREAD_NAMESPACE_END

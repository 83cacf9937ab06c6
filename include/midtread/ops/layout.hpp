// SPDX-License-Identifier: MIT
// Which memory order an operation's output takes, and copies from one order to another.
#pragma once

#include <midtread/ops/strided_loop.hpp>
#include <midtread/tensor/tensor.hpp>

#include <algorithm>

MIDTREAD_NAMESPACE_BEGIN(ops)
MIDTREAD_VECTORIZE_BEGIN

/// Elements a thread takes at a time in loops over memory.
inline constexpr std::int64_t kGrain = std::int64_t{1} << 15;

/// The strides of a dense tensor like `x`: row-major where x is row-major only, else channels-last.
template <class S>
Shape dense_strides(const BasicTensor<S>& x) {
  return x.is_contiguous() && !x.is_channels_last() ? contiguous_strides(x.shape())
                                                    : channels_last_strides(x.shape());
}

/// to = from, element by element in logical order; any strides (0 repeats an element).
template <class S>
void strided_copy(const Shape& shape, const S* from, const Shape& from_strides, S* to,
                  const Shape& to_strides) {
  const StridedLoop<2> loop(shape, {to_strides, from_strides});
  const std::int64_t step_to = loop.step(0), step_from = loop.step(1);
  loop.for_each_row([&](const std::array<std::int64_t, 2>& at, std::int64_t count) {
    S* MIDTREAD_RESTRICT out = to + at[0];
    const S* MIDTREAD_RESTRICT in = from + at[1];
    if (step_to == 1 && step_from == 1) {
      std::copy(in, in + count, out);
    } else {
      for (std::int64_t i = 0; i < count; ++i) out[i * step_to] = in[i * step_from];
    }
  });
}

/// `x` if it has these strides already, else a copy that has. Not recorded.
template <class S>
BasicTensor<S> with_strides(const BasicTensor<S>& x, const Shape& strides) {
  if (x.has_strides(strides)) return x;
  BasicTensor<S> out(x.shape(), strides);
  strided_copy(x.shape(), x.data(), x.strides(), out.mutable_data(), strides);
  return out;
}

/// `x` if its elements fill one block of memory, else such a copy.
template <class S>
BasicTensor<S> dense(const BasicTensor<S>& x) {
  return with_strides(x, dense_strides(x));
}

/// Strides of `x` seen with shape `to`: 0 along dimensions that are repeated (numpy broadcasting).
template <class S>
Shape expanded_strides(const BasicTensor<S>& x, const Shape& to) {
  Shape strides = to;
  for (int i = 0; i < to.rank(); ++i) {
    const int own = i - (to.rank() - x.rank());
    strides[i] = own < 0 || x.size(own) == 1 ? 0 : x.strides()[own];
  }
  return strides;
}

/// The dimension `dim` of `rank` counted from 0. Throws ShapeError naming `where`.
inline int wrap_dim(int dim, int rank, const char* where) {
  const int wrapped = dim < 0 ? dim + rank : dim;
  if (wrapped < 0 || wrapped >= rank)
    throw ShapeError(
        where, concat("dimension ", dim, " of a tensor of rank ", rank, ", allowed ", -rank, "..", rank - 1));
  return wrapped;
}

MIDTREAD_VECTORIZE_END
MIDTREAD_NAMESPACE_END

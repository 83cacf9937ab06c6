// SPDX-License-Identifier: MIT
// Ways to make a tensor.
#pragma once

#include <midtread/core/random.hpp>
#include <midtread/tensor/tensor.hpp>

#include <algorithm>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Uninitialised activation: channels-last from rank 3 on.
template <class Scalar = float>
BasicTensor<Scalar> empty_channels_last(const Shape& shape) {
  return BasicTensor<Scalar>(shape, channels_last_strides(shape));
}

template <class Scalar = float>
BasicTensor<Scalar> full(const Shape& shape, Scalar value) {
  BasicTensor<Scalar> out(shape);
  std::fill_n(out.mutable_data(), out.numel(), value);
  return out;
}
template <class Scalar = float>
BasicTensor<Scalar> zeros(const Shape& shape) {
  return full<Scalar>(shape, Scalar(0));
}
template <class Scalar = float>
BasicTensor<Scalar> ones(const Shape& shape) {
  return full<Scalar>(shape, Scalar(1));
}
/// Zeros with the shape and memory order of `like`.
template <class Scalar>
BasicTensor<Scalar> zeros_like(const BasicTensor<Scalar>& like) {
  BasicTensor<Scalar> out(like.shape(), like.is_channels_last() ? channels_last_strides(like.shape())
                                                                : contiguous_strides(like.shape()));
  std::fill_n(out.mutable_data(), out.numel(), Scalar(0));
  return out;
}

/// Row-major values. Throws ShapeError if there are not as many as the shape holds.
template <class Scalar>
BasicTensor<Scalar> from_vector(const std::vector<Scalar>& values, const Shape& shape) {
  if (static_cast<std::int64_t>(values.size()) != element_count(shape))
    throw ShapeError("from_vector", concat(values.size(), " values for shape ", shape));
  BasicTensor<Scalar> out(shape);
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}
/// A vector given in place: tensor({1.f, 2.f}).
template <class Scalar = float>
BasicTensor<Scalar> tensor(std::initializer_list<Scalar> values) {
  return from_vector(std::vector<Scalar>(values), Shape{static_cast<std::int64_t>(values.size())});
}
/// A scalar of shape [].
template <class Scalar = float>
BasicTensor<Scalar> scalar(Scalar value) {
  return full<Scalar>(Shape{}, value);
}
/// Copies row-major memory of the caller's, which need not outlive the tensor.
template <class Scalar>
BasicTensor<Scalar> from_blob(const Scalar* values, const Shape& shape) {
  BasicTensor<Scalar> out(shape);
  std::copy_n(values, out.numel(), out.mutable_data());
  return out;
}

/// Standard normal.
template <class Scalar = float>
BasicTensor<Scalar> randn(const Shape& shape, Generator& generator = default_generator()) {
  BasicTensor<Scalar> out(shape);
  Scalar* to = out.mutable_data();
  for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = static_cast<Scalar>(generator.normal());
  return out;
}
/// Uniform in [0, 1).
template <class Scalar = float>
BasicTensor<Scalar> rand(const Shape& shape, Generator& generator = default_generator()) {
  BasicTensor<Scalar> out(shape);
  Scalar* to = out.mutable_data();
  for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = static_cast<Scalar>(generator.uniform());
  return out;
}
/// 0, 1, 2, ...
template <class Scalar = float>
BasicTensor<Scalar> arange(std::int64_t count) {
  BasicTensor<Scalar> out(Shape{count});
  Scalar* to = out.mutable_data();
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<Scalar>(i);
  return out;
}
/// Another scalar type.
template <class To, class From>
BasicTensor<To> cast(const BasicTensor<From>& from) {
  BasicTensor<To> out(from.shape());
  To* to = out.mutable_data();
  const From* source = from.data();
  BasicTensor<To>::for_each_offset_pair(
      from.shape(), out.strides(), from.strides(),
      [&](std::int64_t a, std::int64_t b) { to[a] = static_cast<To>(source[b]); });
  return out;
}

MIDTREAD_ROOT_NAMESPACE_END

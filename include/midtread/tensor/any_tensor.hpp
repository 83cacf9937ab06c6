// SPDX-License-Identifier: MIT
// A tensor of any element type: what buffers and state dicts hold.
#pragma once

#include <midtread/tensor/tensor.hpp>

#include <variant>

MIDTREAD_ROOT_NAMESPACE_BEGIN

using AnyTensor = std::variant<BasicTensor<float>, BasicTensor<double>, BasicTensor<std::int64_t>,
                               BasicTensor<std::int32_t>, BasicTensor<std::uint8_t>, BasicTensor<std::int8_t>>;

inline DType dtype_of_tensor(const AnyTensor& tensor) {
  return std::visit([](const auto& t) { return t.dtype(); }, tensor);
}
inline const Shape& shape_of(const AnyTensor& tensor) {
  return std::visit([](const auto& t) -> const Shape& { return t.shape(); }, tensor);
}
inline std::int64_t bytes_of(const AnyTensor& tensor) {
  return std::visit([](const auto& t) { return t.numel() * static_cast<std::int64_t>(size_of(t.dtype())); }, tensor);
}
inline AnyTensor clone(const AnyTensor& tensor) {
  return std::visit([](const auto& t) -> AnyTensor { return t.clone(); }, tensor);
}

/// The tensor of this scalar type; DTypeError naming `where` if it holds another.
template <class Scalar>
const BasicTensor<Scalar>& get_tensor(const AnyTensor& tensor, const std::string& where) {
  if (const auto* found = std::get_if<BasicTensor<Scalar>>(&tensor)) return *found;
  throw DTypeError(where, concat("holds ", dtype_of_tensor(tensor), ", wanted ", dtype_of_v<Scalar>));
}

MIDTREAD_ROOT_NAMESPACE_END

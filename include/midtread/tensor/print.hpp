// SPDX-License-Identifier: MIT
// Tensors as text: nested brackets, at most six entries a dimension.
#pragma once

#include <midtread/tensor/tensor.hpp>

#include <ostream>

MIDTREAD_NAMESPACE_BEGIN(detail)
template <class Scalar>
void print_dimension(std::ostream& out, const BasicTensor<Scalar>& t, int dim, std::int64_t at) {
  if (dim == t.rank()) {
    out << +t.data()[at];
    return;
  }
  out << '[';
  const std::int64_t n = t.size(dim);
  for (std::int64_t i = 0; i < n; ++i) {
    if (n > 6 && i == 3) {
      out << ", ...";
      i = n - 3;
    }
    if (i) out << ", ";
    print_dimension(out, t, dim + 1, at + i * t.strides()[dim]);
  }
  out << ']';
}
MIDTREAD_NAMESPACE_END
MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class Scalar>
std::ostream& operator<<(std::ostream& out, const BasicTensor<Scalar>& t) {
  if (!t.defined()) return out << "tensor(undefined)";
  out << "tensor(";
  detail::print_dimension(out, t, 0, 0);
  return out << ", shape " << t.shape() << ", " << t.dtype() << ')';
}

MIDTREAD_ROOT_NAMESPACE_END

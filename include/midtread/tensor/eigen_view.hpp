// SPDX-License-Identifier: MIT
// A tensor seen by Eigen: the one place that returns a Map. A Map never outlives the statement that needs it,
// and no Eigen type is a member, a parameter or a result anywhere else.
#pragma once

#include <midtread/tensor/tensor.hpp>

#include <Eigen/Core>

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class Scalar>
using RowMajorMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// [rows, columns], row-major; a vector is one row. Throws ShapeError for other ranks or strides.
template <class Scalar>
Eigen::Map<const RowMajorMatrix<Scalar>> matrix_view(const BasicTensor<Scalar>& tensor) {
  if (tensor.rank() > 2 || tensor.rank() < 1 || !tensor.is_contiguous())
    throw ShapeError("matrix_view", concat("needs a row-major tensor of rank 1 or 2, got ", tensor.shape()));
  return {tensor.data(), tensor.rank() == 2 ? tensor.size(0) : 1, tensor.size(-1)};
}
/// The same, writable.
template <class Scalar>
Eigen::Map<RowMajorMatrix<Scalar>> mutable_matrix_view(const BasicTensor<Scalar>& tensor) {
  if (tensor.rank() > 2 || tensor.rank() < 1 || !tensor.is_contiguous())
    throw ShapeError("matrix_view", concat("needs a row-major tensor of rank 1 or 2, got ", tensor.shape()));
  return {tensor.mutable_data(), tensor.rank() == 2 ? tensor.size(0) : 1, tensor.size(-1)};
}

MIDTREAD_ROOT_NAMESPACE_END

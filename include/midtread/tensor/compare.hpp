// SPDX-License-Identifier: MIT
// Equality and closeness of tensors.
#pragma once

#include <midtread/tensor/tensor.hpp>

#include <cmath>
#include <cstring>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Same shape and the same bits, element by element (a NaN equals itself, 0 differs from -0).
template <class Scalar>
bool identical(const BasicTensor<Scalar>& a, const BasicTensor<Scalar>& b) {
  if (a.shape() != b.shape()) return false;
  bool same = true;
  const Scalar *pa = a.data(), *pb = b.data();
  BasicTensor<Scalar>::for_each_offset_pair(a.shape(), a.strides(), b.strides(),
                                            [&](std::int64_t i, std::int64_t j) {
                                              same = same && std::memcmp(pa + i, pb + j, sizeof(Scalar)) == 0;
                                            });
  return same;
}

/// Largest |a - b| / (absolute + relative * |b|); at most 1 means close. Shapes must be equal (infinity
/// otherwise).
template <class Scalar>
double closeness(const BasicTensor<Scalar>& a, const BasicTensor<Scalar>& b, double relative,
                 double absolute) {
  if (a.shape() != b.shape()) return HUGE_VAL;
  double worst = 0;
  const Scalar *pa = a.data(), *pb = b.data();
  BasicTensor<Scalar>::for_each_offset_pair(
      a.shape(), a.strides(), b.strides(), [&](std::int64_t i, std::int64_t j) {
        const double x = static_cast<double>(pa[i]), y = static_cast<double>(pb[j]);
        if (x == y || (std::isnan(x) && std::isnan(y))) return;
        const double ratio = std::abs(x - y) / (absolute + relative * std::abs(y));
        worst = ratio > worst || std::isnan(ratio) ? (std::isnan(ratio) ? HUGE_VAL : ratio) : worst;
      });
  return worst;
}

/// PyTorch's rule: |a - b| <= absolute + relative * |b|.
template <class Scalar>
bool allclose(const BasicTensor<Scalar>& a, const BasicTensor<Scalar>& b, double relative = 1e-5,
              double absolute = 1e-8) {
  return closeness(a, b, relative, absolute) <= 1.0;
}

MIDTREAD_ROOT_NAMESPACE_END

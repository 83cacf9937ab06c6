// SPDX-License-Identifier: MIT
// How far a quantized tensor y is from its float original x; named as in PyTorch's numeric suite. Sums are
// double.
//
//   sqnr = 20 log10(|x| / |x - y|) dB      normalized_l2 = |x - y| / |x|      cosine = x.y / (|x| |y|)
#pragma once

#include <midtread/tensor/tensor.hpp>

#include <cmath>

MIDTREAD_NAMESPACE_BEGIN(quant::detail)

struct ErrorSums {
  double xx = 0, yy = 0, xy = 0, difference = 0;

  ErrorSums(const Tensor& x, const Tensor& y, const char* where) {
    if (x.shape() != y.shape())
      throw ShapeError(where,
                       concat("tensors of shapes ", x.shape(), " and ", y.shape(), ", need one shape"));
    Tensor::for_each_offset_pair(x.shape(), x.strides(), y.strides(), [&](std::int64_t i, std::int64_t j) {
      const double a = static_cast<double>(x.data()[i]), b = static_cast<double>(y.data()[j]);
      xx += a * a;
      yy += b * b;
      xy += a * b;
      difference += (a - b) * (a - b);
    });
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(quant)

/// In dB; infinite where the tensors are equal. Throws ShapeError where the shapes differ.
inline double compute_sqnr(const Tensor& x, const Tensor& y) {
  const detail::ErrorSums sums(x, y, "compute_sqnr");
  return sums.difference == 0 ? HUGE_VAL : 10.0 * std::log10(sums.xx / sums.difference);
}

/// 0 where the tensors are equal. Throws ShapeError where the shapes differ.
inline double compute_normalized_l2_error(const Tensor& x, const Tensor& y) {
  const detail::ErrorSums sums(x, y, "compute_normalized_l2_error");
  return sums.difference == 0 ? 0.0 : std::sqrt(sums.difference / sums.xx);
}

/// Of the flattened tensors; 0 where one of them is zero. Throws ShapeError where the shapes differ.
inline double compute_cosine_similarity(const Tensor& x, const Tensor& y) {
  const detail::ErrorSums sums(x, y, "compute_cosine_similarity");
  return sums.xy == 0 ? 0.0 : sums.xy / (std::sqrt(sums.xx) * std::sqrt(sums.yy));
}

MIDTREAD_NAMESPACE_END

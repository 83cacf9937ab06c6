// SPDX-License-Identifier: MIT
// Gradients against central differences, in double:  df/dx ~ (f(x + h) - f(x - h)) / 2h
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/core/random.hpp>

#include <cmath>
#include <functional>
#include <string>

MIDTREAD_NAMESPACE_BEGIN(autograd)

struct GradCheckResult {
  bool ok = true;
  double worst = 0;  ///< largest |analytic - numeric| / max(1, |numeric|)
  std::int64_t checked = 0;
  std::string where;  ///< "input 1, element 7: analytic 0.5, numeric 0.25"
};

/// Compares every input's gradient of sum(w * function(inputs)), with fixed random weights w, to central
/// differences.
inline GradCheckResult grad_check(
    const std::function<BasicTensor<double>(const std::vector<BasicTensor<double>>&)>& function,
    const std::vector<BasicTensor<double>>& inputs, double step = 1e-5, double tolerance = 1e-6) {
  using T = BasicTensor<double>;
  std::vector<T> leaves;
  for (const T& input : inputs) leaves.push_back(input.clone().requires_grad_());
  const T output = function(leaves);
  T weights(output.shape(), output.is_channels_last() ? channels_last_strides(output.shape())
                                                      : contiguous_strides(output.shape()));
  Generator generator(17);
  double* w = weights.mutable_data();
  for (std::int64_t i = 0; i < weights.numel(); ++i) w[i] = generator.uniform(-1.0, 1.0);
  output.backward(weights);

  const auto value = [&](const std::vector<T>& at) {
    const NoGradGuard no_grad;
    const T y = function(at);
    double sum = 0;
    const double* py = y.data();
    T::for_each_offset_pair(y.shape(), y.strides(), weights.strides(),
                            [&](std::int64_t a, std::int64_t b) { sum += py[a] * w[b]; });
    return sum;
  };

  GradCheckResult result;
  for (std::size_t k = 0; k < leaves.size(); ++k) {
    const T grad = leaves[k].grad();
    std::vector<T> at;
    for (const T& input : inputs) at.push_back(input.clone());
    std::int64_t element = 0;
    const Shape grad_strides = grad.defined() ? grad.strides() : at[k].strides();
    T::for_each_offset_pair(
        at[k].shape(), at[k].strides(), grad_strides, [&](std::int64_t i, std::int64_t g) {
          double* x = at[k].mutable_data();
          const double before = x[i];
          x[i] = before + step;
          const double up = value(at);
          at[k].mutable_data()[i] = before - step;
          const double down = value(at);
          at[k].mutable_data()[i] = before;
          const double numeric = (up - down) / (2 * step), analytic = grad.defined() ? grad.data()[g] : 0.0;
          const double error = std::abs(analytic - numeric) / std::max(1.0, std::abs(numeric));
          if (!(error <= result.worst)) {
            result.worst = error;
            result.where =
                concat("input ", k, ", element ", element, ": analytic ", analytic, ", numeric ", numeric);
          }
          ++element;
          ++result.checked;
        });
  }
  result.ok = result.worst <= tolerance;
  return result;
}

MIDTREAD_NAMESPACE_END

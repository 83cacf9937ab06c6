// SPDX-License-Identifier: MIT
// Gradients held within bounds before a step.
//
//   g *= min(1, max_norm / (norm + 1e-6)),  norm = sqrt(sum of all squares), summed in double
#pragma once

#include <midtread/autograd/grad_mode.hpp>
#include <midtread/tensor/tensor.hpp>

#include <algorithm>
#include <cmath>

MIDTREAD_NAMESPACE_BEGIN(optim::detail)

/// Replaces the gradient of `p` by f(g): in place, a storage shared by two gradients would be changed twice.
template <class S, class F>
void replace_gradient(const BasicTensor<S>& p, const F& f) {
  const BasicTensor<S> g = p.grad();
  const BasicTensor<S> out = g.clone();
  S* to = out.mutable_data();
  for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = f(to[i]);
  p.set_grad(out);
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(optim)

/// Scales all gradients together so that their norm is at most `max_norm`; returns the norm before. Throws
/// NumericError naming the parameter, with nothing changed, where a gradient is not finite.
template <class S>
double clip_grad_norm_(const std::vector<BasicTensor<S>>& parameters, double max_norm) {
  if (!(max_norm >= 0.0))
    throw ConfigError("clip_grad_norm_", concat("max_norm is ", max_norm, ", allowed 0 and up"));
  double total = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const BasicTensor<S> g = parameters[i].grad();
    if (!g.defined()) continue;
    double sum = 0;
    const S* from = g.data();
    BasicTensor<S>::for_each_offset(g.shape(), g.strides(), [&](std::int64_t at) {
      const auto v = static_cast<double>(from[at]);
      sum += v * v;
    });
    if (!std::isfinite(sum))
      throw NumericError("clip_grad_norm_",
                         concat("the gradient of parameter ", i, ", shape ", g.shape(), ", is not finite"));
    total += sum;
  }
  const double norm = std::sqrt(total), factor = max_norm / (norm + 1e-6);
  if (factor < 1.0)
    for (const BasicTensor<S>& p : parameters)
      if (p.grad().defined())
        detail::replace_gradient(p, [f = static_cast<S>(factor)](S v) { return v * f; });
  return norm;
}

/// Holds every element of every gradient to [-limit, limit]; NaN stays NaN.
template <class S>
void clip_grad_value_(const std::vector<BasicTensor<S>>& parameters, double limit) {
  if (!(limit >= 0.0))
    throw ConfigError("clip_grad_value_", concat("limit is ", limit, ", allowed 0 and up"));
  for (const BasicTensor<S>& p : parameters)
    if (p.grad().defined())
      detail::replace_gradient(p, [l = static_cast<S>(limit)](S v) { return v > l ? l : (v < -l ? -l : v); });
}

MIDTREAD_NAMESPACE_END

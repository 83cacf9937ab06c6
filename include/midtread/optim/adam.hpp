// SPDX-License-Identifier: MIT
// Adam (arXiv 1412.6980) and AdamW (arXiv 1711.05101), PyTorch's form.
//
//   Adam: g += weight_decay p    AdamW: p *= 1 - lr weight_decay
//   m += (1 - b1) (g - m),  v = b2 v + (1 - b2) g^2,  p -= lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/optim/optimizer.hpp>

#include <cmath>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(optim)
MIDTREAD_VECTORIZE_BEGIN

struct AdamOptions {
  AdamOptions(double learning_rate = 1e-3) : lr_(learning_rate) {}  // NOLINT: Adam(parameters, 1e-3)
  using Betas = std::pair<double, double>;
  MIDTREAD_OPTION(double, lr);
  MIDTREAD_OPTION(Betas, betas) = {0.9, 0.999};
  MIDTREAD_OPTION(double, eps) = 1e-8;
  MIDTREAD_OPTION(double, weight_decay) = 0;

 public:
  /// Throws ConfigError naming the field.
  void check() const {
    detail::check_not_negative("Adam", "lr", lr_);
    detail::check_not_negative("Adam", "eps", eps_);
    detail::check_not_negative("Adam", "weight_decay", weight_decay_);
    for (const double beta : {betas_.first, betas_.second})
      if (!(beta >= 0.0 && beta < 1.0))
        throw ConfigError("Adam", concat("a beta is ", beta, ", allowed 0 up to, not including, 1"));
  }
};

struct AdamWOptions : AdamOptions {
  AdamWOptions(double learning_rate = 1e-3) : AdamOptions(learning_rate) { weight_decay(1e-2); }  // NOLINT
  AdamWOptions(const AdamOptions& options) : AdamOptions(options) {}  // NOLINT: what a chain of setters gives
};

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(optim::detail)

template <class Options, bool kDecoupled>
class AdamBase : public GroupedOptimizer<Options> {
 public:
  explicit AdamBase(const Tensors& parameters, const Options& options = {})
      : GroupedOptimizer<Options>(parameters, options, {"exp_avg", "exp_avg_sq"}) {}

  void step() override {
    using Slots = typename GroupedOptimizer<Options>::ParameterState;
    this->for_each_parameter(
        [](const Options& options, Slots& state, std::int64_t n, float* p, const float* g) {
          const double b1 = options.betas().first, b2 = options.betas().second,
                       t = static_cast<double>(state.step);
          const auto take1 = static_cast<float>(1.0 - b1), keep2 = static_cast<float>(b2),
                     take2 = static_cast<float>(1.0 - b2);
          const auto rate = static_cast<float>(options.lr() / (1.0 - std::pow(b1, t)));
          const auto correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(b2, t)));
          const auto eps = static_cast<float>(options.eps());
          const auto decay = static_cast<float>(kDecoupled ? 1.0 - options.lr() * options.weight_decay()
                                                           : options.weight_decay());
          float *m = state.tensors[0].mutable_data(), *v = state.tensors[1].mutable_data();
          parallel_for(0, n, kGrain, [=](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i) {
              const float weight = kDecoupled ? p[i] * decay : p[i];
              const float d = kDecoupled ? g[i] : g[i] + decay * p[i];
              m[i] += take1 * (d - m[i]);
              v[i] = keep2 * v[i] + take2 * d * d;
              p[i] = weight - rate * m[i] / (std::sqrt(v[i]) * correction + eps);
            }
          });
        });
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(optim)

MIDTREAD_CLASS_ON_USE(Adam)
class BasicAdam : public detail::AdamBase<AdamOptions, false> {
 public:
  using AdamBase::AdamBase;
};

MIDTREAD_CLASS_ON_USE(AdamW)
class BasicAdamW : public detail::AdamBase<AdamWOptions, true> {
 public:
  using AdamBase::AdamBase;
};

MIDTREAD_VECTORIZE_END
MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Stochastic gradient descent with momentum, PyTorch's form.
//
//   d = g + weight_decay p,  m = momentum m + (1 - dampening) d   (first step: m = d)
//   p -= lr (nesterov ? d + momentum m : m)
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/optim/optimizer.hpp>

MIDTREAD_NAMESPACE_BEGIN(optim)
MIDTREAD_VECTORIZE_BEGIN

struct SGDOptions {
  SGDOptions(double learning_rate) : lr_(learning_rate) {}  // NOLINT: SGD(parameters, 0.1)
  MIDTREAD_OPTION(double, lr);
  MIDTREAD_OPTION(double, momentum) = 0;
  MIDTREAD_OPTION(double, dampening) = 0;
  MIDTREAD_OPTION(double, weight_decay) = 0;
  MIDTREAD_OPTION(bool, nesterov) = false;

 public:
  /// Throws ConfigError naming the field.
  void check() const {
    detail::check_not_negative("SGD", "lr", lr_);
    detail::check_not_negative("SGD", "momentum", momentum_);
    detail::check_not_negative("SGD", "weight_decay", weight_decay_);
    if (!(dampening_ >= 0.0 && dampening_ <= 1.0))
      throw ConfigError("SGD", concat("dampening is ", dampening_, ", allowed 0..1"));
    if (nesterov_ && (momentum_ <= 0.0 || dampening_ != 0.0))
      throw ConfigError("SGD", concat("nesterov needs momentum above 0 and dampening 0, got ", momentum_,
                                      " and ", dampening_));
  }
};

MIDTREAD_CLASS_ON_USE(SGD)
class BasicSGD : public GroupedOptimizer<SGDOptions> {
 public:
  BasicSGD(const Tensors& parameters, const SGDOptions& options)
      : GroupedOptimizer(parameters, options, {"momentum_buffer"}) {}

  void step() override {
    for_each_parameter([](const SGDOptions& options, ParameterState& state, std::int64_t n, float* p,
                          const float* g) {
      const bool first = state.step == 1;
      const auto lr = static_cast<float>(options.lr()), decay = static_cast<float>(options.weight_decay());
      const auto momentum = static_cast<float>(options.momentum());
      const float keep = first ? 0.0f : momentum,
                  take = first ? 1.0f : static_cast<float>(1.0 - options.dampening());
      float* m = state.tensors[0].mutable_data();
      const bool plain = options.momentum() == 0.0, nesterov = options.nesterov();
      parallel_for(0, n, detail::kGrain, [=](std::int64_t begin, std::int64_t end) {
        if (plain)
          descend(end - begin, p + begin, g + begin, lr, decay);
        else if (nesterov)
          with_momentum<true>(end - begin, p + begin, g + begin, m + begin, lr, decay, momentum, keep, take);
        else
          with_momentum<false>(end - begin, p + begin, g + begin, m + begin, lr, decay, momentum, keep, take);
      });
    });
  }

 private:
  static void descend(std::int64_t n, float* MIDTREAD_RESTRICT p, const float* MIDTREAD_RESTRICT g, float lr,
                      float decay) {
    for (std::int64_t i = 0; i < n; ++i) p[i] -= lr * (g[i] + decay * p[i]);
  }
  template <bool kNesterov>
  static void with_momentum(std::int64_t n, float* MIDTREAD_RESTRICT p, const float* MIDTREAD_RESTRICT g,
                            float* MIDTREAD_RESTRICT m, float lr, float decay, float momentum, float keep,
                            float take) {
    for (std::int64_t i = 0; i < n; ++i) {
      const float d = g[i] + decay * p[i];
      m[i] = keep * m[i] + take * d;
      p[i] -= lr * (kNesterov ? d + momentum * m[i] : m[i]);
    }
  }
};

MIDTREAD_VECTORIZE_END
MIDTREAD_NAMESPACE_END

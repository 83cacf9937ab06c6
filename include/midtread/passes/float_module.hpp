// SPDX-License-Identifier: MIT
// A layer that stays float as the operations it is made of, so that an int8 model can hold and save it.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/nn/conv1d.hpp>
#include <midtread/nn/conv2d.hpp>
#include <midtread/nn/conv_transpose2d.hpp>
#include <midtread/nn/fused.hpp>
#include <midtread/nn/linear.hpp>

MIDTREAD_NAMESPACE_BEGIN(passes)

/// One operation on a value and on parameters, which may be undefined.
struct FloatStep {
  std::shared_ptr<const ops::Operation> operation;
  std::vector<std::pair<std::string, Tensor>> parameters;
};

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes::detail)

template <class Layer>
bool add_layer(std::vector<FloatStep>& steps, const nn::Module& module) {
  const auto* layer = dynamic_cast<const Layer*>(&module);
  if (!layer) return false;
  const auto operation = layer->operation();
  steps.push_back({ops::make_operation(operation), {{"weight", layer->weight}, {"bias", layer->bias}}});
  return true;
}
template <class Norm>
bool add_batch_norm(std::vector<FloatStep>& steps, const nn::Module& module) {
  const auto* norm = dynamic_cast<const Norm*>(&module);
  if (!norm || !norm->options.track_running_stats())
    return false;  // the batch's statistics in eval too: not this operation
  ops::BatchNorm operation;
  operation.eps = norm->options.eps();
  steps.push_back({ops::make_operation(operation),
                   {{"weight", norm->weight},
                    {"bias", norm->bias},
                    {"running_mean", norm->running_mean},
                    {"running_var", norm->running_var}}});
  return true;
}
MIDTREAD_ON_USE bool add_module(std::vector<FloatStep>& steps, const nn::Module& module) {
  if (const auto* fused = dynamic_cast<const nn::FusedImpl*>(&module)) {
    if (!add_module(steps, *fused->layer())) return false;
    if (fused->bn()) {
      if (!add_module(steps, *fused->bn())) return false;
      for (auto& parameter : steps.back().parameters) parameter.first = "bn." + parameter.first;
    }
    if (auto activation = nn::activation_operation(fused->activation()))
      steps.push_back({std::move(activation), {}});
    return true;
  }
  return add_layer<nn::LinearImpl>(steps, module) || add_layer<nn::Conv1dImpl>(steps, module) ||
         add_layer<nn::Conv2dImpl>(steps, module) || add_layer<nn::ConvTranspose2dImpl>(steps, module) ||
         add_batch_norm<nn::BatchNorm1dImpl>(steps, module) ||
         add_batch_norm<nn::BatchNorm2dImpl>(steps, module);
}

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes)

/// The eval forward of `module`, in order; empty where it is a module of another kind.
MIDTREAD_ON_USE std::vector<FloatStep> float_steps(const nn::Module& module) {
  std::vector<FloatStep> steps;
  if (!detail::add_module(steps, module)) steps.clear();
  return steps;
}

MIDTREAD_NAMESPACE_END

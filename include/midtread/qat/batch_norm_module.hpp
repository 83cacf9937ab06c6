// SPDX-License-Identifier: MIT
// BatchNorm1d and BatchNorm2d behind one face, and the switches that freeze their statistics.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/nn/batch_norm.hpp>
#include <midtread/qat/batch_norm_fold.hpp>

MIDTREAD_NAMESPACE_BEGIN(qat)

/// Calls visit(batch norm) with the concrete class; false if `module` is no batch norm.
template <class Visitor>
bool visit_batch_norm(nn::Module& module, const Visitor& visit) {
  if (auto* two = dynamic_cast<nn::BatchNorm2dImpl*>(&module)) return visit(*two), true;
  if (auto* one = dynamic_cast<nn::BatchNorm1dImpl*>(&module)) return visit(*one), true;
  return false;
}

MIDTREAD_ON_USE bool uses_batch_statistics(nn::Module& bn) {
  bool out = false;
  visit_batch_norm(bn, [&](const auto& b) { out = b.uses_batch_statistics(); });
  return out;
}

MIDTREAD_ON_USE BatchNormView view_of(nn::Module& bn) {
  BatchNormView view;
  visit_batch_norm(bn, [&](const auto& b) {
    view = {b.weight, b.bias, b.running_mean, b.running_var, static_cast<float>(b.options.eps())};
  });
  return view;
}

/// Counts one batch and gives the momentum for it.
MIDTREAD_ON_USE double next_momentum(nn::Module& bn) {
  double momentum = 0.1;
  visit_batch_norm(bn, [&](auto& b) {
    const std::int64_t seen = ++*b.num_batches_tracked.mutable_data();
    momentum = b.options.momentum().value_or(1.0 / static_cast<double>(seen));
  });
  return momentum;
}

/// Batch norms use their running statistics from now on, in train mode too; gamma and beta still learn.
MIDTREAD_ON_USE void freeze_bn_stats(nn::Module& module) {
  module.apply([](nn::Module& m) { visit_batch_norm(m, [](auto& b) { b.freeze_stats(true); }); });
}
/// Undoes freeze_bn_stats.
MIDTREAD_ON_USE void update_bn_stats(nn::Module& module) {
  module.apply([](nn::Module& m) { visit_batch_norm(m, [](auto& b) { b.freeze_stats(false); }); });
}

MIDTREAD_NAMESPACE_END

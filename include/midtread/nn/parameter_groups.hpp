// SPDX-License-Identifier: MIT
// The parameters of a model by kind, for optimizers that give each kind its own learning rate and decay.
//
//   optim::SGD sgd(nn::parameters_of(model, {nn::ParameterTag::kWeight}),
//   optim::SGDOptions(0.1).weight_decay(1e-4)); sgd.add_param_group(nn::parameters_of(model,
//   {nn::ParameterTag::kScale, nn::ParameterTag::kOffset}), 0.01);
#pragma once

#include <midtread/nn/module.hpp>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(nn)

struct ParameterGroup {
  ParameterTag tag;
  std::vector<std::string> names;  ///< paths, as named_parameters() gives them
  Tensors parameters;
};

/// Every parameter that requires a gradient, once, under the tag of the module that owns it. Empty groups are
/// left out.
inline std::vector<ParameterGroup> parameter_groups(Module& model) {
  std::vector<ParameterGroup> groups;
  for (ParameterTag tag : {ParameterTag::kWeight, ParameterTag::kBias, ParameterTag::kBatchNorm,
                           ParameterTag::kScale, ParameterTag::kOffset, ParameterTag::kAlpha})
    groups.push_back({tag, {}, {}});
  std::vector<const void*> seen;
  for (const auto& module : model.named_modules())
    for (const auto& p : module.second->own_parameters()) {
      if (!p.second.defined() || !p.second.requires_grad()) continue;
      if (std::find(seen.begin(), seen.end(), p.second.identity()) != seen.end()) continue;
      seen.push_back(p.second.identity());
      ParameterGroup& group = groups[static_cast<std::size_t>(module.second->parameter_tag(p.first))];
      group.names.push_back(module.first.empty() ? p.first : module.first + "." + p.first);
      group.parameters.push_back(p.second);
    }
  for (std::size_t i = groups.size(); i-- > 0;)
    if (groups[i].parameters.empty()) groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(i));
  return groups;
}

/// The parameters of these tags, in the order of the model.
inline Tensors parameters_of(Module& model, std::initializer_list<ParameterTag> tags) {
  Tensors out;
  for (const ParameterGroup& group : parameter_groups(model))
    for (ParameterTag tag : tags)
      if (group.tag == tag) out.insert(out.end(), group.parameters.begin(), group.parameters.end());
  return out;
}

MIDTREAD_NAMESPACE_END

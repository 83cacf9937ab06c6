// SPDX-License-Identifier: MIT
// Convolution or linear + batch norm + ReLU, and add + ReLU, become one node each: found by data flow, or by
// names.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/graph/tracer.hpp>
#include <midtread/nn/fused.hpp>
#include <midtread/nn/quant_stub.hpp>
#include <midtread/ops/add_relu.hpp>
#include <midtread/qat/batch_norm_module.hpp>
#include <midtread/qat/layer.hpp>

MIDTREAD_NAMESPACE_BEGIN(passes)

/// Node names in the order they run: {"conv1", "bn1", "relu1"}.
using FuseGroups = std::vector<std::vector<std::string>>;

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes::detail)

MIDTREAD_ON_USE bool is_layer(const graph::Node& node) {
  return node.module && qat::as_layer(*node.module).has_value();
}
MIDTREAD_ON_USE bool is_batch_norm(const graph::Node& node) {
  return node.module && qat::visit_batch_norm(*node.module, [](const auto&) {});
}
MIDTREAD_ON_USE nn::FusedActivation activation_of(const graph::Node& node) {
  if (!node.operation) return nn::FusedActivation::kNone;
  if (ops::as<ops::Relu>(*node.operation)) return nn::FusedActivation::kRelu;
  if (ops::as<ops::Relu6>(*node.operation)) return nn::FusedActivation::kRelu6;
  return nn::FusedActivation::kNone;
}
MIDTREAD_ON_USE bool is_add(const graph::Node& node) {
  return node.operation && ops::as<ops::Add>(*node.operation);
}

/// Nodes that are in a group already.
using Taken = graph::NodeMap<char>;

/// Nodes that become one, in order.
struct Group {
  std::vector<const graph::Node*> nodes;
};

/// Empty if the batch norm can follow the layer, else why it cannot.
MIDTREAD_ON_USE std::string batch_norm_problem(const graph::Node& layer, const graph::Node& bn) {
  std::string problem;
  const std::int64_t out = qat::as_layer(*layer.module)->geometry.out_channels;
  qat::visit_batch_norm(*bn.module, [&](const auto& b) {
    if (b.options.num_features() != out)
      problem = concat("batch norm has num_features ", b.options.num_features(), ", the layer before it ",
                       out, " output channels");
    else if (!b.options.affine())
      problem = "only batch norm with affine=true can be fused";
    else if (!b.options.track_running_stats())
      problem = "only batch norm with track_running_stats=true can be fused";
    else if (b.training() != layer.module->training())
      problem = "layer and batch norm must both be in train mode or both in eval mode";
  });
  return problem;
}

MIDTREAD_ON_USE std::string types_of(const std::vector<const graph::Node*>& nodes) {
  std::string text;
  for (const graph::Node* node : nodes) text += (text.empty() ? "" : ", ") + node->type();
  return text;
}

/// What a list of nodes would become, or why it cannot: the one table of fusion patterns.
MIDTREAD_ON_USE std::string pattern_problem(const std::vector<const graph::Node*>& nodes) {
  const std::size_t n = nodes.size();
  const auto unknown = [&] {
    return "there is no fusion of (" + types_of(nodes) +
           "); known are Linear or Conv1d, Conv2d, ConvTranspose2d + BatchNorm and/or relu, relu6, and add + "
           "relu";
  };
  if (n < 2) return unknown();
  if (is_add(*nodes[0]))
    return n == 2 && activation_of(*nodes[1]) == nn::FusedActivation::kRelu ? "" : unknown();
  if (!is_layer(*nodes[0])) return unknown();
  std::size_t next = 1;
  if (is_batch_norm(*nodes[next])) {
    const std::string problem = batch_norm_problem(*nodes[0], *nodes[next]);
    if (!problem.empty()) return problem;
    ++next;
  }
  if (next < n && activation_of(*nodes[next]) != nn::FusedActivation::kNone) ++next;
  return next == n ? "" : unknown();
}

/// The group that starts at `first` in the data flow, as long as possible; one node: nothing to fuse.
MIDTREAD_ON_USE Group grow(const graph::GraphModule& graph, const graph::Node* first, Taken& taken) {
  Group group{{first}};
  for (;;) {
    const std::vector<graph::Node*> users = graph.users(group.nodes.back());
    if (users.size() != 1 || taken[users[0]] || users[0]->inputs.size() != 1) return group;
    std::vector<const graph::Node*> longer = group.nodes;
    longer.push_back(users[0]);
    if (!pattern_problem(longer).empty()) return group;
    group.nodes = longer;
  }
}

MIDTREAD_ON_USE Group named_group(const graph::GraphModule& graph, const std::vector<std::string>& names) {
  Group group;
  for (const std::string& name : names) {
    const graph::Node* node = graph.find(name);
    if (!node)
      throw ConfigError("fuse_modules",
                        "no node is called '" + printable(name) + "'; print the graph to see the names");
    group.nodes.push_back(node);
  }
  if (names.size() < 2)
    throw ConfigError("fuse_modules", "a group needs at least two names, got " + concat(names.size()));
  for (std::size_t i = 0; i + 1 < group.nodes.size(); ++i) {
    const std::vector<graph::Node*> users = graph.users(group.nodes[i]);
    for (const graph::Node* user : users)
      if (user != group.nodes[i + 1])
        throw ConfigError("fuse_modules", "'" + names[i] + "' is also read by '" + user->name +
                                              "', so it cannot be fused into '" + names[i + 1] + "'");
    if (users.empty())
      throw ConfigError("fuse_modules", "'" + names[i + 1] + "' does not read '" + names[i] + "'");
  }
  const std::string problem = pattern_problem(group.nodes);
  if (!problem.empty()) throw ConfigError("fuse_modules", "(" + names[0] + ", ...): " + problem);
  return group;
}

/// The declarations of HAT's fuse_model() hooks, with full paths.
MIDTREAD_ON_USE FuseGroups declared_groups(const graph::GraphModule& graph) {
  FuseGroups groups;
  IdentitySet asked;
  for (const auto& node : graph.nodes())
    for (const graph::Scope& scope : node->scopes) {
      if (!asked.insert(scope.module.get())) continue;
      for (std::vector<std::string> group : scope.module->fuse_model()) {
        for (std::string& name : group)
          if (!scope.path.empty()) name = scope.path + "." + name;
        groups.push_back(std::move(group));
      }
    }
  return groups;
}

MIDTREAD_ON_USE graph::GraphModule fuse(const graph::GraphModule& graph, const std::vector<Group>& groups) {
  graph::NodeMap<const Group*> ends(graph.nodes().size());  // last node -> its group
  graph::NodeMap<char> inner(graph.nodes().size());         // all but the last
  for (const Group& group : groups) {
    for (const graph::Node* node : group.nodes) inner[node] = node != group.nodes.back();
    ends[group.nodes.back()] = &group;
  }
  std::vector<std::shared_ptr<nn::FusedImpl>> made;  // one module for equal groups
  graph::NodeMapping mapped(graph.nodes().size());
  graph::GraphModule out;
  for (const auto& node : graph.nodes()) {
    if (inner[node.get()]) continue;
    graph::Node copy = *node;
    if (const Group* group = ends[node.get()]) {
      const std::vector<const graph::Node*>& nodes = group->nodes;
      copy = *nodes.front();
      copy.example_shape = node->example_shape;
      if (is_add(copy)) {
        copy.operation.reset(new ops::OperationOf<ops::AddRelu>(ops::AddRelu{}));
      } else {
        const std::shared_ptr<nn::Module> bn = is_batch_norm(*nodes[1]) ? nodes[1]->module : nullptr;
        const nn::FusedActivation activation = activation_of(*nodes.back());
        std::shared_ptr<nn::FusedImpl> fused;
        for (const auto& known : made)
          if (known->layer() == copy.module && known->bn() == bn && known->activation() == activation)
            fused = known;
        if (!fused) {
          fused.reset(new nn::FusedImpl(copy.module, bn, activation));
          made.push_back(fused);
        }
        copy.module = fused;
      }
    }
    mapped.apply(copy);
    mapped[node.get()] = out.add(std::move(copy));
  }
  out.graph::GraphModule::train(graph.training());
  graph::lint(out, "fuse_modules");
  return out;
}

MIDTREAD_ON_USE void take(const Group& group, Taken& taken, std::vector<Group>& groups) {
  for (const graph::Node* node : group.nodes)
    if (std::exchange(taken[node], true))
      throw ConfigError("fuse_modules", "'" + node->name + "' is in two groups");
  groups.push_back(group);
}

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes)

/// Fuses exactly these groups. Throws ConfigError for a name that is not there, nodes that do not follow each
/// other, and combinations without a fusion.
MIDTREAD_ON_USE graph::GraphModule fuse_modules(const graph::GraphModule& graph, const FuseGroups& names) {
  std::vector<detail::Group> groups;
  detail::Taken taken(graph.nodes().size());
  for (const auto& group : names) detail::take(detail::named_group(graph, group), taken, groups);
  return detail::fuse(graph, groups);
}

/// Fuses what the modules' fuse_model() declare, then everything that the data flow allows.
MIDTREAD_ON_USE graph::GraphModule fuse_modules(const graph::GraphModule& graph) {
  std::vector<detail::Group> groups;
  detail::Taken taken(graph.nodes().size());
  for (const auto& group : detail::declared_groups(graph))
    detail::take(detail::named_group(graph, group), taken, groups);
  for (const auto& node : graph.nodes()) {
    if (taken[node.get()] || !(detail::is_layer(*node) || detail::is_add(*node))) continue;
    const detail::Group group = detail::grow(graph, node.get(), taken);
    if (group.nodes.size() > 1) detail::take(group, taken, groups);
  }
  return detail::fuse(graph, groups);
}

/// Traces first.
template <class Impl>
graph::GraphModule fuse_modules(const nn::ModuleHolder<Impl>& model, const Tensor& example) {
  return fuse_modules(graph::trace(model, example));
}
template <class Impl>
graph::GraphModule fuse_modules(const nn::ModuleHolder<Impl>& model, const Tensor& example,
                                const FuseGroups& names) {
  return fuse_modules(graph::trace(model, example), names);
}

MIDTREAD_NAMESPACE_END

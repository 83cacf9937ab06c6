// SPDX-License-Identifier: MIT
// The invariants of a graph, checked at the end of every pass.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/graph/graph_module.hpp>

MIDTREAD_NAMESPACE_BEGIN(graph::detail)
MIDTREAD_ON_USE void collect_modules(const nn::Module& module, IdentitySet& seen) {
  if (!seen.insert(&module)) return;
  for (const auto& child : module.children()) collect_modules(*child.second, seen);
}
MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(graph)

/// Throws StateError naming the first node that breaks a rule: inputs come earlier and belong to the graph,
/// every node has what its kind needs, modules are in the tree, there is one output, at the end.
MIDTREAD_ON_USE void lint(const GraphModule& graph, const std::string& pass) {
  IdentitySet seen;
  IdentitySet owned;
  detail::collect_modules(graph, owned);
  const auto fail = [&](const Node& node, const std::string& what) {
    throw StateError(node.name, "after " + pass + ": " + what);
  };
  bool has_output = false;
  for (const auto& node : graph.nodes()) {
    if (has_output) fail(*node, "a node follows the output");
    for (const Node* input : node->inputs)
      if (input && !seen.contains(input))
        fail(*node, "reads '" + input->name + "', which does not come before it");
    if (node->kind == NodeKind::kModule && !node->module) fail(*node, "a module node without a module");
    if (node->module && !owned.contains(node->module.get()))
      fail(*node, "its module is not among the graph's children");
    if (node->kind == NodeKind::kFunction && !node->operation)
      fail(*node, "a function node without an operation");
    if ((node->kind == NodeKind::kInput || node->kind == NodeKind::kParameter) && !node->inputs.empty())
      fail(*node, "an input that reads another node");
    has_output = node->kind == NodeKind::kOutput;
    seen.insert(node.get());
  }
  if (!has_output) throw StateError(pass, "the graph has no output");
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// A graph as a table, and as DOT for Graphviz: nodes, what they are, what they read, quantizers and what
// stays float.
#pragma once

#include <midtread/core/columns.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/graph/graph_module.hpp>

#include <sstream>

MIDTREAD_NAMESPACE_BEGIN(graph::detail)

/// "QatConv2dReLU(3, 16, ...)", "max_pool2d(kernel 2x2, ...)".
MIDTREAD_ON_USE std::string target_text(const Node& node) {
  const std::string arguments = node.module      ? node.module->extra_repr()
                                : node.operation ? node.operation->attributes()
                                                 : "";
  return arguments.empty() ? node.type() : node.type() + "(" + arguments + ")";
}
MIDTREAD_ON_USE std::string input_text(const Node& node) {
  std::string text;
  for (const Node* input : node.inputs)
    text += (text.empty() ? "" : ", ") + (input ? input->name : std::string("none"));
  return text;
}
/// A QAT unit's quantizers, from its children.
MIDTREAD_ON_USE std::vector<std::string> quantizer_texts(const Node& node) {
  std::vector<std::string> out;
  if (!node.module) return out;
  for (const auto& child : node.module->children())
    if (child.first == "activation_post_process" || child.first == "weight_fake_quant")
      out.push_back((child.first == "weight_fake_quant" ? "weight: " : "output: ") +
                    child.second->extra_repr());
  return out;
}
MIDTREAD_ON_USE std::string quoted(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(graph)

/// One line a node: name, target, inputs; below it the unit's quantizers, or why it stays float.
MIDTREAD_ON_USE std::string to_text(const GraphModule& graph) {
  std::size_t width = 4, target_width = 6;
  for (const auto& node : graph.nodes()) {
    width = std::max(width, node->name.size());
    target_width = std::max(target_width, detail::target_text(*node).size());
  }
  target_width = std::min<std::size_t>(target_width, 70);
  std::ostringstream out;
  out << flush_left("node", width + 2) << flush_left("target", target_width + 2) << "inputs\n";
  for (const auto& node : graph.nodes()) {
    out << flush_left(node->name, width + 2) << flush_left(detail::target_text(*node), target_width + 2)
        << detail::input_text(*node) << '\n';
    for (const std::string& text : detail::quantizer_texts(*node))
      out << std::string(width + 4, ' ') << text << '\n';
    if (!node->note.empty()) out << std::string(width + 4, ' ') << "stays float: " << node->note << '\n';
  }
  return out.str();
}

/// For `dot -Tsvg`: QAT units green, float operations of a prepared graph orange.
MIDTREAD_ON_USE std::string to_dot(const GraphModule& graph) {
  std::ostringstream out;
  out << "digraph model {\n  node [shape=box, style=filled, fillcolor=white, fontname=monospace];\n";
  for (const auto& node : graph.nodes()) {
    std::string label = detail::quoted(node->name) + "\\n" + detail::quoted(detail::target_text(*node));
    const std::vector<std::string> quantizers = detail::quantizer_texts(*node);
    for (const std::string& text : quantizers) label += "\\n" + detail::quoted(text);
    const char* colour = !quantizers.empty() ? "palegreen" : !node->note.empty() ? "orange" : "white";
    out << "  \"" << detail::quoted(node->name) << "\" [label=\"" << label << "\", fillcolor=" << colour
        << "];\n";
  }
  for (const auto& node : graph.nodes())
    for (const Node* input : node->inputs)
      if (input)
        out << "  \"" << detail::quoted(input->name) << "\" -> \"" << detail::quoted(node->name) << "\";\n";
  out << "}\n";
  return out.str();
}

inline std::ostream& operator<<(std::ostream& out, const GraphModule& graph) { return out << to_text(graph); }

MIDTREAD_NAMESPACE_END

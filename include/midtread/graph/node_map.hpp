// SPDX-License-Identifier: MIT
// Something for every node of a graph, by the node's place in it.
#pragma once

#include <midtread/graph/node.hpp>

#include <vector>

MIDTREAD_NAMESPACE_BEGIN(graph)

/// What was not written is T().
template <class T>
class NodeMap {
 public:
  /// For a graph of `size` nodes.
  explicit NodeMap(std::size_t size) : values_(size) {}
  T& operator[](const Node* node) { return values_[node->index]; }

 private:
  std::vector<T> values_;
};

/// Node of one graph -> its copy in another; null stays null.
class NodeMapping {
 public:
  explicit NodeMapping(std::size_t size) : to_(size) {}
  Node*& operator[](const Node* node) { return to_[node]; }
  /// Replaces every input of `node`, a copy from the old graph; StateError if one has no copy yet.
  void apply(Node& node) {
    for (Node*& input : node.inputs) {
      if (!input) continue;
      Node* copy = to_[input];
      if (!copy)
        throw StateError(node.name, "reads '" + input->name + "', which the new graph does not have");
      input = copy;
    }
  }

 private:
  NodeMap<Node*> to_;
};

MIDTREAD_NAMESPACE_END

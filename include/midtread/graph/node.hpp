// SPDX-License-Identifier: MIT
// One step of a traced model: an input, a parameter, a leaf module's call, a free operation, or the output.
#pragma once

#include <midtread/nn/module.hpp>

#include <memory>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(graph)

enum class NodeKind { kInput, kParameter, kModule, kFunction, kOutput };

inline const char* to_string(NodeKind kind) {
  switch (kind) {
    case NodeKind::kInput: return "input";
    case NodeKind::kParameter: return "parameter";
    case NodeKind::kModule: return "module";
    case NodeKind::kFunction: return "function";
    case NodeKind::kOutput: return "output";
  }
  return "?";
}

/// A module of the source model on the way from the root to a node.
struct Scope {
  std::string path;  ///< "" is the root
  std::shared_ptr<nn::Module> module;
};

struct Node {
  NodeKind kind = NodeKind::kFunction;
  std::size_t index = 0;               ///< its place in the graph
  std::string name;                    ///< unique; a module's path, "path.op", "x#2" for a second call
  std::vector<Node*> inputs;           ///< null: an input that was not given (a missing bias)
  std::shared_ptr<nn::Module> module;  ///< kModule
  std::shared_ptr<const ops::Operation> operation;  ///< kFunction
  AnyTensor parameter;                              ///< kParameter: shared with its module
  std::vector<Scope> scopes;  ///< root first; the last is the module this node belongs to
  Shape example_shape;        ///< of its value when it was traced
  std::string note;           ///< why prepare_qat left it in float; empty otherwise
  bool stays_float = false;   ///< takes and gives real tensors without codes (set by prepare_qat)

  /// "Conv2d", "relu", "input".
  std::string type() const {
    if (module) return module->type_name();
    if (operation) return operation->name();
    return to_string(kind);
  }
};

MIDTREAD_NAMESPACE_END

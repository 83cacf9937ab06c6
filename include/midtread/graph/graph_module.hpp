// SPDX-License-Identifier: MIT
// A module whose forward is a list of nodes. Passes read one and return another; both share leaf modules.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/graph/node_map.hpp>

#include <functional>
#include <unordered_set>

MIDTREAD_NAMESPACE_BEGIN(graph)

/// Runs its nodes in order. Copies share the leaf modules; `clone()` is deep.
MIDTREAD_CLASS_ON_USE(GraphModule)
class BasicGraphModule : public nn::Module {
 public:
  /// Sees every node's value as it is computed.
  using Visitor = std::function<void(const Node&, const Tensor&)>;

  BasicGraphModule() = default;
  BasicGraphModule(const BasicGraphModule& other) : nn::Module() { assign(other); }
  BasicGraphModule& operator=(const BasicGraphModule& other) {
    if (this != &other) assign(other);
    return *this;
  }

  std::string type_name() const override { return "GraphModule"; }

  /// Nodes in the order they run; inputs of a node come before it.
  const std::vector<std::shared_ptr<Node>>& nodes() const noexcept { return nodes_; }
  /// Adds a node at the end, and its module or parameter to the tree of children under the node's name.
  Node* add(Node node) {
    if (find(node.name)) throw StateError(node.name, "two nodes of a graph have this name");
    node.index = nodes_.size();
    nodes_.push_back(std::shared_ptr<Node>(new Node(std::move(node))));
    Node* added = nodes_.back().get();
    if (added->module || added->kind == NodeKind::kParameter) own(*added);
    return added;
  }
  /// The node of this name, or null.
  Node* find(const std::string& name) const {
    for (const auto& node : nodes_)
      if (node->name == name) return node.get();
    return nullptr;
  }
  /// Nodes that read `node`, in order.
  std::vector<Node*> users(const Node* node) const {
    std::vector<Node*> out;
    for (const auto& n : nodes_)
      for (const Node* input : n->inputs)
        if (input == node) {
          out.push_back(n.get());
          break;
        }
    return out;
  }

  using nn::Module::forward;
  Tensor forward(const Tensor& input) override { return forward_many({input}).at(0); }
  Tensors forward_many(const Tensors& inputs) override { return run(inputs, nullptr); }
  Tensor operator()(const Tensor& input) { return forward(input); }
  Tensors operator()(const Tensors& inputs) { return forward_many(inputs); }

  /// forward_many that shows every value to `visitor`.
  Tensors run(const Tensors& inputs, const Visitor& visitor) {
    Tensors values(nodes_.size());
    std::vector<std::size_t> pending(nodes_.size());  // uses left
    for (const auto& node : nodes_)
      for (const Node* input : node->inputs)
        if (input) ++pending[input->index];
    std::size_t next_input = 0;
    Tensors outputs;
    for (const auto& node : nodes_) {
      Tensors in;
      for (const Node* input : node->inputs) {
        Tensor value = input ? values[input->index] : Tensor();
        if (node->stays_float && value.defined() && value.codes()) value = without_codes(value);
        in.push_back(std::move(value));
      }
      Tensor out;
      switch (node->kind) {
        case NodeKind::kInput:
          if (next_input >= inputs.size())
            throw ShapeError(node->name,
                             concat("the model takes more inputs than the ", inputs.size(), " given"));
          out = inputs[next_input++];
          if (out.codes()) out = without_codes(out);
          break;
        case NodeKind::kParameter: out = get_tensor<float>(node->parameter, node->name); break;
        case NodeKind::kModule: out = node->module->forward_many(in).at(0); break;
        case NodeKind::kFunction: out = node->operation->run(in, training()); break;
        case NodeKind::kOutput: outputs = in; break;
      }
      if (out.defined() && visitor) visitor(*node, out);
      for (const Node* input : node->inputs)
        if (input && --pending[input->index] == 0) values[input->index] = Tensor();
      values[node->index] = std::move(out);
    }
    if (next_input != inputs.size())
      throw ShapeError("GraphModule", concat("the model takes ", next_input, " inputs, got ", inputs.size()));
    return outputs;
  }

  /// A deep copy: own parameters, buffers and modules; what was shared inside stays shared inside.
  BasicGraphModule clone() const {
    CloneMap map;
    BasicGraphModule copy;
    NodeMapping mapped(nodes_.size());
    for (const auto& node : nodes_) {
      Node n = *node;
      mapped.apply(n);
      if (n.module) n.module = n.module->clone(map);
      if (n.kind == NodeKind::kParameter) n.parameter = cloned_tensor(n.parameter, map);
      mapped[node.get()] = copy.add(std::move(n));
    }
    copy.train(training());
    return copy;
  }

  using nn::Module::train;

 private:
  // A plain folder in the tree of names.
  class Container : public nn::Module {
   public:
    std::string type_name() const override { return "Module"; }
  };

  static Tensor without_codes(const Tensor& value) {
    Tensor plain = value.detach();
    plain.set_codes(nullptr);
    return autograd::attach("without_codes", plain, Tensors{value},
                            [](const Tensor& dy) { return Tensors{dy}; });
  }

  void own(const Node& node) {
    nn::Module* at = this;
    std::string rest = node.name;
    for (std::size_t dot; (dot = rest.find('.')) != std::string::npos; rest = rest.substr(dot + 1)) {
      const std::string head = rest.substr(0, dot);
      if (auto* child = at->children().find(head))
        at = child->get();
      else
        at = at->register_module(head, std::shared_ptr<nn::Module>(new Container)).get();
    }
    if (node.module) {
      bool owned_elsewhere = false;
      for (const auto& other : nodes_)
        owned_elsewhere = owned_elsewhere || (other.get() != &node && other->module == node.module);
      if (owned_elsewhere) return;
      const auto* known = at->children().find(rest);
      if (!known) {
        at->register_module(rest, node.module);
      } else if (*known != node.module) {
        // A folder stands here, for parameters that were read before the module ran: its contents go into the
        // module.
        const std::shared_ptr<nn::Module> folder = *known;
        at->replace_module(rest, node.module);
        for (const auto& p : folder->own_parameters()) keep(*node.module, p.first, p.second);
        for (const auto& child : folder->children())  // a copied graph's modules have them already
          if (!node.module->children().contains(child.first))
            node.module->register_module(child.first, child.second);
        for (const auto& b : folder->own_buffers())
          keep(*node.module, b.first, get_tensor<float>(b.second, b.first));
      }
    } else {
      keep(*at, rest, get_tensor<float>(node.parameter, node.name));
    }
  }
  // Registers a tensor that a node reads, unless a layer that runs as well owns it.
  static void keep(nn::Module& owner, const std::string& name, const Tensor& tensor) {
    if (owner.own_parameters().contains(name) || owner.own_buffers().contains(name)) return;
    if (tensor.requires_grad())
      owner.register_parameter(name, tensor);
    else
      owner.register_buffer(name, tensor);
  }

  void assign(const BasicGraphModule& other) {
    nodes_.clear();
    children() = {};
    own_parameters() = {};
    own_buffers() = {};
    NodeMapping mapped(other.nodes_.size());
    for (const auto& node : other.nodes_) {
      Node n = *node;
      mapped.apply(n);
      mapped[node.get()] = add(std::move(n));
    }
    train_self(other.training());
  }
  void train_self(bool on) {
    OrderedDict<Pointer> kept = children();
    children() = {};
    train(on);
    children() = kept;
  }

  std::vector<std::shared_ptr<Node>> nodes_;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// A recorded operation: where its inputs came from and how a gradient goes back through it.
#pragma once

#include <midtread/autograd/grad_mode.hpp>
#include <midtread/tensor/tensor.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace midtread_state {
inline std::atomic<std::uint64_t> next_node{0};
}

MIDTREAD_NAMESPACE_BEGIN(autograd)

/// Gradient of an operation's output to gradients of its inputs, in order; undefined where none is needed.
/// (Not a std::function: an operation has one of its own, and this costs the compiler a tenth.)
template <class Scalar>
class Backward {
 public:
  virtual ~Backward() = default;
  virtual std::vector<BasicTensor<Scalar>> operator()(const BasicTensor<Scalar>& gradient) = 0;
};

template <class Scalar, class Function>
class BackwardOf final : public Backward<Scalar> {
 public:
  explicit BackwardOf(Function function) : function_(std::move(function)) {}
  std::vector<BasicTensor<Scalar>> operator()(const BasicTensor<Scalar>& gradient) override {
    return function_(gradient);
  }

 private:
  Function function_;
};

template <class Scalar>
class Node final : public NodeBase, public std::enable_shared_from_this<Node<Scalar>> {
 public:
  using T = BasicTensor<Scalar>;
  /// The way to one input: the node that made it, or the leaf itself, or nothing.
  struct Edge {
    std::shared_ptr<Node> node;
    T leaf;
  };

  Node(const char* operation, const std::vector<T>& inputs, std::unique_ptr<Backward<Scalar>> backward)
      : name(operation), sequence(midtread_state::next_node++), backward_(std::move(backward)) {
    edges.reserve(inputs.size());
    for (const T& input : inputs) {
      Edge edge;
      if (input.defined() && input.requires_grad()) {
        if (input.is_leaf())
          edge.leaf = input;
        else
          edge.node = std::static_pointer_cast<Node>(input.grad_fn());
      }
      edges.push_back(std::move(edge));
    }
  }

  /// A chain of a million nodes must not recurse a million times when it goes.
  ~Node() override {
    std::vector<std::shared_ptr<Node>> pending;
    release_into(pending);
    while (!pending.empty()) {
      std::shared_ptr<Node> node = std::move(pending.back());
      pending.pop_back();
      if (node.use_count() == 1) node->release_into(pending);
    }
  }

  void run_backward(const std::shared_ptr<TensorImpl>& gradient,
                    bool retain) override;  // autograd/engine.hpp

  std::vector<T> apply(const T& gradient, bool retain) {
    if (!backward_)
      throw StateError(
          name,
          "backward ran through this operation already and its saved values are gone; call forward again");
    std::vector<T> out = (*backward_)(gradient);
    if (!retain) backward_ = nullptr;
    return out;
  }

  const char* name;
  std::uint64_t sequence;  ///< later operations have larger numbers
  std::vector<Edge> edges;

 private:
  // The saved values may hold the only handles on earlier nodes: they go together with the edges.
  void release_into(std::vector<std::shared_ptr<Node>>& pending) {
    for (Edge& edge : edges)
      if (edge.node) pending.push_back(std::move(edge.node));
    edges.clear();
    backward_ = nullptr;
  }

  std::unique_ptr<Backward<Scalar>> backward_;
};

/// Whether an operation on these inputs must be recorded.
template <class Scalar>
bool needs_grad(const std::vector<BasicTensor<Scalar>>& inputs) {
  if (!grad_enabled()) return false;
  for (const auto& input : inputs)
    if (input.defined() && input.requires_grad()) return true;
  return false;
}

template <class Scalar>
void set_history(const char* name, const BasicTensor<Scalar>& output,
                 const std::vector<BasicTensor<Scalar>>& inputs, std::unique_ptr<Backward<Scalar>> backward) {
  output.set_grad_fn(std::make_shared<Node<Scalar>>(name, inputs, std::move(backward)));
}

/// Makes `output` the result of an operation on `inputs`. `backward` must not hold `output` itself (a cycle):
/// let it hold output.detach().
template <class Scalar, class Function>
BasicTensor<Scalar> attach(const char* name, BasicTensor<Scalar> output,
                           const std::vector<BasicTensor<Scalar>>& inputs, Function backward) {
  if (needs_grad(inputs))
    set_history(name, output, inputs,
                std::unique_ptr<Backward<Scalar>>(new BackwardOf<Scalar, Function>(std::move(backward))));
  return output;
}

MIDTREAD_NAMESPACE_END

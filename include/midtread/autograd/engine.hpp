// SPDX-License-Identifier: MIT
// The backward pass: nodes in the reverse order of their making, gradients summed in that fixed order.
#pragma once

#include <midtread/autograd/node.hpp>
#include <midtread/core/fp_env.hpp>
#include <midtread/core/identity_map.hpp>
#include <midtread/core/parallel.hpp>

#include <algorithm>

MIDTREAD_NAMESPACE_BEGIN(autograd)
MIDTREAD_VECTORIZE_BEGIN

/// a + b, in the memory order of a. The gradients of a tensor that is used twice.
template <class Scalar>
BasicTensor<Scalar> sum_of(const BasicTensor<Scalar>& a, const BasicTensor<Scalar>& b) {
  if (a.shape() != b.shape())
    throw ShapeError("backward", concat("gradients of shapes ", a.shape(), " and ", b.shape(), " meet at one tensor"));
  BasicTensor<Scalar> out(a.shape(), a.is_channels_last() ? channels_last_strides(a.shape()) : contiguous_strides(a.shape()));
  const BasicTensor<Scalar> x = a.has_strides(out.strides()) ? a : BasicTensor<Scalar>(out.shape(), out.strides()).copy_(a);
  const BasicTensor<Scalar> y = b.has_strides(out.strides()) ? b : BasicTensor<Scalar>(out.shape(), out.strides()).copy_(b);
  Scalar* MIDTREAD_RESTRICT to = out.mutable_data();
  const Scalar *px = x.data(), *py = y.data();
  parallel_for(0, out.numel(), 1 << 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) to[i] = px[i] + py[i];
  });
  return out;
}

template <class Scalar>
void accumulate_into_leaf(const BasicTensor<Scalar>& leaf, const BasicTensor<Scalar>& gradient) {
  if (gradient.shape() != leaf.shape())
    throw ShapeError("backward", concat("gradient of shape ", gradient.shape(), " for a leaf of shape ", leaf.shape()));
  const BasicTensor<Scalar> before = leaf.grad();
  leaf.set_grad(before.defined() ? sum_of(before, gradient) : gradient.detach());
}

template <class Scalar>
void Node<Scalar>::run_backward(const std::shared_ptr<TensorImpl>& gradient, bool retain) {
  const FpEnvGuard fp_env;
  const NoGradGuard no_grad;
  std::vector<std::shared_ptr<Node>> order{this->shared_from_this()};
  IdentitySet seen;
  seen.insert(this);
  for (std::size_t i = 0; i < order.size(); ++i)
    for (const Edge& edge : order[i]->edges)
      if (edge.node && seen.insert(edge.node.get())) order.push_back(edge.node);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a->sequence > b->sequence; });

  IdentityMap<T> gradients;
  gradients[this] = T::of(gradient);
  for (const std::shared_ptr<Node>& node : order) {
    T* found = gradients.find(node.get());
    if (!found) continue;
    const T incoming = std::move(*found);
    const std::vector<T> outgoing = node->apply(incoming, retain);
    if (outgoing.size() != node->edges.size())
      throw StateError(node->name, concat("backward gave ", outgoing.size(), " gradients for ", node->edges.size(), " inputs"));
    for (std::size_t i = 0; i < outgoing.size(); ++i) {
      if (!outgoing[i].defined()) continue;
      const Edge& edge = node->edges[i];
      if (edge.leaf.defined()) accumulate_into_leaf(edge.leaf, outgoing[i]);
      if (!edge.node) continue;
      T& sum = gradients[edge.node.get()];
      sum = sum.defined() ? sum_of(sum, outgoing[i]) : outgoing[i];
    }
  }
}

MIDTREAD_VECTORIZE_END
MIDTREAD_NAMESPACE_END

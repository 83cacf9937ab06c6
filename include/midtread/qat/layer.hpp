// SPDX-License-Identifier: MIT
// What a convolution or linear layer looks like to a QAT unit: its sizes and its float operation.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/nn/conv1d.hpp>
#include <midtread/nn/conv2d.hpp>
#include <midtread/nn/conv_transpose2d.hpp>
#include <midtread/nn/linear.hpp>
#include <midtread/quantized/conv.hpp>

#include <memory>
#include <optional>

MIDTREAD_NAMESPACE_BEGIN(qat)

struct Layer {
  quantized::ConvGeometry geometry;
  std::shared_ptr<const ops::Operation> operation;

  /// The float operation; `weight` output channel first.
  Tensor run(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    const Tensor native = geometry.transposed ? swap_major(weight) : weight;
    return operation->run({x, native, bias}, false);
  }
  /// The layer's own weight with the output channel first: [O, ...]. Differentiable.
  Tensor output_major(const Tensor& weight) const {
    return geometry.transposed ? swap_major(weight) : weight;
  }

 private:
  // [I, O/g, kH, kW] <-> [O, I/g, kH, kW]: its own inverse.
  Tensor swap_major(const Tensor& weight) const {
    const std::int64_t groups = geometry.groups;
    return autograd::attach(
        "swap_major", quantized::output_major_to_transposed(weight, groups), Tensors{weight},
        [groups](const Tensor& dy) { return Tensors{quantized::output_major_to_transposed(dy, groups)}; });
  }
};

/// The layer in `module`, or nothing if it is of another kind.
MIDTREAD_ON_USE std::optional<Layer> as_layer(const nn::Module& module) {
  Layer layer;
  quantized::ConvGeometry& g = layer.geometry;
  const auto channels = [&g](const auto& options) {
    g.in_channels = options.in_channels();
    g.out_channels = options.out_channels();
    g.groups = options.groups();
  };
  if (const auto* linear = dynamic_cast<const nn::LinearImpl*>(&module)) {
    g.rank = 2;
    g.in_channels = linear->weight.size(1);
    g.out_channels = linear->weight.size(0);
    layer.operation = ops::make_operation(linear->operation());
  } else if (const auto* conv1d = dynamic_cast<const nn::Conv1dImpl*>(&module)) {
    const nn::Conv1dOptions& o = conv1d->options;
    g.rank = 3;
    channels(o);
    g.kernel = {1, o.kernel_size()};
    g.stride = {1, o.stride()};
    g.padding = {0, o.padding()};
    g.dilation = {1, o.dilation()};
    layer.operation = ops::make_operation(conv1d->operation());
  } else if (const auto* conv2d = dynamic_cast<const nn::Conv2dImpl*>(&module)) {
    channels(conv2d->options);
    const ops::Conv2d op = conv2d->operation();
    g.kernel = {conv2d->weight.size(2), conv2d->weight.size(3)};
    g.stride = op.stride;
    g.padding = op.padding;
    g.dilation = op.dilation;
    layer.operation = ops::make_operation(op);
  } else if (const auto* transposed = dynamic_cast<const nn::ConvTranspose2dImpl*>(&module)) {
    channels(transposed->options);
    const ops::ConvTranspose2d op = transposed->operation();
    g.transposed = true;
    g.kernel = {transposed->weight.size(2), transposed->weight.size(3)};
    g.stride = op.stride;
    g.padding = op.padding;
    g.dilation = op.dilation;
    g.output_padding = op.output_padding;
    layer.operation = ops::make_operation(op);
  } else {
    return std::nullopt;
  }
  return layer;
}

MIDTREAD_NAMESPACE_END

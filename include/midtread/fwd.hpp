// SPDX-License-Identifier: MIT
// Declarations of the public types, for headers that only name them.
#pragma once

#include <midtread/core/platform.hpp>

#include <vector>

MIDTREAD_ROOT_NAMESPACE_BEGIN

class Error;
class Generator;
class Shape;
struct QParams;
struct ChannelQParams;
template <class Scalar>
class BasicTensor;
using Tensor = BasicTensor<float>;
using Tensors = std::vector<Tensor>;

namespace nn {
template <class Scalar>
class BasicModule;
using Module = BasicModule<float>;
template <class Impl>
class ModuleHolder;
}  // namespace nn

namespace optim {
class Optimizer;
}

namespace quant {
class AnyQConfig;
class FakeQuantizeBase;
class ObserverBase;
class QConfigMapping;
}  // namespace quant

namespace graph {
class GraphModule;
struct Node;
}  // namespace graph

namespace quantized {
class Model;
class Operator;
class Tensor;
class Workspace;
}  // namespace quantized

MIDTREAD_ROOT_NAMESPACE_END

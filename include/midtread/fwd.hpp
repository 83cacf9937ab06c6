// SPDX-License-Identifier: MIT
// Declarations of the public types, for headers that only name them.
#pragma once

#include <midtread/core/on_use.hpp>

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

MIDTREAD_ROOT_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(nn)
template <class Scalar>
class BasicModule;
using Module = BasicModule<float>;
template <class Impl>
class ModuleHolder;
MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(optim)
class Optimizer;
MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(quant)
class AnyQConfig;
class FakeQuantizeBase;
class ObserverBase;
class QConfigMapping;
MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(graph)
MIDTREAD_FORWARD_ON_USE(GraphModule)
struct Node;
MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(quantized)
MIDTREAD_FORWARD_ON_USE(Model)
class Operator;
class Tensor;
MIDTREAD_FORWARD_ON_USE(Workspace)
MIDTREAD_NAMESPACE_END

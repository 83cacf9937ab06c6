// SPDX-License-Identifier: MIT
// Activation functions as modules.
#pragma once

#include <midtread/nn/operation_module.hpp>
#include <midtread/ops/activation.hpp>
#include <midtread/ops/softmax.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

template <class Scalar>
class BasicReLUImpl : public OperationModule<BasicReLUImpl<Scalar>, ops::Relu, Scalar> {
 public:
  std::string type_name() const override { return "ReLU"; }
};

template <class Scalar>
class BasicReLU6Impl : public OperationModule<BasicReLU6Impl<Scalar>, ops::Relu6, Scalar> {
 public:
  std::string type_name() const override { return "ReLU6"; }
};

template <class Scalar>
class BasicSiLUImpl : public OperationModule<BasicSiLUImpl<Scalar>, ops::Silu, Scalar> {
 public:
  std::string type_name() const override { return "SiLU"; }
};

template <class Scalar>
class BasicGELUImpl : public OperationModule<BasicGELUImpl<Scalar>, ops::Gelu, Scalar> {
 public:
  std::string type_name() const override { return "GELU"; }
};

template <class Scalar>
class BasicHardswishImpl : public OperationModule<BasicHardswishImpl<Scalar>, ops::Hardswish, Scalar> {
 public:
  std::string type_name() const override { return "Hardswish"; }
};

template <class Scalar>
class BasicHardsigmoidImpl : public OperationModule<BasicHardsigmoidImpl<Scalar>, ops::Hardsigmoid, Scalar> {
 public:
  std::string type_name() const override { return "Hardsigmoid"; }
};

template <class Scalar>
class BasicSigmoidImpl : public OperationModule<BasicSigmoidImpl<Scalar>, ops::Sigmoid, Scalar> {
 public:
  std::string type_name() const override { return "Sigmoid"; }
};

template <class Scalar>
class BasicTanhImpl : public OperationModule<BasicTanhImpl<Scalar>, ops::Tanh, Scalar> {
 public:
  std::string type_name() const override { return "Tanh"; }
};

template <class Scalar>
class BasicLeakyReLUImpl : public OperationModule<BasicLeakyReLUImpl<Scalar>, ops::LeakyRelu, Scalar> {
 public:
  explicit BasicLeakyReLUImpl(double slope = 0.01)
      : OperationModule<BasicLeakyReLUImpl<Scalar>, ops::LeakyRelu, Scalar>(ops::LeakyRelu{slope}) {}
  std::string type_name() const override { return "LeakyReLU"; }
  std::string extra_repr() const override { return concat("negative_slope=", this->operation_.slope); }
};

template <class Scalar>
class BasicELUImpl : public OperationModule<BasicELUImpl<Scalar>, ops::Elu, Scalar> {
 public:
  explicit BasicELUImpl(double alpha = 1.0)
      : OperationModule<BasicELUImpl<Scalar>, ops::Elu, Scalar>(ops::Elu{alpha}) {}
  std::string type_name() const override { return "ELU"; }
  std::string extra_repr() const override { return concat("alpha=", this->operation_.alpha); }
};

template <class Scalar>
class BasicHardtanhImpl : public OperationModule<BasicHardtanhImpl<Scalar>, ops::Clamp, Scalar> {
 public:
  explicit BasicHardtanhImpl(double min = -1.0, double max = 1.0)
      : OperationModule<BasicHardtanhImpl<Scalar>, ops::Clamp, Scalar>(ops::Clamp{min, max}) {}
  std::string type_name() const override { return "Hardtanh"; }
  std::string extra_repr() const override {
    return concat("min_val=", this->operation_.min, ", max_val=", this->operation_.max);
  }
};

template <class Scalar>
class BasicSoftmaxImpl : public OperationModule<BasicSoftmaxImpl<Scalar>, ops::Softmax, Scalar> {
 public:
  explicit BasicSoftmaxImpl(int dim = -1)
      : OperationModule<BasicSoftmaxImpl<Scalar>, ops::Softmax, Scalar>(ops::Softmax{dim}) {}
  std::string type_name() const override { return "Softmax"; }
  std::string extra_repr() const override { return concat("dim=", this->operation_.dim); }
};

template <class Scalar>
class BasicLogSoftmaxImpl : public OperationModule<BasicLogSoftmaxImpl<Scalar>, ops::LogSoftmax, Scalar> {
 public:
  explicit BasicLogSoftmaxImpl(int dim = -1)
      : OperationModule<BasicLogSoftmaxImpl<Scalar>, ops::LogSoftmax, Scalar>(ops::LogSoftmax{dim}) {}
  std::string type_name() const override { return "LogSoftmax"; }
  std::string extra_repr() const override { return concat("dim=", this->operation_.dim); }
};

using ReLUImpl = BasicReLUImpl<float>;
using ReLU6Impl = BasicReLU6Impl<float>;
using SiLUImpl = BasicSiLUImpl<float>;
using GELUImpl = BasicGELUImpl<float>;
using HardswishImpl = BasicHardswishImpl<float>;
using HardsigmoidImpl = BasicHardsigmoidImpl<float>;
using SigmoidImpl = BasicSigmoidImpl<float>;
using TanhImpl = BasicTanhImpl<float>;
using LeakyReLUImpl = BasicLeakyReLUImpl<float>;
using ELUImpl = BasicELUImpl<float>;
using HardtanhImpl = BasicHardtanhImpl<float>;
using SoftmaxImpl = BasicSoftmaxImpl<float>;
using LogSoftmaxImpl = BasicLogSoftmaxImpl<float>;
MIDTREAD_MODULE(ReLU);
MIDTREAD_MODULE(ReLU6);
MIDTREAD_MODULE(SiLU);
MIDTREAD_MODULE(GELU);
MIDTREAD_MODULE(Hardswish);
MIDTREAD_MODULE(Hardsigmoid);
MIDTREAD_MODULE(Sigmoid);
MIDTREAD_MODULE(Tanh);
MIDTREAD_MODULE(LeakyReLU);
MIDTREAD_MODULE(ELU);
MIDTREAD_MODULE(Hardtanh);
MIDTREAD_MODULE(Softmax);
MIDTREAD_MODULE(LogSoftmax);

MIDTREAD_NAMESPACE_END

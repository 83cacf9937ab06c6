// SPDX-License-Identifier: MIT
// PyTorch's manual markers. Tracing makes them unnecessary; models that have them work.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/nn/module_holder.hpp>
#include <midtread/ops/add_relu.hpp>
#include <midtread/ops/concat.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Identity; prepare_qat puts the fake quantize of the model's input here.
class QuantStubImpl : public Leaf<QuantStubImpl> {
 public:
  Tensor forward(const Tensor& x) override {
    return record_leaf({x},
                       [&] {
                         return Tensors{autograd::attach("quant_stub", x.detach(), Tensors{x},
                                                         [](const Tensor& dy) { return Tensors{dy}; })};
                       })
        .at(0);
  }
  std::string type_name() const override { return "QuantStub"; }
};
MIDTREAD_MODULE(QuantStub);

/// Identity; from here on tensors are real.
class DeQuantStubImpl : public Leaf<DeQuantStubImpl> {
 public:
  Tensor forward(const Tensor& x) override {
    return record_leaf({x},
                       [&] {
                         Tensor y = x.detach();
                         y.set_codes(nullptr);
                         return Tensors{autograd::attach("dequant_stub", y, Tensors{x},
                                                         [](const Tensor& dy) { return Tensors{dy}; })};
                       })
        .at(0);
  }
  std::string type_name() const override { return "DeQuantStub"; }
};
MIDTREAD_MODULE(DeQuantStub);

/// Operations as a module, so that each has a name and an observer. One instance per call site.
class FloatFunctionalImpl : public Leaf<FloatFunctionalImpl> {
 public:
  Tensor forward(const Tensor&) override {
    throw UnsupportedError("FloatFunctional",
                           "call add, mul, cat, add_relu, add_scalar or mul_scalar, not forward");
  }
  std::string type_name() const override { return "FloatFunctional"; }

  MIDTREAD_ON_USE Tensor add(const Tensor& a, const Tensor& b) {
    return inside([&] { return a + b; });
  }
  MIDTREAD_ON_USE Tensor add_scalar(const Tensor& a, double value) {
    return inside([&] { return a + value; });
  }
  MIDTREAD_ON_USE Tensor mul(const Tensor& a, const Tensor& b) {
    return inside([&] { return a * b; });
  }
  MIDTREAD_ON_USE Tensor mul_scalar(const Tensor& a, double value) {
    return inside([&] { return a * value; });
  }
  MIDTREAD_ON_USE Tensor add_relu(const Tensor& a, const Tensor& b) {
    return inside([&] { return midtread::add_relu(a, b); });
  }
  MIDTREAD_ON_USE Tensor cat(const Tensors& tensors, int dim) {
    return inside([&] { return midtread::cat(tensors, dim); });
  }

 private:
  template <class Body>
  Tensor inside(const Body& body) {
    ops::Recorder* to = ops::recorder();
    if (!to) return body();
    to->enter(*this);
    struct Leave {
      ops::Recorder* recorder;
      ~Leave() { recorder->leave(); }
    } leave{to};
    return body();
  }
};
MIDTREAD_MODULE(FloatFunctional);

MIDTREAD_NAMESPACE_END

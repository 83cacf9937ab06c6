// SPDX-License-Identifier: MIT
// A free-standing fake quantize: at a graph input, a QuantStub, or the output of a float operation.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/qat/unit.hpp>
#include <midtread/quantized/quantize.hpp>

MIDTREAD_NAMESPACE_BEGIN(qat)

MIDTREAD_CLASS_ON_USE(QuantizeUnit)
class BasicQuantizeUnit final : public Unit {
 public:
  BasicQuantizeUnit(const std::string& path, std::shared_ptr<quant::FakeQuantizeBase> post)
      : Unit(path, std::move(post)) {}
  std::string type_name() const override { return "QatQuantize"; }
  Tensor forward(const Tensor& x) override {
    return record_leaf({x}, [&] { return Tensors{compute(x)}; }).at(0);
  }
  std::shared_ptr<const quantized::Operator> lower(const std::vector<QParams>&) const override {
    return quantized::make_operator<quantized::Quantize>(path(), output_qparams());
  }

 protected:
  Pointer shallow_copy() const override { return Pointer(new BasicQuantizeUnit(*this)); }

 private:
  Tensor compute(const Tensor& x) {
    quantized::require_finite(x, path());
    return activation_post_process().forward(x);
  }
};

MIDTREAD_NAMESPACE_END

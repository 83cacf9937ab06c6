// SPDX-License-Identifier: MIT
// The borders of an int8 model: real numbers to codes and back.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/operator.hpp>

#include <cstring>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// Throws NumericError naming `where` if a value is NaN or infinite.
MIDTREAD_ON_USE void require_finite(const midtread::Tensor& x, const std::string& where) {
  const float* p = x.data();
  const std::int64_t n = x.numel();
  if (x.is_dense()) {
    std::uint32_t worst = 0;  // largest exponent field
    for (std::int64_t i = 0; i < n; ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, p + i, 4);
      bits &= 0x7f800000u;
      worst = worst > bits ? worst : bits;
    }
    if (worst != 0x7f800000u) return;
  }
  std::int64_t bad = 0, first = -1, index = 0;
  midtread::Tensor::for_each_offset(x.shape(), x.strides(), [&](std::int64_t at) {
    if (!std::isfinite(p[at]) && bad++ == 0) first = index;
    ++index;
  });
  if (bad)
    throw NumericError(
        where, concat(bad, " non-finite of ", n, " values, first at index ", first, " of shape ", x.shape()));
}

MIDTREAD_CLASS_ON_USE(Quantize)
class BasicQuantize final : public Operator {
 public:
  BasicQuantize(std::string name, const QParams& qparams) : name_(std::move(name)), qparams_(qparams) {}
  std::string kind() const override { return "quantize"; }
  Form form(const Forms& inputs) const override {
    require_count(inputs, 1, kind());
    return {real_form(inputs, 0, kind()).shape, qparams_};
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    const midtread::Tensor& x = real_input(inputs, 0, "quantize");
    require_finite(x, name_);
    const kernels::QuantizeParams p = kernels::engine_params(qparams_);
    std::uint8_t* to = codes_of(output);
    const Shape& strides = std::get<Tensor>(output).stored().strides();
    if (x.has_strides(strides)) {
      kernel_->run(x.data(), to, x.numel(), p);
    } else {
      const float inverse = kernels::reciprocal(p.scale);
      midtread::Tensor::for_each_offset_pair(
          x.shape(), strides, x.strides(), [&](std::int64_t a, std::int64_t b) {
            to[a] = static_cast<std::uint8_t>(
                kernels::quantize_code(x.data()[b], inverse, p.zero_point, p.range, p.rounding));
          });
    }
  }
  std::shared_ptr<const Operator> bind(const kernels::KernelSet& kernels) const override {
    auto* bound = new BasicQuantize(*this);
    std::shared_ptr<const Operator> owner(bound);
    bound->kernel_ = kernels->quantize;
    return owner;
  }
  std::string kernel_label() const override { return kernel_ ? kernel_->label : ""; }
  const QParams& qparams() const { return qparams_; }
  Record save() const override {
    Record r;
    r.kind = kind();
    r.numbers.insert("output", to_numbers(qparams_));
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    return make_operator<BasicQuantize>(where, RecordReader(record, where).qparams("output"));
  }

 private:
  std::string name_;
  QParams qparams_;
  const kernels::QuantizeKernel* kernel_ = nullptr;
};

MIDTREAD_CLASS_ON_USE(Dequantize)
class BasicDequantize final : public Operator {
 public:
  std::string kind() const override { return "dequantize"; }
  Form form(const Forms& inputs) const override {
    require_count(inputs, 1, kind());
    return {codes_form(inputs, 0, kind()).shape, std::nullopt};
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    const Tensor& x = quantized_input(inputs, 0, "dequantize");
    kernel_->run(x.stored().data(), std::get<midtread::Tensor>(output).mutable_data(), x.numel(),
                 {x.qparams().scale, x.stored_zero_point()});
  }
  std::shared_ptr<const Operator> bind(const kernels::KernelSet& kernels) const override {
    auto* bound = new BasicDequantize(*this);
    std::shared_ptr<const Operator> owner(bound);
    bound->kernel_ = kernels->dequantize;
    return owner;
  }
  std::string kernel_label() const override { return kernel_ ? kernel_->label : ""; }
  Record save() const override {
    Record r;
    r.kind = kind();
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record&, const std::string&) {
    return make_operator<BasicDequantize>();
  }

 private:
  const kernels::DequantizeKernel* kernel_ = nullptr;
};

MIDTREAD_NAMESPACE_END

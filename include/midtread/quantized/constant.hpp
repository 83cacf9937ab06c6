// SPDX-License-Identifier: MIT
// A parameter or buffer that the model's forward reads directly, as codes or as real numbers.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/operator.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

MIDTREAD_CLASS_ON_USE(Constant)
class BasicConstant final : public Operator {
 public:
  explicit BasicConstant(Value value) : value_(std::move(value)) {}
  std::string kind() const override { return "constant"; }
  Form form(const Forms& inputs) const override {
    require_count(inputs, 0, kind());
    return form_of(value_);
  }
  void run(const Values&, Value& output, Workspace&) const override { output = value_; }
  std::int64_t parameter_bytes() const override {
    if (const auto* codes = std::get_if<Tensor>(&value_)) return codes->numel();
    return 4 * std::get<midtread::Tensor>(value_).numel();
  }
  Record save() const override {
    Record r;
    r.kind = kind();
    if (const auto* codes = std::get_if<Tensor>(&value_)) {
      r.numbers.insert("output", to_numbers(codes->qparams()));
      r.tensors.insert("codes", codes->stored().contiguous());
    } else {
      const midtread::Tensor& value = std::get<midtread::Tensor>(value_);
      r.numbers.insert("channels_last", {value.is_channels_last() && !value.is_contiguous() ? 1.0 : 0.0});
      r.tensors.insert("value", value.contiguous());
    }
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    const RecordReader in(record, where);
    if (in.has_tensor("value")) {
      const midtread::Tensor value = in.tensor<float>("value", record.tensors.at("value").shape());
      return make_operator<BasicConstant>(
          Value(in.integer("channels_last", 0, 1) ? value.channels_last() : value));
    }
    const QParams q = in.qparams("output");
    const kernels::QuantizeParams stored = kernels::engine_params(q);
    if (!in.has_tensor("codes")) throw FormatError(where, "misses the tensor 'codes'");
    const auto codes = in.tensor<std::uint8_t>("codes", record.tensors.at("codes").shape());
    for (std::int64_t i = 0; i < codes.numel(); ++i)
      if (codes.data()[i] < stored.range.quant_min || codes.data()[i] > stored.range.quant_max)
        throw FormatError(where, "'codes' holds a code outside the range");
    return make_operator<BasicConstant>(Value(Tensor(codes.channels_last(), q)));
  }

 private:
  Value value_;
};

MIDTREAD_NAMESPACE_END

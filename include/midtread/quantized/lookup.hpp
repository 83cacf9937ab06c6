// SPDX-License-Identifier: MIT
// Any function of one code: y = table[x]. Standing activations, relu and clamp included.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/codewise.hpp>

#include <array>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// Indexed by stored codes, holding stored codes. Saved with a model, never rebuilt on another machine.
using Table = std::array<std::uint8_t, 256>;

/// entry = quantize(f(dequantize(q))), f in float32.
template <class Function>
Table pointwise_table(const QParams& x, const QParams& y, const Function& f) {
  const kernels::QuantizeParams in = kernels::engine_params(x), out = kernels::engine_params(y);
  Table table{};
  const float inverse = kernels::reciprocal(out.scale);
  for (std::int32_t q = 0; q < 256; ++q) {
    const float value = f(kernels::dequantize(q, in.zero_point, in.scale));
    table[static_cast<std::size_t>(q)] = static_cast<std::uint8_t>(
        kernels::quantize_code(value, inverse, out.zero_point, out.range, out.rounding));
  }
  return table;
}

/// clamp(q, lo, hi) with bounds in the declared dtype.
MIDTREAD_ON_USE Table clamp_table(const QParams& x, CodeRange bounds) {
  const std::int32_t shift = storage_shift(x.dtype);
  Table table{};
  for (std::int32_t q = 0; q < 256; ++q)
    table[static_cast<std::size_t>(q)] =
        static_cast<std::uint8_t>(std::max(bounds.quant_min + shift, std::min(bounds.quant_max + shift, q)));
  return table;
}

MIDTREAD_CLASS_ON_USE(Lookup)
class BasicLookup final : public Codewise {
 public:
  /// `function` names it in summaries ("relu", "sigmoid").
  BasicLookup(std::string function, const Table& table, const QParams& y)
      : function_(std::move(function)), table_(table), y_(y) {}
  std::string kind() const override { return "lookup"; }
  const std::string& function() const { return function_; }
  Form form(const Forms& inputs) const override {
    require_count(inputs, 1, kind());
    return {codes_form(inputs, 0, kind()).shape, y_};
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    const Tensor& x = quantized_input(inputs, 0, "lookup");
    kernel_->run(table_.data(), x.stored().data(), codes_of(output), x.numel());
  }
  bool is_codewise(const Forms&) const override { return true; }
  void run_codes(const Values&, const std::uint8_t* const* x, std::int64_t count,
                 std::uint8_t* y) const override {
    kernel_->run(table_.data(), x[0], y, count);
  }
  std::shared_ptr<const Operator> bind(const kernels::KernelSet& kernels) const override {
    auto* bound = new BasicLookup(*this);
    std::shared_ptr<const Operator> owner(bound);
    bound->kernel_ = kernels->lookup;
    return owner;
  }
  std::string kernel_label() const override { return kernel_ ? kernel_->label : ""; }
  std::int64_t parameter_bytes() const override { return 256; }
  Record save() const override {
    Record r;
    r.kind = kind();
    r.numbers.insert("output", to_numbers(y_));
    BasicTensor<std::uint8_t> table(Shape{256});
    std::copy(table_.begin(), table_.end(), table.mutable_data());
    r.tensors.insert("table", table);
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    const RecordReader in(record, where);
    const QParams y = in.qparams("output");
    const kernels::QuantizeParams stored = kernels::engine_params(y);
    const BasicTensor<std::uint8_t> values = in.tensor<std::uint8_t>("table", Shape{256});
    Table table{};
    for (std::size_t i = 0; i < 256; ++i) {
      table[i] = values.data()[i];
      if (table[i] < stored.range.quant_min || table[i] > stored.range.quant_max)
        throw FormatError(where,
                          concat("table entry ", i, " is ", int{table[i]}, ", outside the code range"));
    }
    return make_operator<BasicLookup>("lookup", table, y);
  }

 private:
  std::string function_;
  Table table_;
  QParams y_;
  const kernels::LookupKernel* kernel_ = nullptr;
};

MIDTREAD_NAMESPACE_END

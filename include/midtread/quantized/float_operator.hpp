// SPDX-License-Identifier: MIT
// A float island inside an int8 model: an operation on real tensors, in eval mode. Weights are constant steps.
#pragma once

#include <midtread/quantized/float_fields.hpp>
#include <midtread/quantized/operator.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

class FloatOperation final : public Operator {
 public:
  /// `absent[i]`: input i of the operation is not given (a missing bias); the others come in order.
  FloatOperation(std::shared_ptr<const ops::Operation> operation, std::vector<bool> absent)
      : operation_(std::move(operation)), absent_(std::move(absent)) {}
  std::string kind() const override { return std::string(kPrefix) + operation_->name(); }
  bool is_float() const override { return true; }
  const ops::Operation& operation() const { return *operation_; }
  const std::vector<bool>& absent() const { return absent_; }

  /// An operation that is not midtread's is run once, on 0.5 everywhere, to learn its output's shape.
  Form form(const Forms& inputs) const override {
    const std::vector<Shape> shapes = shapes_of(inputs);
    Form out;
    if (float_fields::Operations::find(*operation_, [&](const auto& op) { out.shape = float_form::output_shape(op, shapes); })) return out;
    std::vector<midtread::Tensor> samples;
    for (const Shape& shape : shapes) {
      samples.emplace_back(shape, channels_last_strides(shape));
      samples.back().fill_(0.5f);
    }
    return {compute(samples).shape(), std::nullopt};
  }
  double work(const Forms& inputs, const Form& output) const override {
    double out = Operator::work(inputs, output);
    float_fields::Operations::find(*operation_, [&](const auto& op) { out = float_form::work(op, shapes_of(inputs), output.shape); });
    return out;
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    std::vector<midtread::Tensor> in;
    for (std::size_t i = 0; i < inputs.size(); ++i) in.push_back(real_input(inputs, i, operation_->name()));
    output = compute(in);
  }

  /// Throws UnsupportedError for an operation that is not one of midtread's.
  Record save() const override {
    Record r;
    r.kind = kind();
    r.numbers.insert("absent", to_numbers(absent_));
    const bool known = float_fields::Operations::find(*operation_, [&](auto op) {
      float_fields::Writer writer(r);
      float_fields::visit(op, writer);
    });
    if (!known)
      throw UnsupportedError(operation_->name(), "this operation has no name in files; quantize it, or leave it out of the int8 model");
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    const RecordReader in(record, where);
    std::vector<bool> absent;
    for (std::int64_t missing : in.integers("absent", -1, 0, 1)) absent.push_back(missing != 0);
    std::shared_ptr<const ops::Operation> operation;
    const bool known = float_fields::Operations::find(record.kind.substr(std::min(record.kind.size(), sizeof(kPrefix) - 1)), [&](auto op) {
      constexpr float_form::Arity arity = float_form::arity<decltype(op)>();
      const bool required_absent = std::find(absent.begin(), absent.end(), true) - absent.begin() < static_cast<std::ptrdiff_t>(arity.required);
      const bool fixed = !std::is_same_v<decltype(op), ops::Cat>;
      if (absent.size() > arity.most || (fixed && absent.size() < arity.most) || required_absent)
        throw FormatError(where, concat("'absent' does not fit an operation with ", arity.required, "..", arity.most, " inputs"));
      float_fields::Reader reader(in);
      float_fields::visit(op, reader);
      operation = std::make_shared<ops::OperationOf<decltype(op)>>(op);
    });
    if (!known) throw FormatError(where, "unknown operation '" + printable(record.kind) + "'; was the file written by a newer midtread?");
    return make_operator<FloatOperation>(std::move(operation), std::move(absent));
  }

  static constexpr char kPrefix[] = "float.";

 private:
  std::vector<Shape> shapes_of(const Forms& inputs) const {
    require_count(inputs, static_cast<std::size_t>(std::count(absent_.begin(), absent_.end(), false)), kind());
    std::vector<Shape> shapes;
    for (std::size_t i = 0; i < inputs.size(); ++i) shapes.push_back(real_form(inputs, i, kind()).shape);
    return shapes;
  }
  midtread::Tensor compute(const std::vector<midtread::Tensor>& given) const {
    const NoGradGuard no_grad;
    std::vector<midtread::Tensor> in;
    std::size_t next = 0;
    for (bool missing : absent_) in.push_back(missing ? midtread::Tensor() : given[next++]);
    return operation_->run(in, false);
  }

  std::shared_ptr<const ops::Operation> operation_;
  std::vector<bool> absent_;
};

MIDTREAD_NAMESPACE_END

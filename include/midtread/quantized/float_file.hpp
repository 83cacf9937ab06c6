// SPDX-License-Identifier: MIT
// Float operations of an int8 model in files: written by their parameters, read back checked.
#pragma once

#include <midtread/quantized/float_fields.hpp>
#include <midtread/quantized/float_operator.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// One that came from a file: its output's shape and its work are computed ahead, nothing runs before it is
/// checked.
class CheckedFloatOperation final : public FloatOperation {
 public:
  using FloatOperation::FloatOperation;
  Form form(const Forms& inputs) const override {
    Form out;
    const std::vector<Shape> shapes = shapes_of(inputs);
    float_fields::Operations::find(operation(),
                                   [&](const auto& op) { out.shape = float_form::output_shape(op, shapes); });
    return out;
  }
  double work(const Forms& inputs, const Form& output) const override {
    double out = Operator::work(inputs, output);
    float_fields::Operations::find(
        operation(), [&](const auto& op) { out = float_form::work(op, shapes_of(inputs), output.shape); });
    return out;
  }
};

/// Throws UnsupportedError for an operation that is not one of midtread's.
inline Record save_float_operation(const FloatOperation& step) {
  Record r;
  r.kind = step.kind();
  r.numbers.insert("absent", to_numbers(step.absent()));
  const bool known = float_fields::Operations::find(step.operation(), [&](auto op) {
    float_fields::Writer writer(r);
    float_fields::visit(op, writer);
  });
  if (!known)
    throw UnsupportedError(
        step.operation().name(),
        "this operation has no name in files; quantize it, or leave it out of the int8 model");
  return r;
}

inline std::shared_ptr<const Operator> load_float_operation(const Record& record, const std::string& where) {
  constexpr std::size_t prefix = sizeof(FloatOperation::kPrefix) - 1;
  const RecordReader in(record, where);
  std::vector<bool> absent;
  for (std::int64_t missing : in.integers("absent", -1, 0, 1)) absent.push_back(missing != 0);
  std::shared_ptr<const ops::Operation> operation;
  const bool known =
      float_fields::Operations::find(record.kind.substr(std::min(record.kind.size(), prefix)), [&](auto op) {
        constexpr float_form::Arity arity = float_form::arity<decltype(op)>();
        const bool required_absent = std::find(absent.begin(), absent.end(), true) - absent.begin() <
                                     static_cast<std::ptrdiff_t>(arity.required);
        const bool fixed = !std::is_same_v<decltype(op), ops::Cat>;
        if (absent.size() > arity.most || (fixed && absent.size() < arity.most) || required_absent)
          throw FormatError(where, concat("'absent' does not fit an operation with ", arity.required, "..",
                                          arity.most, " inputs"));
        float_fields::Reader reader(in);
        float_fields::visit(op, reader);
        operation.reset(new ops::OperationOf<decltype(op)>(op));
      });
  if (!known)
    throw FormatError(where, "unknown operation '" + printable(record.kind) +
                                 "'; was the file written by a newer midtread?");
  return make_operator<CheckedFloatOperation>(std::move(operation), std::move(absent));
}

MIDTREAD_NAMESPACE_END

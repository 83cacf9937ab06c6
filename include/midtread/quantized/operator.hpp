// SPDX-License-Identifier: MIT
// One step of an int8 model: constant parameters, an output that can be sized ahead, a run without
// allocation.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/kernels/code_tail.hpp>
#include <midtread/kernels/dispatch.hpp>
#include <midtread/quantized/form.hpp>
#include <midtread/quantized/record.hpp>

#include <memory>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quantized)

MIDTREAD_FORWARD_ON_USE(Workspace)
using Values = std::vector<const Value*>;

class Operator {
 public:
  virtual ~Operator() = default;
  /// "conv2d", "add", ...: the name in files and summaries.
  virtual std::string kind() const = 0;
  /// The output's form for inputs of these forms. Throws ShapeError where shapes do not fit, StateError where
  /// the number, sort or qparams of inputs do not.
  virtual Form form(const Forms& inputs) const = 0;
  /// Computes into an output of that form.
  virtual void run(const Values& inputs, Value& output, Workspace& workspace) const = 0;
  /// Whether run_then gives `tail` pieces while they are near.
  virtual bool has_pieces() const { return false; }
  /// The same, and then `tail` on all codes of the output.
  virtual void run_then(const kernels::CodeTail& tail, const Values& inputs, Value& output,
                        Workspace& workspace) const {
    run(inputs, output, workspace);
    const BasicTensor<std::uint8_t>& codes = std::get<Tensor>(output).stored();
    kernels::run_tail(tail, codes.mutable_data(), codes.numel());
  }
  /// The same operator on these kernels, its weights packed for them; null if it needs none.
  virtual std::shared_ptr<const Operator> bind(const kernels::KernelSet& kernels) const {
    (void)kernels;
    return nullptr;
  }
  virtual Record save() const = 0;

  /// The kernel it is bound to, "gemm_u8s8s32_6x16c4__avx2"; empty if none.
  virtual std::string kernel_label() const { return {}; }
  /// Bytes of its parameters as they would be stored.
  virtual std::int64_t parameter_bytes() const { return 0; }
  /// Multiply-accumulates for these inputs.
  virtual std::int64_t multiply_accumulates(const Forms& inputs) const {
    (void)inputs;
    return 0;
  }
  /// Elementary operations of a run, roughly.
  virtual double work(const Forms& inputs, const Form& output) const {
    double sum = extent(output.shape);
    for (const Form& input : inputs) sum += extent(input.shape);
    return sum;
  }
  /// Works on real numbers inside an int8 model.
  virtual bool is_float() const { return false; }

  /// An uninitialised output for these inputs.
  Value allocate(const Values& inputs) const {
    Forms forms;
    for (const Value* input : inputs) forms.push_back(form_of(*input));
    return make_value(form(forms));
  }
};

/// A shared operator. (std::make_shared of every class would cost the compiler more than the allocation it
/// saves.)
template <class Op, class... Args>
std::shared_ptr<const Operator> make_operator(Args&&... args) {
  const Operator* made = new Op(std::forward<Args>(args)...);
  return std::shared_ptr<const Operator>(made);  // of the base: one control block class for all
}

/// The int8 input i of an operator; StateError if it is real.
MIDTREAD_ON_USE const Tensor& quantized_input(const Values& inputs, std::size_t i, const char* kind) {
  const auto* tensor = i < inputs.size() ? std::get_if<Tensor>(inputs[i]) : nullptr;
  if (!tensor) throw StateError(kind, concat("input ", i, " must be an int8 tensor"));
  return *tensor;
}
MIDTREAD_ON_USE const midtread::Tensor& real_input(const Values& inputs, std::size_t i, const char* kind) {
  const auto* tensor = i < inputs.size() ? std::get_if<midtread::Tensor>(inputs[i]) : nullptr;
  if (!tensor) throw StateError(kind, concat("input ", i, " must be a real tensor"));
  return *tensor;
}
/// Where kernels write; outputs are owned by the plan and carry no history.
MIDTREAD_ON_USE std::uint8_t* codes_of(Value& output) {
  return std::get<Tensor>(output).stored().mutable_data();
}

MIDTREAD_NAMESPACE_END

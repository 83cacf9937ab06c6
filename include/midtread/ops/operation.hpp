// SPDX-License-Identifier: MIT
// A free operation as a value: a small struct with its parameters and a call operator, and the type-erased
// form that a traced graph holds.
//
//   struct LeakyRelu { static constexpr const char* kName = "leaky_relu"; double slope; ... operator()(x)
//   const; };
#pragma once

#include <midtread/core/qparams.hpp>
#include <midtread/tensor/tensor.hpp>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// An operation of a graph. Concrete ones are OperationOf<Op>; read parameters with `as<Op>(operation)`.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual const char* name() const = 0;
  /// Parameters as text, "kernel 2x2, stride 2x2"; empty if there are none.
  virtual std::string attributes() const = 0;
  /// Runs it. `training` reaches operations that differ there (dropout, batch_norm).
  virtual Tensor run(const Tensors& inputs, bool training) const = 0;
  /// y = f(x) element by element: its value at x, in float32. Empty for other operations.
  virtual std::optional<float> pointwise(float x) const = 0;
  /// The output's qparams where the function's range fixes them (sigmoid: 1/256, 0).
  virtual std::optional<QParams> fixed_qparams(DType dtype) const = 0;
};

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(ops::detail)
template <class Op, class = void>
struct HasValue : std::false_type {};
template <class Op>
struct HasValue<Op, std::void_t<decltype(std::declval<const Op&>().value(1.0f))>> : std::true_type {};
template <class Op, class = void>
struct HasFixedQParams : std::false_type {};
template <class Op>
struct HasFixedQParams<Op, std::void_t<decltype(std::declval<const Op&>().fixed_qparams(DType::kUInt8))>>
    : std::true_type {};
template <class Op, class = void>
struct HasAttributes : std::false_type {};
template <class Op>
struct HasAttributes<Op, std::void_t<decltype(std::declval<const Op&>().attributes())>> : std::true_type {};
template <class Op, class = void>
struct HasTraining : std::false_type {};
template <class Op>
struct HasTraining<Op, std::void_t<decltype(std::declval<Op&>().training)>> : std::true_type {};

template <class Op>
Tensor call(const Op& op, const Tensors& in) {
  const auto need = [&](std::size_t count) {
    if (in.size() != count) throw ShapeError(Op::kName, concat("needs ", count, " inputs, got ", in.size()));
  };
  if constexpr (std::is_invocable_v<const Op&, const Tensors&>) {
    return op(in);
  } else if constexpr (std::is_invocable_v<const Op&, const Tensor&>) {
    need(1);
    return op(in[0]);
  } else if constexpr (std::is_invocable_v<const Op&, const Tensor&, const Tensor&>) {
    need(2);
    return op(in[0], in[1]);
  } else if constexpr (std::is_invocable_v<const Op&, const Tensor&, const Tensor&, const Tensor&>) {
    need(3);
    return op(in[0], in[1], in[2]);
  } else {
    need(5);
    return op(in[0], in[1], in[2], in[3], in[4]);
  }
}
MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(ops)

template <class Op>
class OperationOf final : public Operation {
 public:
  explicit OperationOf(Op op) : op_(std::move(op)) {}
  const Op& op() const { return op_; }
  const char* name() const override { return Op::kName; }
  std::string attributes() const override {
    if constexpr (detail::HasAttributes<Op>::value)
      return op_.attributes();
    else
      return {};
  }
  Tensor run(const Tensors& inputs, bool training) const override {
    if constexpr (detail::HasTraining<Op>::value) {
      Op op = op_;
      op.training = training;
      return detail::call(op, inputs);
    } else {
      (void)training;
      return detail::call(op_, inputs);
    }
  }
  std::optional<float> pointwise(float x) const override {
    if constexpr (detail::HasValue<Op>::value)
      return static_cast<float>(op_.value(x));
    else
      return (void)x, std::nullopt;
  }
  std::optional<QParams> fixed_qparams(DType dtype) const override {
    if constexpr (detail::HasFixedQParams<Op>::value)
      return op_.fixed_qparams(dtype);
    else
      return (void)dtype, std::nullopt;
  }

 private:
  Op op_;
};

template <class Op>
std::shared_ptr<const Operation> make_operation(Op op) {
  const Operation* made = new OperationOf<Op>(std::move(op));
  return std::shared_ptr<const Operation>(made);  // of the base: one control block class for all
}

/// The parameters of an erased operation, or null if it is another one.
template <class Op>
const Op* as(const Operation& operation) {
  const auto* typed = dynamic_cast<const OperationOf<Op>*>(&operation);
  return typed ? &typed->op() : nullptr;
}

MIDTREAD_NAMESPACE_END

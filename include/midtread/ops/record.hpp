// SPDX-License-Identifier: MIT
// The hook between operations and a tracer: while a Recorder is set, every outermost operation reports
// itself.
#pragma once

#include <midtread/ops/operation.hpp>

#include <memory>

MIDTREAD_NAMESPACE_BEGIN(nn)
template <class Scalar>
class BasicModule;
MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(ops)

/// What a tracer implements (graph/tracer.hpp).
class Recorder {
 public:
  virtual ~Recorder() = default;
  /// A module's forward begins or ends: operations in between belong to it.
  virtual void enter(nn::BasicModule<float>& module) = 0;
  virtual void leave() = 0;
  /// A free operation ran.
  virtual void function(std::shared_ptr<const Operation> operation, const Tensors& inputs,
                        const Tensor& output) = 0;
  /// A leaf module ran.
  virtual void leaf(nn::BasicModule<float>& module, const Tensors& inputs, const Tensors& outputs) = 0;
};

/// The recorder of this thread, or null.
inline Recorder*& recorder() {
  thread_local Recorder* current = nullptr;
  return current;
}

/// Operations inside another operation or a leaf module are not reported.
class PauseRecording {
 public:
  PauseRecording() : before_(recorder()) { recorder() = nullptr; }
  ~PauseRecording() { recorder() = before_; }
  PauseRecording(const PauseRecording&) = delete;
  PauseRecording& operator=(const PauseRecording&) = delete;

 private:
  Recorder* before_;
};

/// A trace is made in eval mode; what runs the graph later passes its own.
template <class Op>
Op in_eval_mode(Op op) {
  if constexpr (detail::HasTraining<Op>::value) op.training = false;
  return op;
}

/// Runs op(inputs...) and reports it. Every public free function is one call of this. An input may be
/// undefined (a missing bias).
template <class Op, class Scalar, class... More>
BasicTensor<Scalar> record(const Op& op, const BasicTensor<Scalar>& first, const More&... more) {
  if constexpr (std::is_same_v<Scalar, float>) {
    if (Recorder* to = recorder()) {
      Tensor output;
      {
        const PauseRecording pause;
        output = in_eval_mode(op)(first, more...);
      }
      to->function(make_operation(op), {first, more...}, output);
      return output;
    }
  }
  return op(first, more...);
}

/// The same for operations on a list of tensors (cat).
template <class Op, class Scalar>
BasicTensor<Scalar> record(const Op& op, const std::vector<BasicTensor<Scalar>>& inputs) {
  if constexpr (std::is_same_v<Scalar, float>) {
    if (Recorder* to = recorder()) {
      Tensor output;
      {
        const PauseRecording pause;
        output = op(inputs);
      }
      to->function(make_operation(op), inputs, output);
      return output;
    }
  }
  return op(inputs);
}

MIDTREAD_NAMESPACE_END

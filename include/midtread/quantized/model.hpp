// SPDX-License-Identifier: MIT
// The int8 model: a flat list of operators bound to one engine and instruction set. Real tensors in, real tensors out.
// It is constant: any number of threads may run it, each with a Workspace of its own.
#pragma once

#include <midtread/core/fp_env.hpp>
#include <midtread/quantized/operator.hpp>

#include <atomic>
#include <functional>
#include <iomanip>
#include <sstream>

namespace midtread_state {
inline std::atomic<std::uint64_t> next_int8_model{1};
}

MIDTREAD_NAMESPACE_BEGIN(quantized)

class Model {
 public:
  struct Step {
    std::string name;
    std::shared_ptr<const Operator> op;
    std::vector<int> inputs;  ///< values: 0.. are the model's inputs, then one per step
  };
  /// Sees every step's value as it is computed.
  using Visitor = std::function<void(const Step&, const Value&)>;

  /// Binds the steps to `kernels`. Throws StateError where a step reads a value that does not come before it.
  Model(int input_count, std::vector<Step> steps, std::vector<int> outputs,
        const kernels::KernelSet& kernels = kernels::select_kernels())
      : input_count_(input_count), steps_(std::move(steps)), outputs_(std::move(outputs)) {
    if (input_count_ < 1 || outputs_.empty()) throw StateError("model", "needs an input and an output");
    int known = input_count_;
    for (const Step& step : steps_) {
      for (int input : step.inputs)
        if (input < 0 || input >= known) throw StateError(step.name, concat("reads value ", input, ", allowed 0..", known - 1));
      ++known;
    }
    for (int output : outputs_)
      if (output < 0 || output >= known) throw StateError("model", concat("output ", output, ", allowed 0..", known - 1));
    bind(kernels);
  }

  midtread::Tensor operator()(const midtread::Tensor& input) const { return forward_many({input}).at(0); }
  std::vector<midtread::Tensor> operator()(const std::vector<midtread::Tensor>& inputs) const { return forward_many(inputs); }
  midtread::Tensor forward(const midtread::Tensor& input) const { return forward_many({input}).at(0); }
  std::vector<midtread::Tensor> forward_many(const std::vector<midtread::Tensor>& inputs) const {
    const Workspace::Plan& plan = run(inputs, Workspace::this_thread());
    std::vector<midtread::Tensor> out;
    for (int output : outputs_) out.push_back(std::get<midtread::Tensor>(plan.values[static_cast<std::size_t>(output)]).clone());
    return out;
  }

  /// The first output, inside `workspace`: valid until its next run. Allocates nothing after the first call at a shape.
  const midtread::Tensor& run(const midtread::Tensor& input, Workspace& workspace) const {
    thread_local std::vector<midtread::Tensor> inputs(1);
    inputs[0] = input;
    const Workspace::Plan& plan = run(inputs, workspace);
    inputs[0] = midtread::Tensor();
    return std::get<midtread::Tensor>(plan.values[static_cast<std::size_t>(outputs_[0])]);
  }

  /// All values, inside `workspace`. `visitor` may be empty.
  const Workspace::Plan& run(const std::vector<midtread::Tensor>& inputs, Workspace& workspace, const Visitor& visitor = nullptr) const {
    if (static_cast<int>(inputs.size()) != input_count_)
      throw ShapeError("int8 model", concat("takes ", input_count_, " inputs, got ", inputs.size()));
    const FpEnvGuard fp_env;
    Workspace::Plan* plan = workspace.find(id_, inputs);
    if (!plan) plan = &workspace.add(make_plan(inputs));
    for (std::size_t i = 0; i < inputs.size(); ++i) std::get<midtread::Tensor>(plan->values[i]) = inputs[i];
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      Value& value = plan->values[inputs.size() + i];
      steps_[i].op->run(plan->arguments[i], value, workspace);
      if (visitor) visitor(steps_[i], value);
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) std::get<midtread::Tensor>(plan->values[i]) = midtread::Tensor();
    return *plan;
  }

  const std::vector<Step>& steps() const noexcept { return steps_; }
  int input_count() const noexcept { return input_count_; }
  const std::vector<int>& outputs() const noexcept { return outputs_; }
  /// The engine and instruction set the weights are packed for.
  const std::string& engine() const noexcept { return engine_; }
  const std::string& isa() const noexcept { return isa_; }

  /// Packs for another engine (and the instruction set the flags ask for).
  void set_engine(const std::string& engine) { bind(kernels::select_kernels(engine)); }
  void bind(const kernels::KernelSet& kernels) {
    std::vector<Step> bound = steps_;
    for (Step& step : bound)
      if (auto op = step.op->bind(kernels)) step.op = op;
    steps_ = std::move(bound);
    engine_ = kernels.engine_name();
    isa_ = kernels.isa_name();
    id_ = midtread_state::next_int8_model++;
  }

  /// Bytes of all parameters.
  std::int64_t parameter_bytes() const {
    std::int64_t bytes = 0;
    for (const Step& step : steps_) bytes += step.op->parameter_bytes();
    return bytes;
  }
  /// Steps that work on real numbers, the borders left out.
  std::vector<std::string> float_islands() const {
    std::vector<std::string> names;
    for (const Step& step : steps_)
      if (step.op->is_float()) names.push_back(step.name);
    return names;
  }

  /// A table of steps: operator, output shape for `input`, bytes, multiply-accumulates, kernel.
  std::string summary(const Shape& input) const {
    midtread::Tensor zeros(input, channels_last_strides(input));
    zeros.fill_(0.0f);
    Workspace workspace;
    std::ostringstream out;
    std::size_t width = 4;
    for (const Step& step : steps_) width = std::max(width, step.name.size());
    const auto name_width = static_cast<int>(width + 2);
    out << "int8 model, engine " << engine_ << ", ISA " << isa_ << '\n'
        << std::left << std::setw(name_width) << "step" << std::setw(22) << "operator" << std::setw(20) << "output" << std::right
        << std::setw(10) << "bytes" << std::setw(14) << "MACs" << "  kernel\n";
    std::int64_t macs_total = 0;
    std::vector<midtread::Tensor> inputs(static_cast<std::size_t>(input_count_), zeros);
    const Workspace::Plan& plan = run(inputs, workspace);
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      const Value& value = plan.values[static_cast<std::size_t>(input_count_) + i];
      const Shape shape = std::visit([](const auto& t) { return t.shape(); }, value);
      bool reads_input = false;
      for (int k : step.inputs) reads_input = reads_input || k < input_count_;
      const std::int64_t macs = reads_input ? 0 : step.op->multiply_accumulates(plan.arguments[i]);
      macs_total += macs;
      out << std::left << std::setw(name_width) << step.name << std::setw(22)
          << (step.op->is_float() ? step.op->kind() + " (float)" : step.op->kind()) << std::setw(20) << concat(shape) << std::right
          << std::setw(10) << step.op->parameter_bytes() << std::setw(14) << macs << "  " << step.op->kernel_label() << '\n';
    }
    out << "total: " << parameter_bytes() << " bytes, " << macs_total << " multiply-accumulates";
    const auto islands = float_islands();
    out << "; float islands: ";
    for (std::size_t i = 0; i < islands.size(); ++i) out << (i ? ", " : "") << islands[i];
    out << (islands.empty() ? "none\n" : "\n");
    return out.str();
  }

 private:
  // Sizes every value, then lets values that are never alive together share their bytes.
  Workspace::Plan make_plan(const std::vector<midtread::Tensor>& inputs) const {
    Workspace::Plan plan;
    plan.model = id_;
    const std::size_t count = inputs.size() + steps_.size();
    plan.values.resize(count);
    plan.arguments.resize(steps_.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      plan.input_shapes.push_back(inputs[i].shape());
      plan.values[i] = inputs[i];
    }
    std::vector<std::size_t> last_use(count, 0);
    for (std::size_t i = 0; i < steps_.size(); ++i)
      for (int input : steps_[i].inputs) {
        plan.arguments[i].push_back(&plan.values[static_cast<std::size_t>(input)]);
        last_use[static_cast<std::size_t>(input)] = i;
      }
    for (int output : outputs_) last_use[static_cast<std::size_t>(output)] = steps_.size();
    std::vector<Storage> unused;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      Value& value = plan.values[inputs.size() + i];
      try {
        value = steps_[i].op->allocate(plan.arguments[i]);
      } catch (const ShapeError& error) {
        throw ShapeError(steps_[i].name, error.detail());
      }
      if (auto* tensor = std::get_if<Tensor>(&value)) *tensor = shared(*tensor, unused);
      for (std::size_t v = inputs.size(); v <= inputs.size() + i; ++v)
        if (last_use[v] <= i && v - inputs.size() <= i)
          if (const auto* dead = std::get_if<Tensor>(&plan.values[v])) {
            bool listed = false;
            for (const Storage& storage : unused) listed = listed || storage.same_as(dead->stored().storage());
            bool alive = false;
            for (std::size_t w = inputs.size(); w <= inputs.size() + i; ++w) {
              const auto* other = std::get_if<Tensor>(&plan.values[w]);
              alive = alive || (other && w != v && last_use[w] > i && other->stored().storage().same_as(dead->stored().storage()));
            }
            if (!listed && !alive) unused.push_back(dead->stored().storage());
          }
    }
    return plan;
  }
  static Tensor shared(const Tensor& fresh, std::vector<Storage>& unused) {
    const auto bytes = static_cast<std::size_t>(fresh.numel());
    for (std::size_t i = 0; i < unused.size(); ++i)
      if (unused[i].bytes() >= bytes) {
        const Storage storage = unused[i];
        unused.erase(unused.begin() + static_cast<std::ptrdiff_t>(i));
        return Tensor(BasicTensor<std::uint8_t>(storage, 0, fresh.shape(), fresh.stored().strides()), fresh.qparams());
      }
    return fresh;
  }

  int input_count_;
  std::vector<Step> steps_;
  std::vector<int> outputs_;
  std::string engine_;
  std::string isa_;
  std::uint64_t id_ = 0;
};

MIDTREAD_NAMESPACE_END

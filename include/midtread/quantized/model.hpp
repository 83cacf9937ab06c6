// SPDX-License-Identifier: MIT
// The int8 model: a flat list of operators bound to one engine and instruction set. Real tensors in, real
// tensors out. It is constant: any number of threads may run it, each with a Workspace of its own.
#pragma once

#include <midtread/core/columns.hpp>
#include <midtread/core/fp_env.hpp>
#include <midtread/core/name_index.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/quantized/run_limits.hpp>
#include <midtread/quantized/stage.hpp>
#include <midtread/quantized/workspace.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <sstream>

namespace midtread_state {
inline std::atomic<std::uint64_t> next_int8_model{1};
}

MIDTREAD_NAMESPACE_BEGIN(quantized)

MIDTREAD_CLASS_ON_USE(Model)
class BasicModel {
 public:
  using Step = quantized::Step;
  /// Sees every step's value as it is computed.
  using Visitor = std::function<void(const Step&, const Value&)>;

  /// `input_shapes`: an example; other batch sizes and whatever else the steps allow can be run. Binds the
  /// steps to `kernels`. Throws StateError where a step reads a value that does not come before it or is of
  /// the wrong sort, or an output is not real, and ShapeError where the example does not fit or passes
  /// `limits`.
  BasicModel(std::vector<Shape> input_shapes, std::vector<Step> steps, std::vector<int> outputs,
             const kernels::KernelSet& kernels = kernels::select_kernels(),
             const RunLimits& limits = RunLimits::none())
      : input_shapes_(std::move(input_shapes)),
        steps_(std::move(steps)),
        outputs_(std::move(outputs)),
        limits_(limits) {
    if (input_shapes_.empty() || outputs_.empty()) throw StateError("model", "needs an input and an output");
    NameIndex names;
    int known = input_count();
    for (const Step& step : steps_) {
      if (!names.emplace(step.name, 0).second) throw StateError(step.name, "two steps have this name");
      for (int input : step.inputs)
        if (input < 0 || input >= known)
          throw StateError(step.name, concat("reads value ", input, ", allowed 0..", known - 1));
      ++known;
    }
    for (int output : outputs_)
      if (output < 0 || output >= known)
        throw StateError("model", concat("output ", output, ", allowed 0..", known - 1));
    const Forms forms = forms_for(input_shapes_);
    for (int output : outputs_)
      if (forms[static_cast<std::size_t>(output)].qparams)
        throw StateError("model", concat("output ", output, " is not dequantized"));
    bind(kernels);
  }

  midtread::Tensor operator()(const midtread::Tensor& input) const { return forward_many({input}).at(0); }
  std::vector<midtread::Tensor> operator()(const std::vector<midtread::Tensor>& inputs) const {
    return forward_many(inputs);
  }
  midtread::Tensor forward(const midtread::Tensor& input) const { return forward_many({input}).at(0); }
  std::vector<midtread::Tensor> forward_many(const std::vector<midtread::Tensor>& inputs) const {
    const Workspace::Plan& plan = run(inputs, Workspace::this_thread());
    std::vector<midtread::Tensor> out;
    for (int output : outputs_)
      out.push_back(std::get<midtread::Tensor>(plan.values[static_cast<std::size_t>(output)]).clone());
    return out;
  }

  /// The first output, inside `workspace`: valid until its next run. Allocates nothing after the first call
  /// at a shape.
  const midtread::Tensor& run(const midtread::Tensor& input, Workspace& workspace) const {
    thread_local std::vector<midtread::Tensor> inputs(1);
    inputs[0] = input;
    const Workspace::Plan& plan = run(inputs, workspace);
    inputs[0] = midtread::Tensor();
    return std::get<midtread::Tensor>(plan.values[static_cast<std::size_t>(outputs_[0])]);
  }

  /// The plan that was run, inside `workspace`: the outputs among its values hold until the next run. With a
  /// `visitor` every step is run by itself.
  const Workspace::Plan& run(const std::vector<midtread::Tensor>& inputs, Workspace& workspace,
                             const Visitor& visitor = nullptr) const {
    if (inputs.size() != input_shapes_.size())
      throw ShapeError("int8 model", concat("takes ", input_count(), " inputs, got ", inputs.size()));
    const FpEnvGuard fp_env;
    const bool visited = static_cast<bool>(visitor);
    Workspace::Plan* plan = workspace.find(id_, visited, inputs);
    if (!plan) plan = &workspace.add(make_plan(visited, inputs));
    for (std::size_t i = 0; i < inputs.size(); ++i) std::get<midtread::Tensor>(plan->values[i]) = inputs[i];
    for (const Workspace::Stage& stage : plan->stages) {
      const Step& step = steps_[stage.step];
      Value& value = plan->values[inputs.size() + stage.step];
      if (stage.tail.empty())
        step.op->run(plan->arguments[stage.step], value, workspace);
      else
        step.op->run_then(stage.tail, plan->arguments[stage.step], value, workspace);
      if (visited) visitor(step, value);
    }
    for (std::size_t i = 0; i < inputs.size(); ++i)  // an input may be an output as well
      if (std::find(outputs_.begin(), outputs_.end(), static_cast<int>(i)) == outputs_.end())
        std::get<midtread::Tensor>(plan->values[i]) = midtread::Tensor();
    return *plan;
  }

  const std::vector<Step>& steps() const noexcept { return steps_; }
  int input_count() const noexcept { return static_cast<int>(input_shapes_.size()); }
  /// The example it was made with.
  const std::vector<Shape>& input_shapes() const noexcept { return input_shapes_; }
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

  /// What every value is for inputs of these shapes: the inputs, then one per step. Throws as the
  /// constructor.
  Forms forms_for(const std::vector<Shape>& input_shapes) const {
    Forms forms;
    forms.reserve(input_shapes.size() + steps_.size());
    for (const Shape& shape : input_shapes) forms.push_back({shape, std::nullopt});
    RunCost cost(limits_, forms);
    for (const Step& step : steps_) {
      const Forms inputs = arguments_of(step, forms);
      Form form;
      try {
        form = step.op->form(inputs);
      } catch (const ShapeError& error) {
        throw ShapeError(step.name, error.detail());
      } catch (const StateError& error) {
        throw StateError(step.name, error.detail());
      }
      cost.add(step.name, form, step.op->work(inputs, form));
      forms.push_back(std::move(form));
    }
    return forms;
  }

  /// A table of steps: operator, output shape for `input` (of every input), bytes, multiply-accumulates,
  /// kernel.
  std::string summary(const Shape& input) const {
    const Forms forms = forms_for(std::vector<Shape>(input_shapes_.size(), input));
    const Stages stages(steps_, outputs_, forms);
    std::ostringstream out;
    std::size_t width = 4;
    for (const Step& step : steps_) width = std::max(width, step.name.size());
    const auto row = [&](const std::string& name, const std::string& op, const std::string& shape,
                         const std::string& bytes, const std::string& macs, const std::string& kernel) {
      out << flush_left(name, width + 2) << flush_left(op, 22) << flush_left(shape, 20)
          << flush_right(bytes, 10) << flush_right(macs, 14) << "  " << kernel << '\n';
    };
    out << "int8 model, engine " << engine_ << ", ISA " << isa_ << '\n';
    row("step", "operator", "output", "bytes", "MACs", "kernel");
    std::int64_t macs_total = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      const std::int64_t macs = step.op->multiply_accumulates(arguments_of(step, forms));
      const std::size_t before = stages.before(i);
      const std::string place =
          before == Stages::kNone ? "" : concat(" on the pieces of ", steps_[before].name);
      macs_total += macs;
      row(step.name, step.op->is_float() ? step.op->kind() + " (float)" : step.op->kind(),
          concat(forms[input_shapes_.size() + i].shape), std::to_string(step.op->parameter_bytes()),
          std::to_string(macs), step.op->kernel_label() + place);
    }
    out << "total: " << parameter_bytes() << " bytes, " << macs_total << " multiply-accumulates";
    const auto islands = float_islands();
    out << "; float islands: ";
    for (std::size_t i = 0; i < islands.size(); ++i) out << (i ? ", " : "") << islands[i];
    out << (islands.empty() ? "none\n" : "\n");
    return out.str();
  }

 private:
  // Sizes every value; codes that are never alive together share their bytes, and so do those of a stage.
  Workspace::Plan make_plan(bool visited, const std::vector<midtread::Tensor>& inputs) const {
    Workspace::Plan plan;
    plan.model = id_;
    plan.visited = visited;
    for (const midtread::Tensor& input : inputs) plan.input_shapes.push_back(input.shape());
    const Forms forms = forms_for(plan.input_shapes);
    const std::size_t first = inputs.size(), count = first + steps_.size();
    const Stages stages = visited ? Stages(steps_.size()) : Stages(steps_, outputs_, forms);
    std::vector<std::size_t> last_use(count);  // the step after which a value is dead
    for (std::size_t i = 0; i < count; ++i) last_use[i] = i < first ? count : stages.last_of(i - first);
    for (std::size_t i = 0; i < steps_.size(); ++i)
      for (int input : steps_[i].inputs) {
        std::size_t& last = last_use[static_cast<std::size_t>(input)];
        last = std::max(stages.last_of(i), last);
      }
    for (int output : outputs_) last_use[static_cast<std::size_t>(output)] = count;
    std::vector<std::vector<std::size_t>> dying(steps_.size());
    for (std::size_t v = first; v < count; ++v)
      if (last_use[v] < count && stages.behind(v - first) == Stages::kNone) dying[last_use[v]].push_back(v);

    plan.values.resize(count);
    plan.arguments.resize(steps_.size());
    for (std::size_t i = 0; i < first; ++i) plan.values[i] = inputs[i];
    std::vector<Storage> unused;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      for (int input : steps_[i].inputs)
        plan.arguments[i].push_back(&plan.values[static_cast<std::size_t>(input)]);
      if (stages.behind(i) != Stages::kNone) continue;
      if (!steps_[i].op->is_float())
        plan.values[first + i] = placed(forms[first + i], unused);  // float steps bring their own
      plan.stages.push_back({stages.first_of(i), {}});
      for (std::size_t s = stages.before(i); s != Stages::kNone; s = stages.before(s))
        plan.values[first + s] =
            Tensor(std::get<Tensor>(plan.values[first + i]).stored(), *forms[first + s].qparams);
      for (std::size_t s = stages.first_of(i); s != i;) {
        const int from = static_cast<int>(first + s);
        s = stages.behind(s);
        const std::vector<int>& read = steps_[s].inputs;
        plan.stages.back().tail.push_back(
            static_cast<const Codewise&>(*steps_[s].op), plan.arguments[s],
            static_cast<std::size_t>(std::find(read.begin(), read.end(), from) - read.begin()));
      }
      for (std::size_t v : dying[i])
        if (const auto* dead = std::get_if<Tensor>(&plan.values[v]))
          unused.push_back(dead->stored().storage());
    }
    return plan;
  }
  // In the smallest unused bytes that hold it, or in its own.
  static Value placed(const Form& form, std::vector<Storage>& unused) {
    if (!form.qparams) return make_value(form);
    const auto bytes = static_cast<std::size_t>(element_count(form.shape));
    Storage* best = nullptr;
    for (Storage& storage : unused)
      if (storage.bytes() >= bytes && (!best || storage.bytes() < best->bytes())) best = &storage;
    if (!best) return make_value(form);
    std::swap(*best, unused.back());
    const Storage storage = unused.back();
    unused.pop_back();
    return Tensor(BasicTensor<std::uint8_t>(storage, 0, form.shape, channels_last_strides(form.shape)),
                  *form.qparams);
  }

  std::vector<Shape> input_shapes_;
  std::vector<Step> steps_;
  std::vector<int> outputs_;
  RunLimits limits_;
  std::string engine_;
  std::string isa_;
  std::uint64_t id_ = 0;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// From a trained, prepared graph to the int8 model: each unit gives its operator, real tensors are quantized
// where a quantizer stands, and dequantized where a float operation or the output reads them.
#pragma once

#include <midtread/core/identity_map.hpp>
#include <midtread/core/name_index.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/passes/float_module.hpp>
#include <midtread/passes/prepare_qat.hpp>
#include <midtread/quantized/constant.hpp>
#include <midtread/quantized/float_module.hpp>
#include <midtread/quantized/float_operator.hpp>
#include <midtread/quantized/model.hpp>

MIDTREAD_NAMESPACE_BEGIN(passes::detail)

/// Builds the list of steps.
MIDTREAD_CLASS_ON_USE(Converter)
class BasicConverter {
 public:
  explicit BasicConverter(const graph::GraphModule& prepared)
      : prepared_(prepared), values_(prepared.nodes().size()) {}

  quantized::Model build(const kernels::KernelSet& kernels) {
    std::vector<Shape> inputs;
    for (const auto& node : prepared_.nodes())
      if (node->kind == graph::NodeKind::kInput) {
        values_[node.get()].real = static_cast<int>(inputs.size());
        inputs.push_back(node->example_shape);
      }
    next_ = static_cast<int>(inputs.size());
    std::vector<int> outputs;
    for (const auto& node : prepared_.nodes()) {
      if (node->kind == graph::NodeKind::kInput) continue;
      if (node->kind == graph::NodeKind::kOutput)
        for (const graph::Node* input : node->inputs) outputs.push_back(real(input));
      else
        lower(*node);
    }
    return quantized::Model(std::move(inputs), std::move(steps_), std::move(outputs), kernels);
  }

 private:
  /// Where a node's value lies: as codes, as real numbers, or both.
  struct Location {
    int codes = -1;
    int real = -1;
    QParams qparams;
  };

  int push(const std::string& name, OperatorPointer op, std::vector<int> inputs) {
    std::string free = name;
    for (int i = 2; !names_.emplace(free, 0).second; ++i) free = concat(name, '#', i);
    steps_.push_back({free, std::move(op), std::move(inputs)});
    return next_++;
  }
  int constant(const std::string& name, const Tensor& value) {
    if (const int* known = constants_.find(value.identity())) return *known;
    return constants_[value.identity()] =
               push(name, make_operator<quantized::Constant>(quantized::Value(value.clone())), {});
  }
  int real(const graph::Node* node) {
    Location& at = values_[node];
    if (at.real < 0)
      at.real = push(node->name + ".dequantize", make_operator<quantized::Dequantize>(), {at.codes});
    return at.real;
  }
  const Location& codes(const graph::Node* node, const graph::Node& reader) {
    const Location& at = values_[node];
    if (at.codes < 0) throw StateError(reader.name, "reads '" + node->name + "', which is not quantized");
    return at;
  }

  void lower(const graph::Node& node) {
    Location& at = values_[&node];
    if (node.kind == graph::NodeKind::kParameter) {
      at.real = constant(node.name, get_tensor<float>(node.parameter, node.name));
    } else if (const auto* unit = dynamic_cast<const qat::Unit*>(node.module.get())) {
      lower_unit(node, *unit, at);
    } else if (node.kind == graph::NodeKind::kFunction && !node.stays_float && !node.inputs.empty() &&
               values_[node.inputs[0]].codes >= 0) {
      lower_preserving(node, at);
    } else {
      lower_float(node, at);
    }
  }

  void lower_unit(const graph::Node& node, const qat::Unit& unit, Location& at) {
    std::vector<int> inputs;
    std::vector<QParams> qparams;
    if (dynamic_cast<const qat::QuantizeUnit*>(&unit)) {
      inputs.push_back(real(node.inputs[0]));
    } else {
      for (const graph::Node* input : node.inputs) {
        const Location& from = codes(input, node);
        inputs.push_back(from.codes);
        qparams.push_back(from.qparams);
      }
    }
    at.qparams = unit.output_qparams();
    at.codes = push(node.name, unit.lower(qparams), std::move(inputs));
  }

  void lower_preserving(const graph::Node& node, Location& at) {
    const Location from = codes(node.inputs[0], node);
    at = from;
    at.real = -1;
    const std::vector<OperatorPointer> steps =
        preserving_operators(*node.operation, node.inputs[0]->example_shape.rank(), from.qparams);
    if (steps.empty())
      throw StateError(node.name, std::string(node.operation->name()) + " does not keep codes");
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (steps[i])
        at.codes = push(i + 1 == steps.size() ? node.name : node.name + concat(".", i), steps[i], {at.codes});
  }

  void lower_float(const graph::Node& node, Location& at) {
    std::vector<int> inputs;
    std::vector<bool> absent;
    for (const graph::Node* input : node.inputs) {
      absent.push_back(input == nullptr);
      if (input) inputs.push_back(real(input));
    }
    if (dynamic_cast<const nn::DeQuantStubImpl*>(node.module.get()) ||
        dynamic_cast<const nn::QuantStubImpl*>(node.module.get()) ||
        (node.operation && ops::as<ops::Dropout>(*node.operation))) {
      at.real = inputs.at(0);
    } else if (const std::vector<FloatStep> steps = node.module && !node.module->is_opaque()
                                                        ? float_steps(*node.module)
                                                        : std::vector<FloatStep>();
               !steps.empty()) {
      int value = inputs.at(0);
      for (std::size_t i = 0; i < steps.size(); ++i) {
        inputs = {value};
        absent = {false};
        for (const auto& parameter : steps[i].parameters) {
          absent.push_back(!parameter.second.defined());
          if (parameter.second.defined())
            inputs.push_back(constant(node.name + "." + parameter.first, parameter.second));
        }
        const std::string name =
            i + 1 == steps.size() ? node.name : concat(node.name, '.', steps[i].operation->name());
        value = push(name, make_operator<quantized::FloatOperation>(steps[i].operation, absent), inputs);
      }
      at.real = value;
    } else if (node.module) {
      nn::Module::CloneMap map;
      // An opaque user module cannot be copied: it is shared.
      std::shared_ptr<nn::Module> module = node.module;
      if (!module->is_opaque()) module = module->clone(map);
      at.real = push(node.name, make_operator<quantized::FloatModule>(module), std::move(inputs));
    } else {
      at.real = push(node.name, make_operator<quantized::FloatOperation>(node.operation, absent),
                     std::move(inputs));
    }
  }

  const graph::GraphModule& prepared_;
  graph::NodeMap<Location> values_;
  std::vector<quantized::Model::Step> steps_;
  NameIndex names_;
  IdentityMap<int> constants_;
  int next_ = 0;
};

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes)

/// The int8 model of `prepared`, bound to `kernels`. Never observes and never applies another rule than the
/// eval forward. Throws StateError naming the quantizer that saw no data or is off, QuantizationError where
/// scales cannot be used, ConfigError if `prepared` is not a prepared graph.
MIDTREAD_ON_USE quantized::Model convert(const graph::GraphModule& prepared,
                                         const kernels::KernelSet& kernels = kernels::select_kernels()) {
  bool any = false;
  for (const auto& node : prepared.nodes()) any = any || dynamic_cast<const qat::Unit*>(node->module.get());
  if (!any) throw StateError("convert", "the graph has no QAT unit; run prepare_qat first");
  const FpEnvGuard fp_env;
  return detail::Converter(prepared).build(kernels);
}

MIDTREAD_NAMESPACE_END

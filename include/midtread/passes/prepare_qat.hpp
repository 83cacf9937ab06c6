// SPDX-License-Identifier: MIT
// Puts QAT units where operations will be int8, and fake quantizers where real tensors enter them.
//
// One fake quantizer per produced tensor. What cannot be quantized stays float, and its node's note says why.
#pragma once

#include <midtread/core/identity_map.hpp>
#include <midtread/core/name_index.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/passes/fuse_modules.hpp>
#include <midtread/passes/preserving.hpp>
#include <midtread/qat/conv_unit.hpp>
#include <midtread/qat/operation_unit.hpp>
#include <midtread/qat/quantize_unit.hpp>
#include <midtread/quant/default_qconfig.hpp>
#include <midtread/quant/fixed_qparams_observer.hpp>
#include <midtread/quant/qconfig_mapping.hpp>

MIDTREAD_NAMESPACE_BEGIN(passes)

using QConfigPointer = std::shared_ptr<const quant::AnyQConfig>;

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes::detail)

/// The qconfig of a node: the mapping's name of this call ("conv#2"); from the innermost module outwards its
/// own attribute, the mapping's name, the mapping's type; last the mapping's global one. No value: nothing
/// says anything.
MIDTREAD_ON_USE std::optional<QConfigPointer> resolve_qconfig(const graph::Node& node,
                                                              const quant::QConfigMapping& mapping) {
  const std::string plain = node.name.substr(0, node.name.find('#'));
  if (const auto* found = mapping.module_names().find(node.name); found && plain != node.name)
    return found->value();
  if (const auto* found = mapping.module_names().find(plain)) {
    const bool own = !node.scopes.empty() && node.scopes.back().path == plain &&
                     node.scopes.back().module->qconfig.is_set();
    if (!own) return found->value();
  }
  if (node.operation) {
    if (const auto* found = mapping.object_types().find(node.operation->name())) return found->value();
    if (ops::as<ops::AddRelu>(*node.operation))  // fused from an add
      if (const auto* found = mapping.object_types().find(ops::Add::kName)) return found->value();
  }
  for (auto scope = node.scopes.rbegin(); scope != node.scopes.rend(); ++scope) {
    if (scope->module->qconfig.is_set()) return scope->module->qconfig.value();
    if (const auto* found = mapping.module_names().find(scope->path)) return found->value();
    if (node.module && scope == node.scopes.rbegin())  // "Conv2dBnReLU" before "Conv2d"
      if (const auto* found = mapping.object_types().find(node.module->type_name())) return found->value();
    if (const auto* found = mapping.object_types().find(scope->module->type_name())) return found->value();
  }
  if (mapping.global().is_set()) return mapping.global().value();
  return std::nullopt;
}

/// What prepare_qat calls the fake quantizer of a node's real output.
MIDTREAD_ON_USE std::string quantizer_name(const graph::Node& node) {
  return node.kind == graph::NodeKind::kInput ? "input_" + node.name.substr(node.name.find('_') + 1)
                                              : node.name + "_quantize";
}

MIDTREAD_ON_USE std::string listed(const NameIndex& names) {
  std::string text;
  for (const auto& name : names)
    if (text.size() < 300) text += (text.empty() ? "" : ", ") + name.first;
  return text;
}

/// Throws ConfigError where the mapping names a module or a type that is not in the model.
MIDTREAD_ON_USE void check_mapping(const graph::GraphModule& graph, const quant::QConfigMapping& mapping) {
  using graph::NodeKind;
  NameIndex names, quantizers, types, fused_types;
  for (const auto& node : graph.nodes()) {
    for (const graph::Scope& scope : node->scopes) {
      names.emplace(scope.path, 0);
      types.emplace(scope.module->type_name(), 0);
    }
    quantizers.emplace(quantizer_name(*node), 0);
    if (node->kind == NodeKind::kInput) names.emplace(quantizer_name(*node), 0);
    if (node->kind != NodeKind::kModule && node->kind != NodeKind::kFunction) continue;
    names.emplace(node->name, 0);
    names.emplace(node->name.substr(0, node->name.find('#')), 0);
    types.emplace(node->type(), 0);
    if (node->operation && ops::as<ops::AddRelu>(*node->operation)) types.emplace(ops::Add::kName, 0);
    if (const auto* fused = dynamic_cast<const nn::FusedImpl*>(node->module.get())) {
      if (fused->bn()) fused_types.emplace(fused->bn()->type_name(), 0);
      const std::string activation = nn::to_string(fused->activation());
      if (!activation.empty()) fused_types.emplace(activation, 0);
    }
  }
  names.erase("");
  for (const auto& item : mapping.module_names())
    if (!names.count(item.first) && !quantizers.count(item.first))
      throw ConfigError(
          printable(item.first),
          "the qconfig mapping names a module that the model does not have; it has: " + listed(names));
  for (const auto& item : mapping.object_types())
    if (!types.count(item.first))
      throw ConfigError(
          printable(item.first),
          fused_types.count(item.first)
              ? "the qconfig mapping names a type that is fused into the layer before it "
                "everywhere; give that layer the qconfig"
              : "the qconfig mapping names a type that the model does not have; it has: " + listed(types));
}

/// A name of the mapping that is a quantizer's must be that of one in `prepared`.
MIDTREAD_ON_USE void check_quantizer_names(const graph::GraphModule& source,
                                           const graph::GraphModule& prepared,
                                           const quant::QConfigMapping& mapping) {
  NameIndex names;
  for (const auto& node : prepared.nodes()) names.emplace(node->name, 0);
  for (const auto& node : source.nodes()) {
    const std::string name = quantizer_name(*node);
    if (mapping.module_names().find(name) && !names.count(name))
      throw ConfigError(
          name, "the qconfig mapping names a quantizer that is not needed: nothing quantized reads '" +
                    node->name + "' as a real tensor");
  }
}

enum class Plan { kFloat, kUnit, kPreserving, kQuantize };

struct Planned {
  QConfigPointer qconfig;
  Plan plan = Plan::kFloat;
  std::string note;
  bool wanted = false;     ///< someone needs its codes
  bool quantized = false;  ///< its value carries codes
};

MIDTREAD_ON_USE Planned plan_node(const graph::Node& node, const quant::QConfigMapping& mapping) {
  using graph::NodeKind;
  Planned p;
  if (node.kind == NodeKind::kInput || node.kind == NodeKind::kOutput || node.kind == NodeKind::kParameter)
    return p;
  const auto resolved = resolve_qconfig(node, mapping);
  p.qconfig = resolved.value_or(nullptr);
  const int rank = node.inputs.empty() || !node.inputs[0] ? 0 : node.inputs[0]->example_shape.rank();
  const bool is_layer_node =
      node.module && (detail::is_layer(node) || dynamic_cast<const nn::FusedImpl*>(node.module.get()));
  if (dynamic_cast<const nn::DeQuantStubImpl*>(node.module.get())) return p;
  if (!p.qconfig) {
    p.note = resolved ? "qconfig is none" : "no qconfig";
    return p;
  }
  if (dynamic_cast<const nn::QuantStubImpl*>(node.module.get())) {
    p.plan = Plan::kQuantize;
  } else if (is_layer_node) {
    p.plan = Plan::kUnit;
    const auto* fused = dynamic_cast<const nn::FusedImpl*>(node.module.get());
    const auto layer = qat::as_layer(fused ? *fused->layer() : *node.module);
    if (layer->geometry.rank != rank) {
      p.plan = Plan::kFloat;
      p.note = concat(node.type(), " on a tensor of rank ", rank, " has no int8 kernel");
    }
  } else if (node.module) {
    p.note = node.module->is_opaque()
                 ? "opaque module"
                 : node.type() + " has no int8 kernel" +
                       (detail::is_batch_norm(node) ? " unless it is fused into the layer before it" : "");
  } else if (preserves_codes(*node.operation, rank)) {
    p.plan = Plan::kPreserving;
  } else if (qat::OperationUnit::supports(*node.operation) && node.example_shape.rank() <= 4) {
    p.plan = Plan::kUnit;
  } else {
    p.note = std::string(node.operation->name()) + " has no int8 kernel";
  }
  return p;
}

/// The fake quantizer of an output; with constant qparams where the operation's range fixes them.
MIDTREAD_ON_USE std::shared_ptr<quant::FakeQuantizeBase> make_output_quantizer(
    const quant::AnyQConfig& qconfig, const ops::Operation* operation, const std::string& where) {
  auto post = qconfig.make_activation();
  if (!post)
    throw ConfigError(
        where, "its qconfig has no activation; a quantized operation needs one, or give it qconfig nullptr");
  const std::optional<QParams> fixed = operation ? operation->fixed_qparams(post->dtype()) : std::nullopt;
  if (!fixed || !(fixed->range == post->range())) return post;
  const auto options = [&](auto&& o) {
    return o.scale(static_cast<double>(fixed->scale))
        .zero_point(fixed->zero_point)
        .rounding(post->observer().rounding());
  };
  if (fixed->dtype == DType::kUInt8) {
    using Fixed = quant::FakeQuantize<quant::FixedQParamsObserver<quant::UInt8Affine>>;
    return quant::share(new Fixed(options(Fixed::Options())));
  }
  using Fixed = quant::FakeQuantize<quant::FixedQParamsObserver<quant::Int8Affine>>;
  return quant::share(new Fixed(options(Fixed::Options())));
}

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes)

/// The model to train: shares parameters and batch norm buffers with `graph`. qconfigs come from the modules'
/// `qconfig` and from `mapping`. Throws ConfigError where nothing is to be quantized, or the mapping names
/// what is not there.
MIDTREAD_ON_USE graph::GraphModule prepare_qat(const graph::GraphModule& graph,
                                               const quant::QConfigMapping& mapping = {}) {
  using detail::Plan;
  using graph::Node;
  using graph::NodeKind;
  IdentitySet asked;
  for (const auto& node : graph.nodes()) {
    if (node->module && dynamic_cast<const qat::Unit*>(node->module.get()))
      throw StateError(node->name, "this graph is prepared already; prepare the float graph");
    for (const graph::Scope& scope : node->scopes)
      if (asked.insert(scope.module.get())) scope.module->set_qconfig();
  }
  detail::check_mapping(graph, mapping);

  graph::NodeMap<detail::Planned> plans(graph.nodes().size());
  for (const auto& node : graph.nodes()) plans[node.get()] = detail::plan_node(*node, mapping);
  // Who needs codes: units, and what keeps codes for somebody who does.
  for (auto it = graph.nodes().rbegin(); it != graph.nodes().rend(); ++it) {
    const detail::Planned& p = plans[it->get()];
    const bool wants = p.plan == Plan::kUnit || (p.plan == Plan::kPreserving && p.wanted);
    for (const Node* input : (*it)->inputs)
      if (wants && input) plans[input].wanted = true;
  }

  graph::GraphModule out;
  // A real tensor that somebody needs as codes has two nodes; what stays float reads the real one.
  graph::NodeMapping mapped(graph.nodes().size()), real(graph.nodes().size());
  struct FirstUnit {
    const nn::Module* module;
    const qat::ConvUnit* unit;
    std::string weight, name;
  };
  std::vector<FirstUnit> first_units;
  bool any = false;
  for (const auto& node : graph.nodes()) {
    detail::Planned& p = plans[node.get()];
    Node copy = *node;
    copy.note = p.note;
    const bool input_quantized = !node->inputs.empty() && node->inputs[0] && plans[node->inputs[0]].quantized;
    const bool reads_codes = p.plan == Plan::kUnit || (p.plan == Plan::kPreserving && input_quantized);
    (reads_codes ? mapped : real).apply(copy);
    switch (p.plan) {
      case Plan::kUnit: {
        auto post = detail::make_output_quantizer(*p.qconfig, node->operation.get(), node->name);
        if (node->operation) {
          copy.module.reset(new qat::OperationUnit(node->name, node->operation, std::move(post)));
          copy.operation = nullptr;
        } else {
          const FirstUnit* first = nullptr;  // of an earlier call of this module
          for (const FirstUnit& known : first_units)
            if (known.module == node->module.get()) first = &known;
          if (first && first->weight != p.qconfig->weight_name())
            throw ConfigError(node->name, "its qconfig has the weight quantizer " + p.qconfig->weight_name() +
                                              ", but it shares its weight with '" + first->name +
                                              "', which has " + first->weight + "; give both the same");
          auto* unit =
              new qat::ConvUnit(node->name, node->module,
                                first ? first->unit->shared_weight_fake_quant() : p.qconfig->make_weight(),
                                std::move(post), !first);
          copy.module.reset(unit);
          if (!first) first_units.push_back({node->module.get(), unit, p.qconfig->weight_name(), node->name});
        }
        copy.kind = NodeKind::kModule;
        p.quantized = any = true;
        break;
      }
      case Plan::kQuantize:
        copy.module.reset(new qat::QuantizeUnit(
            node->name, detail::make_output_quantizer(*p.qconfig, nullptr, node->name)));
        p.quantized = any = true;
        break;
      case Plan::kPreserving:
        p.quantized = input_quantized;
        copy.stays_float = !input_quantized;
        break;
      case Plan::kFloat: copy.stays_float = true; break;
    }
    Node* added = out.add(std::move(copy));
    mapped[node.get()] = real[node.get()] = added;
    if (p.quantized || !p.wanted) continue;
    QConfigPointer qconfig;  // of its first reader that needs codes
    for (const Node* user : graph.users(node.get())) {
      const detail::Planned& u = plans[user];
      if (!qconfig && (u.plan == Plan::kUnit || (u.plan == Plan::kPreserving && u.wanted)))
        qconfig = u.qconfig;
    }
    Node quantize;
    quantize.kind = NodeKind::kModule;
    quantize.name = detail::quantizer_name(*node);
    if (const auto* named = mapping.module_names().find(quantize.name)) {
      qconfig = named->value();
      if (!qconfig)
        throw ConfigError(quantize.name,
                          "the qconfig mapping leaves it in float, but quantized operations read it; give "
                          "those qconfig nullptr");
    }
    quantize.inputs = {added};
    quantize.example_shape = node->example_shape;
    quantize.module.reset(new qat::QuantizeUnit(
        quantize.name, detail::make_output_quantizer(*qconfig, nullptr, quantize.name)));
    mapped[node.get()] = out.add(std::move(quantize));
    p.quantized = true;
  }
  if (!any)
    throw ConfigError("prepare_qat",
                      "nothing to quantize: set a qconfig on the model (model->qconfig = ...) or pass a "
                      "mapping with set_global");
  detail::check_quantizer_names(graph, out, mapping);
  out.train(graph.training());
  graph::lint(out, "prepare_qat");
  return out;
}

/// Traces and fuses first.
template <class Impl>
graph::GraphModule prepare_qat(const nn::ModuleHolder<Impl>& model, const Tensor& example,
                               const quant::QConfigMapping& mapping = {}) {
  return prepare_qat(fuse_modules(graph::trace(model, example)), mapping);
}

/// "name: why" for every operation that stays float.
MIDTREAD_ON_USE std::vector<std::string> float_report(const graph::GraphModule& prepared) {
  std::vector<std::string> out;
  for (const auto& node : prepared.nodes())
    if (!node->note.empty()) out.push_back(node->name + ": " + node->note);
  return out;
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// From a model to a graph: runs forward once in eval mode and writes down what happens, then checks the
// result on a batch of another size, bit for bit. The path taken by `if` and `for` is frozen.
#pragma once

#include <midtread/core/name_index.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/graph/lint.hpp>
#include <midtread/nn/mode_guard.hpp>
#include <midtread/nn/module_holder.hpp>
#include <midtread/tensor/compare.hpp>

#include <algorithm>

MIDTREAD_NAMESPACE_BEGIN(graph)

struct TraceOptions {
  /// Repeat with one more example in the batch and compare bits.
  TraceOptions& check_batch(bool value) {
    check_batch_ = value;
    return *this;
  }
  bool check_batch_ = true;
};

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(graph::detail)

/// Records one forward.
MIDTREAD_CLASS_ON_USE(Tracer)
class BasicTracer final : public ops::Recorder {
 public:
  explicit BasicTracer(const std::shared_ptr<nn::Module>& root) : root_(root) {
    for (const auto& item : root->named_modules()) {
      paths_.insert(item.second, item.first);
      for (const auto& p : item.second->own_parameters())
        if (p.second.defined()) add_parameter(join(item.first, p.first), p.second);
      for (const auto& b : item.second->own_buffers())
        if (b.second.holds<float>()) add_parameter(join(item.first, b.first), b.second.get<float>());
    }
    scopes_.push_back({"", root});
  }

  void record(const Tensors& inputs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      Node node;
      node.kind = NodeKind::kInput;
      node.name = concat("x_", i);
      const Tensor input = inputs[i].detach();
      inputs_.push_back(input);
      remember(graph.add(std::move(node)), input);
    }
    ops::Recorder* const before = ops::recorder();
    struct Restore {
      ops::Recorder* before;
      ~Restore() { ops::recorder() = before; }
    } restore{before};
    ops::recorder() = this;
    outputs = root_->forward_many(inputs_);
    ops::recorder() = before;

    Node node;
    node.kind = NodeKind::kOutput;
    node.name = "output";
    for (const Tensor& out : outputs) node.inputs.push_back(resolve(out, "the output"));
    if (node.inputs.empty()) throw TraceError("output", "forward returned nothing");
    check_versions();
    graph.add(std::move(node));
    lint(graph, "trace");
  }

  void enter(nn::Module& module) override { scopes_.push_back({path_of(module), shared(module)}); }
  void leave() override { scopes_.pop_back(); }

  void function(std::shared_ptr<const ops::Operation> operation, const Tensors& inputs,
                const Tensor& output) override {
    Node node;
    node.kind = NodeKind::kFunction;
    node.operation = std::move(operation);
    const Scope& scope = scopes_.back();
    const bool belongs_to_a_layer = scope.module != root_ && scope.module->children().empty();
    node.name = unique(belongs_to_a_layer ? scope.path : join(scope.path, node.operation->name()));
    node.scopes = distinct_scopes();
    for (const Tensor& input : inputs)
      node.inputs.push_back(input.defined() ? resolve(input, node.name) : nullptr);
    remember(graph.add(std::move(node)), output);
  }

  void leaf(nn::Module& module, const Tensors& inputs, const Tensors& results) override {
    if (results.size() != 1)
      throw TraceError(path_of(module),
                       concat("a leaf module must give one tensor, it gave ", results.size()));
    Node node;
    node.kind = NodeKind::kModule;
    node.module = shared(module);
    node.name = unique(path_of(module));
    node.scopes = distinct_scopes();
    if (node.scopes.back().module != node.module) node.scopes.push_back({path_of(module), node.module});
    for (const Tensor& input : inputs) node.inputs.push_back(resolve(input, node.name));
    remember(graph.add(std::move(node)), results[0]);
  }

  GraphModule graph;
  Tensors outputs;
  std::vector<Tensor>
      values;  ///< of each node that has one, in order: nothing may be freed and its address reused

 private:
  static std::string join(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "." + name;
  }

  void add_parameter(const std::string& path, const Tensor& tensor) {
    if (!parameters_.find(tensor.identity())) parameters_.insert(tensor.identity(), {path, tensor});
    ++calls_[path];  // an operation of this name becomes "path#2"
  }
  std::string path_of(const nn::Module& module) const {
    const std::string* found = paths_.find(&module);
    if (!found)
      throw TraceError(module.type_name(), "this module is called but not registered; use register_module");
    return *found;
  }
  static std::shared_ptr<nn::Module> shared(nn::Module& module) {
    if (auto pointer = module.weak_from_this().lock()) return pointer;
    throw TraceError(module.type_name(),
                     "the module is not owned by a holder or a shared_ptr; make it with one");
  }
  std::vector<Scope> distinct_scopes() const {
    std::vector<Scope> out;
    for (const Scope& scope : scopes_)
      if (out.empty() || out.back().module != scope.module) out.push_back(scope);
    return out;
  }
  std::string unique(const std::string& name) {
    for (;;) {
      const std::size_t call = ++calls_[name];
      const std::string candidate = call == 1 ? name : concat(name, '#', call);
      if (!graph.find(candidate)) return candidate;
    }
  }
  void remember(Node* node, const Tensor& value) {
    nodes_[value.identity()] = node;
    node->example_shape = value.shape();
    values.push_back(value);
    versions_.emplace_back(node, value.version());
  }
  Node* resolve(const Tensor& tensor, const std::string& reader) {
    if (Node** known = nodes_.find(tensor.identity())) return *known;
    const Parameter* parameter = parameters_.find(tensor.identity());
    if (!parameter)
      throw TraceError(
          reader,
          concat("reads a tensor of shape ", tensor.shape(),
                 " that no recorded operation made; register a constant as a buffer, and compute with "
                 "midtread's operations"));
    Node node;
    node.kind = NodeKind::kParameter;
    node.name = parameter->path;
    node.parameter = parameter->tensor;
    Node* added = graph.add(std::move(node));
    remember(added, tensor);
    return added;
  }
  void check_versions() const {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i].version() != versions_[i].second)
        throw TraceError(versions_[i].first->name,
                         "its result is written in place later; an operation in place cannot be traced");
  }

  std::shared_ptr<nn::Module> root_;
  struct Parameter {
    std::string path;
    Tensor tensor;
  };
  IdentityMap<std::string> paths_;
  IdentityMap<Parameter> parameters_;
  IdentityMap<Node*> nodes_;
  std::vector<std::pair<Node*, std::uint64_t>> versions_;
  std::vector<Scope> scopes_;
  NameIndex calls_;
  Tensors inputs_;
};

/// Puts modes and buffers back as they were.
MIDTREAD_CLASS_ON_USE(RestoreModel)
class BasicRestoreModel {
 public:
  explicit BasicRestoreModel(nn::Module& model) : modes_(model) {
    for (const auto& item : model.named_buffers()) buffers_.emplace_back(item.second, item.second.clone());
  }
  ~BasicRestoreModel() {
    for (auto& buffer : buffers_) buffer.first.set_data(buffer.second);
  }
  BasicRestoreModel(const BasicRestoreModel&) = delete;
  BasicRestoreModel& operator=(const BasicRestoreModel&) = delete;

  bool root_mode() const { return modes_.root_mode(); }

 private:
  nn::ModeGuard modes_;
  std::vector<std::pair<AnyTensor, AnyTensor>> buffers_;
};

/// The example with its first row once more.
MIDTREAD_ON_USE Tensor one_more_row(const Tensor& x) {
  Shape shape = x.shape();
  ++shape[0];
  const Tensor from = x.contiguous();
  Tensor out(shape);
  float* to = out.mutable_data();
  std::copy_n(from.data(), from.numel(), to);
  std::copy_n(from.data(), from.numel() / x.size(0), to + from.numel());
  return out;
}

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(graph)

/// The graph of `model` on `examples`, in the model's mode. Parameters and buffers are shared with the model,
/// modes and buffer values are left as they were. Throws TraceError naming what cannot be traced, and where
/// the graph and the model disagree on a batch with one more example.
MIDTREAD_ON_USE GraphModule trace(const std::shared_ptr<nn::Module>& model, const Tensors& examples,
                                  TraceOptions options = {}) {
  if (!model) throw TraceError("trace", "the model is empty");
  if (examples.empty()) throw TraceError("trace", "needs an example input");
  const detail::RestoreModel restore(*model);
  const NoGradGuard no_grad;
  model->eval();
  detail::Tracer first(model);
  first.record(examples);
  first.graph.train(false);

  bool batched = options.check_batch_;
  for (const Tensor& x : examples)
    batched = batched && x.rank() > 0 && x.size(0) > 0 && x.size(0) == examples[0].size(0);
  if (batched) {
    Tensors larger;
    for (const Tensor& x : examples) larger.push_back(detail::one_more_row(x));
    detail::Tracer second(model);
    try {
      second.record(larger);
    } catch (const TraceError&) {
      throw;
    } catch (const Error& error) {
      throw TraceError(
          error.where(),
          concat("forward fails on a batch of ", larger[0].size(0), " (traced with ", examples[0].size(0),
                 "): ", error.detail(),
                 "; keep the batch size out of reshape, or use TraceOptions().check_batch(false)"));
    }
    const auto &a = first.graph.nodes(), &b = second.graph.nodes();
    // Where one is shorter, its output stands against another node.
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      const std::string text_a = a[i]->operation ? a[i]->operation->attributes() : "";
      const std::string text_b = b[i]->operation ? b[i]->operation->attributes() : "";
      if (a[i]->name != b[i]->name || a[i]->type() != b[i]->type() || text_a != text_b)
        throw TraceError(
            a[i]->name, concat("depends on the batch size: ", a[i]->type(), "(", text_a, ") at ",
                               examples[0].size(0), " examples, ", b[i]->name, " = ", b[i]->type(), "(",
                               text_b, ") at ", larger[0].size(0), "; use reshape with -1 or 0, or flatten"));
    }
    first.graph.run(larger, [&](const Node& node, const Tensor& value) {
      if (node.kind != NodeKind::kOutput && !identical(value, second.values[node.index]))
        throw TraceError(
            node.name,
            "the graph and the model give different values here on a second batch; does forward draw "
            "random numbers or keep state?");
    });
  }
  GraphModule graph = first.graph;
  graph.train(restore.root_mode());
  return graph;
}

MIDTREAD_ON_USE GraphModule trace(const std::shared_ptr<nn::Module>& model, const Tensor& example,
                                  TraceOptions options = {}) {
  return trace(model, Tensors{example}, options);
}
/// `model` must be owned by a holder or a shared_ptr.
MIDTREAD_ON_USE GraphModule trace(nn::Module& model, const Tensor& example, TraceOptions options = {}) {
  const auto owned = model.weak_from_this().lock();
  if (!owned)
    throw TraceError(model.type_name(),
                     "the model is not owned by a holder or a shared_ptr; make it with one");
  return trace(owned, Tensors{example}, options);
}
template <class Impl>
GraphModule trace(const nn::ModuleHolder<Impl>& model, const Tensor& example, TraceOptions options = {}) {
  return trace(model.module(), Tensors{example}, options);
}
template <class Impl>
GraphModule trace(const nn::ModuleHolder<Impl>& model, const Tensors& examples, TraceOptions options = {}) {
  return trace(model.module(), examples, options);
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The module: named parameters, buffers and children, a mode, and a forward that is written once.
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/core/identity_map.hpp>
#include <midtread/core/ordered_dict.hpp>
#include <midtread/nn/parameter_tag.hpp>
#include <midtread/nn/qconfig_slot.hpp>
#include <midtread/ops/record.hpp>
#include <midtread/tensor/any_tensor.hpp>

#include <memory>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(nn)

using StateDict = OrderedDict<AnyTensor>;

template <class Scalar>
class BasicModule : public std::enable_shared_from_this<BasicModule<Scalar>> {
 public:
  using T = BasicTensor<Scalar>;
  using Ts = std::vector<T>;
  using Pointer = std::shared_ptr<BasicModule>;

  BasicModule() = default;
  virtual ~BasicModule() = default;
  BasicModule& operator=(const BasicModule&) = delete;

  /// One tensor in, one out.
  virtual T forward(const T& input) {
    (void)input;
    throw UnsupportedError(type_name(),
                           "this module has no forward(const Tensor&); override it, or forward_many");
  }
  /// Several in or out. The default is forward of the only input.
  virtual Ts forward_many(const Ts& inputs) {
    if (inputs.size() != 1)
      throw ShapeError(type_name(),
                       concat("takes one input, got ", inputs.size(), "; override forward_many for more"));
    return {forward(inputs[0])};
  }
  /// What printing, summaries and qconfig mappings call this kind of module ("Conv2d").
  virtual std::string type_name() const { return "Module"; }
  /// Parameters of the constructor for printing: "3, 16, kernel_size=3".
  virtual std::string extra_repr() const { return {}; }
  /// What kind of parameter `name` of this module is (nn/parameter_groups.hpp).
  virtual ParameterTag parameter_tag(const std::string& name) const {
    return name == "bias" ? ParameterTag::kBias : ParameterTag::kWeight;
  }
  /// HAT's hook: called by prepare_qat before qconfigs are read; set `qconfig` of this module or of children
  /// here.
  virtual void set_qconfig() {}
  /// HAT's hook: called by fuse_modules; return groups of child names: {{"conv", "bn", "relu"}}.
  virtual std::vector<std::vector<std::string>> fuse_model() { return {}; }

  /// forward, seen by a tracer as one call of this module.
  Ts call(const Ts& inputs) {
    if constexpr (std::is_same_v<Scalar, float>) {
      if (ops::Recorder* to = ops::recorder()) {
        if (opaque_) return record_leaf(inputs, [&] { return forward_many(inputs); });
        to->enter(*this);
        struct Leave {
          ops::Recorder* recorder;
          ~Leave() { recorder->leave(); }
        } leave{to};
        return forward_many(inputs);
      }
    }
    return forward_many(inputs);
  }

  T register_parameter(const std::string& name, T tensor, bool requires_grad = true) {
    check_new(name);
    if (tensor.defined()) tensor.requires_grad_(requires_grad);
    return parameters_.insert(name, std::move(tensor));
  }
  template <class S>
  BasicTensor<S> register_buffer(const std::string& name, BasicTensor<S> tensor) {
    check_new(name);
    buffers_.insert(name, AnyTensor(tensor));
    return tensor;
  }
  /// `child` is a holder (nn::Conv2d) or a shared_ptr; returned so that it can initialise a member.
  template <class Child>
  Child register_module(const std::string& name, Child child) {
    check_new(name);
    if (name.empty() || name.find('.') != std::string::npos)
      throw ConfigError(printable(name), "a child's name must not be empty nor contain a dot");
    children_.insert(name, pointer(child));
    return child;
  }
  template <class Child>
  Child replace_module(const std::string& name, Child child) {
    children_.at(name) = pointer(child);
    return child;
  }

  bool training() const noexcept { return training_; }
  /// Sets the mode of this module and all below. Overridden where a mode is frozen.
  virtual void train(bool on = true) {
    training_ = on;
    for (auto& child : children_) child.second->train(on);
  }
  void eval() { train(false); }
  /// A tracer takes an opaque module as one node; quantization leaves it in float.
  void set_leaf(bool opaque) noexcept { opaque_ = opaque; }
  bool is_opaque() const noexcept { return opaque_; }

  OrderedDict<T>& own_parameters() noexcept { return parameters_; }
  const OrderedDict<T>& own_parameters() const noexcept { return parameters_; }
  OrderedDict<AnyTensor>& own_buffers() noexcept { return buffers_; }
  const OrderedDict<AnyTensor>& own_buffers() const noexcept { return buffers_; }
  OrderedDict<Pointer>& children() noexcept { return children_; }
  const OrderedDict<Pointer>& children() const noexcept { return children_; }

  /// Every parameter once, with the first path it is found under.
  std::vector<std::pair<std::string, T>> named_parameters() const {
    std::vector<std::pair<std::string, T>> out;
    IdentitySet seen;
    visit("", [&](const std::string& prefix, const BasicModule& m) {
      for (const auto& p : m.parameters_)
        if (p.second.defined() && seen.insert(p.second.identity()))
          out.emplace_back(prefix + p.first, p.second);
    });
    return out;
  }
  Ts parameters() const {
    Ts out;
    for (auto& p : named_parameters()) out.push_back(p.second);
    return out;
  }
  std::vector<std::pair<std::string, AnyTensor>> named_buffers() const {
    std::vector<std::pair<std::string, AnyTensor>> out;
    visit("", [&](const std::string& prefix, const BasicModule& m) {
      for (const auto& b : m.buffers_) out.emplace_back(prefix + b.first, b.second);
    });
    return out;
  }
  /// This module ("") and all below, each once, parents first.
  std::vector<std::pair<std::string, BasicModule*>> named_modules() {
    std::vector<std::pair<std::string, BasicModule*>> out;
    IdentitySet seen;
    collect_modules("", this, out, seen);
    return out;
  }
  /// Calls `visit` for every module below and for this one.
  template <class Visitor>
  void apply(const Visitor& visitor) {
    for (auto& child : children_) child.second->apply(visitor);
    visitor(*this);
  }
  void zero_grad() {
    for (const T& p : parameters()) p.set_grad(T());
  }

  /// Parameters and buffers by path. The tensors are shared, not copied.
  StateDict state_dict() const {
    StateDict out;
    visit("", [&](const std::string& prefix, const BasicModule& m) {
      for (const auto& p : m.parameters_)
        if (p.second.defined()) out.assign(prefix + p.first, AnyTensor(p.second));
      for (const auto& b : m.buffers_) out.assign(prefix + b.first, b.second);
    });
    return out;
  }
  /// Copies values in by name. All or nothing: throws FormatError listing up to ten differences before a
  /// value moves. A buffer may change its shape (an observer's statistics are sized by the first batch); a
  /// parameter may not. Not strict: unknown and missing names are passed over.
  void load_state_dict(const StateDict& state, bool strict = true) {
    std::vector<std::string> problems;
    StateDict own = state_dict();
    IdentitySet is_parameter;
    for (const T& p : parameters()) is_parameter.insert(p.identity());
    for (const auto& item : own) {
      const AnyTensor* found = state.find(item.first);
      if (!found) {
        if (strict) problems.push_back("missing " + item.first);
      } else if (found->dtype() != item.second.dtype()) {
        problems.push_back(
            concat(item.first, ": ", found->dtype(), " in the file, ", item.second.dtype(), " here"));
      } else if (is_parameter.contains(item.second.identity()) && found->shape() != item.second.shape()) {
        problems.push_back(
            concat(item.first, ": shape ", found->shape(), " in the file, ", item.second.shape(), " here"));
      }
    }
    if (strict)
      for (const auto& item : state)
        if (!own.contains(item.first)) problems.push_back("unexpected " + printable(item.first));
    if (!problems.empty()) {
      std::string text;
      for (std::size_t i = 0; i < problems.size() && i < 10; ++i) text += (i ? "; " : "") + problems[i];
      if (problems.size() > 10) text += concat("; and ", problems.size() - 10, " more");
      throw FormatError("load_state_dict", "the state does not fit this model: " + text);
    }
    StateDict resized;  // what needs memory comes before the first value moves
    for (const auto& item : own)
      if (const AnyTensor* found = state.find(item.first))
        if (found->shape() != item.second.shape()) resized.insert(item.first, found->clone());
    for (const auto& item : own)
      if (const AnyTensor* found = state.find(item.first)) {
        if (const AnyTensor* copy = resized.find(item.first))
          item.second.set_data(*copy);
        else
          item.second.copy_(*found);
      }
    state_loaded();
  }

  /// Original -> copy, of modules and of tensors, while a graph is cloned.
  struct CloneMap {
    IdentityMap<Pointer> modules;
    IdentityMap<AnyTensor> tensors;
  };
  /// A deep copy; what is shared in the original is shared in the copy. Leaf classes only (see Leaf).
  Pointer clone(CloneMap& map) const {
    if (const Pointer* known = map.modules.find(this)) return *known;
    Pointer copy = shallow_copy();
    map.modules[this] = copy;
    for (auto& p : copy->parameters_)
      if (p.second.defined()) p.second = cloned_tensor(p.second, map).template get<Scalar>();
    for (auto& b : copy->buffers_) b.second = cloned_tensor(b.second, map);
    for (auto& child : copy->children_) child.second = child.second->clone(map);
    copy->clone_references(map);
    copy->rebind();
    return copy;
  }

  QConfigSlot qconfig;

 protected:
  BasicModule(const BasicModule&) = default;

  /// Owns `made` as a BasicModule: one control block class for all, which compiles faster.
  static Pointer share(BasicModule* made) { return Pointer(made); }
  /// The same class with the same handles. Leaf implements it.
  virtual Pointer shallow_copy() const {
    throw UnsupportedError(type_name(), "this module cannot be cloned; derive it from nn::Leaf");
  }
  /// Points typed members at own_parameters(), own_buffers() and children() again, after they were cloned.
  virtual void rebind() {}
  /// Clones modules that are held but are not children.
  virtual void clone_references(CloneMap& map) { (void)map; }
  /// Called after values were loaded.
  virtual void state_loaded() {
    for (auto& child : children_) child.second->state_loaded();
  }

  /// The copy of a tensor, made once for all that share it.
  static AnyTensor cloned_tensor(const AnyTensor& tensor, CloneMap& map) {
    AnyTensor& copy = map.tensors[tensor.identity()];
    if (!copy.defined()) {
      copy = tensor.clone();
      copy.set_requires_grad(tensor.requires_grad());
    }
    return copy;
  }

  /// Runs `body` (to Tensors) as one node of a trace.
  template <class Body>
  Ts record_leaf(const Ts& inputs, const Body& body) {
    if constexpr (std::is_same_v<Scalar, float>) {
      if (ops::Recorder* to = ops::recorder()) {
        Ts outputs;
        {
          const ops::PauseRecording pause;
          outputs = body();
        }
        to->leaf(*this, inputs, outputs);
        return outputs;
      }
    }
    return body();
  }

 private:
  template <class Child>
  static Pointer pointer(const Child& child) {
    if constexpr (std::is_convertible_v<Child, Pointer>)
      return child;
    else
      return child.module();
  }
  void check_new(const std::string& name) const {
    if (parameters_.contains(name) || buffers_.contains(name) || children_.contains(name))
      throw ConfigError(printable(name),
                        "this name is registered already in " + type_name() + "; choose another");
  }
  template <class Visitor>
  void visit(const std::string& prefix, const Visitor& visitor) const {
    visitor(prefix, *this);
    for (const auto& child : children_) child.second->visit(prefix + child.first + ".", visitor);
  }
  static void collect_modules(const std::string& path, BasicModule* module,
                              std::vector<std::pair<std::string, BasicModule*>>& out, IdentitySet& seen) {
    if (!seen.insert(module)) return;
    out.emplace_back(path, module);
    for (auto& child : module->children_)
      collect_modules(path.empty() ? child.first : path + "." + child.first, child.second.get(), out, seen);
  }
  OrderedDict<T> parameters_;
  OrderedDict<AnyTensor> buffers_;
  OrderedDict<Pointer> children_;
  bool training_ = true;
  bool opaque_ = false;
};

using Module = BasicModule<float>;

/// Base of modules that can be cloned: Derived's copy constructor copies handles, rebind() renews typed
/// members.
template <class Derived, class Scalar = float>
class Leaf : public BasicModule<Scalar> {
 protected:
  Leaf() = default;
  Leaf(const Leaf&) = default;
  std::shared_ptr<BasicModule<Scalar>> shallow_copy() const override {
    return this->share(new Derived(static_cast<const Derived&>(*this)));
  }
};

MIDTREAD_NAMESPACE_END

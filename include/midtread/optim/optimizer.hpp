// SPDX-License-Identifier: MIT
// What every optimizer has: groups of parameters with their own options, a step, and a state that can be
// saved.
#pragma once

#include <midtread/autograd/grad_mode.hpp>
#include <midtread/core/identity_map.hpp>
#include <midtread/core/option.hpp>
#include <midtread/core/ordered_dict.hpp>
#include <midtread/core/parallel.hpp>
#include <midtread/tensor/any_tensor.hpp>
#include <midtread/tensor/factory.hpp>

#include <string>
#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(optim)

/// The part that schedulers and training loops need to know.
class Optimizer {
 public:
  using State = OrderedDict<AnyTensor>;

  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a gradient, in place.
  virtual void step() = 0;
  /// Forgets all gradients.
  void zero_grad() {
    for (std::size_t g = 0; g < group_count(); ++g)
      for (const Tensor& p : parameters(g)) p.set_grad(Tensor());
  }

  virtual std::size_t group_count() const = 0;
  virtual const Tensors& parameters(std::size_t group) const = 0;
  virtual double lr(std::size_t group = 0) const = 0;
  virtual void set_lr(std::size_t group, double lr) = 0;

  /// "param_groups.0.lr" and, per parameter in order, "state.3.momentum_buffer". Tensors are shared, not
  /// copied.
  virtual State state_dict() const = 0;
  /// All or nothing: FormatError listing what does not fit. Missing per-parameter state means: no step was
  /// made yet.
  virtual void load_state_dict(const State& state) = 0;

 protected:
  Optimizer() = default;
};

/// Groups of parameters with `Options` each; per-parameter tensors named by `slots`.
template <class Options>
class GroupedOptimizer : public Optimizer {
 public:
  struct Group {
    Tensors parameters;
    Options options;
  };

  /// Throws ConfigError on options out of range, undefined or repeated parameters, or none at all.
  void add_param_group(const Tensors& parameters, const Options& options) {
    options.check();
    if (parameters.empty()) throw ConfigError("optimizer", "a group has no parameters");
    IdentitySet known;
    for (const Group& group : groups_)
      for (const Tensor& p : group.parameters) known.insert(p.identity());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!parameters[i].defined())
        throw ConfigError("optimizer", concat("parameter ", i, " of the group is undefined"));
      if (!parameters[i].is_leaf())
        throw ConfigError(
            "optimizer", concat("parameter ", i,
                                " of the group is the result of an operation; only leaves can be optimized"));
      if (!parameters[i].is_dense())
        throw ConfigError("optimizer", concat("parameter ", i, " of the group is a strided view"));
      if (!known.insert(parameters[i].identity()))
        throw ConfigError("optimizer", concat("parameter ", i, " of the group is in the optimizer already"));
    }
    groups_.push_back({parameters, options});
    states_.resize(states_.size() + parameters.size());
  }

  std::size_t group_count() const override { return groups_.size(); }
  const Tensors& parameters(std::size_t group) const override { return at(group).parameters; }
  Options& options(std::size_t group = 0) { return groups_[index(group)].options; }
  const Options& options(std::size_t group = 0) const { return at(group).options; }
  double lr(std::size_t group = 0) const override { return at(group).options.lr(); }
  void set_lr(std::size_t group, double lr) override { groups_[index(group)].options.lr(lr); }

  State state_dict() const override {
    State out;
    for (std::size_t g = 0; g < groups_.size(); ++g)
      out.insert(concat("param_groups.", g, ".lr"), AnyTensor(scalar<double>(groups_[g].options.lr())));
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].step == 0) continue;
      out.insert(concat("state.", i, ".step"), AnyTensor(scalar<std::int64_t>(states_[i].step)));
      for (std::size_t k = 0; k < states_[i].tensors.size(); ++k)
        out.insert(concat("state.", i, ".", slots_[k]), AnyTensor(states_[i].tensors[k]));
    }
    return out;
  }

  void load_state_dict(const State& state) override {
    std::string problems;
    std::size_t used = 0;
    const auto problem = [&](const std::string& text) { problems += (problems.empty() ? "" : "; ") + text; };
    std::vector<double> rates;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const std::string name = concat("param_groups.", g, ".lr");
      const auto lr = typed<double>(state, name, Shape{});
      if (!lr.defined())
        problem("missing " + name);
      else
        ++used;
      rates.push_back(lr.defined() ? lr.item() : 0.0);
    }
    std::vector<ParameterState> loaded(states_.size());
    std::size_t i = 0;
    for (const Group& group : groups_)
      for (const Tensor& p : group.parameters) {
        const std::string prefix = concat("state.", i, ".");
        if (const auto step = typed<std::int64_t>(state, prefix + "step", Shape{}); step.defined()) {
          ++used;
          loaded[i].step = step.item();
          if (loaded[i].step < 1) problem(concat(prefix, "step is ", loaded[i].step, ", allowed 1 and up"));
          for (const char* slot : slots_) {
            const Tensor tensor = typed<float>(state, prefix + slot, p.shape());
            if (!tensor.defined()) {
              problem(concat("missing ", prefix, slot, ", or not float32 of shape ", p.shape()));
              continue;
            }
            ++used;
            loaded[i].tensors.push_back(Tensor(p.shape(), p.strides()).copy_(tensor));
          }
        }
        ++i;
      }
    if (problems.empty() && used != state.size())
      problem(concat(state.size() - used, " entries belong to no parameter here"));
    if (!problems.empty())
      throw FormatError("load_state_dict", "the state does not fit this optimizer: " + problems);
    for (std::size_t g = 0; g < groups_.size(); ++g) groups_[g].options.lr(rates[g]);
    states_ = std::move(loaded);
  }

 protected:
  struct ParameterState {
    std::int64_t step = 0;
    Tensors tensors;  ///< one per slot, in the parameter's memory order
  };

  GroupedOptimizer(const Tensors& parameters, const Options& options, std::vector<const char*> slots)
      : slots_(std::move(slots)) {
    add_param_group(parameters, options);
  }

  /// Calls update(options, state, n, p, g) for every parameter with a gradient; `state` has zeros before its
  /// first step.
  template <class Update>
  void for_each_parameter(const Update& update) {
    const NoGradGuard no_grad;
    std::size_t i = 0;
    for (Group& group : groups_)
      for (const Tensor& p : group.parameters) {
        ParameterState& state = states_[i++];
        const Tensor gradient = p.grad();
        if (!gradient.defined()) continue;
        if (gradient.shape() != p.shape())
          throw ShapeError("step", concat("parameter ", i - 1, " has shape ", p.shape(), ", its gradient ",
                                          gradient.shape()));
        const Tensor g =
            gradient.has_strides(p.strides()) ? gradient : Tensor(p.shape(), p.strides()).copy_(gradient);
        for (Tensor& slot : state.tensors)
          if (slot.shape() != p.shape()) state = ParameterState();  // the parameter was sized again
        while (state.tensors.size() < slots_.size())
          state.tensors.push_back(Tensor(p.shape(), p.strides()).fill_(0.0f));
        ++state.step;
        update(group.options, state, p.numel(), p.mutable_data(), g.data());
      }
  }

 private:
  std::size_t index(std::size_t group) const {
    if (group >= groups_.size())
      throw ConfigError("optimizer", concat("no group ", group, ", there are ", groups_.size()));
    return group;
  }
  const Group& at(std::size_t group) const { return groups_[index(group)]; }
  template <class S>
  static BasicTensor<S> typed(const State& state, const std::string& name, const Shape& shape) {
    const AnyTensor* any = state.find(name);
    return any && any->holds<S>() && any->shape() == shape ? any->get<S>() : BasicTensor<S>();
  }

  std::vector<const char*> slots_;
  std::vector<Group> groups_;
  std::vector<ParameterState> states_;  ///< in the order of all groups' parameters
};

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(optim::detail)

inline void check_not_negative(const char* where, const char* field, double value) {
  if (!(value >= 0.0 && value <= 1e30))
    throw ConfigError(where, concat(field, " is ", value, ", allowed 0 and up"));
}
inline constexpr std::int64_t kGrain = std::int64_t{1} << 15;

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// What one thread needs to run int8 models: kernel scratch, and for each model and input shape the values of
// all steps.
#pragma once

#include <midtread/kernels/scratch.hpp>
#include <midtread/quantized/codewise.hpp>

#include <cstdint>
#include <list>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// Reused from call to call, so that a run after the first at a shape allocates nothing. Not for two threads
/// at once.
MIDTREAD_CLASS_ON_USE(Workspace)
class BasicWorkspace {
 public:
  /// A step, and what runs on the pieces of its output.
  struct Stage {
    std::size_t step = 0;
    CodewiseTail tail;
  };
  struct Plan {
    std::uint64_t model = 0;
    bool visited = false;  ///< every step by itself
    std::vector<Shape> input_shapes;
    std::vector<Value> values;      ///< inputs, then one per step
    std::vector<Values> arguments;  ///< per step
    std::vector<Stage> stages;
  };

  /// The calling thread's own.
  static BasicWorkspace& this_thread() {
    thread_local BasicWorkspace workspace;
    return workspace;
  }

  kernels::Scratch& scratch() { return scratch_; }

  /// The plan of this model for inputs of these shapes, or null.
  Plan* find(std::uint64_t model, bool visited, const std::vector<midtread::Tensor>& inputs) {
    for (auto plan = plans_.begin(); plan != plans_.end(); ++plan) {
      if (plan->model != model || plan->visited != visited || plan->input_shapes.size() != inputs.size())
        continue;
      bool same = true;
      for (std::size_t i = 0; i < inputs.size(); ++i)
        same = same && plan->input_shapes[i] == inputs[i].shape();
      if (!same) continue;
      plans_.splice(plans_.begin(), plans_, plan);
      return &plans_.front();
    }
    return nullptr;
  }
  Plan& add(Plan plan) {
    if (plans_.size() >= kPlans) plans_.pop_back();
    plans_.push_front(std::move(plan));
    return plans_.front();
  }
  /// Frees all that is held.
  void clear() { plans_.clear(); }

 private:
  static constexpr std::size_t kPlans = 8;
  kernels::Scratch scratch_;
  std::list<Plan> plans_;  // most recently used first
};

MIDTREAD_NAMESPACE_END

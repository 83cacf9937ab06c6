// SPDX-License-Identifier: MIT
// The steps of an int8 model, and which of them are run together: a step that works code by code follows the
// one that makes its input, if nobody else reads that.
#pragma once

#include <midtread/quantized/codewise.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

struct Step {
  std::string name;
  std::shared_ptr<const Operator> op;
  std::vector<int> inputs;  ///< values: 0.. are the model's inputs, then one per step
};

MIDTREAD_ON_USE Forms arguments_of(const Step& step, const Forms& forms) {
  Forms out;
  for (int input : step.inputs) out.push_back(forms[static_cast<std::size_t>(input)]);
  return out;
}

/// Chains of steps, each run where its last step stands: everything it reads has been made by then.
MIDTREAD_CLASS_ON_USE(Stages)
class BasicStages {
 public:
  /// Each step by itself.
  explicit BasicStages(std::size_t steps) : before_(steps, kNone), behind_(steps, kNone) {}
  /// `forms`: of the inputs, then of the steps.
  BasicStages(const std::vector<Step>& steps, const std::vector<int>& outputs, const Forms& forms)
      : BasicStages(steps.size()) {
    const std::size_t first = forms.size() - steps.size();
    std::vector<int> readers(forms.size(), 0);
    for (const Step& step : steps)
      for (int input : step.inputs) ++readers[static_cast<std::size_t>(input)];
    for (int output : outputs) ++readers[static_cast<std::size_t>(output)];
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto* op = dynamic_cast<const Codewise*>(steps[i].op.get());
      if (op == nullptr || !op->is_codewise(arguments_of(steps[i], forms))) continue;
      for (int input : steps[i].inputs) {
        const auto v = static_cast<std::size_t>(input);
        if (v < first || readers[v] != 1 || !steps[v - first].op->has_pieces()) continue;
        if (before_[i] == kNone || v - first > before_[i]) before_[i] = v - first;
      }
      if (before_[i] != kNone) behind_[before_[i]] = i;
    }
  }

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  /// The step that `step` follows, and the one that follows it; kNone if there is none.
  std::size_t before(std::size_t step) const { return before_[step]; }
  std::size_t behind(std::size_t step) const { return behind_[step]; }
  std::size_t first_of(std::size_t step) const {
    while (before_[step] != kNone) step = before_[step];
    return step;
  }
  /// The step where `step` is run.
  std::size_t last_of(std::size_t step) const {
    while (behind_[step] != kNone) step = behind_[step];
    return step;
  }

 private:
  std::vector<std::size_t> before_, behind_;
};

MIDTREAD_NAMESPACE_END

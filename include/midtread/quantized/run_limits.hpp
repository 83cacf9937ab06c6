// SPDX-License-Identifier: MIT
// What one run of a model may cost: a file of a hundred bytes can ask for terabytes.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/form.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// Each limit is base + per_input * elements of the inputs.
struct RunLimits {
  double elements = 0x1p28, elements_per_input = 0x1p12;  ///< of all values together
  double work = 0x1p38, work_per_input = 0x1p24;          ///< multiply-accumulates, or elements touched

  static RunLimits none() { return {HUGE_VAL, 0, HUGE_VAL, 0}; }
};

/// Adds up what the steps of a run cost.
MIDTREAD_CLASS_ON_USE(RunCost)
class BasicRunCost {
 public:
  BasicRunCost(const RunLimits& limits, const Forms& inputs) : limits_(limits) {
    for (const Form& input : inputs) inputs_ += extent(input.shape);
  }
  /// Throws ShapeError naming `where` when the limits are passed.
  void add(const std::string& where, const Form& output, double work) {
    for (std::int64_t dim : output.shape)
      if (dim < 0 || dim > (std::int64_t{1} << 40))
        throw ShapeError(where, concat("gives a value of shape ", output.shape));
    (void)element_count(output.shape);
    elements_ += extent(output.shape);
    work_ += work;
    check(where, "values", elements_, limits_.elements + limits_.elements_per_input * inputs_);
    check(where, "operations", work_, limits_.work + limits_.work_per_input * inputs_);
  }

 private:
  static void check(const std::string& where, const char* what, double cost, double allowed) {
    if (!(cost <= allowed))
      throw ShapeError(where, concat("the run would need ", cost, ' ', what, ", allowed ", allowed,
                                     "; give larger RunLimits if you trust the model"));
  }

  RunLimits limits_;
  double inputs_ = 0, elements_ = 0, work_ = 0;
};

MIDTREAD_NAMESPACE_END

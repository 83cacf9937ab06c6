// SPDX-License-Identifier: MIT
// A value of the simulation, and float arithmetic rounded step by step.
#pragma once

#include <midtread/core/qparams.hpp>
#include <midtread/core/shape.hpp>

#include <vector>

namespace midtread::test {

/// A product or sum rounded to float on its own, whatever the compiler may contract.
inline float single(float x) {
  volatile float rounded = x;
  return rounded;
}

/// Row-major. `real` always holds the real values; `codes` those in the declared dtype, empty for a float
/// value.
struct SimValue {
  Shape shape;
  std::vector<float> real;
  std::vector<int> codes;
  QParams q;
  bool is_quantized = false;
};

}  // namespace midtread::test

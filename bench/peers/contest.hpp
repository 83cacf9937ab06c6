// SPDX-License-Identifier: MIT
// One piece of work and those who do it: each has packed its weights ahead, and its answer is compared.
#pragma once

#include <midtread/kernels/dispatch.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace peers {

/// y = requantize(conv(x, w) + bias): a matrix product is a convolution of single pixels. Activations have 7 bits, so
/// that peers whose products saturate in 16 bits give the same answer.
struct Problem {
  std::string name;
  midtread::kernels::Conv2dShape shape;
  std::vector<std::uint8_t> x;
  std::vector<std::int8_t> w;
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier;
  std::vector<std::uint8_t> y;  ///< the contract's codes, zero points 0

  double operations() const { return 2.0 * static_cast<double>(shape.multiply_accumulates()); }
};

struct Contestant {
  std::string name;
  std::function<void()> run;
  std::function<const std::uint8_t*()> answer;  ///< null: it computes in float
};

/// What can do the work on this machine; empty where the package was not found.
std::vector<Contestant> midtread_contestants(const Problem& problem, const std::string& isa);
std::vector<Contestant> onednn_contestants(const Problem& problem);
std::vector<Contestant> xnnpack_contestants(const Problem& problem);
std::vector<Contestant> gemmlowp_contestants(const Problem& problem);
std::vector<Contestant> eigen_contestants(const Problem& problem);

/// Caps oneDNN to what `isa` has; before any of its work. XNNPACK cannot be capped.
void cap_onednn(const std::string& isa);

}  // namespace peers

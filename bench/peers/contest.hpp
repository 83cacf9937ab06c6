// SPDX-License-Identifier: MIT
// One piece of work and those who do it: each has packed its weights ahead, and its answer is compared.
#pragma once

#include <midtread/kernels/dispatch.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace peers {

/// y = requantize(conv(x, w) + bias): a matrix product is a convolution of single pixels. Activations have 7
/// bits, so that peers whose products saturate in 16 bits give the same answer.
struct Problem {
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
std::vector<Contestant> saturating_contestants(const Problem& problem, const std::string& isa);
std::vector<Contestant> onednn_contestants(const Problem& problem);
std::vector<Contestant> xnnpack_contestants(const Problem& problem);
std::vector<Contestant> gemmlowp_contestants(const Problem& problem);
std::vector<Contestant> eigen_contestants(const Problem& problem);

/// An operation that memory bounds: y = add(a, b), the average of each channel of a [7, 7, channels], codes
/// of real numbers, or real numbers of codes. Zero points are 0.
struct Stream {
  enum Kind { kAdd, kAverage, kQuantize, kDequantize } kind;
  std::int64_t count;             ///< elements read of the first operand
  float a_scale, b_scale, scale;  ///< of the output; the average keeps a's
  std::vector<std::uint8_t> a, b;
  std::vector<float> real;
  std::vector<std::uint8_t> y;  ///< the contract's codes; empty for real numbers

  static constexpr std::int64_t kWindow = 7;
  std::int64_t outputs() const { return kind == kAverage ? count / (kWindow * kWindow) : count; }
};

std::vector<Contestant> midtread_contestants(const Stream& stream, const std::string& isa);
std::vector<Contestant> onednn_contestants(const Stream& stream);
std::vector<Contestant> xnnpack_contestants(const Stream& stream);

/// Caps oneDNN to what `isa` has; before any of its work. XNNPACK cannot be capped.
void cap_onednn(const std::string& isa);

}  // namespace peers

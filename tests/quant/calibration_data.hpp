// SPDX-License-Identifier: MIT
// Data of several distributions, and an observer's answer to one batch, for the tests of the calibration
// methods.
#pragma once

#include <midtread/core/random.hpp>
#include <midtread/quant/calibration_observer.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace calibration_data {

namespace mt = midtread;

using Values = std::vector<double>;

inline Values values_of(const mt::Tensor& t) {
  Values out;
  for (float v : t.to_vector()) out.push_back(static_cast<double>(v));
  return out;
}
inline double largest(const Values& x) {
  double out = 0;
  for (double v : x) out = std::max(out, std::fabs(v));
  return out;
}

/// Several shapes of distribution; those from `kSigned` on have negative values.
enum Kind { kRelu, kUniform, kSparse, kSpike, kNormal, kLaplace, kTail, kKinds };
inline constexpr Kind kSigned = kNormal;

inline mt::Tensor data(int kind, unsigned seed, std::int64_t n = 4000) {
  mt::Generator random(seed);
  mt::Tensor x{mt::Shape{n}};
  for (std::int64_t i = 0; i < n; ++i) {
    const double z = random.normal(), u = random.uniform();
    const double laplace = (z > 0 ? 1 : -1) * -std::log(1 - u);
    const double v[] = {std::max(z, 0.0), u,        u < 0.95 ? 0 : std::fabs(z), std::round(4 * u), z,
                        laplace,          z * z * z};
    x.mutable_data()[i] = static_cast<float>(v[kind]);
  }
  return x;
}

template <class Observer>
mt::ChannelQParams found(const mt::Tensor& x, const typename Observer::Options& options = {}) {
  Observer observer(options);
  observer.observe(x);
  return observer.qparams();
}

/// All batches in one tensor.
inline mt::Tensor joined(const std::vector<mt::Tensor>& batches) {
  std::vector<float> all;
  for (const mt::Tensor& b : batches)
    for (float v : b.to_vector()) all.push_back(v);
  return mt::from_vector(all, mt::Shape{static_cast<std::int64_t>(all.size())});
}

}  // namespace calibration_data

// SPDX-License-Identifier: MIT
// Initial values of parameters, in place, drawn from default_generator() where none is given.
//
//   xavier (Glorot, Bengio 2010)
//     bound = gain sqrt(6 / (fan_in + fan_out)),  std = gain sqrt(2 / (fan_in + fan_out))
//   kaiming (arXiv 1502.01852)
//     bound = gain sqrt(3 / fan),  std = gain / sqrt(fan)
#pragma once

#include <midtread/core/random.hpp>
#include <midtread/tensor/tensor.hpp>

#include <cmath>
#include <cstdint>

MIDTREAD_NAMESPACE_BEGIN(nn::init)

enum class FanMode { kFanIn, kFanOut };
enum class Nonlinearity { kLinear, kSigmoid, kTanh, kReLU, kLeakyReLU };

struct Fans {
  std::int64_t in = 0, out = 0;
};

/// Connections per output and per input of a weight [O, I, ...]. Throws ShapeError below two dimensions.
template <class S>
Fans fans(const BasicTensor<S>& weight) {
  if (weight.rank() < 2)
    throw ShapeError("init", concat("fan_in needs a weight of rank 2 and up, got shape ", weight.shape()));
  std::int64_t kernel = 1;
  for (int i = 2; i < weight.rank(); ++i) kernel *= weight.size(i);
  return {weight.size(1) * kernel, weight.size(0) * kernel};
}

/// PyTorch's factors; `slope` counts for kLeakyReLU only.
inline double gain(Nonlinearity nonlinearity, double slope = 0.01) {
  switch (nonlinearity) {
    case Nonlinearity::kTanh: return 5.0 / 3.0;
    case Nonlinearity::kReLU: return std::sqrt(2.0);
    case Nonlinearity::kLeakyReLU: return std::sqrt(2.0 / (1.0 + slope * slope));
    default: return 1.0;
  }
}

template <class S>
BasicTensor<S> uniform_(BasicTensor<S> tensor, double low = 0.0, double high = 1.0,
                        Generator& generator = default_generator()) {
  S* to = tensor.mutable_data();
  BasicTensor<S>::for_each_offset(tensor.shape(), tensor.strides(), [&](std::int64_t at) {
    to[at] = static_cast<S>(generator.uniform(low, high));
  });
  return tensor;
}
template <class S>
BasicTensor<S> normal_(BasicTensor<S> tensor, double mean = 0.0, double std = 1.0,
                       Generator& generator = default_generator()) {
  S* to = tensor.mutable_data();
  BasicTensor<S>::for_each_offset(tensor.shape(), tensor.strides(), [&](std::int64_t at) {
    to[at] = static_cast<S>(mean + std * generator.normal());
  });
  return tensor;
}
template <class S>
BasicTensor<S> constant_(BasicTensor<S> tensor, double value) {
  return tensor.fill_(static_cast<S>(value));
}
template <class S>
BasicTensor<S> zeros_(BasicTensor<S> tensor) {
  return constant_(tensor, 0.0);
}
template <class S>
BasicTensor<S> ones_(BasicTensor<S> tensor) {
  return constant_(tensor, 1.0);
}

template <class S>
BasicTensor<S> xavier_uniform_(BasicTensor<S> tensor, double gain = 1.0,
                               Generator& generator = default_generator()) {
  const Fans f = fans(tensor);
  const double bound = gain * std::sqrt(6.0 / static_cast<double>(f.in + f.out));
  return uniform_(tensor, -bound, bound, generator);
}
template <class S>
BasicTensor<S> xavier_normal_(BasicTensor<S> tensor, double gain = 1.0,
                              Generator& generator = default_generator()) {
  const Fans f = fans(tensor);
  return normal_(tensor, 0.0, gain * std::sqrt(2.0 / static_cast<double>(f.in + f.out)), generator);
}
template <class S>
BasicTensor<S> kaiming_uniform_(BasicTensor<S> tensor, double slope = 0.0, FanMode mode = FanMode::kFanIn,
                                Nonlinearity nonlinearity = Nonlinearity::kLeakyReLU,
                                Generator& generator = default_generator()) {
  const Fans f = fans(tensor);
  const double fan = static_cast<double>(mode == FanMode::kFanIn ? f.in : f.out);
  const double bound = gain(nonlinearity, slope) * std::sqrt(3.0 / fan);
  return uniform_(tensor, -bound, bound, generator);
}
template <class S>
BasicTensor<S> kaiming_normal_(BasicTensor<S> tensor, double slope = 0.0, FanMode mode = FanMode::kFanIn,
                               Nonlinearity nonlinearity = Nonlinearity::kLeakyReLU,
                               Generator& generator = default_generator()) {
  const Fans f = fans(tensor);
  const double fan = static_cast<double>(mode == FanMode::kFanIn ? f.in : f.out);
  return normal_(tensor, 0.0, gain(nonlinearity, slope) / std::sqrt(fan), generator);
}

/// PyTorch's start of linear and convolution layers: both uniform within 1 / sqrt(fan_in). `bias` may be
/// undefined.
template <class S>
void reset_layer_(const BasicTensor<S>& weight, const BasicTensor<S>& bias) {
  kaiming_uniform_(weight, std::sqrt(5.0));
  if (!bias.defined()) return;
  const double bound = 1.0 / std::sqrt(static_cast<double>(fans(weight).in));
  uniform_(bias, -bound, bound);
}

MIDTREAD_NAMESPACE_END

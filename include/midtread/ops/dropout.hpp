// SPDX-License-Identifier: MIT
// Dropout: in training y = x * m / (1 - p), where m is 0 with probability p (arXiv 1207.0580); in eval y = x.
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/core/random.hpp>
#include <midtread/ops/map.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops)

struct Dropout {
  static constexpr const char* kName = "dropout";
  double p = 0.5;
  bool training = false;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    if (!(p >= 0.0 && p <= 1.0)) throw ConfigError(kName, concat("p is ", p, ", allowed 0..1"));
    if (!training || p == 0.0)
      return autograd::attach(kName, x.detach(), {x},
                              [](const BasicTensor<S>& dy) { return std::vector<BasicTensor<S>>{dy}; });
    const BasicTensor<std::uint8_t> mask = draw(x.shape(), dense_strides(x));
    BasicTensor<S> y = masked(dense(x), mask);
    return autograd::attach(kName, std::move(y), {x}, [op = *this, mask](const BasicTensor<S>& dy) {
      return std::vector<BasicTensor<S>>{op.masked(with_strides(dy, mask.strides()), mask)};
    });
  }
  std::string attributes() const { return concat("p ", p); }

 private:
  /// The i-th number of the generator decides the i-th element in memory, whatever the number of threads.
  BasicTensor<std::uint8_t> draw(const Shape& shape, const Shape& strides) const {
    BasicTensor<std::uint8_t> mask(shape, strides);
    Generator& generator = default_generator();
    const std::uint64_t seed = generator.seed(), counter = generator.counter();
    std::uint8_t* to = mask.mutable_data();
    parallel_for(0, mask.numel(), kGrain / 8, [=](std::int64_t first, std::int64_t last) {
      Generator local(seed, counter + static_cast<std::uint64_t>(first));
      for (std::int64_t i = first; i < last; ++i) to[i] = local.uniform() >= p ? 1 : 0;
    });
    generator = Generator(seed, counter + static_cast<std::uint64_t>(mask.numel()));
    return mask;
  }
  template <class S>
  BasicTensor<S> masked(const BasicTensor<S>& x, const BasicTensor<std::uint8_t>& mask) const {
    BasicTensor<S> out(x.shape(), mask.strides());
    const S scale = p < 1.0 ? static_cast<S>(1.0 / (1.0 - p)) : S(0);
    S* to = out.mutable_data();
    const S* from = x.data();
    const std::uint8_t* keep = mask.data();
    parallel_for(0, x.numel(), kGrain, [=](std::int64_t first, std::int64_t last) {
      S* MIDTREAD_RESTRICT y = to;
      for (std::int64_t i = first; i < last; ++i) y[i] = keep[i] ? from[i] * scale : S(0);
    });
    return out;
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// The mask comes from default_generator(). In a traced model `training` follows the model's mode.
template <class S>
BasicTensor<S> dropout(const BasicTensor<S>& x, double p = 0.5, bool training = true) {
  return ops::record(ops::Dropout{p, training}, x);
}

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// What a data set is: a number of labelled examples, each reachable by its index.
#pragma once

#include <midtread/data/normalize.hpp>

#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

/// One input, [C, H, W] for images, and its class.
struct Example {
  Tensor input;
  std::int64_t label = 0;
};

/// Examples stacked: input [N, C, H, W] stored channels-last, target [N].
struct Batch {
  Tensor input;
  BasicTensor<std::int64_t> target;
  std::int64_t size() const { return input.defined() ? input.size(0) : 0; }
};

/// Several threads may call it at once: get() must not change what others see.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  /// index in [0, size()). The caller does not write to the result.
  virtual Example get(std::int64_t index) const = 0;
  /// A whole batch at once, for data sets that can do it faster than by get(): fills `out` and returns true.
  virtual bool get_batch(const std::vector<std::int64_t>& indices, const Normalize& normalize,
                         Batch& out) const {
    (void)indices, (void)normalize, (void)out;
    return false;
  }
};

MIDTREAD_NAMESPACE_END

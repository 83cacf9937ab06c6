// SPDX-License-Identifier: MIT
// What a loader gives: a tensor, or something with `.input`.
#pragma once

#include <midtread/tensor/tensor.hpp>

MIDTREAD_NAMESPACE_BEGIN(passes)

inline const Tensor& batch_input(const Tensor& batch) { return batch; }
template <class Batch>
const Tensor& batch_input(const Batch& batch) {
  return batch.input;
}

MIDTREAD_NAMESPACE_END

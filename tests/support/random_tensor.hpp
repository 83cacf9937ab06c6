// SPDX-License-Identifier: MIT
// Random tensors in every memory order, and comparisons element by element for the tests of operations.
#pragma once

#include <midtread/autograd/grad_check.hpp>
#include <midtread/core/random.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <functional>
#include <string>
#include <vector>

namespace midtread::test {

using Double = BasicTensor<double>;
using Doubles = std::vector<Double>;

/// Sizes 1..largest.
inline Shape random_shape(Generator& g, int rank, std::int64_t largest) {
  Shape shape;
  for (int i = 0; i < rank; ++i) shape.push_back(1 + g.below(largest));
  return shape;
}

/// The same elements: 0 row-major, 1 channels-last, 2 every second element of a larger block, 3 a transposed
/// block.
template <class S>
BasicTensor<S> in_order(const BasicTensor<S>& x, int order) {
  if (order == 1) return x.channels_last();
  if (order == 2 && x.rank() > 0) {
    Shape wide = x.shape();
    wide[-1] *= 2;
    const BasicTensor<S> block(wide);
    Shape strides = block.strides();
    strides[-1] = 2;
    BasicTensor<S> view(block.storage(), 1, x.shape(), strides);
    return view.copy_(x);
  }
  if (order == 3 && x.rank() > 1) {
    Shape turned = x.shape();
    std::swap(turned[0], turned[-1]);
    const BasicTensor<S> block(turned);
    Shape strides = block.strides();
    std::swap(strides[0], strides[-1]);
    BasicTensor<S> view(block.storage(), 0, x.shape(), strides);
    return view.copy_(x);
  }
  return x.contiguous();
}

/// Away from 0, 1, 3 and 6, where activation functions have corners.
template <class S>
BasicTensor<S> between_corners(const Shape& shape, Generator& g) {
  BasicTensor<S> out(shape);
  S* to = out.mutable_data();
  for (std::int64_t i = 0; i < out.numel(); ++i)
    to[i] = static_cast<S>(0.173 * static_cast<double>(g.below(100) - 50) + 0.031);
  return out;
}
/// Positive, above 0.1.
template <class S>
BasicTensor<S> positive(const Shape& shape, Generator& g) {
  BasicTensor<S> out(shape);
  S* to = out.mutable_data();
  for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = static_cast<S>(g.uniform(0.1, 3.0));
  return out;
}

/// Index of the k-th element in logical order.
inline std::vector<std::int64_t> index_of(const Shape& shape, std::int64_t k) {
  std::vector<std::int64_t> index(static_cast<std::size_t>(shape.rank()));
  for (int i = shape.rank() - 1; i >= 0; --i) {
    index[static_cast<std::size_t>(i)] = k % shape[i];
    k /= shape[i];
  }
  return index;
}
template <class S>
S element(const BasicTensor<S>& x, const std::vector<std::int64_t>& index) {
  std::int64_t at = 0;
  for (std::size_t i = 0; i < index.size(); ++i) at += index[i] * x.strides()[static_cast<int>(i)];
  return x.data()[at];
}

/// Gradients of `function` against central differences, the inputs row-major and channels-last.
inline void expect_gradients(const std::function<Double(const Doubles&)>& function, const Doubles& inputs) {
  for (const bool last : {false, true}) {
    Doubles ordered;
    for (const Double& x : inputs) ordered.push_back(last ? x.channels_last() : x.contiguous());
    const autograd::GradCheckResult result = autograd::grad_check(function, ordered);
    EXPECT_TRUE(result.ok) << (last ? "channels-last, " : "row-major, ") << result.where << ", shape "
                           << inputs[0].shape();
  }
}

/// A tensor that carries codes: (q - z) * scale, written out here; with the strides of q.
inline Tensor with_codes(const BasicTensor<std::uint8_t>& q, const QParams& qparams) {
  std::int64_t span = 1;
  for (int i = 0; i < q.rank(); ++i) span += (q.size(i) - 1) * q.strides()[i];
  const Tensor x(Tensor(Shape{std::max<std::int64_t>(span, 0)}).storage(), 0, q.shape(), q.strides());
  float* to = x.mutable_data();
  const std::int32_t z = stored(qparams).zero_point;
  Tensor::for_each_offset(q.shape(), q.strides(), [&](std::int64_t at) {
    to[at] = static_cast<float>(std::int32_t{q.data()[at]} - z) * qparams.scale;
  });
  x.set_codes(std::make_shared<const Codes>(Codes{q, qparams}));
  return x;
}
inline BasicTensor<std::uint8_t> random_codes(const Shape& shape, Generator& g) {
  BasicTensor<std::uint8_t> q(shape);
  std::uint8_t* to = q.mutable_data();
  for (std::int64_t i = 0; i < q.numel(); ++i) to[i] = static_cast<std::uint8_t>(g.below(256));
  return q;
}
inline QParams random_qparams(Generator& g) {
  QParams q;
  q.scale = static_cast<float>(g.uniform(0.003, 0.2));
  q.zero_point = static_cast<std::int32_t>(g.below(256));
  if (g.below(2) == 1) {
    q.dtype = DType::kInt8;
    q.zero_point -= 128;
    q.range = {-128, 127};
  }
  return q;
}
/// Values are (q - z) * scale of the codes, bit for bit, in the same memory order.
inline void expect_consistent_codes(const Tensor& x) {
  ASSERT_TRUE(x.codes());
  ASSERT_EQ(x.codes()->values.shape(), x.shape());
  EXPECT_TRUE(x.has_strides(x.codes()->values.strides()));
  EXPECT_TRUE(identical(x, with_codes(x.codes()->values, x.codes()->qparams)));
}

/// `make` gives the same bits on 1, 2 and 5 threads.
inline void expect_same_on_threads(const std::function<Tensor()>& make) {
  const int before = num_threads();
  set_num_threads(1);
  const Tensor one = make();
  for (const int threads : {2, 5}) {
    set_num_threads(threads);
    EXPECT_TRUE(identical(one, make())) << threads << " threads";
  }
  set_num_threads(before);
}

using ::expect_error;

}  // namespace midtread::test

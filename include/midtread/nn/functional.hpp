// SPDX-License-Identifier: MIT
// Every free operation and loss under the name users know: namespace F = midtread::nn::functional.
#pragma once

#include <midtread/nn/options.hpp>
#include <midtread/ops/activation.hpp>
#include <midtread/ops/batch_norm.hpp>
#include <midtread/ops/concat.hpp>
#include <midtread/ops/conv1d.hpp>
#include <midtread/ops/conv2d.hpp>
#include <midtread/ops/conv_transpose2d.hpp>
#include <midtread/ops/dropout.hpp>
#include <midtread/ops/elementwise.hpp>
#include <midtread/ops/loss.hpp>
#include <midtread/ops/matmul.hpp>
#include <midtread/ops/pad.hpp>
#include <midtread/ops/pointwise.hpp>
#include <midtread/ops/pool2d.hpp>
#include <midtread/ops/reduce.hpp>
#include <midtread/ops/softmax.hpp>
#include <midtread/ops/upsample.hpp>
#include <midtread/ops/view.hpp>

#include <array>

MIDTREAD_NAMESPACE_BEGIN(nn::functional)

using midtread::abs;
using midtread::argmax;
using midtread::batch_norm;
using midtread::cat;
using midtread::clamp;
using midtread::conv1d;
using midtread::conv2d;
using midtread::conv_transpose2d;
using midtread::cross_entropy;
using midtread::dropout;
using midtread::elu;
using midtread::exp;
using midtread::flatten;
using midtread::gelu;
using midtread::hardsigmoid;
using midtread::hardswish;
using midtread::leaky_relu;
using midtread::linear;
using midtread::log;
using midtread::log_softmax;
using midtread::matmul;
using midtread::max;
using midtread::mean;
using midtread::min;
using midtread::mse_loss;
using midtread::nll_loss;
using midtread::pad2d;
using midtread::permute;
using midtread::pow;
using midtread::relu;
using midtread::relu6;
using midtread::reshape;
using midtread::sigmoid;
using midtread::silu;
using midtread::slice;
using midtread::softmax;
using midtread::sqrt;
using midtread::squeeze;
using midtread::sum;
using midtread::tanh;
using midtread::transpose;
using midtread::unsqueeze;
using midtread::upsample_nearest2d;

/// F::max_pool2d(x, 2), F::max_pool2d(x, {3, 3}, 2, 1). A stride of 0 means the kernel.
template <class S>
BasicTensor<S> max_pool2d(const BasicTensor<S>& x, const Pair& kernel, const Pair& stride = 0,
                          const Pair& padding = 0, const Pair& dilation = 1, bool ceil_mode = false) {
  return midtread::max_pool2d(x, ops::MaxPool2d{kernel, stride, padding, dilation, ceil_mode});
}
template <class S>
BasicTensor<S> avg_pool2d(const BasicTensor<S>& x, const Pair& kernel, const Pair& stride = 0,
                          const Pair& padding = 0, bool ceil_mode = false, bool count_include_pad = true) {
  return midtread::avg_pool2d(x, ops::AvgPool2d{kernel, stride, padding, ceil_mode, count_include_pad});
}
/// F::adaptive_avg_pool2d(x, 1)
template <class S>
BasicTensor<S> adaptive_avg_pool2d(const BasicTensor<S>& x, const Pair& output_size) {
  return midtread::adaptive_avg_pool2d(x, ops::AdaptiveAvgPool2d{output_size});
}
/// Left, right, top, bottom, as PyTorch: F::pad(x, {1, 1, 2, 2})
template <class S>
BasicTensor<S> pad(const BasicTensor<S>& x, const std::array<std::int64_t, 4>& widths, double value = 0.0) {
  return pad2d(x, ops::Pad2d{widths[0], widths[1], widths[2], widths[3], value});
}
/// Nearest-neighbour enlargement: F::upsample(x, 2)
template <class S>
BasicTensor<S> upsample(const BasicTensor<S>& x, const Pair& scale_factor) {
  return upsample_nearest2d(x, ops::UpsampleNearest2d{scale_factor[0], scale_factor[1]});
}

MIDTREAD_NAMESPACE_END

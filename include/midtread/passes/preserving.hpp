// SPDX-License-Identifier: MIT
// Operations that work on codes and keep the qparams: which they are, and the int8 operators they become.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/graph/node.hpp>
#include <midtread/ops/activation.hpp>
#include <midtread/ops/dropout.hpp>
#include <midtread/ops/pad.hpp>
#include <midtread/ops/pool2d.hpp>
#include <midtread/ops/reduce.hpp>
#include <midtread/ops/upsample.hpp>
#include <midtread/ops/view.hpp>
#include <midtread/quantized/lookup.hpp>
#include <midtread/quantized/move.hpp>
#include <midtread/quantized/pool.hpp>

MIDTREAD_NAMESPACE_BEGIN(passes)

using quantized::make_operator;
using OperatorPointer = std::shared_ptr<const quantized::Operator>;

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes::detail)

MIDTREAD_ON_USE OperatorPointer move(quantized::MoveKind kind, std::vector<std::int64_t> numbers) {
  return make_operator<quantized::Move>(kind, std::move(numbers));
}
/// relu, relu6 and clamp standing alone: clamp(q, Q(a), Q(b)).
MIDTREAD_ON_USE OperatorPointer clamp(const char* name, const QParams& q, double low, double high) {
  const float inverse = kernels::reciprocal(q.scale);
  const auto code = [&](double bound) {
    return kernels::quantize_code(static_cast<float>(bound), inverse, q.zero_point, q.range, q.rounding);
  };
  return make_operator<quantized::Lookup>(name, quantized::clamp_table(q, {code(low), code(high)}), q);
}
MIDTREAD_ON_USE bool is_spatial_mean(const ops::Mean& mean, int rank) {
  if (rank != 4 || mean.dims.size() != 2) return false;
  const auto wrap = [](int d) { return d < 0 ? d + 4 : d; };
  const int a = wrap(mean.dims[0]), b = wrap(mean.dims[1]);
  return (a == 2 && b == 3) || (a == 3 && b == 2);
}

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes)

/// The int8 operators of a code-preserving operation on an input of this rank, in order; one null pointer: it
/// does nothing in eval (dropout); none: it does not preserve codes.
MIDTREAD_ON_USE std::vector<OperatorPointer> preserving_operators(const ops::Operation& op, int rank,
                                                                  const QParams& q) {
  using quantized::MoveKind;
  using Numbers = std::vector<std::int64_t>;
  if (ops::as<ops::Dropout>(op)) return {nullptr};
  if (ops::as<ops::Relu>(op)) return {detail::clamp("relu", q, 0.0, HUGE_VAL)};
  if (ops::as<ops::Relu6>(op)) return {detail::clamp("relu6", q, 0.0, 6.0)};
  if (const auto* o = ops::as<ops::Clamp>(op)) return {detail::clamp("clamp", q, o->min, o->max)};
  if (const auto* o = ops::as<ops::Reshape>(op))
    return {detail::move(MoveKind::kReshape, Numbers(o->dims.begin(), o->dims.end()))};
  if (const auto* o = ops::as<ops::Flatten>(op))
    return {detail::move(MoveKind::kFlatten, {o->start, o->end})};
  if (const auto* o = ops::as<ops::Transpose>(op))
    return {detail::move(MoveKind::kTranspose, {o->dim0, o->dim1})};
  if (const auto* o = ops::as<ops::Permute>(op)) {
    Numbers order;
    for (int dim : o->dims) order.push_back(dim < 0 ? dim + rank : dim);
    return {detail::move(MoveKind::kPermute, order)};
  }
  if (const auto* o = ops::as<ops::Slice>(op)) {
    static constexpr std::int64_t far = std::int64_t{1} << 40;
    const auto bounded = [](std::int64_t i) { return i > far ? far : i < -far ? -far : i; };
    return {detail::move(MoveKind::kSlice, {o->dim, bounded(o->start), bounded(o->stop), bounded(o->step)})};
  }
  if (const auto* o = ops::as<ops::Squeeze>(op)) return {detail::move(MoveKind::kSqueeze, {o->dim})};
  if (const auto* o = ops::as<ops::Unsqueeze>(op)) return {detail::move(MoveKind::kUnsqueeze, {o->dim})};
  if (const auto* o = ops::as<ops::Pad2d>(op)) {
    if (rank != 4 || o->value != 0.0 || o->left < 0 || o->right < 0 || o->top < 0 || o->bottom < 0) return {};
    return {detail::move(MoveKind::kPad2d, {o->left, o->right, o->top, o->bottom})};
  }
  if (rank != 4) return {};
  if (const auto* o = ops::as<ops::UpsampleNearest2d>(op))
    return {detail::move(MoveKind::kUpsample, {o->scale_height, o->scale_width})};
  quantized::PoolGeometry g;
  if (const auto* o = ops::as<ops::MaxPool2d>(op)) {
    g.maximum = true;
    g.kernel = o->kernel;
    g.stride = {o->stride[0] ? o->stride[0] : o->kernel[0], o->stride[1] ? o->stride[1] : o->kernel[1]};
    g.padding = o->padding;
    g.dilation = o->dilation;
    g.ceil_mode = o->ceil_mode;
    return {make_operator<quantized::Pool>(g)};
  }
  if (const auto* o = ops::as<ops::AvgPool2d>(op)) {
    g.kernel = o->kernel;
    g.stride = {o->stride[0] ? o->stride[0] : o->kernel[0], o->stride[1] ? o->stride[1] : o->kernel[1]};
    g.padding = o->padding;
    g.ceil_mode = o->ceil_mode;
    g.count_include_pad = o->count_include_pad;
    return {make_operator<quantized::Pool>(g)};
  }
  g.adaptive = true;
  if (const auto* o = ops::as<ops::AdaptiveAvgPool2d>(op)) {
    g.kernel = o->output;
    return {make_operator<quantized::Pool>(g)};
  }
  if (const auto* o = ops::as<ops::Mean>(op); o && detail::is_spatial_mean(*o, rank)) {
    g.kernel = {1, 1};
    std::vector<OperatorPointer> steps{make_operator<quantized::Pool>(g)};
    if (!o->keepdim) steps.push_back(detail::move(MoveKind::kFlatten, {1, -1}));
    return steps;
  }
  return {};
}

/// Whether an operation on an input of this rank keeps codes and qparams.
MIDTREAD_ON_USE bool preserves_codes(const ops::Operation& op, int rank) {
  return !preserving_operators(op, rank, QParams{}).empty();
}

MIDTREAD_NAMESPACE_END

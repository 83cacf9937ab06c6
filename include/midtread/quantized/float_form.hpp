// SPDX-License-Identifier: MIT
// The output shape of a float operation from its input shapes, and about how many steps it takes: nothing is
// computed.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/ops/add_relu.hpp>
#include <midtread/ops/batch_norm.hpp>
#include <midtread/ops/concat.hpp>
#include <midtread/ops/conv1d.hpp>
#include <midtread/ops/conv_transpose2d.hpp>
#include <midtread/ops/matmul.hpp>
#include <midtread/ops/pad.hpp>
#include <midtread/ops/pointwise.hpp>
#include <midtread/ops/pool2d.hpp>
#include <midtread/ops/reduce.hpp>
#include <midtread/ops/softmax.hpp>
#include <midtread/ops/upsample.hpp>
#include <midtread/ops/view.hpp>
#include <midtread/quantized/form.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized::float_form)

/// Of the inputs that are there, in order; the required ones come first.
using Shapes = std::vector<Shape>;

/// How many inputs an operation takes, and how many of them must be there.
struct Arity {
  std::size_t required = 1, most = 1;
};

template <class Op>
inline constexpr bool kIsBinary =
    std::is_same_v<Op, ops::Add> || std::is_same_v<Op, ops::Sub> || std::is_same_v<Op, ops::Mul> ||
    std::is_same_v<Op, ops::Div> || std::is_same_v<Op, ops::AddRelu>;
template <class Op>
inline constexpr bool kIsReduction = std::is_same_v<Op, ops::Sum> || std::is_same_v<Op, ops::Mean>;
template <class Op>
inline constexpr bool kIsSoftmax = std::is_same_v<Op, ops::Softmax> || std::is_same_v<Op, ops::LogSoftmax>;
template <class Op>
inline constexpr bool kIsWeighted =
    std::is_same_v<Op, ops::Linear> || std::is_same_v<Op, ops::Conv1d> || std::is_same_v<Op, ops::Conv2d> ||
    std::is_same_v<Op, ops::ConvTranspose2d>;
template <class Op>
inline constexpr bool kIsPool = std::is_same_v<Op, ops::MaxPool2d> || std::is_same_v<Op, ops::AvgPool2d> ||
                                std::is_same_v<Op, ops::AdaptiveAvgPool2d>;
template <class Op>
inline constexpr bool kIsView =
    std::is_same_v<Op, ops::Reshape> || std::is_same_v<Op, ops::Flatten> ||
    std::is_same_v<Op, ops::Transpose> || std::is_same_v<Op, ops::Permute> ||
    std::is_same_v<Op, ops::Slice> || std::is_same_v<Op, ops::Squeeze> || std::is_same_v<Op, ops::Unsqueeze>;

template <class Op>
constexpr Arity arity() {
  if constexpr (kIsBinary<Op> || std::is_same_v<Op, ops::Matmul>) return {2, 2};
  if constexpr (kIsWeighted<Op>) return {2, 3};
  if constexpr (std::is_same_v<Op, ops::BatchNorm>) return {1, 5};
  if constexpr (std::is_same_v<Op, ops::Cat>) return {1, std::size_t{1} << 20};
  return {1, 1};
}

MIDTREAD_ON_USE Shape matmul_shape(const Shape& a, const Shape& b) {
  if (a.rank() < 2 || b.rank() < 2 || a[-1] != b[-2])
    throw ShapeError("matmul", concat("shapes ", a, " and ", b, ", needs [.., M, K] and [.., K, N]"));
  Shape out = broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2), "matmul");
  out.push_back(a[-2]);
  out.push_back(b[-1]);
  return out;
}
MIDTREAD_ON_USE Shape cat_shape(const ops::Cat& op, const Shapes& x) {
  Shape out = x[0];
  const int along = ops::wrap_dim(op.dim, out.rank(), op.kName);
  for (std::size_t i = 1; i < x.size(); ++i) {
    Shape rest = x[i];
    if (rest.rank() == out.rank()) rest[along] = out[along];
    if (rest != out)
      throw ShapeError(op.kName, concat("input ", i, " has shape ", x[i], ", the first ", x[0]));
    out[along] += x[i][along];
  }
  return out;
}
MIDTREAD_ON_USE const Shape& rank_4(const Shape& x, const char* where) {
  if (x.rank() != 4) throw ShapeError(where, concat("input has shape ", x, ", needs [N, C, H, W]"));
  return x;
}
MIDTREAD_ON_USE Shape with_height(const Shape& x, const char* where) {
  if (x.rank() != 3) throw ShapeError(where, concat("got shape ", x, ", needs rank 3"));
  return {x[0], x[1], 1, x[2]};
}
/// Views look at shapes and strides only: one without memory will do.
template <class Op>
Shape view_shape(const Op& op, const Shape& x) {
  const NoGradGuard no_grad;
  return op(midtread::Tensor(Storage(), 0, x, contiguous_strides(x))).shape();
}

/// Throws ShapeError. Operations not named here work element by element.
template <class Op>
Shape output_shape(const Op& op, const Shapes& x) {
  if constexpr (kIsBinary<Op>)
    return broadcast(x[0], x[1], Op::kName);
  else if constexpr (kIsReduction<Op>)
    return ops::detail::Reduction(x[0], op.dims, Op::kName).result(op.keepdim);
  else if constexpr (std::is_same_v<Op, ops::Matmul>)
    return matmul_shape(x[0], x[1]);
  else if constexpr (std::is_same_v<Op, ops::Cat>)
    return cat_shape(op, x);
  else if constexpr (kIsView<Op>)
    return view_shape(op, x[0]);
  else if constexpr (kIsSoftmax<Op>)
    return (void)ops::wrap_dim(op.dim, x[0].rank(), Op::kName), x[0];
  else if constexpr (std::is_same_v<Op, ops::Linear>) {
    if (x[1].rank() != 2 || x[0].rank() < 1 || x[0][-1] != x[1][1])
      throw ShapeError(Op::kName, concat("input ", x[0], " and weight ", x[1], ", needs [.., I] and [O, I]"));
    Shape out = x[0];
    out[-1] = x[1][0];
    return out;
  } else if constexpr (std::is_same_v<Op, ops::Conv1d>) {
    const kernels::Conv2dShape s =
        op.conv2d().shape(with_height(x[0], Op::kName), with_height(x[1], Op::kName));
    return {s.batch, s.out_channels, s.out_width};
  } else if constexpr (std::is_same_v<Op, ops::Conv2d>) {
    const kernels::Conv2dShape s = op.shape(x[0], x[1]);
    return {s.batch, s.out_channels, s.out_height, s.out_width};
  } else if constexpr (std::is_same_v<Op, ops::ConvTranspose2d>) {
    const kernels::Conv2dShape s = op.mirrored_shape(x[0], x[1]);
    return {s.batch, s.in_channels, s.in_height, s.in_width};
  } else if constexpr (kIsPool<Op>) {
    const kernels::Pool2dShape s = op.shape(x[0]);
    return {s.batch, s.channels, s.out_height, s.out_width};
  } else if constexpr (std::is_same_v<Op, ops::Pad2d>) {
    const Shape& in = rank_4(x[0], Op::kName);
    return {in[0], in[1], in[2] + op.top + op.bottom, in[3] + op.left + op.right};
  } else if constexpr (std::is_same_v<Op, ops::UpsampleNearest2d>) {
    const Shape& in = rank_4(x[0], Op::kName);
    return {in[0], in[1], in[2] * op.scale_height, in[3] * op.scale_width};
  } else {
    return x[0];
  }
}

/// Multiply-accumulates, or elements touched.
template <class Op>
double work(const Op& op, const Shapes& x, const Shape& out) {
  double touched = extent(out);
  for (const Shape& shape : x) touched += extent(shape);
  if constexpr (std::is_same_v<Op, ops::Matmul>)
    return touched + extent(out) * static_cast<double>(x[0][-1]);
  else if constexpr (std::is_same_v<Op, ops::ConvTranspose2d>)
    return touched + extent(x[0]) * extent(x[1]) / static_cast<double>(x[0][1]);
  else if constexpr (kIsWeighted<Op>)
    return touched + extent(out) * extent(x[1]) / static_cast<double>(std::max<std::int64_t>(1, x[1][0]));
  else if constexpr (std::is_same_v<Op, ops::MaxPool2d> || std::is_same_v<Op, ops::AvgPool2d>) {
    const auto window = [&](std::size_t i) {
      return static_cast<double>(std::min(op.kernel[i], x[0][static_cast<int>(i) + 2]));
    };
    return touched + extent(out) * window(0) * window(1);
  } else {
    return (void)op, touched;
  }
}

MIDTREAD_NAMESPACE_END

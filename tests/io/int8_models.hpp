// SPDX-License-Identifier: MIT
// Int8 models made by hand, without training: a small one, and one with an operator of every kind.
#pragma once

#include <midtread/io/int8_model.hpp>
#include <midtread/quantized/weights.hpp>
#include <midtread/tensor/factory.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace midtread::test {

inline QParams uint8_qparams(float scale, std::int32_t zero_point) {
  QParams q;
  q.scale = scale;
  q.zero_point = zero_point;
  return q;
}

/// Adds steps one by one; each call returns the value it gives.
class ProgramBuilder {
 public:
  explicit ProgramBuilder(std::vector<Shape> inputs) : inputs_(std::move(inputs)) {}
  int add(const std::string& name, std::shared_ptr<const quantized::Operator> op, std::vector<int> inputs) {
    steps_.push_back({name, std::move(op), std::move(inputs)});
    return static_cast<int>(inputs_.size() + steps_.size()) - 1;
  }
  template <class Op>
  int real(const std::string& name, const Op& op, std::vector<int> inputs, std::vector<bool> absent = {}) {
    if (absent.empty()) absent.assign(inputs.size(), false);
    return add(
        name, std::make_shared<quantized::FloatOperation>(std::make_shared<ops::OperationOf<Op>>(op), absent),
        std::move(inputs));
  }
  int move(const std::string& name, quantized::MoveKind kind, std::vector<std::int64_t> numbers, int input) {
    return add(name, std::make_shared<quantized::Move>(kind, std::move(numbers)), {input});
  }
  quantized::Model build(std::vector<int> outputs) const { return {inputs_, steps_, std::move(outputs)}; }

 private:
  std::vector<Shape> inputs_;
  std::vector<quantized::Model::Step> steps_;
};

inline std::shared_ptr<const quantized::Operator> random_conv(const quantized::ConvGeometry& geometry,
                                                              const QParams& x, const QParams& y,
                                                              std::uint64_t seed) {
  Generator g(seed);
  const Shape shape = geometry.weight_shape();
  const Tensor weight = randn(shape, g), bias = randn(Shape{shape[0]}, g);
  ChannelQParams qw;
  qw.axis = 0;
  for (std::int64_t c = 0; c < shape[0]; ++c) {
    qw.scales.push_back(0.02f + 0.001f * static_cast<float>(c));
    qw.zero_points.push_back(0);
  }
  return std::make_shared<quantized::Conv>(
      geometry, quantized::quantize_conv_weights(weight, bias, qw, x, y, "test"), x, y, y.range);
}
inline quantized::ConvGeometry geometry(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                        std::int64_t padding, int rank = 4) {
  quantized::ConvGeometry g;
  g.rank = rank;
  g.in_channels = in;
  g.out_channels = out;
  g.kernel = {rank == 4 ? kernel : 1, rank == 2 ? 1 : kernel};
  g.padding = {rank == 4 ? padding : 0, rank == 2 ? 0 : padding};
  return g;
}

/// [N, 2, 4, 4] -> conv -> + itself -> max pool -> flatten -> linear -> softmax [N, 3].
inline quantized::Model small_model() {
  const QParams a = uint8_qparams(0.02f, 128), b = uint8_qparams(0.04f, 100), c = uint8_qparams(0.1f, 90);
  ProgramBuilder p({Shape{1, 2, 4, 4}});
  int v = p.add("input_0", std::make_shared<quantized::Quantize>("input_0", a), {0});
  v = p.add("conv", random_conv(geometry(2, 2, 3, 1), a, b, 1), {v});
  v = p.add("add", std::make_shared<quantized::Binary>(quantized::BinaryOp::kAdd, b, CodeRange{100, 255}),
            {v, v});
  quantized::PoolGeometry pool;
  pool.maximum = true;
  pool.kernel = pool.stride = {2, 2};
  v = p.add("pool", std::make_shared<quantized::Pool>(pool), {v});
  v = p.move("flatten", quantized::MoveKind::kFlatten, {1, -1}, v);
  v = p.add("head", random_conv(geometry(8, 3, 1, 0, 2), b, c, 2), {v});
  v = p.add("head.dequantize", std::make_shared<quantized::Dequantize>(), {v});
  return p.build({p.real("softmax", ops::Softmax{1}, {v})});
}

/// An operator of every kind but the float ones; [N, 4, 6, 6] and [N, 4, 8] in, three outputs.
inline quantized::Model every_operator() {
  using quantized::MoveKind;
  const QParams a = uint8_qparams(0.02f, 128), b = uint8_qparams(0.04f, 100);
  QParams s = uint8_qparams(0.05f, -3);
  s.dtype = DType::kInt8;
  s.range = {-100, 127};
  s.rounding = Rounding::kHalfUp;
  ProgramBuilder p({Shape{2, 4, 6, 6}, Shape{2, 4, 8}});
  const auto binary = [&](quantized::BinaryOp op) {
    return std::make_shared<quantized::Binary>(op, b, b.range);
  };
  int v = p.add("input_0", std::make_shared<quantized::Quantize>("input_0", a), {0});
  quantized::ConvGeometry grouped = geometry(4, 8, 3, 1);
  grouped.groups = 2;
  grouped.stride = {2, 1};
  const int x = p.add("conv2d", random_conv(grouped, a, b, 1), {v});  // [2, 8, 3, 6]
  quantized::ConvGeometry up = geometry(8, 8, 2, 0);
  up.transposed = true;
  up.stride = {2, 2};
  up.output_padding = {1, 0};
  up.groups = 8;
  v = p.add("transposed", random_conv(up, b, s, 2), {x});  // [2, 8, 7, 12]
  quantized::PoolGeometry pool;
  pool.kernel = {3, 3};
  pool.stride = {2, 2};
  pool.padding = {1, 1};
  pool.ceil_mode = true;
  pool.count_include_pad = false;
  v = p.add("average", std::make_shared<quantized::Pool>(pool), {v});  // [2, 8, 4, 7]
  quantized::PoolGeometry adaptive;
  adaptive.adaptive = true;
  adaptive.kernel = {1, 1};
  const int gate = p.add("gate", std::make_shared<quantized::Pool>(adaptive), {v});
  v = p.add("mul", binary(quantized::BinaryOp::kMul), {v, gate});
  const int relu = p.add(
      "relu", std::make_shared<quantized::Lookup>("relu", quantized::clamp_table(b, {100, 255}), b), {v});
  quantized::PoolGeometry max;
  max.maximum = true;
  max.kernel = {2, 2};
  max.dilation = {2, 2};
  v = p.add("max", std::make_shared<quantized::Pool>(max), {relu});     // [2, 8, 2, 5]
  v = p.move("upsample", MoveKind::kUpsample, {2, 1}, v);               // [2, 8, 4, 5]
  v = p.move("pad", MoveKind::kPad2d, {1, 1, 0, 0}, v);                 // [2, 8, 4, 7]
  v = p.add("cat", std::make_shared<quantized::Cat>(1, a), {v, relu});  // [2, 16, 4, 7]
  v = p.move("slice", MoveKind::kSlice, {1, 1, -1, 2}, v);              // [2, 7, 4, 7]
  v = p.move("transpose", MoveKind::kTranspose, {2, 3}, v);             // [2, 7, 7, 4]
  v = p.move("permute", MoveKind::kPermute, {0, 2, 1, 3}, v);           // [2, 7, 7, 4]
  v = p.move("reshape", MoveKind::kReshape, {0, -1, 4}, v);             // [2, 49, 4]
  v = p.move("unsqueeze", MoveKind::kUnsqueeze, {-1}, v);
  v = p.move("squeeze", MoveKind::kSqueeze, {-1}, v);
  Generator g(3);
  const Tensor offset = randn({49, 1}, g);
  const int real = p.add("offset", std::make_shared<quantized::Constant>(quantized::Value(offset)), {});
  const int codes =
      p.add("offset.quantize", std::make_shared<quantized::Quantize>("offset.quantize", b), {real});
  const int summed = p.add("sum", binary(quantized::BinaryOp::kAdd), {v, codes});
  BasicTensor<std::uint8_t> kept(Shape{1, 49, 4});
  kept.fill_(93);
  const int constant = p.add(
      "constant",
      std::make_shared<quantized::Constant>(quantized::Value(quantized::Tensor(kept.channels_last(), b))),
      {});
  const int first = p.add("with_constant", binary(quantized::BinaryOp::kMul), {summed, constant});
  v = p.add("input_1", std::make_shared<quantized::Quantize>("input_1", s), {1});
  v = p.add("conv1d", random_conv(geometry(4, 3, 3, 1, 3), s, a, 4), {v});
  v = p.move("flatten", MoveKind::kFlatten, {1, -1}, v);
  v = p.add("linear", random_conv(geometry(24, 5, 1, 0, 2), a, s, 5), {v});
  const auto dequantize = [&](const std::string& name, int value) {
    return p.add(name + ".dequantize", std::make_shared<quantized::Dequantize>(), {value});
  };
  const int one = dequantize("with_constant", first), two = dequantize("linear", v),
            three = dequantize("relu", relu);
  return p.build({one, two, three});
}

/// One float operation of every kind, each an output of its own; [N, 4, 6, 6] in.
inline quantized::Model every_float_operation() {
  ProgramBuilder p({Shape{2, 4, 6, 6}});
  Generator g(5);
  const auto constant = [&](const std::string& name, const Tensor& value) {
    return p.add(name, std::make_shared<quantized::Constant>(quantized::Value(value)), {});
  };
  const int gate = constant("gate", randn({4, 1, 1}, g).channels_last()),
            weight = constant("weight", randn({8, 2, 3, 3}, g)), bias = constant("bias", randn({8}, g)),
            back = constant("back", randn({4, 3, 2, 2}, g)), line = constant("line", randn({5, 6}, g)),
            square = constant("square", randn({6, 3}, g)), mean = constant("mean", randn({4}, g)),
            variance = constant("variance", abs(randn({4}, g))),
            ordered = constant("ordered", randn({2, 4, 6, 6}, g).channels_last());
  std::vector<int> out;
  const auto add = [&](const auto& op, std::vector<int> inputs, std::vector<bool> absent = {}) {
    out.push_back(p.real(concat(op.kName, out.size()), op, std::move(inputs), std::move(absent)));
    return out.back();
  };
  add(ops::Add{}, {0, gate}), add(ops::Sub{}, {0, gate}), add(ops::Mul{}, {0, gate}),
      add(ops::Div{}, {0, gate}), add(ops::AddRelu{}, {0, ordered});
  add(ops::AddScalar{0.1}, {0}), add(ops::MulScalar{-1.0 / 3.0}, {0}), add(ops::Relu{}, {0}),
      add(ops::Relu6{}, {0});
  add(ops::Clamp{-0.3, HUGE_VAL}, {0}), add(ops::Clamp{-HUGE_VAL, 0.7}, {0}), add(ops::LeakyRelu{0.2}, {0}),
      add(ops::Elu{1.7}, {0});
  add(ops::Sigmoid{}, {0}), add(ops::Tanh{}, {0}), add(ops::Silu{}, {0}), add(ops::Gelu{}, {0}),
      add(ops::Hardsigmoid{}, {0});
  add(ops::Hardswish{}, {0}), add(ops::Exp{}, {0}), add(ops::Pow{2.0}, {0});
  const int positive = add(ops::Abs{}, {0});
  add(ops::Log{}, {positive}), add(ops::Sqrt{}, {positive});
  add(ops::Sum{{1, -1}, true}, {0}), add(ops::Sum{{}, false}, {0}), add(ops::Mean{{2, 3}, false}, {0}),
      add(ops::Sum{{0}, false}, {ordered});
  add(ops::Softmax{1}, {0}), add(ops::LogSoftmax{-1}, {0});
  ops::BatchNorm norm;
  norm.eps = 0.01;
  add(norm, {0, mean, variance}, {false, true, true, false, false}),
      add(norm, {0}, {false, true, true, true, true});
  add(ops::Matmul{}, {0, square}), add(ops::Linear{}, {0, line}, {false, false, true});
  ops::Conv2d conv;
  conv.groups = 2;
  conv.stride = {2, 1};
  conv.padding = {1, 0};
  conv.dilation = {1, 2};
  add(conv, {0, weight, bias});
  ops::ConvTranspose2d up;
  up.stride = {3, 2};
  up.padding = {1, 0};
  up.output_padding = {1, 1};
  add(up, {0, back}, {false, false, true});
  add(ops::MaxPool2d{{3, 2}, {2, 0}, {1, 0}, {1, 2}, true}, {0}),
      add(ops::AvgPool2d{{3, 3}, {0, 0}, {1, 1}, true, false}, {0});
  add(ops::AdaptiveAvgPool2d{{2, 5}}, {0}), add(ops::Cat{1}, {0, ordered, 0}),
      add(ops::Pad2d{1, 0, 2, 3, -0.5}, {0});
  add(ops::UpsampleNearest2d{2, 3}, {0});
  const int flat = add(ops::Reshape{{0, 4, -1}}, {0});
  ops::Conv1d conv1d;
  conv1d.stride = 2;
  conv1d.padding = 2;
  add(conv1d, {flat, constant("filter", randn({3, 4, 5}, g)), constant("shift", randn({3}, g))});
  add(ops::Flatten{1, 2}, {0}), add(ops::Transpose{1, -1}, {0}), add(ops::Permute{{0, -1, 1, 2}}, {0});
  add(ops::Slice{3, 1, std::numeric_limits<std::int64_t>::max(), 2}, {0}),
      add(ops::Squeeze{1}, {add(ops::Unsqueeze{1}, {0})});
  return p.build(out);
}

/// The steps that output `index` needs, and no others.
inline quantized::Model part_of(const quantized::Model& model, std::size_t index) {
  const std::vector<quantized::Model::Step>& steps = model.steps();
  const auto first = static_cast<std::size_t>(model.input_count());
  std::vector<int> place(first + steps.size(), -1);  // a value's number in the part
  for (std::size_t i = 0; i < first; ++i) place[i] = static_cast<int>(i);
  std::vector<bool> needed(first + steps.size(), false);
  needed[static_cast<std::size_t>(model.outputs()[index])] = true;
  for (std::size_t i = steps.size(); i-- > 0;)
    for (int input : steps[i].inputs)
      if (needed[first + i]) needed[static_cast<std::size_t>(input)] = true;
  ProgramBuilder part(model.input_shapes());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!needed[first + i]) continue;
    std::vector<int> inputs;
    for (int input : steps[i].inputs) inputs.push_back(place[static_cast<std::size_t>(input)]);
    place[first + i] = part.add(steps[i].name, steps[i].op, inputs);
  }
  return part.build({place[static_cast<std::size_t>(model.outputs()[index])]});
}

}  // namespace midtread::test

// SPDX-License-Identifier: MIT
// The parameters of float operations by name, written to a Record and read back within bounds, and the list
// of the operations an int8 model's file may hold. A new operation is one line in the list, and one for its
// parameters.
#pragma once

#include <midtread/quantized/float_form.hpp>
#include <midtread/quantized/record.hpp>

#include <limits>
#include <memory>

MIDTREAD_NAMESPACE_BEGIN(quantized::float_fields)

/// Sizes, widths and dimensions fit between -kMost and kMost.
inline constexpr std::int64_t kMost = 65536, kFar = std::int64_t{1} << 40;

template <class Op, class Visitor, class = std::enable_if_t<std::is_empty_v<Op>>>
void visit(Op&, Visitor&) {}
template <class V>
void visit(ops::Clamp& op, V& v) {
  v.real("min", op.min), v.real("max", op.max);
}
template <class V>
void visit(ops::LeakyRelu& op, V& v) {
  v.real("slope", op.slope);
}
template <class V>
void visit(ops::Elu& op, V& v) {
  v.real("alpha", op.alpha);
}
template <class V>
void visit(ops::AddScalar& op, V& v) {
  v.real("constant", op.constant);
}
template <class V>
void visit(ops::MulScalar& op, V& v) {
  v.real("constant", op.constant);
}
template <class V>
void visit(ops::Pow& op, V& v) {
  v.real("exponent", op.exponent);
}
template <class V>
void visit(ops::Softmax& op, V& v) {
  v.integer("dim", op.dim, -8, 7);
}
template <class V>
void visit(ops::LogSoftmax& op, V& v) {
  v.integer("dim", op.dim, -8, 7);
}
template <class V>
void visit(ops::Cat& op, V& v) {
  v.integer("dim", op.dim, -8, 7);
}
template <class V>
void visit(ops::Sum& op, V& v) {
  v.integers("dims", op.dims, -8, 7), v.integer("keepdim", op.keepdim, 0, 1);
}
template <class V>
void visit(ops::Mean& op, V& v) {
  v.integers("dims", op.dims, -8, 7), v.integer("keepdim", op.keepdim, 0, 1);
}
template <class V>
void visit(ops::BatchNorm& op, V& v) {
  v.real("eps", op.eps);
}
template <class V>
void visit(ops::Conv1d& op, V& v) {
  v.integer("stride", op.stride, 1, kMost), v.integer("padding", op.padding, 0, kMost);
  v.integer("dilation", op.dilation, 1, kMost), v.integer("groups", op.groups, 1, kFar);
}
template <class V>
void visit(ops::Conv2d& op, V& v) {
  v.integers("stride", op.stride, 1, kMost), v.integers("padding", op.padding, 0, kMost);
  v.integers("dilation", op.dilation, 1, kMost), v.integer("groups", op.groups, 1, kFar);
}
template <class V>
void visit(ops::ConvTranspose2d& op, V& v) {
  v.integers("stride", op.stride, 1, kMost), v.integers("padding", op.padding, 0, kMost);
  v.integers("output_padding", op.output_padding, 0, kMost);
  v.integers("dilation", op.dilation, 1, kMost), v.integer("groups", op.groups, 1, kFar);
}
template <class V>
void visit(ops::MaxPool2d& op, V& v) {
  v.integers("kernel", op.kernel, 1, kMost), v.integers("stride", op.stride, 0, kMost),
      v.integers("padding", op.padding, 0, kMost);
  v.integers("dilation", op.dilation, 1, kMost), v.integer("ceil_mode", op.ceil_mode, 0, 1);
}
template <class V>
void visit(ops::AvgPool2d& op, V& v) {
  v.integers("kernel", op.kernel, 1, kMost), v.integers("stride", op.stride, 0, kMost),
      v.integers("padding", op.padding, 0, kMost);
  v.integer("ceil_mode", op.ceil_mode, 0, 1), v.integer("count_include_pad", op.count_include_pad, 0, 1);
}
template <class V>
void visit(ops::AdaptiveAvgPool2d& op, V& v) {
  v.integers("output", op.output, 1, kMost);
}
template <class V>
void visit(ops::Pad2d& op, V& v) {
  v.integer("left", op.left, 0, kMost), v.integer("right", op.right, 0, kMost);
  v.integer("top", op.top, 0, kMost), v.integer("bottom", op.bottom, 0, kMost), v.real("value", op.value);
}
template <class V>
void visit(ops::UpsampleNearest2d& op, V& v) {
  v.integer("scale_height", op.scale_height, 1, kMost), v.integer("scale_width", op.scale_width, 1, kMost);
}
template <class V>
void visit(ops::Reshape& op, V& v) {
  v.integers("dims", op.dims, -1, kFar);
}
template <class V>
void visit(ops::Flatten& op, V& v) {
  v.integer("start", op.start, -8, 7), v.integer("end", op.end, -8, 7);
}
template <class V>
void visit(ops::Transpose& op, V& v) {
  v.integer("dim0", op.dim0, -8, 7), v.integer("dim1", op.dim1, -8, 7);
}
template <class V>
void visit(ops::Permute& op, V& v) {
  v.integers("dims", op.dims, -8, 7);
}
template <class V>
void visit(ops::Slice& op, V& v) {
  v.integer("dim", op.dim, -8, 7), v.integer("start", op.start, -kFar, kFar);
  v.integer("stop", op.stop, -kFar, kFar), v.integer("step", op.step, 1, kFar);
}
template <class V>
void visit(ops::Squeeze& op, V& v) {
  v.integer("dim", op.dim, -8, 7);
}
template <class V>
void visit(ops::Unsqueeze& op, V& v) {
  v.integer("dim", op.dim, -8, 7);
}

template <class... Ops>
struct List {
  /// Calls use(op) with the typed operation; false if it is not in the list.
  template <class Use>
  static bool find(const ops::Operation& operation, const Use& use) {
    const auto one = [&](const auto* op) { return op && (use(*op), true); };
    return (one(ops::as<Ops>(operation)) || ...);
  }
  /// Calls use(op) with a default operation of this name; false if there is none.
  template <class Use>
  static bool find(const std::string& name, const Use& use) {
    const auto one = [&](auto op) { return name == op.kName && (use(op), true); };
    return (one(Ops{}) || ...);
  }
};

using Operations =
    List<ops::Add, ops::Sub, ops::Mul, ops::Div, ops::AddRelu, ops::AddScalar, ops::MulScalar, ops::Relu,
         ops::Relu6, ops::Clamp, ops::LeakyRelu, ops::Elu, ops::Sigmoid, ops::Tanh, ops::Silu, ops::Gelu,
         ops::Hardsigmoid, ops::Hardswish, ops::Exp, ops::Log, ops::Sqrt, ops::Abs, ops::Pow, ops::Sum,
         ops::Mean, ops::Softmax, ops::LogSoftmax, ops::BatchNorm, ops::Matmul, ops::Linear, ops::Conv1d,
         ops::Conv2d, ops::ConvTranspose2d, ops::MaxPool2d, ops::AvgPool2d, ops::AdaptiveAvgPool2d, ops::Cat,
         ops::Pad2d, ops::UpsampleNearest2d, ops::Reshape, ops::Flatten, ops::Transpose, ops::Permute,
         ops::Slice, ops::Squeeze, ops::Unsqueeze>;

/// Into a Record. A file holds no infinity: it is written as the largest double.
class Writer {
 public:
  explicit Writer(Record& record) : record_(record) {}
  void real(const char* name, double value) {
    constexpr double most = std::numeric_limits<double>::max();
    record_.numbers.insert(name, {value > most ? most : value < -most ? -most : value});
  }
  template <class Integer>
  void integer(const char* name, Integer value, std::int64_t low, std::int64_t high) {
    record_.numbers.insert(name, {held(static_cast<std::int64_t>(value), low, high)});
  }
  template <class Integers>
  void integers(const char* name, const Integers& values, std::int64_t low, std::int64_t high) {
    std::vector<double> out;
    for (const auto value : values) out.push_back(held(value, low, high));
    record_.numbers.insert(name, std::move(out));
  }

 private:
  // "to the end" of a slice.
  static double held(std::int64_t value, std::int64_t low, std::int64_t high) {
    return static_cast<double>(value > high ? high : value < low ? low : value);
  }
  Record& record_;
};

/// From a Record, checked.
class Reader {
 public:
  explicit Reader(const RecordReader& in) : in_(in) {}
  void real(const char* name, double& value) {
    const double stored = in_.numbers(name, 1)[0];
    constexpr double most = std::numeric_limits<float>::max();
    value = stored > most ? HUGE_VAL : stored < -most ? -HUGE_VAL : stored;
  }
  template <class Integer>
  void integer(const char* name, Integer& value, std::int64_t low, std::int64_t high) {
    value = static_cast<Integer>(in_.integer(name, low, high));
  }
  template <class T>
  void integers(const char* name, std::vector<T>& values, std::int64_t low, std::int64_t high) {
    const std::vector<std::int64_t> stored = in_.integers(name, -1, low, high);
    if (stored.size() > Shape::kMaxRank)
      throw FormatError(in_.where(), concat("'", name, "' has ", stored.size(), " numbers, allowed 8"));
    values.assign(stored.size(), T());
    for (std::size_t i = 0; i < stored.size(); ++i) values[i] = static_cast<T>(stored[i]);
  }
  void integers(const char* name, std::array<std::int64_t, 2>& values, std::int64_t low, std::int64_t high) {
    const std::vector<std::int64_t> stored = in_.integers(name, 2, low, high);
    values = {stored[0], stored[1]};
  }

 private:
  const RecordReader& in_;
};

MIDTREAD_NAMESPACE_END

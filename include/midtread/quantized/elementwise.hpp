// SPDX-License-Identifier: MIT
// int8 add, mul and cat: dequantize each input, compute in float32, quantize.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/codewise.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

enum class BinaryOp { kAdd, kMul };

/// a + b or a * b with numpy's broadcasting; a fused ReLU is clamp.quant_min = zero point.
MIDTREAD_CLASS_ON_USE(Binary)
class BasicBinary final : public Codewise {
 public:
  BasicBinary(BinaryOp op, const QParams& y, CodeRange clamp) : op_(op), y_(y), clamp_(clamp) {}
  std::string kind() const override { return op_ == BinaryOp::kAdd ? "add" : "mul"; }
  Form form(const Forms& inputs) const override {
    require_count(inputs, 2, kind());
    const Shape shape =
        broadcast(codes_form(inputs, 0, kind()).shape, codes_form(inputs, 1, kind()).shape, kind());
    if (shape.rank() > 4) throw ShapeError(kind(), concat("at most four dimensions, got ", shape));
    return {shape, y_};
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    const Tensor &a = quantized_input(inputs, 0, "add"), &b = quantized_input(inputs, 1, "add");
    run(a.shape() == b.shape() ? kernels::elementwise(a.numel())
                               : broadcast_shape(a, b, std::get<Tensor>(output)),
        a, a.stored().data(), b, b.stored().data(), codes_of(output));
  }
  bool is_codewise(const Forms& inputs) const override { return inputs[0].shape == inputs[1].shape; }
  void run_codes(const Values& inputs, const std::uint8_t* const* x, std::int64_t count,
                 std::uint8_t* y) const override {
    run(kernels::elementwise(count), std::get<Tensor>(*inputs[0]), x[0], std::get<Tensor>(*inputs[1]), x[1],
        y);
  }
  std::shared_ptr<const Operator> bind(const kernels::KernelSet& kernels) const override {
    auto* bound = new BasicBinary(*this);
    std::shared_ptr<const Operator> owner(bound);
    bound->kernel_ = op_ == BinaryOp::kAdd ? kernels->add : kernels->mul;
    return owner;
  }
  std::string kernel_label() const override { return kernel_ ? kernel_->label : ""; }
  Record save() const override {
    Record r;
    r.kind = kind();
    r.numbers.insert("output", to_numbers(y_));
    r.numbers.insert("clamp", {static_cast<double>(clamp_.quant_min), static_cast<double>(clamp_.quant_max)});
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    const RecordReader in(record, where);
    const QParams y = in.qparams("output");
    const auto clamp = in.integers("clamp", 2, y.range.quant_min, y.range.quant_max);
    if (clamp[0] > clamp[1]) throw FormatError(where, "'clamp' is decreasing");
    return make_operator<BasicBinary>(
        record.kind == "add" ? BinaryOp::kAdd : BinaryOp::kMul, y,
        CodeRange{static_cast<std::int32_t>(clamp[0]), static_cast<std::int32_t>(clamp[1])});
  }

 private:
  void run(const kernels::BinaryShape& shape, const Tensor& a, const std::uint8_t* from_a, const Tensor& b,
           const std::uint8_t* from_b, std::uint8_t* y) const {
    kernels::QuantizeParams p = kernels::engine_params(y_);
    p.range = {clamp_.quant_min + storage_shift(y_.dtype), clamp_.quant_max + storage_shift(y_.dtype)};
    kernel_->run(shape, from_a, {a.qparams().scale, a.stored_zero_point()}, from_b,
                 {b.qparams().scale, b.stored_zero_point()}, p, y);
  }
  // Dimensions in memory order of the output (channels innermost), strides 0 where an input stretches.
  static kernels::BinaryShape broadcast_shape(const Tensor& a, const Tensor& b, const Tensor& y) {
    kernels::BinaryShape s;
    const int rank = y.shape().rank();
    int order[4] = {0, 1, 2, 3};
    if (rank >= 3) {
      for (int i = 1; i < rank - 1; ++i) order[i] = i + 1;
      order[rank - 1] = 1;
    }
    for (int i = 0; i < 4; ++i) s.a_strides[i] = s.b_strides[i] = 0;
    const auto stride = [rank](const Tensor& t, int dim) -> std::int64_t {
      const int at = dim - (rank - t.shape().rank());
      return at < 0 || t.shape()[at] == 1 ? 0 : t.stored().strides()[at];
    };
    for (int i = 0; i < rank; ++i) {
      const int to = 4 - rank + i, dim = order[i];
      s.dims[to] = y.shape()[dim];
      s.a_strides[to] = stride(a, dim);
      s.b_strides[to] = stride(b, dim);
    }
    return s;
  }

  BinaryOp op_;
  QParams y_;
  CodeRange clamp_;
  const kernels::BinaryKernel* kernel_ = nullptr;
};

/// Concatenation along one dimension; every input is brought to the output's qparams.
MIDTREAD_CLASS_ON_USE(Cat)
class BasicCat final : public Operator {
 public:
  BasicCat(int dim, const QParams& y) : dim_(dim), y_(y) {}
  std::string kind() const override { return "cat"; }
  Form form(const Forms& inputs) const override {
    Shape shape = codes_form(inputs, 0, "cat").shape;
    const int dim = dim_ < 0 ? dim_ + shape.rank() : dim_;
    for (std::size_t i = 1; i < inputs.size(); ++i) {
      const Shape& other = codes_form(inputs, i, "cat").shape;
      for (int d = 0; d < shape.rank(); ++d)
        if (other.rank() != shape.rank() || (d != dim && other[d] != shape[d]))
          throw ShapeError("cat", concat("input ", i, " has shape ", other, ", the first ", shape,
                                         "; only dimension ", dim, " may differ"));
      shape[dim] += other[dim];
    }
    (void)shape[dim];
    return {shape, y_};
  }
  void run(const Values& inputs, Value& output, Workspace&) const override {
    const kernels::QuantizeParams p = kernels::engine_params(y_);
    const BasicTensor<std::uint8_t>& y = std::get<Tensor>(output).stored();
    std::uint8_t* to = codes_of(output);
    const int dim = dim_ < 0 ? dim_ + y.rank() : dim_;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& x = quantized_input(inputs, i, "cat");
      // In memory every dimension outside `dim` is a row start; from `dim` inwards the codes are one run.
      const std::int64_t length = x.numel() == 0 ? 0 : x.shape()[dim] * x.stored().strides()[dim];
      const std::int64_t step = y.size(dim) * y.strides()[dim];
      const std::int64_t rows = length == 0 ? 0 : x.numel() / length;
      if (rows > 0)
        kernel_->run(x.stored().data(), {x.qparams().scale, x.stored_zero_point()}, rows, length, length, p,
                     to, step);
      to += x.shape()[dim] * y.strides()[dim];
    }
  }
  std::shared_ptr<const Operator> bind(const kernels::KernelSet& kernels) const override {
    auto* bound = new BasicCat(*this);
    std::shared_ptr<const Operator> owner(bound);
    bound->kernel_ = kernels->requantize_copy;
    return owner;
  }
  std::string kernel_label() const override { return kernel_ ? kernel_->label : ""; }
  Record save() const override {
    Record r;
    r.kind = kind();
    r.numbers.insert("dim", {static_cast<double>(dim_)});
    r.numbers.insert("output", to_numbers(y_));
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    const RecordReader in(record, where);
    return make_operator<BasicCat>(static_cast<int>(in.integer("dim", -Shape::kMaxRank, Shape::kMaxRank - 1)),
                                   in.qparams("output"));
  }

 private:
  int dim_;
  QParams y_;
  const kernels::RequantizeCopyKernel* kernel_ = nullptr;
};

MIDTREAD_NAMESPACE_END

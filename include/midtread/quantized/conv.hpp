// SPDX-License-Identifier: MIT
// int8 convolution in all its forms: 2-D, 1-D, transposed, linear; grouped and depthwise.
//
//   acc = sum (q - z) * w;  y = clamp(rne(float(acc + bq) * m), lo - z_y, hi - z_y) + z_y
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/weights.hpp>
#include <midtread/quantized/workspace.hpp>

#include <array>
#include <limits>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// The parameters of a layer, independent of batch and spatial sizes. A linear layer has rank 2, a 1-D
/// convolution 3.
struct ConvGeometry {
  int rank = 4;  ///< of its input: 4 [N, C, H, W], 3 [N, C, L], 2 [N, C]
  bool transposed = false;
  std::int64_t in_channels = 0, out_channels = 0, groups = 1;
  std::array<std::int64_t, 2> kernel{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1}, output_padding{0, 0};

  /// Throws ShapeError naming `where`.
  kernels::Conv2dShape shape_for(const Shape& x, const std::string& where) const {
    if (x.rank() != rank || x[1] != in_channels)
      throw ShapeError(where, concat("input has shape ", x, ", needs rank ", rank, " with ", in_channels,
                                     " channels in dimension 1"));
    kernels::Conv2dShape s;
    s.batch = x[0];
    s.in_channels = in_channels;
    s.out_channels = out_channels;
    s.groups = groups;
    s.in_height = rank == 4 ? x[2] : 1;
    s.in_width = rank == 4 ? x[3] : rank == 3 ? x[2] : 1;
    s.kernel_height = kernel[0];
    s.kernel_width = kernel[1];
    s.stride_height = stride[0];
    s.stride_width = stride[1];
    s.pad_height = padding[0];
    s.pad_width = padding[1];
    s.dilation_height = dilation[0];
    s.dilation_width = dilation[1];
    if (transposed) {
      s.out_height = kernels::conv_transpose_output_size(s.in_height, kernel[0], stride[0], padding[0],
                                                         dilation[0], output_padding[0]);
      s.out_width = kernels::conv_transpose_output_size(s.in_width, kernel[1], stride[1], padding[1],
                                                        dilation[1], output_padding[1]);
    } else {
      s.out_height = kernels::conv_output_size(s.in_height, kernel[0], stride[0], padding[0], dilation[0]);
      s.out_width = kernels::conv_output_size(s.in_width, kernel[1], stride[1], padding[1], dilation[1]);
    }
    if (s.out_height < 1 || s.out_width < 1)
      throw ShapeError(where, concat("input ", x, " is too small for kernel ", kernel[0], "x", kernel[1]));
    kernels::check(s, transposed, where.c_str());
    return s;
  }
  Shape output_shape(const kernels::Conv2dShape& s) const {
    if (rank == 2) return {s.batch, out_channels};
    if (rank == 3) return {s.batch, out_channels, s.out_width};
    return {s.batch, out_channels, s.out_height, s.out_width};
  }
  /// [O, I/g, kH, kW], output channel first.
  Shape weight_shape() const { return {out_channels, in_channels / groups, kernel[0], kernel[1]}; }
};

/// Weights [O, I/g, kH, kW] in the order a transposed kernel wants: [I, O/g, kH, kW]. Its own inverse up to
/// roles.
template <class Scalar>
BasicTensor<Scalar> output_major_to_transposed(const BasicTensor<Scalar>& w, std::int64_t groups) {
  const std::int64_t out = w.size(0), in_group = w.size(1),
                     taps = w.numel() / std::max<std::int64_t>(1, out * in_group);
  const std::int64_t out_group = out / groups;
  Shape shape = w.shape();
  shape[0] = in_group * groups;
  shape[1] = out_group;
  const BasicTensor<Scalar> from = w.contiguous();
  BasicTensor<Scalar> to(shape);
  Scalar* p = to.mutable_data();
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t o = 0; o < out_group; ++o)
      for (std::int64_t i = 0; i < in_group; ++i)
        std::copy_n(from.data() + ((g * out_group + o) * in_group + i) * taps, taps,
                    p + ((g * in_group + i) * out_group + o) * taps);
  return to;
}

MIDTREAD_CLASS_ON_USE(Conv)
class BasicConv final : public Operator {
 public:
  /// `relu_max` bounds: lo and hi are stored codes that hold a fused ReLU or ReLU6 (see fused_range).
  BasicConv(const ConvGeometry& geometry, ConvWeights weights, const QParams& x, const QParams& y,
            CodeRange clamp)
      : geometry_(geometry), weights_(std::move(weights)), x_(x), y_(y), clamp_(clamp) {}

  std::string kind() const override {
    if (geometry_.rank == 2) return "linear";
    if (geometry_.transposed) return "conv_transpose2d";
    return geometry_.rank == 3 ? "conv1d" : "conv2d";
  }
  const ConvGeometry& geometry() const { return geometry_; }
  const ConvWeights& weights() const { return weights_; }
  const QParams& input_qparams() const { return x_; }
  const QParams& output_qparams() const { return y_; }
  /// Codes in the declared dtype that the output is held to.
  const CodeRange& clamp() const { return clamp_; }

  Form form(const Forms& inputs) const override {
    require_count(inputs, 1, kind());
    const Form& x = codes_form(inputs, 0, kind());
    if (*x.qparams != x_)
      throw StateError(kind(), "its input is quantized in another way than its weights were made for");
    return {geometry_.output_shape(geometry_.shape_for(x.shape, kind())), y_};
  }
  void run(const Values& inputs, Value& output, Workspace& workspace) const override {
    run(nullptr, inputs, output, workspace);
  }
  bool has_pieces() const override { return true; }
  void run_then(const kernels::CodeTail& tail, const Values& inputs, Value& output,
                Workspace& workspace) const override {
    run(&tail, inputs, output, workspace);
  }
  std::shared_ptr<const Operator> bind(const kernels::KernelSet& kernels) const override {
    auto* bound = new BasicConv(*this);
    std::shared_ptr<const Operator> owner(bound);
    // Only sizes of the weights matter here; any input that fits will do.
    kernels::Conv2dShape shape;
    const Shape sample = geometry_.rank == 2   ? Shape{1, geometry_.in_channels}
                         : geometry_.rank == 3 ? Shape{1, geometry_.in_channels, smallest(1)}
                                               : Shape{1, geometry_.in_channels, smallest(0), smallest(1)};
    shape = geometry_.shape_for(sample, kind());
    const BasicTensor<std::int8_t> codes =
        geometry_.transposed ? output_major_to_transposed(weights_.codes, geometry_.groups) : weights_.codes;
    const kernels::ConvKernel& kernel = geometry_.transposed ? *kernels->conv_transpose : kernels.conv(shape);
    bound->packed_ = kernels::pack_weights(kernel, shape, codes.data());
    return owner;
  }
  std::string kernel_label() const override { return packed_.kernel ? packed_.kernel->label : ""; }
  std::int64_t parameter_bytes() const override {
    return weights_.codes.numel() +
           8 * static_cast<std::int64_t>(weights_.bias.size());  // codes, bias, multiplier
  }
  std::int64_t multiply_accumulates(const Forms& inputs) const override {
    const kernels::Conv2dShape s = geometry_.shape_for(codes_form(inputs, 0, kind()).shape, kind());
    if (!geometry_.transposed) return s.multiply_accumulates();
    return s.batch * s.in_pixels() * geometry_.in_channels * (geometry_.out_channels / geometry_.groups) *
           s.taps();
  }
  double work(const Forms& inputs, const Form& output) const override {
    const Shape& pixels = geometry_.transposed ? inputs.at(0).shape : output.shape;
    const double per_pixel = static_cast<double>(weights_.codes.numel()) / static_cast<double>(pixels[1]);
    return extent(inputs.at(0).shape) + extent(output.shape) + extent(pixels) * per_pixel;
  }

  Record save() const override {
    Record r;
    r.kind = kind();
    const ConvGeometry& g = geometry_;
    r.numbers.insert("geometry", {static_cast<double>(g.in_channels), static_cast<double>(g.out_channels),
                                  static_cast<double>(g.groups)});
    r.numbers.insert("kernel", to_numbers(g.kernel));
    r.numbers.insert("stride", to_numbers(g.stride));
    r.numbers.insert("padding", to_numbers(g.padding));
    r.numbers.insert("dilation", to_numbers(g.dilation));
    r.numbers.insert("output_padding", to_numbers(g.output_padding));
    r.numbers.insert("input", to_numbers(x_));
    r.numbers.insert("output", to_numbers(y_));
    r.numbers.insert("clamp", {static_cast<double>(clamp_.quant_min), static_cast<double>(clamp_.quant_max)});
    r.tensors.insert("weight", weights_.codes);
    r.tensors.insert("bias", vector_tensor(weights_.bias));
    r.tensors.insert("weight_scale", vector_tensor(weights_.scales));
    r.tensors.insert("multiplier", vector_tensor(weights_.multiplier));
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    constexpr std::int64_t most = std::int64_t{1} << 24;
    const RecordReader in(record, where);
    ConvGeometry g;
    g.rank = record.kind == "linear" ? 2 : record.kind == "conv1d" ? 3 : 4;
    g.transposed = record.kind == "conv_transpose2d";
    const auto sizes = in.integers("geometry", 3, 1, most);
    g.in_channels = sizes[0];
    g.out_channels = sizes[1];
    g.groups = sizes[2];
    if (g.in_channels % g.groups || g.out_channels % g.groups)
      throw FormatError(where, concat("channels ", g.in_channels, " -> ", g.out_channels,
                                      " do not divide by groups ", g.groups));
    const auto pair = [&](const char* name, std::int64_t low, std::int64_t high) {
      const auto v = in.integers(name, 2, low, high);
      return std::array<std::int64_t, 2>{v[0], v[1]};
    };
    g.kernel = pair("kernel", 1, 4096);
    g.stride = pair("stride", 1, 4096);
    g.padding = pair("padding", 0, 4096);
    g.dilation = pair("dilation", 1, 4096);
    g.output_padding = pair("output_padding", 0, 4096);
    const std::array<std::int64_t, 2> zeros{0, 0};
    for (std::size_t axis = 0; axis < (g.rank == 2 ? 2u : g.rank == 3 ? 1u : 0u); ++axis)
      if (g.kernel[axis] != 1 || g.stride[axis] != 1 || g.padding[axis] != 0 || g.dilation[axis] != 1)
        throw FormatError(where, concat("a ", record.kind, " has no window along axis ", axis));
    if (!g.transposed && g.output_padding != zeros)
      throw FormatError(where, "only a transposed convolution has an output padding");
    for (std::size_t axis = 0; axis < 2; ++axis)
      if (g.transposed && g.output_padding[axis] >= std::max(g.stride[axis], g.dilation[axis]))
        throw FormatError(where, concat("output padding ", g.output_padding[axis],
                                        " must be smaller than the stride or the dilation"));
    ConvWeights w;
    w.codes = in.tensor<std::int8_t>("weight", g.weight_shape());
    const Shape per_channel{g.out_channels};
    w.bias = in.tensor<std::int32_t>("bias", per_channel).to_vector();
    w.scales = in.tensor<float>("weight_scale", per_channel).to_vector();
    w.multiplier = in.tensor<float>("multiplier", per_channel).to_vector();
    const auto normal = [](float v) { return v >= 1.17549435e-38f && v <= 3.402823466e38f; };
    std::int64_t largest_bias = 0;
    for (std::size_t c = 0; c < w.bias.size(); ++c) {
      if (!normal(w.multiplier[c]) || !normal(w.scales[c]))
        throw FormatError(where, concat("channel ", c, ": multiplier ", w.multiplier[c], " and scale ",
                                        w.scales[c], " must be normal floats"));
      largest_bias = std::max(largest_bias, std::abs(std::int64_t{w.bias[c]}));
    }
    const QParams x = in.qparams("input"), y = in.qparams("output");
    const auto clamp = in.integers("clamp", 2, y.range.quant_min, y.range.quant_max);
    if (clamp[0] > clamp[1]) throw FormatError(where, "'clamp' is decreasing");
    std::int64_t largest = 0;
    for (std::int64_t i = 0; i < w.codes.numel(); ++i)
      largest = std::max<std::int64_t>(largest, std::abs(int{w.codes.data()[i]}));
    const std::int64_t reach = std::max(x.range.quant_max - x.zero_point, x.zero_point - x.range.quant_min);
    const std::int64_t depth = w.codes.numel() / g.out_channels;
    if (depth > (std::int64_t{1} << 30) ||
        largest * reach * depth + largest_bias > std::numeric_limits<std::int32_t>::max() ||
        largest * reach * depth > (std::int64_t{1} << 30))
      throw FormatError(where, concat(depth, " products of up to ", reach, " * ", largest,
                                      " and a bias of up to ", largest_bias, " could overflow"));
    return make_operator<BasicConv>(
        g, std::move(w), x, y,
        CodeRange{static_cast<std::int32_t>(clamp[0]), static_cast<std::int32_t>(clamp[1])});
  }

 private:
  // `tail` may be null.
  void run(const kernels::CodeTail* tail, const Values& inputs, Value& output, Workspace& workspace) const {
    const Tensor& x = quantized_input(inputs, 0, "conv");
    const kernels::Conv2dShape shape = geometry_.shape_for(x.shape(), "conv");
    const std::int32_t shift = storage_shift(y_.dtype);
    kernels::Epilogue epilogue;
    epilogue.bias = weights_.bias.data();
    epilogue.multiplier = weights_.multiplier.data();
    epilogue.zero_point = y_.zero_point + shift;
    epilogue.lo = clamp_.quant_min + shift;
    epilogue.hi = clamp_.quant_max + shift;
    epilogue.rounding = y_.rounding;
    epilogue.tail = tail;
    if (shape.batch == 0) return;
    kernels::run_conv(packed_, shape, x.stored().data(), x.stored_zero_point(), epilogue, codes_of(output),
                      workspace.scratch());
  }
  // The smallest input that gives an output along this axis (0: height, 1: width).
  std::int64_t smallest(std::size_t axis) const {
    if (geometry_.transposed) {
      std::int64_t in = 1;
      while (kernels::conv_transpose_output_size(in, geometry_.kernel[axis], geometry_.stride[axis],
                                                 geometry_.padding[axis], geometry_.dilation[axis],
                                                 geometry_.output_padding[axis]) < 1)
        ++in;
      return in;
    }
    return std::max<std::int64_t>(
        1, geometry_.dilation[axis] * (geometry_.kernel[axis] - 1) + 1 - 2 * geometry_.padding[axis]);
  }
  template <class Scalar>
  static BasicTensor<Scalar> vector_tensor(const std::vector<Scalar>& values) {
    BasicTensor<Scalar> out(Shape{static_cast<std::int64_t>(values.size())});
    std::copy(values.begin(), values.end(), out.mutable_data());
    return out;
  }

  ConvGeometry geometry_;
  ConvWeights weights_;
  QParams x_, y_;
  CodeRange clamp_;
  kernels::PackedWeights packed_;
};

MIDTREAD_NAMESPACE_END

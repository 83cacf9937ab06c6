// SPDX-License-Identifier: MIT
// int8 pooling on codes; the input's qparams are kept.  average: y = rne(sum(q - z) / n) + z
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/workspace.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// Kernel, stride, padding of a pool over [N, C, H, W]. `adaptive`: kernel holds the output size.
struct PoolGeometry {
  bool maximum = false, adaptive = false, ceil_mode = false, count_include_pad = true;
  std::array<std::int64_t, 2> kernel{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};

  kernels::Pool2dShape shape_for(const Shape& x, const std::string& where) const {
    if (x.rank() != 4) throw ShapeError(where, concat("input has shape ", x, ", needs [N, C, H, W]"));
    kernels::Pool2dShape s;
    s.batch = x[0];
    s.channels = x[1];
    s.in_height = x[2];
    s.in_width = x[3];
    s.count_include_pad = count_include_pad;
    s.adaptive = adaptive;
    if (adaptive) {
      s.out_height = kernel[0];
      s.out_width = kernel[1];
    } else {
      s.kernel_height = kernel[0];
      s.kernel_width = kernel[1];
      s.stride_height = stride[0];
      s.stride_width = stride[1];
      s.pad_height = padding[0];
      s.pad_width = padding[1];
      s.dilation_height = dilation[0];
      s.dilation_width = dilation[1];
      s.out_height =
          kernels::pool_output_size(s.in_height, kernel[0], stride[0], padding[0], dilation[0], ceil_mode);
      s.out_width =
          kernels::pool_output_size(s.in_width, kernel[1], stride[1], padding[1], dilation[1], ceil_mode);
    }
    kernels::check(s, where);
    // Taps that are not farther apart than the input is long cannot jump over it.
    if (maximum && s.dilation_height > s.in_height)
      for (std::int64_t i = 0; i < s.out_height; ++i) require_input(kernels::row_window(s, i), where);
    if (maximum && s.dilation_width > s.in_width)
      for (std::int64_t i = 0; i < s.out_width; ++i) require_input(kernels::column_window(s, i), where);
    return s;
  }

 private:
  static void require_input(const kernels::PoolWindow& window, const std::string& where) {
    if (window.first >= window.last)
      throw ShapeError(where, "a window holds only padding; choose a smaller dilation or padding");
  }
};

MIDTREAD_CLASS_ON_USE(Pool)
class BasicPool final : public Operator {
 public:
  explicit BasicPool(const PoolGeometry& geometry) : geometry_(geometry) {}
  std::string kind() const override {
    return geometry_.maximum ? "max_pool2d" : geometry_.adaptive ? "adaptive_avg_pool2d" : "avg_pool2d";
  }
  Form form(const Forms& inputs) const override {
    require_count(inputs, 1, kind());
    const Form& x = codes_form(inputs, 0, kind());
    const kernels::Pool2dShape s = geometry_.shape_for(x.shape, kind());
    return {{s.batch, s.channels, s.out_height, s.out_width}, x.qparams};
  }
  double work(const Forms& inputs, const Form& output) const override {
    const Shape& x = inputs.at(0).shape;
    if (geometry_.adaptive) return extent(x) + extent(output.shape);
    const auto window = [&](std::size_t i) {
      return static_cast<double>(std::min(geometry_.kernel[i], x[static_cast<int>(i) + 2]));
    };
    return extent(x) + extent(output.shape) * window(0) * window(1);
  }
  void run(const Values& inputs, Value& output, Workspace& workspace) const override {
    const Tensor& x = quantized_input(inputs, 0, "pool");
    const kernels::Pool2dShape s = geometry_.shape_for(x.shape(), "pool");
    if (geometry_.maximum)
      max_->run(s, x.stored().data(), codes_of(output));
    else
      average_->run(s, x.stored().data(), x.stored_zero_point(), codes_of(output), workspace.scratch());
  }
  std::shared_ptr<const Operator> bind(const kernels::KernelSet& kernels) const override {
    auto* bound = new BasicPool(*this);
    std::shared_ptr<const Operator> owner(bound);
    bound->max_ = kernels->max_pool;
    bound->average_ = kernels->average_pool;
    return owner;
  }
  std::string kernel_label() const override {
    if (geometry_.maximum) return max_ ? max_->label : "";
    return average_ ? average_->label : "";
  }
  Record save() const override {
    Record r;
    r.kind = kind();
    r.numbers.insert("kernel", to_numbers(geometry_.kernel));
    r.numbers.insert("stride", to_numbers(geometry_.stride));
    r.numbers.insert("padding", to_numbers(geometry_.padding));
    r.numbers.insert("dilation", to_numbers(geometry_.dilation));
    r.numbers.insert("flags", {geometry_.ceil_mode ? 1.0 : 0.0, geometry_.count_include_pad ? 1.0 : 0.0});
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    const RecordReader in(record, where);
    PoolGeometry g;
    g.maximum = record.kind == "max_pool2d";
    g.adaptive = record.kind == "adaptive_avg_pool2d";
    const auto pair = [&](const char* name, std::int64_t low) {
      const auto v = in.integers(name, 2, low, 65536);
      return std::array<std::int64_t, 2>{v[0], v[1]};
    };
    g.kernel = pair("kernel", 1);
    g.stride = pair("stride", 1);
    g.padding = pair("padding", 0);
    g.dilation = pair("dilation", 1);
    const auto flags = in.integers("flags", 2, 0, 1);
    g.ceil_mode = flags[0] != 0;
    g.count_include_pad = flags[1] != 0;
    const std::array<std::int64_t, 2> ones{1, 1}, zeros{0, 0};
    if ((!g.maximum && g.dilation != ones) ||
        (g.adaptive && (g.stride != ones || g.padding != zeros || g.ceil_mode)))
      throw FormatError(where, "a " + record.kind + " has no such window");
    return make_operator<BasicPool>(g);
  }

 private:
  PoolGeometry geometry_;
  const kernels::MaxPoolKernel* max_ = nullptr;
  const kernels::AveragePoolKernel* average_ = nullptr;
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Max, average and adaptive average pooling of [N, C, H, W].
//
// A tensor that carries codes is pooled on its codes too, and the result carries them with the same qparams;
// its value is then (q - z) * scale. The gradient stays that of the real pooling.
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/kernels/dispatch.hpp>
#include <midtread/kernels/float/pool2d.hpp>
#include <midtread/ops/record.hpp>
#include <midtread/tensor/factory.hpp>

#include <array>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

inline void check_pool_input(const Shape& x, const char* where) {
  if (x.rank() != 4 || x[1] < 1 || x[2] < 1 || x[3] < 1)
    throw ShapeError(
        where, concat("input has shape ", x, ", needs [N, C, H, W] with at least one channel and pixel"));
}

/// The sizes of a pooling, checked. stride {0, 0} means the kernel.
inline kernels::Pool2dShape pool_shape(const Shape& x, const std::array<std::int64_t, 2>& kernel,
                                       const std::array<std::int64_t, 2>& stride,
                                       const std::array<std::int64_t, 2>& padding,
                                       const std::array<std::int64_t, 2>& dilation, bool ceil_mode,
                                       const char* where) {
  check_pool_input(x, where);
  kernels::Pool2dShape s;
  s.batch = x[0], s.channels = x[1], s.in_height = x[2], s.in_width = x[3];
  s.kernel_height = kernel[0], s.kernel_width = kernel[1];
  s.stride_height = stride[0] == 0 ? kernel[0] : stride[0],
  s.stride_width = stride[1] == 0 ? kernel[1] : stride[1];
  s.pad_height = padding[0], s.pad_width = padding[1];
  s.dilation_height = dilation[0], s.dilation_width = dilation[1];
  const auto check_axis = [&](std::int64_t k, std::int64_t step, std::int64_t pad, std::int64_t spread) {
    constexpr std::int64_t limit = std::int64_t{1} << 31;
    if (k < 1 || k > limit) throw ShapeError(where, concat("kernel is ", k, ", allowed 1..", limit));
    if (step < 1 || step > limit)
      throw ShapeError(where, concat("stride is ", step, ", allowed 1..", limit, ", or 0 for the kernel"));
    if (pad < 0 || pad > k / 2)
      throw ShapeError(where, concat("padding is ", pad, ", allowed 0..", k / 2, ", half of kernel ", k));
    if (spread < 1 || spread > limit)
      throw ShapeError(where, concat("dilation is ", spread, ", allowed 1..", limit));
  };
  check_axis(s.kernel_height, s.stride_height, s.pad_height, s.dilation_height);
  check_axis(s.kernel_width, s.stride_width, s.pad_width, s.dilation_width);
  s.out_height =
      kernels::pool_output_size(x[2], kernel[0], s.stride_height, padding[0], dilation[0], ceil_mode);
  s.out_width =
      kernels::pool_output_size(x[3], kernel[1], s.stride_width, padding[1], dilation[1], ceil_mode);
  if (s.out_height < 1 || s.out_width < 1)
    throw ShapeError(where, concat("kernel ", kernel[0], "x", kernel[1], " is larger than the padded input ",
                                   x[2] + 2 * padding[0], "x", x[3] + 2 * padding[1]));
  return s;
}

/// The codes of a pooled tensor and its value (q - z) * scale, written over `y`.
template <class Run>
void pool_codes(const Tensor& x, const Tensor& y, const Run& run) {
  const QParams& qparams = x.codes()->qparams;
  const BasicTensor<std::uint8_t> from = x.codes()->values.channels_last();
  BasicTensor<std::uint8_t> to = empty_channels_last<std::uint8_t>(y.shape());
  const kernels::KernelSet& kernel_set = kernels::select_kernels();
  const QParams in_store = stored(qparams);
  run(kernel_set, from.data(), in_store.zero_point, to.mutable_data());
  kernel_set->dequantize->run(to.data(), y.mutable_data(), to.numel(), {qparams.scale, in_store.zero_point});
  y.set_codes(std::make_shared<const Codes>(Codes{to, qparams}));
}

/// Average pooling with sizes `s`, on codes where there are any, and its backward.
template <class S>
BasicTensor<S> average_pool(const char* name, const kernels::Pool2dShape& s, const BasicTensor<S>& x) {
  BasicTensor<S> y = empty_channels_last<S>({s.batch, s.channels, s.out_height, s.out_width});
  bool on_codes = false;
  if constexpr (std::is_same_v<S, float>) {
    on_codes = x.codes() != nullptr;
    if (on_codes)
      pool_codes(
          x, y,
          [&](const kernels::KernelSet& set, const std::uint8_t* from, std::int32_t zero, std::uint8_t* to) {
            kernels::Scratch scratch;
            set->average_pool->run(s, from, zero, to, scratch);
          });
  }
  if (!on_codes) kernels::floating::average_pool2d_forward(s, x.channels_last().data(), y.mutable_data());
  return autograd::attach(name, y, {x}, [s](const BasicTensor<S>& dy) {
    BasicTensor<S> dx = empty_channels_last<S>({s.batch, s.channels, s.in_height, s.in_width});
    kernels::floating::pool2d_backward<S>(s, dy.channels_last().data(), nullptr, dx.mutable_data());
    return std::vector<BasicTensor<S>>{dx};
  });
}

inline std::string pool_text(const std::array<std::int64_t, 2>& kernel,
                             const std::array<std::int64_t, 2>& stride,
                             const std::array<std::int64_t, 2>& padding) {
  return concat("kernel ", kernel[0], "x", kernel[1], ", stride ", stride[0] ? stride[0] : kernel[0], "x",
                stride[1] ? stride[1] : kernel[1], ", padding ", padding[0], "x", padding[1]);
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Input [N, C, H, W]; padding never wins. stride {0, 0}: the kernel. Throws ShapeError.
struct MaxPool2d {
  static constexpr const char* kName = "max_pool2d";
  std::array<std::int64_t, 2> kernel{2, 2};
  std::array<std::int64_t, 2> stride{0, 0};
  std::array<std::int64_t, 2> padding{0, 0};
  std::array<std::int64_t, 2> dilation{1, 1};
  bool ceil_mode = false;

  std::string attributes() const {
    return concat(detail::pool_text(kernel, stride, padding), ", dilation ", dilation[0], "x", dilation[1],
                  ceil_mode ? ", ceil" : "");
  }
  /// The sizes of a call, checked.
  kernels::Pool2dShape shape(const Shape& x) const {
    const kernels::Pool2dShape s = detail::pool_shape(x, kernel, stride, padding, dilation, ceil_mode, kName);
    if (s.kernel_height > kernels::floating::kMaxPoolTaps / s.kernel_width)
      throw ShapeError(kName, concat("kernel ", s.kernel_height, "x", s.kernel_width, " has more than ",
                                     kernels::floating::kMaxPoolTaps, " elements"));
    // Taps that are not farther apart than the input is long cannot jump over it.
    if (s.dilation_height > s.in_height)
      for (std::int64_t i = 0; i < s.out_height; ++i) check_window(kernels::row_window(s, i), x);
    if (s.dilation_width > s.in_width)
      for (std::int64_t i = 0; i < s.out_width; ++i) check_window(kernels::column_window(s, i), x);
    return s;
  }

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    const kernels::Pool2dShape s = shape(x.shape());
    BasicTensor<S> y = empty_channels_last<S>({s.batch, s.channels, s.out_height, s.out_width});
    Buffer<std::uint16_t> tap;
    if (autograd::needs_grad<S>({x}))
      tap.reserve(static_cast<std::size_t>(std::max<std::int64_t>(y.numel(), 1)));
    kernels::floating::max_pool2d_forward(s, x.channels_last().data(), y.mutable_data(), tap.data());
    if constexpr (std::is_same_v<S, float>) {
      if (x.codes())
        detail::pool_codes(x, y,
                           [&](const kernels::KernelSet& set, const std::uint8_t* from, std::int32_t,
                               std::uint8_t* to) { set->max_pool->run(s, from, to); });
    }
    return autograd::attach(kName, y, {x}, [s, tap](const BasicTensor<S>& dy) {
      BasicTensor<S> dx = empty_channels_last<S>({s.batch, s.channels, s.in_height, s.in_width});
      kernels::floating::pool2d_backward(s, dy.channels_last().data(), tap.data(), dx.mutable_data());
      return std::vector<BasicTensor<S>>{dx};
    });
  }

 private:
  static void check_window(const kernels::PoolWindow& window, const Shape& x) {
    if (window.first >= window.last)
      throw ShapeError(kName, concat("a window covers only padding of the input ", x,
                                     "; choose a smaller dilation or padding"));
  }
};

/// Input [N, C, H, W]. The divisor counts padding if `count_include_pad`. stride {0, 0}: the kernel. Throws
/// ShapeError.
struct AvgPool2d {
  static constexpr const char* kName = "avg_pool2d";
  std::array<std::int64_t, 2> kernel{2, 2};
  std::array<std::int64_t, 2> stride{0, 0};
  std::array<std::int64_t, 2> padding{0, 0};
  bool ceil_mode = false;
  bool count_include_pad = true;

  std::string attributes() const {
    return concat(detail::pool_text(kernel, stride, padding), ceil_mode ? ", ceil" : "",
                  count_include_pad ? "" : ", without padding");
  }
  /// The sizes of a call, checked.
  kernels::Pool2dShape shape(const Shape& x) const {
    kernels::Pool2dShape s = detail::pool_shape(x, kernel, stride, padding, {1, 1}, ceil_mode, kName);
    s.count_include_pad = count_include_pad;
    return s;
  }

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return detail::average_pool(kName, shape(x.shape()), x);
  }
};

/// Input [N, C, H, W], output [N, C, output[0], output[1]]; window i is [floor(i H / out), ceil((i + 1) H /
/// out)). Throws ShapeError.
struct AdaptiveAvgPool2d {
  static constexpr const char* kName = "adaptive_avg_pool2d";
  std::array<std::int64_t, 2> output{1, 1};

  std::string attributes() const { return concat("output ", output[0], "x", output[1]); }
  /// The sizes of a call, checked.
  kernels::Pool2dShape shape(const Shape& x) const {
    detail::check_pool_input(x, kName);
    constexpr std::int64_t limit = std::int64_t{1} << 31;
    if (output[0] < 1 || output[1] < 1 || output[0] > limit || output[1] > limit)
      throw ShapeError(kName, concat("output is ", output[0], "x", output[1], ", allowed 1..", limit));
    kernels::Pool2dShape s;
    s.batch = x[0], s.channels = x[1], s.in_height = x[2], s.in_width = x[3];
    s.out_height = output[0], s.out_width = output[1];
    s.adaptive = true;
    return s;
  }

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return detail::average_pool(kName, shape(x.shape()), x);
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> max_pool2d(const BasicTensor<S>& x, const ops::MaxPool2d& parameters = {}) {
  return ops::record(parameters, x);
}
template <class S>
BasicTensor<S> avg_pool2d(const BasicTensor<S>& x, const ops::AvgPool2d& parameters = {}) {
  return ops::record(parameters, x);
}
template <class S>
BasicTensor<S> adaptive_avg_pool2d(const BasicTensor<S>& x, const ops::AdaptiveAvgPool2d& parameters = {}) {
  return ops::record(parameters, x);
}

MIDTREAD_ROOT_NAMESPACE_END

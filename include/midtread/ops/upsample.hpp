// SPDX-License-Identifier: MIT
// Nearest-neighbour enlargement by whole factors:  y[n, c, i, j] = x[n, c, i / scale_height, j / scale_width]
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/ops/record.hpp>
#include <midtread/tensor/factory.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Input [N, C, H, W], output [N, C, H * scale_height, W * scale_width]. Keeps codes. Throws ShapeError.
struct UpsampleNearest2d {
  static constexpr const char* kName = "upsample_nearest2d";
  std::int64_t scale_height = 2;
  std::int64_t scale_width = 2;

  std::string attributes() const { return concat("scale ", scale_height, "x", scale_width); }

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    if (x.rank() != 4) throw ShapeError(kName, concat("input has shape ", x.shape(), ", needs [N, C, H, W]"));
    constexpr std::int64_t limit = std::int64_t{1} << 31;
    if (scale_height < 1 || scale_width < 1 || scale_height > limit || scale_width > limit)
      throw ShapeError(kName, concat("scale is ", scale_height, "x", scale_width, ", allowed 1..", limit));
    BasicTensor<S> y = enlarged(x);
    if constexpr (std::is_same_v<S, float>) {
      if (x.codes())
        y.set_codes(std::make_shared<const Codes>(Codes{enlarged(x.codes()->values), x.codes()->qparams}));
    }
    const Shape shape = x.shape();
    return autograd::attach(kName, y, {x}, [op = *this, shape](const BasicTensor<S>& dy) {
      return std::vector<BasicTensor<S>>{op.summed(dy, shape)};
    });
  }

 private:
  template <class T>
  BasicTensor<T> enlarged(const BasicTensor<T>& x) const {
    const BasicTensor<T> input = x.channels_last();
    const std::int64_t channels = x.size(1), width = x.size(3);
    BasicTensor<T> y =
        empty_channels_last<T>({x.size(0), channels, x.size(2) * scale_height, width * scale_width});
    const T* from = input.data();
    T* to = y.mutable_data();
    const std::int64_t row_size = width * scale_width * channels;
    parallel_for(0, x.size(0) * x.size(2), 4, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) {
        T* out = to + row * scale_height * row_size;
        for (std::int64_t i = 0; i < width * scale_width; ++i)
          std::copy_n(from + (row * width + i / scale_width) * channels, channels, out + i * channels);
        for (std::int64_t i = 1; i < scale_height; ++i) std::copy_n(out, row_size, out + i * row_size);
      }
    });
    return y;
  }
  /// The gradient of an input of `shape`.
  template <class S>
  BasicTensor<S> summed(const BasicTensor<S>& dy, const Shape& shape) const {
    const BasicTensor<S> gradient = dy.channels_last();
    BasicTensor<S> dx = empty_channels_last<S>(shape);
    const std::int64_t channels = shape[1], width = shape[3];
    const S* from = gradient.data();
    S* to = dx.mutable_data();
    parallel_for(0, shape[0] * shape[2], 4, [&](std::int64_t first, std::int64_t last) {
      std::fill(to + first * width * channels, to + last * width * channels, S(0));
      for (std::int64_t row = first * scale_height; row < last * scale_height; ++row)
        for (std::int64_t i = 0; i < width * scale_width; ++i) {
          const S* g = from + (row * width * scale_width + i) * channels;
          S* sum = to + (row / scale_height * width + i / scale_width) * channels;
          for (std::int64_t c = 0; c < channels; ++c) sum[c] += g[c];
        }
    });
    return dx;
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> upsample_nearest2d(const BasicTensor<S>& x, const ops::UpsampleNearest2d& parameters) {
  return ops::record(parameters, x);
}

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Padding of the two last dimensions of [N, C, H, W] with a constant.
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/ops/layout.hpp>
#include <midtread/ops/record.hpp>
#include <midtread/tensor/factory.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Output [N, C, top + H + bottom, left + W + right]. Padding with 0 keeps codes (0 is a code: the zero
/// point), other values drop them. Throws ShapeError on a negative width.
struct Pad2d {
  static constexpr const char* kName = "pad2d";
  std::int64_t left = 0;
  std::int64_t right = 0;
  std::int64_t top = 0;
  std::int64_t bottom = 0;
  double value = 0;

  std::string attributes() const {
    return concat("left ", left, ", right ", right, ", top ", top, ", bottom ", bottom, ", value ", value);
  }

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    if (x.rank() != 4) throw ShapeError(kName, concat("input has shape ", x.shape(), ", needs [N, C, H, W]"));
    constexpr std::int64_t limit = std::int64_t{1} << 31;
    for (const std::int64_t width : {left, right, top, bottom})
      if (width < 0 || width > limit)
        throw ShapeError(kName, concat("padding ", width, ", allowed 0..", limit));
    BasicTensor<S> y = padded(x, static_cast<S>(value));
    if constexpr (std::is_same_v<S, float>) {
      if (x.codes() && value == 0) {
        const auto zero = static_cast<std::uint8_t>(stored(x.codes()->qparams).zero_point);
        y.set_codes(
            std::make_shared<const Codes>(Codes{padded(x.codes()->values, zero), x.codes()->qparams}));
      }
    }
    const Shape shape = x.shape();
    return autograd::attach(kName, y, {x}, [op = *this, shape](const BasicTensor<S>& dy) {
      BasicTensor<S> dx = empty_channels_last<S>(shape);
      strided_copy(shape, dy.data() + op.start(dy.strides()), dy.strides(), dx.mutable_data(), dx.strides());
      return std::vector<BasicTensor<S>>{dx};
    });
  }

 private:
  /// Where the input begins in a padded tensor of these strides.
  std::int64_t start(const Shape& strides) const { return top * strides[2] + left * strides[3]; }
  template <class T>
  BasicTensor<T> padded(const BasicTensor<T>& x, T with) const {
    BasicTensor<T> y =
        empty_channels_last<T>({x.size(0), x.size(1), x.size(2) + top + bottom, x.size(3) + left + right});
    T* to = y.mutable_data();
    std::fill_n(to, y.numel(), with);
    strided_copy(x.shape(), x.data(), x.strides(), to + start(y.strides()), y.strides());
    return y;
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> pad2d(const BasicTensor<S>& x, const ops::Pad2d& parameters) {
  return ops::record(parameters, x);
}

MIDTREAD_ROOT_NAMESPACE_END

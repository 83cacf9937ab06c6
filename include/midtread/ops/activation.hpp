// SPDX-License-Identifier: MIT
// Activation functions, element by element. derivative(v) takes y where kDerivativeOfOutput, else x.
//
// relu, relu6 and clamp work on codes too: max(q, z) and clamp(q, Q(a), Q(b)), Q = quantize with the tensor's
// qparams.
#pragma once

#include <midtread/ops/codes.hpp>
#include <midtread/ops/map.hpp>

#include <cmath>
#include <optional>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

/// y = clamp(x, low, high), on codes where x carries them.
template <class Op, class S>
BasicTensor<S> clamped(const Op& op, const BasicTensor<S>& x, double low, double high) {
  if constexpr (std::is_same_v<S, float>) {
    if (x.codes()) {
      const FpEnvGuard fp_env;
      const kernels::QuantizeParams p = kernels::engine_params(x.codes()->qparams);
      const float inverse = kernels::reciprocal(p.scale);
      const auto code = [&](double bound) {
        return kernels::quantize_code(static_cast<float>(bound), inverse, p.zero_point, p.range, p.rounding);
      };
      Tensor y = tensor_of_codes(std::make_shared<const Codes>(
          Codes{clamp_codes(x.codes()->values, code(low), code(high)), x.codes()->qparams}));
      return attach_pointwise(op, x, std::move(y), x);
    }
  }
  BasicTensor<S> y = map(x, [op](S v) { return op.value(v); });
  const BasicTensor<S> saved = Op::kDerivativeOfOutput ? y : x;
  return attach_pointwise(op, x, std::move(y), saved);
}

/// Output steps of 1/256 over [0, 1), or of 2/256 over [-1, 1).
inline QParams fixed_range(float scale, std::int32_t uint8_zero_point, DType dtype) {
  QParams q;
  q.scale = scale;
  q.zero_point = uint8_zero_point;
  q.dtype = dtype;
  if (dtype == DType::kInt8) {
    q.zero_point -= 128;
    q.range = {-128, 127};
  }
  return q;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// max(x, 0); NaN stays NaN.
struct Relu {
  static constexpr const char* kName = "relu";
  static constexpr bool kDerivativeOfOutput = true;
  template <class S>
  S value(S x) const {
    return x < S(0) ? S(0) : x;
  }
  template <class S>
  S derivative(S y) const {
    return y > S(0) ? S(1) : S(0);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    BasicTensor<S> y = map(x, [](S v) { return v < S(0) ? S(0) : v; });
    move_codes(x, y, [&](const BasicTensor<std::uint8_t>& q) {
      return clamp_codes(q, stored(x.codes()->qparams).zero_point, 255);
    });
    if (!autograd::needs_grad<S>({x})) return y;
    return autograd::attach(kName, y, {x}, [v = y.detach()](const BasicTensor<S>& dy) {
      return std::vector<BasicTensor<S>>{map(v, dy, [](S at, S g) { return at > S(0) ? g : S(0); })};
    });
  }
};

/// clamp(x, 0, 6); the gradient passes where 0 < x < 6.
struct Relu6 {
  static constexpr const char* kName = "relu6";
  static constexpr bool kDerivativeOfOutput = true;
  template <class S>
  S value(S x) const {
    return x < S(0) ? S(0) : (x > S(6) ? S(6) : x);
  }
  /// The same at x and at y.
  template <class S>
  S derivative(S v) const {
    return v > S(0) && v < S(6) ? S(1) : S(0);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return detail::clamped(*this, x, 0.0, 6.0);
  }
};

/// clamp(x, min, max); the gradient passes where min <= x <= max.
struct Clamp {
  static constexpr const char* kName = "clamp";
  static constexpr bool kDerivativeOfOutput = false;
  double min = 0, max = 1;
  template <class S>
  S value(S x) const {
    const S low = static_cast<S>(min), high = static_cast<S>(max);
    return x < low ? low : (x > high ? high : x);
  }
  template <class S>
  S derivative(S x) const {
    return x >= static_cast<S>(min) && x <= static_cast<S>(max) ? S(1) : S(0);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    if (!(min <= max)) throw ConfigError(kName, concat("min ", min, " must not be above max ", max));
    return detail::clamped(*this, x, min, max);
  }
  std::string attributes() const { return concat("min ", min, ", max ", max); }
};

/// x > 0 ? x : slope * x
struct LeakyRelu {
  static constexpr const char* kName = "leaky_relu";
  static constexpr bool kDerivativeOfOutput = false;
  double slope = 0.01;
  template <class S>
  S value(S x) const {
    return x > S(0) ? x : x * static_cast<S>(slope);
  }
  template <class S>
  S derivative(S x) const {
    return x > S(0) ? S(1) : static_cast<S>(slope);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
  std::string attributes() const { return concat("slope ", slope); }
};

/// x > 0 ? x : alpha * (exp(x) - 1)
struct Elu {
  static constexpr const char* kName = "elu";
  static constexpr bool kDerivativeOfOutput = false;
  double alpha = 1;
  template <class S>
  S value(S x) const {
    return x > S(0) ? x : static_cast<S>(alpha) * std::expm1(x);
  }
  template <class S>
  S derivative(S x) const {
    return x > S(0) ? S(1) : static_cast<S>(alpha) * std::exp(x);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
  std::string attributes() const { return concat("alpha ", alpha); }
};

/// 1 / (1 + exp(-x))
struct Sigmoid {
  static constexpr const char* kName = "sigmoid";
  static constexpr bool kDerivativeOfOutput = true;
  template <class S>
  S value(S x) const {
    return S(1) / (S(1) + std::exp(-x));
  }
  template <class S>
  S derivative(S y) const {
    return y * (S(1) - y);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
  std::optional<QParams> fixed_qparams(DType dtype) const {
    return detail::fixed_range(1.0f / 256.0f, 0, dtype);
  }
};

struct Tanh {
  static constexpr const char* kName = "tanh";
  static constexpr bool kDerivativeOfOutput = true;
  template <class S>
  S value(S x) const {
    return std::tanh(x);
  }
  template <class S>
  S derivative(S y) const {
    return S(1) - y * y;
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
  std::optional<QParams> fixed_qparams(DType dtype) const {
    return detail::fixed_range(2.0f / 256.0f, 128, dtype);
  }
};

/// x * sigmoid(x)
struct Silu {
  static constexpr const char* kName = "silu";
  static constexpr bool kDerivativeOfOutput = false;
  template <class S>
  S value(S x) const {
    return x / (S(1) + std::exp(-x));
  }
  template <class S>
  S derivative(S x) const {
    const S s = Sigmoid{}.value(x);
    return s * (S(1) + x * (S(1) - s));
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
};

/// x * Phi(x), Phi the normal distribution: x / 2 * (1 + erf(x / sqrt(2)))
struct Gelu {
  static constexpr const char* kName = "gelu";
  static constexpr bool kDerivativeOfOutput = false;
  template <class S>
  static S phi(S x) {
    return S(0.5) * (S(1) + std::erf(x * static_cast<S>(0.70710678118654752440)));
  }
  template <class S>
  S value(S x) const {
    return x * phi(x);
  }
  template <class S>
  S derivative(S x) const {
    return phi(x) + x * static_cast<S>(0.39894228040143267794) * std::exp(S(-0.5) * x * x);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
};

/// clamp(x + 3, 0, 6) / 6
struct Hardsigmoid {
  static constexpr const char* kName = "hardsigmoid";
  static constexpr bool kDerivativeOfOutput = false;
  template <class S>
  S value(S x) const {
    return Relu6{}.value(x + S(3)) / S(6);
  }
  template <class S>
  S derivative(S x) const {
    return x > S(-3) && x < S(3) ? S(1) / S(6) : S(0);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
  std::optional<QParams> fixed_qparams(DType dtype) const {
    return detail::fixed_range(1.0f / 256.0f, 0, dtype);
  }
};

/// x * clamp(x + 3, 0, 6) / 6
struct Hardswish {
  static constexpr const char* kName = "hardswish";
  static constexpr bool kDerivativeOfOutput = false;
  template <class S>
  S value(S x) const {
    return x * Relu6{}.value(x + S(3)) / S(6);
  }
  template <class S>
  S derivative(S x) const {
    return x < S(-3) ? S(0) : (x <= S(3) ? x / S(3) + S(0.5) : S(1));
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> relu(const BasicTensor<S>& x) {
  return ops::record(ops::Relu{}, x);
}
template <class S>
BasicTensor<S> relu6(const BasicTensor<S>& x) {
  return ops::record(ops::Relu6{}, x);
}
template <class S>
BasicTensor<S> clamp(const BasicTensor<S>& x, double min, double max) {
  return ops::record(ops::Clamp{min, max}, x);
}
template <class S>
BasicTensor<S> leaky_relu(const BasicTensor<S>& x, double slope = 0.01) {
  return ops::record(ops::LeakyRelu{slope}, x);
}
template <class S>
BasicTensor<S> elu(const BasicTensor<S>& x, double alpha = 1.0) {
  return ops::record(ops::Elu{alpha}, x);
}
template <class S>
BasicTensor<S> silu(const BasicTensor<S>& x) {
  return ops::record(ops::Silu{}, x);
}
template <class S>
BasicTensor<S> gelu(const BasicTensor<S>& x) {
  return ops::record(ops::Gelu{}, x);
}
template <class S>
BasicTensor<S> hardswish(const BasicTensor<S>& x) {
  return ops::record(ops::Hardswish{}, x);
}
template <class S>
BasicTensor<S> hardsigmoid(const BasicTensor<S>& x) {
  return ops::record(ops::Hardsigmoid{}, x);
}
template <class S>
BasicTensor<S> sigmoid(const BasicTensor<S>& x) {
  return ops::record(ops::Sigmoid{}, x);
}
template <class S>
BasicTensor<S> tanh(const BasicTensor<S>& x) {
  return ops::record(ops::Tanh{}, x);
}

MIDTREAD_ROOT_NAMESPACE_END

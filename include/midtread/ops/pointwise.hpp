// SPDX-License-Identifier: MIT
// exp, log, sqrt, abs and powers, element by element.
// derivative(v) takes y where kDerivativeOfOutput, else x.
#pragma once

#include <midtread/ops/elementwise.hpp>

#include <cmath>

MIDTREAD_NAMESPACE_BEGIN(ops)

struct Exp {
  static constexpr const char* kName = "exp";
  static constexpr bool kDerivativeOfOutput = true;
  template <class S>
  S value(S x) const {
    return std::exp(x);
  }
  template <class S>
  S derivative(S y) const {
    return y;
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
};

struct Log {
  static constexpr const char* kName = "log";
  static constexpr bool kDerivativeOfOutput = false;
  template <class S>
  S value(S x) const {
    return std::log(x);
  }
  template <class S>
  S derivative(S x) const {
    return S(1) / x;
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
};

struct Sqrt {
  static constexpr const char* kName = "sqrt";
  static constexpr bool kDerivativeOfOutput = true;
  template <class S>
  S value(S x) const {
    return std::sqrt(x);
  }
  template <class S>
  S derivative(S y) const {
    return S(0.5) / y;
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
};

struct Abs {
  static constexpr const char* kName = "abs";
  static constexpr bool kDerivativeOfOutput = false;
  template <class S>
  S value(S x) const {
    return std::abs(x);
  }
  template <class S>
  S derivative(S x) const {
    return x > S(0) ? S(1) : (x < S(0) ? S(-1) : S(0));
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
};

/// x^exponent
struct Pow {
  static constexpr const char* kName = "pow";
  static constexpr bool kDerivativeOfOutput = false;
  double exponent = 1;
  template <class S>
  S value(S x) const {
    return std::pow(x, static_cast<S>(exponent));
  }
  template <class S>
  S derivative(S x) const {
    return exponent == 0 ? S(0) : static_cast<S>(exponent) * std::pow(x, static_cast<S>(exponent - 1));
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return pointwise(*this, x);
  }
  std::string attributes() const { return concat("exponent ", exponent); }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> exp(const BasicTensor<S>& x) {
  return ops::record(ops::Exp{}, x);
}
template <class S>
BasicTensor<S> log(const BasicTensor<S>& x) {
  return ops::record(ops::Log{}, x);
}
template <class S>
BasicTensor<S> sqrt(const BasicTensor<S>& x) {
  return ops::record(ops::Sqrt{}, x);
}
template <class S>
BasicTensor<S> abs(const BasicTensor<S>& x) {
  return ops::record(ops::Abs{}, x);
}
template <class S>
BasicTensor<S> pow(const BasicTensor<S>& x, double exponent) {
  return ops::record(ops::Pow{exponent}, x);
}
/// c * x^-1
template <class S>
BasicTensor<S> operator/(double c, const BasicTensor<S>& x) {
  return pow(x, -1.0) * c;
}

MIDTREAD_ROOT_NAMESPACE_END

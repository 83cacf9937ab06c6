// SPDX-License-Identifier: MIT
// a + b, a - b, a * b, a / b with numpy broadcasting, and x + c, x * c.
#pragma once

#include <midtread/ops/map.hpp>
#include <midtread/ops/sum_to.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

template <class S>
BasicTensor<S> negative(const BasicTensor<S>& x) {
  return map(x, [](S v) { return -v; });
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// dL/da = dy, dL/db = dy, summed over what was broadcast.
struct Add {
  static constexpr const char* kName = "add";
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& a, const BasicTensor<S>& b) const {
    auto y = broadcast_map(
        a, b, [](S u, S v) { return u + v; }, kName);
    return autograd::attach(kName, std::move(y), {a, b},
                            [sa = a.shape(), sb = b.shape()](const BasicTensor<S>& dy) {
                              return std::vector<BasicTensor<S>>{sum_to(dy, sa), sum_to(dy, sb)};
                            });
  }
};

struct Sub {
  static constexpr const char* kName = "sub";
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& a, const BasicTensor<S>& b) const {
    auto y = broadcast_map(
        a, b, [](S u, S v) { return u - v; }, kName);
    return autograd::attach(
        kName, std::move(y), {a, b}, [sa = a.shape(), sb = b.shape()](const BasicTensor<S>& dy) {
          return std::vector<BasicTensor<S>>{sum_to(dy, sa), detail::negative(sum_to(dy, sb))};
        });
  }
};

/// dL/da = dy * b, dL/db = dy * a.
struct Mul {
  static constexpr const char* kName = "mul";
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& a, const BasicTensor<S>& b) const {
    const auto product = [](S u, S v) { return u * v; };
    auto y = broadcast_map(a, b, product, kName);
    if (!autograd::needs_grad<S>({a, b})) return y;
    // Each side is saved only for the other's gradient.
    const BasicTensor<S> left = b.requires_grad() ? a.detach() : BasicTensor<S>();
    const BasicTensor<S> right = a.requires_grad() ? b.detach() : BasicTensor<S>();
    return autograd::attach(kName, std::move(y), {a, b},
                            [=, sa = a.shape(), sb = b.shape()](const BasicTensor<S>& dy) {
                              std::vector<BasicTensor<S>> gradients(2);
                              if (right.defined())
                                gradients[0] = sum_to(broadcast_map(dy, right, product, kName), sa);
                              if (left.defined())
                                gradients[1] = sum_to(broadcast_map(dy, left, product, kName), sb);
                              return gradients;
                            });
  }
};

/// dL/da = dy / b, dL/db = -dy * (a / b) / b.
struct Div {
  static constexpr const char* kName = "div";
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& a, const BasicTensor<S>& b) const {
    const auto quotient = [](S u, S v) { return u / v; };
    auto y = broadcast_map(a, b, quotient, kName);
    if (!autograd::needs_grad<S>({a, b})) return y;
    const BasicTensor<S> ratio = b.requires_grad() ? y.detach() : BasicTensor<S>();
    return autograd::attach(
        kName, y, {a, b},
        [=, b = b.detach(), left = a.requires_grad(), sa = a.shape()](const BasicTensor<S>& dy) {
          std::vector<BasicTensor<S>> gradients(2);
          const BasicTensor<S> scaled = broadcast_map(dy, b, quotient, kName);
          if (left) gradients[0] = sum_to(scaled, sa);
          if (ratio.defined())
            gradients[1] =
                detail::negative(sum_to(map(scaled, ratio, [](S u, S v) { return u * v; }), b.shape()));
          return gradients;
        });
  }
};

/// y = x + constant
struct AddScalar {
  static constexpr const char* kName = "add_scalar";
  double constant = 0;

  template <class S>
  S value(S x) const {
    return x + static_cast<S>(constant);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    auto y = map(x, [c = static_cast<S>(constant)](S v) { return v + c; });
    return autograd::attach(kName, std::move(y), {x},
                            [](const BasicTensor<S>& dy) { return std::vector<BasicTensor<S>>{dy}; });
  }
  std::string attributes() const { return concat(constant); }
};

/// y = x * constant
struct MulScalar {
  static constexpr const char* kName = "mul_scalar";
  double constant = 1;

  template <class S>
  S value(S x) const {
    return x * static_cast<S>(constant);
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    const auto scale = [c = static_cast<S>(constant)](S v) { return v * c; };
    return autograd::attach(kName, map(x, scale), {x}, [scale](const BasicTensor<S>& dy) {
      return std::vector<BasicTensor<S>>{map(dy, scale)};
    });
  }
  std::string attributes() const { return concat(constant); }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Shapes broadcast as in numpy; ShapeError where they do not.
template <class S>
BasicTensor<S> operator+(const BasicTensor<S>& a, const BasicTensor<S>& b) {
  return ops::record(ops::Add{}, a, b);
}
template <class S>
BasicTensor<S> operator-(const BasicTensor<S>& a, const BasicTensor<S>& b) {
  return ops::record(ops::Sub{}, a, b);
}
template <class S>
BasicTensor<S> operator*(const BasicTensor<S>& a, const BasicTensor<S>& b) {
  return ops::record(ops::Mul{}, a, b);
}
template <class S>
BasicTensor<S> operator/(const BasicTensor<S>& a, const BasicTensor<S>& b) {
  return ops::record(ops::Div{}, a, b);
}

template <class S>
BasicTensor<S> operator+(const BasicTensor<S>& x, double c) {
  return ops::record(ops::AddScalar{c}, x);
}
template <class S>
BasicTensor<S> operator+(double c, const BasicTensor<S>& x) {
  return ops::record(ops::AddScalar{c}, x);
}
template <class S>
BasicTensor<S> operator-(const BasicTensor<S>& x, double c) {
  return ops::record(ops::AddScalar{-c}, x);
}
template <class S>
BasicTensor<S> operator*(const BasicTensor<S>& x, double c) {
  return ops::record(ops::MulScalar{c}, x);
}
template <class S>
BasicTensor<S> operator*(double c, const BasicTensor<S>& x) {
  return ops::record(ops::MulScalar{c}, x);
}
/// x * (1 / c)
template <class S>
BasicTensor<S> operator/(const BasicTensor<S>& x, double c) {
  return ops::record(ops::MulScalar{1.0 / c}, x);
}
template <class S>
BasicTensor<S> operator-(const BasicTensor<S>& x) {
  return ops::record(ops::MulScalar{-1.0}, x);
}
/// -x + c
template <class S>
BasicTensor<S> operator-(double c, const BasicTensor<S>& x) {
  return -x + c;
}

MIDTREAD_ROOT_NAMESPACE_END

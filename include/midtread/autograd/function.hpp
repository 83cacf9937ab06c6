// SPDX-License-Identifier: MIT
// A user's own operation: a forward and a backward, side by side.
//
//   struct Square : autograd::Function<Square> {
//     static Tensor forward(Context& context, const Tensor& x) { context.save(x); return x * x; }
//     static Tensors backward(Context& context, const Tensor& dy) { return {context.saved(0) * dy * 2.f}; }
//   };
//   Tensor y = Square::apply(x);
#pragma once

#include <midtread/autograd/engine.hpp>

#include <type_traits>

MIDTREAD_NAMESPACE_BEGIN(autograd)

/// What forward leaves for backward.
template <class Scalar>
class BasicContext {
 public:
  void save(const BasicTensor<Scalar>& tensor) { saved_.push_back(tensor.detach()); }
  const BasicTensor<Scalar>& saved(std::size_t i) const {
    if (i >= saved_.size())
      throw StateError("Function", concat("saved(", i, ") but ", saved_.size(), " tensors were saved"));
    return saved_[i];
  }

 private:
  std::vector<BasicTensor<Scalar>> saved_;
};

/// Base of a user's operation. backward returns one gradient per tensor argument of forward, in order; an
/// undefined one where there is none. Arguments of other types pass through. Inside forward nothing is
/// recorded.
template <class Derived, class Scalar = float>
class Function {
 public:
  using Context = BasicContext<Scalar>;
  using T = BasicTensor<Scalar>;

  template <class... Args>
  static T apply(const Args&... args) {
    std::vector<T> inputs;
    (collect(inputs, args), ...);
    auto context = std::make_shared<Context>();
    T output;
    {
      const NoGradGuard no_grad;
      output = Derived::forward(*context, args...);
    }
    if (!needs_grad(inputs)) return output;
    for (const T& input : inputs)
      if (output.is(input)) output = output.detach();
    return attach("Function", output, inputs,
                  [context](const T& dy) { return Derived::backward(*context, dy); });
  }

 private:
  template <class Arg>
  static void collect(std::vector<T>& inputs, const Arg& arg) {
    if constexpr (std::is_same_v<Arg, T>) inputs.push_back(arg);
  }
};

MIDTREAD_NAMESPACE_END

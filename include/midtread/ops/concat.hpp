// SPDX-License-Identifier: MIT
// Tensors joined along one dimension.
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/ops/layout.hpp>
#include <midtread/ops/record.hpp>

#include <vector>

MIDTREAD_NAMESPACE_BEGIN(ops)

struct Cat {
  static constexpr const char* kName = "cat";
  int dim = 0;

  template <class S>
  BasicTensor<S> operator()(const std::vector<BasicTensor<S>>& inputs) const {
    if (inputs.empty()) throw ShapeError(kName, "needs at least one tensor");
    Shape shape = inputs[0].shape();
    const int along = wrap_dim(dim, shape.rank(), kName);
    shape[along] = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      Shape rest = inputs[i].shape();
      const bool same_rank = rest.rank() == shape.rank();
      const std::int64_t own = same_rank ? rest[along] : 0;
      if (same_rank) rest[along] = shape[along];
      if (rest != shape)
        throw ShapeError(kName, concat("input ", i, " has shape ", inputs[i].shape(), ", input 0 has ",
                                       inputs[0].shape(), "; only dimension ", dim, " may differ"));
      shape[along] += own;
    }
    BasicTensor<S> y(shape, channels_last_strides(shape));
    S* to = y.mutable_data();
    std::vector<Shape> shapes;
    for (const BasicTensor<S>& x : inputs) {
      strided_copy(x.shape(), x.data(), x.strides(), to, y.strides());
      to += x.size(along) * y.strides()[along];
      shapes.push_back(x.shape());
    }
    return autograd::attach(kName, std::move(y), inputs, [shapes, along](const BasicTensor<S>& dy) {
      std::vector<BasicTensor<S>> gradients;
      const S* from = dy.data();
      for (const Shape& part : shapes) {
        BasicTensor<S> dx(part, channels_last_strides(part));
        strided_copy(part, from, dy.strides(), dx.mutable_data(), dx.strides());
        from += part[along] * dy.strides()[along];
        gradients.push_back(std::move(dx));
      }
      return gradients;
    });
  }
  std::string attributes() const { return concat("dim ", dim); }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Joins tensors whose shapes are equal except along `dim`; ShapeError naming the input that does not fit.
template <class S>
BasicTensor<S> cat(const std::vector<BasicTensor<S>>& inputs, int dim = 0) {
  return ops::record(ops::Cat{dim}, inputs);
}
MIDTREAD_ON_USE Tensor cat(std::initializer_list<Tensor> inputs, int dim = 0) {
  return cat(Tensors(inputs), dim);
}

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The same elements under another shape or order. Codes move alike. Views share storage; where logical order
// is not memory order, reshape and flatten copy (channels-last data to row-major).
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/ops/codes.hpp>
#include <midtread/ops/record.hpp>

#include <algorithm>
#include <limits>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

/// y = view(x) for any scalar type; dx = back(dy).
template <class S, class View, class Back>
BasicTensor<S> viewed(const char* name, const BasicTensor<S>& x, const View& view, Back back) {
  BasicTensor<S> y = view(x);
  move_codes(x, y, [&](const BasicTensor<std::uint8_t>& q) { return view(q); });
  return autograd::attach(name, std::move(y), {x},
                          [back](const BasicTensor<S>& dy) { return std::vector<BasicTensor<S>>{back(dy)}; });
}

template <class S>
BasicTensor<S> view_as(const BasicTensor<S>& x, const Shape& shape) {
  const BasicTensor<S> flat = x.contiguous();
  return BasicTensor<S>(flat.storage(), flat.offset(), shape, contiguous_strides(shape));
}

template <class S>
BasicTensor<S> permuted(const BasicTensor<S>& x, const std::vector<int>& order) {
  Shape shape, strides;
  for (int dim : order) {
    shape.push_back(x.size(dim));
    strides.push_back(x.strides()[dim]);
  }
  return BasicTensor<S>(x.storage(), x.offset(), shape, strides);
}

/// Reshape of `x` to `shape`, with the gradient brought back to x's memory order.
template <class S>
BasicTensor<S> reshaped(const char* name, const BasicTensor<S>& x, const Shape& shape) {
  return viewed(
      name, x, [&](const auto& t) { return view_as(t, shape); },
      [to = x.shape(), strides = dense_strides(x)](const BasicTensor<S>& dy) {
        return with_strides(view_as(dy, to), strides);
      });
}

template <class S>
BasicTensor<S> permute_dims(const char* name, const BasicTensor<S>& x, const std::vector<int>& order) {
  std::vector<int> inverse(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
  return viewed(
      name, x, [&](const auto& t) { return permuted(t, order); },
      [inverse](const BasicTensor<S>& dy) { return permuted(dy, inverse); });
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// -1 infers one dimension, 0 keeps that of the input.
struct Reshape {
  static constexpr const char* kName = "reshape";
  std::vector<std::int64_t> dims;

  Shape result(const Shape& from) const {
    Shape to(dims);
    const std::int64_t count = element_count(from);
    std::int64_t known = 1;
    int infer = -1;
    for (int i = 0; i < to.rank(); ++i) {
      if (to[i] == 0) {
        if (i >= from.rank())
          throw ShapeError(kName, concat("dimension ", i, " is 0 (keep), but the input is ", from));
        to[i] = from[i];
      }
      if (to[i] == -1 && infer < 0)
        infer = i;
      else if (to[i] < 0)
        throw ShapeError(kName, concat("to ", Shape(dims), ": only one dimension may be -1, none below"));
      else
        known = to[i] > 0 && known > count / to[i] ? count + 1 : known * to[i];  // no overflow
    }
    if (infer >= 0 && known > 0 && count % known == 0) to[infer] = count / known;
    if ((infer >= 0 && to[infer] < 0) || element_count(to) != count)
      throw ShapeError(kName, concat("shape ", from, " (", count, " elements) does not fit ", Shape(dims)));
    return to;
  }
  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return detail::reshaped(kName, x, result(x.shape()));
  }
  std::string attributes() const { return concat("to ", Shape(dims)); }
};

/// Joins dimensions start..end.
struct Flatten {
  static constexpr const char* kName = "flatten";
  int start = 1, end = -1;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    if (x.rank() == 0) return detail::reshaped(kName, x, Shape{1});
    const int first = wrap_dim(start, x.rank(), kName), last = wrap_dim(end, x.rank(), kName);
    if (first > last)
      throw ShapeError(kName, concat("start ", start, " lies behind end ", end, " in shape ", x.shape()));
    Shape shape;
    for (int i = 0; i < x.rank(); ++i) {
      if (i > first && i <= last)
        shape[first] *= x.size(i);
      else
        shape.push_back(x.size(i));
    }
    return detail::reshaped(kName, x, shape);
  }
  std::string attributes() const { return concat("dims ", start, "..", end); }
};

struct Transpose {
  static constexpr const char* kName = "transpose";
  int dim0 = 0, dim1 = 1;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    std::vector<int> order;
    for (int i = 0; i < x.rank(); ++i) order.push_back(i);
    std::swap(order[static_cast<std::size_t>(wrap_dim(dim0, x.rank(), kName))],
              order[static_cast<std::size_t>(wrap_dim(dim1, x.rank(), kName))]);
    return detail::permute_dims(kName, x, order);
  }
  std::string attributes() const { return concat(dim0, " and ", dim1); }
};

/// Dimension i of the result is dimension dims[i] of the input.
struct Permute {
  static constexpr const char* kName = "permute";
  std::vector<int> dims;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    std::vector<int> order, sorted;
    for (int dim : dims) order.push_back(wrap_dim(dim, x.rank(), kName));
    sorted = order;
    std::sort(sorted.begin(), sorted.end());
    if (static_cast<int>(order.size()) != x.rank() ||
        std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      throw ShapeError(kName,
                       concat("dims (", attributes(), ") must name each dimension of ", x.shape(), " once"));
    return detail::permute_dims(kName, x, order);
  }
  std::string attributes() const {
    std::string text;
    for (int dim : dims) text += concat(text.empty() ? "" : ", ", dim);
    return text;
  }
};

/// Elements start, start + step, ... before stop along `dim`, by Python's rules; step > 0.
struct Slice {
  static constexpr const char* kName = "slice";
  int dim = 0;
  std::int64_t start = 0, stop = std::numeric_limits<std::int64_t>::max(), step = 1;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    const int along = wrap_dim(dim, x.rank(), kName);
    if (step < 1) throw ShapeError(kName, concat("step ", step, ", allowed 1 and up"));
    const std::int64_t size = x.size(along);
    const auto wrap = [&](std::int64_t i) {
      return std::min(std::max<std::int64_t>(i < 0 ? i + size : i, 0), size);
    };
    const std::int64_t first = wrap(start), last = std::max(first, wrap(stop)), by = std::min(step, size + 1);
    const auto cut = [&](const auto& t) {
      using T = std::decay_t<decltype(t)>;
      Shape shape = t.shape(), strides = t.strides();
      const std::int64_t offset = t.offset() + first * strides[along];
      shape[along] = (last - first + by - 1) / by;
      strides[along] *= by;
      return T(t.storage(), offset, shape, strides);
    };
    return detail::viewed(
        kName, x, cut,
        [to = x.shape(), strides = dense_strides(x), along, first, by](const BasicTensor<S>& dy) {
          BasicTensor<S> dx(to, strides);
          S* out = dx.mutable_data();
          std::fill_n(out, dx.numel(), S(0));
          Shape spaced = strides;
          spaced[along] *= by;
          strided_copy(dy.shape(), dy.data(), dy.strides(), out + first * strides[along], spaced);
          return dx;
        });
  }
  std::string attributes() const {
    const bool to_end = stop == std::numeric_limits<std::int64_t>::max();
    return concat("dim ", dim, ", ", start, ":", to_end ? std::string() : concat(stop),
                  step == 1 ? "" : concat(":", step));
  }
};

/// Removes dimension `dim` of size 1.
struct Squeeze {
  static constexpr const char* kName = "squeeze";
  int dim = 0;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    const int along = wrap_dim(dim, x.rank(), kName);
    if (x.size(along) != 1)
      throw ShapeError(
          kName, concat("dimension ", dim, " of ", x.shape(), " has size ", x.size(along), ", needs 1"));
    return detail::viewed(
        kName, x, [along](const auto& t) { return without(t, along); },
        [along](const BasicTensor<S>& dy) { return with(dy, along); });
  }
  template <class T>
  static T without(const T& x, int along) {
    Shape shape, strides;
    for (int i = 0; i < x.rank(); ++i) {
      if (i == along) continue;
      shape.push_back(x.size(i));
      strides.push_back(x.strides()[i]);
    }
    return T(x.storage(), x.offset(), shape, strides);
  }
  template <class T>
  static T with(const T& x, int along) {
    Shape shape, strides;
    for (int i = 0; i <= x.rank(); ++i) {
      if (i == along) {
        shape.push_back(1);
        strides.push_back(1);
      }
      if (i == x.rank()) break;
      shape.push_back(x.size(i));
      strides.push_back(x.strides()[i]);
    }
    return T(x.storage(), x.offset(), shape, strides);
  }
  std::string attributes() const { return concat("dim ", dim); }
};

/// Adds a dimension of size 1 at `dim`.
struct Unsqueeze {
  static constexpr const char* kName = "unsqueeze";
  int dim = 0;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    const int along = wrap_dim(dim, x.rank() + 1, kName);
    return detail::viewed(
        kName, x, [along](const auto& t) { return Squeeze::with(t, along); },
        [along](const BasicTensor<S>& dy) { return Squeeze::without(dy, along); });
  }
  std::string attributes() const { return concat("dim ", dim); }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// -1 infers one dimension, 0 keeps that of the input.
template <class S>
BasicTensor<S> reshape(const BasicTensor<S>& x, const std::vector<std::int64_t>& dims) {
  return ops::record(ops::Reshape{dims}, x);
}
template <class S>
BasicTensor<S> flatten(const BasicTensor<S>& x, int start = 1, int end = -1) {
  return ops::record(ops::Flatten{start, end}, x);
}
template <class S>
BasicTensor<S> transpose(const BasicTensor<S>& x, int dim0, int dim1) {
  return ops::record(ops::Transpose{dim0, dim1}, x);
}
template <class S>
BasicTensor<S> permute(const BasicTensor<S>& x, const std::vector<int>& dims) {
  return ops::record(ops::Permute{dims}, x);
}
template <class S>
BasicTensor<S> slice(const BasicTensor<S>& x, int dim, std::int64_t start,
                     std::int64_t stop = std::numeric_limits<std::int64_t>::max(), std::int64_t step = 1) {
  return ops::record(ops::Slice{dim, start, stop, step}, x);
}
template <class S>
BasicTensor<S> squeeze(const BasicTensor<S>& x, int dim) {
  return ops::record(ops::Squeeze{dim}, x);
}
template <class S>
BasicTensor<S> unsqueeze(const BasicTensor<S>& x, int dim) {
  return ops::record(ops::Unsqueeze{dim}, x);
}

MIDTREAD_ROOT_NAMESPACE_END

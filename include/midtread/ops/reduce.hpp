// SPDX-License-Identifier: MIT
// Sums and means over dimensions, and the largest and smallest elements.
//
// A mean over H and W works on codes too: q = rne(sum(q - z) / n) + z, exact; its gradient is that of the
// real mean.
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/kernels/reference/pool.hpp>
#include <midtread/ops/codes.hpp>
#include <midtread/ops/map.hpp>
#include <midtread/ops/record.hpp>
#include <midtread/ops/sum_to.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)

/// Which dimensions a reduction takes away, and what is left.
struct Reduction {
  Shape kept;     ///< with size 1 where reduced
  Shape dropped;  ///< without those dimensions
  std::int64_t count = 1;
  bool is_spatial = false;  ///< exactly H and W of [N, C, H, W]
  std::vector<bool> reduced;

  Reduction(const Shape& shape, const std::vector<int>& dims, const char* where)
      : kept(shape), reduced(static_cast<std::size_t>(shape.rank()), dims.empty()) {
    for (int dim : dims) {
      const auto at = static_cast<std::size_t>(wrap_dim(dim, shape.rank(), where));
      if (reduced[at]) throw ShapeError(where, concat("dimension ", dim, " is named twice"));
      reduced[at] = true;
    }
    for (int i = 0; i < shape.rank(); ++i) {
      if (reduced[static_cast<std::size_t>(i)]) {
        count *= shape[i];
        kept[i] = 1;
      } else {
        dropped.push_back(shape[i]);
      }
    }
    is_spatial = shape.rank() == 4 && !reduced[0] && !reduced[1] && reduced[2] && reduced[3];
  }
  const Shape& result(bool keepdim) const { return keepdim ? kept : dropped; }
  /// A tensor of shape `kept` seen without the reduced dimensions.
  template <class S>
  BasicTensor<S> view(const BasicTensor<S>& x, bool keepdim) const {
    Shape strides;
    for (int i = 0; i < kept.rank(); ++i)
      if (keepdim || !reduced[static_cast<std::size_t>(i)]) strides.push_back(x.strides()[i]);
    return BasicTensor<S>(x.storage(), x.offset(), result(keepdim), strides);
  }
};

inline std::string reduction_text(const std::vector<int>& dims, bool keepdim) {
  std::string text = dims.empty() ? "all" : "";
  for (int dim : dims) text += concat(text.empty() ? "dims " : ", ", dim);
  return text + (keepdim ? ", keepdim" : "");
}

/// Sum over the dimensions of `reduction`, times `factor`, with backward.
template <class S>
BasicTensor<S> reduce(const char* name, const BasicTensor<S>& x, const Reduction& reduction, bool keepdim,
                      double factor) {
  BasicTensor<S> y = reduction.view(sum_to(x, reduction.kept, factor), keepdim);
  return autograd::attach(
      name, std::move(y), {x},
      [kept = reduction.kept, to = x.shape(), strides = dense_strides(x), factor](const BasicTensor<S>& dy) {
        const BasicTensor<S> g = dy.contiguous();
        const BasicTensor<S> seen(g.storage(), g.offset(), kept, contiguous_strides(kept));
        BasicTensor<S> dx = expand_to(seen, to, strides);
        if (factor != 1.0) dx = map(dx, [c = static_cast<S>(factor)](S v) { return v * c; });
        return std::vector<BasicTensor<S>>{dx};
      });
}

/// rne(sum(q - z) / (H W)) + z of codes [N, C, H, W], as [N, C, 1, 1].
inline BasicTensor<std::uint8_t> mean_codes(const BasicTensor<std::uint8_t>& values,
                                            std::int32_t zero_point) {
  const BasicTensor<std::uint8_t> q = values.channels_last();
  const std::int64_t channels = q.size(1), pixels = q.size(2) * q.size(3);
  BasicTensor<std::uint8_t> out(Shape{q.size(0), channels, 1, 1});
  std::uint8_t* to = out.mutable_data();
  const std::uint8_t* from = q.data();
  parallel_for(0, q.size(0), 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<std::int64_t> sums(static_cast<std::size_t>(channels));
    for (std::int64_t n = first; n < last; ++n) {
      std::fill(sums.begin(), sums.end(), std::int64_t{0});
      const std::uint8_t* pixel = from + n * pixels * channels;
      for (std::int64_t p = 0; p < pixels; ++p, pixel += channels)
        for (std::int64_t c = 0; c < channels; ++c) sums[static_cast<std::size_t>(c)] += pixel[c];
      for (std::int64_t c = 0; c < channels; ++c)
        to[n * channels + c] =
            static_cast<std::uint8_t>(kernels::reference::divide_half_even(
                                          sums[static_cast<std::size_t>(c)] - pixels * zero_point, pixels) +
                                      zero_point);
    }
  });
  return out;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Sum over `dims` (empty: all).
struct Sum {
  static constexpr const char* kName = "sum";
  std::vector<int> dims;
  bool keepdim = false;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    return detail::reduce(kName, x, detail::Reduction(x.shape(), dims, kName), keepdim, 1.0);
  }
  std::string attributes() const { return detail::reduction_text(dims, keepdim); }
};

/// Mean over `dims` (empty: all). Throws ShapeError where there is nothing to average.
struct Mean {
  static constexpr const char* kName = "mean";
  std::vector<int> dims;
  bool keepdim = false;

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x) const {
    const detail::Reduction reduction(x.shape(), dims, kName);
    if (reduction.count == 0) throw ShapeError(kName, concat("no elements to average in shape ", x.shape()));
    BasicTensor<S> y =
        detail::reduce(kName, x, reduction, keepdim, 1.0 / static_cast<double>(reduction.count));
    if constexpr (std::is_same_v<S, float>) {
      if (x.codes() && reduction.is_spatial) {
        const QParams q = x.codes()->qparams;
        const BasicTensor<std::uint8_t> means = detail::mean_codes(x.codes()->values, stored(q).zero_point);
        Tensor exact =
            tensor_of_codes(std::make_shared<const Codes>(Codes{reduction.view(means, keepdim), q}));
        exact.set_grad_fn(y.grad_fn());
        return exact;
      }
    }
    return y;
  }
  std::string attributes() const { return detail::reduction_text(dims, keepdim); }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> sum(const BasicTensor<S>& x, const std::vector<int>& dims = {}, bool keepdim = false) {
  return ops::record(ops::Sum{dims, keepdim}, x);
}
template <class S>
BasicTensor<S> mean(const BasicTensor<S>& x, const std::vector<int>& dims = {}, bool keepdim = false) {
  return ops::record(ops::Mean{dims, keepdim}, x);
}

MIDTREAD_ROOT_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(detail)

template <class S, class Better>
S extreme(const BasicTensor<S>& x, const char* where, const Better& better) {
  if (x.numel() == 0) throw ShapeError(where, concat("shape ", x.shape(), " has no elements"));
  S best = x.data()[0];
  BasicTensor<S>::for_each_offset(x.shape(), x.strides(), [&](std::int64_t at) {
    const S v = x.data()[at];
    if (better(v, best) || v != v) best = v;
  });
  return best;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// The largest element, of shape []; NaN if there is one. Without history.
template <class S>
BasicTensor<S> max(const BasicTensor<S>& x) {
  BasicTensor<S> out{Shape{}};
  return out.fill_(detail::extreme(x, "max", [](S a, S b) { return a > b; }));
}
/// The smallest element, of shape []; NaN if there is one. Without history.
template <class S>
BasicTensor<S> min(const BasicTensor<S>& x) {
  BasicTensor<S> out{Shape{}};
  return out.fill_(detail::extreme(x, "min", [](S a, S b) { return a < b; }));
}

/// Index of the largest element along `dim` (the first of equals; NaN counts as largest); `dim` is dropped.
template <class S>
BasicTensor<std::int64_t> argmax(const BasicTensor<S>& x, int dim = -1) {
  const int along = ops::wrap_dim(dim, x.rank(), "argmax");
  const std::int64_t count = x.size(along), step = x.strides()[along];
  if (count == 0) throw ShapeError("argmax", concat("dimension ", dim, " of ", x.shape(), " is empty"));
  Shape rest, strides;
  for (int i = 0; i < x.rank(); ++i) {
    if (i == along) continue;
    rest.push_back(x.size(i));
    strides.push_back(x.strides()[i]);
  }
  BasicTensor<std::int64_t> out(rest);
  std::int64_t* to = out.mutable_data();
  BasicTensor<S>::for_each_offset(rest, strides, [&](std::int64_t at) {
    const S* p = x.data() + at;
    std::int64_t best = 0;
    for (std::int64_t i = 1; i < count; ++i) {
      const S value = p[i * step], largest = p[best * step];
      if (value > largest || (value != value && largest == largest)) best = i;
    }
    *to++ = best;
  });
  return out;
}

MIDTREAD_ROOT_NAMESPACE_END

// SPDX-License-Identifier: MIT
// The tensor: a shared handle to strided data of one scalar type, with what autograd and quantization attach
// to it.
//
// Copying a BasicTensor shares it, as in PyTorch. Four-dimensional activations are logically [N, C, H, W] and
// stored channels-last; weights are stored row-major.
#pragma once

#include <midtread/core/dtype.hpp>
#include <midtread/core/qparams.hpp>
#include <midtread/core/shape.hpp>
#include <midtread/core/storage.hpp>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

MIDTREAD_ROOT_NAMESPACE_BEGIN

struct Codes;
struct TensorImpl;

/// What a tensor knows of the operation that made it. autograd/node.hpp derives from it.
class NodeBase {
 public:
  virtual ~NodeBase() = default;
  /// Propagates the gradient of this node's output to the leaves.
  virtual void run_backward(const std::shared_ptr<TensorImpl>& gradient, bool retain) = 0;
};

/// What all handles of a tensor share, whatever its element type.
struct TensorImpl {
  Storage storage;
  Shape shape;
  Shape strides;  ///< in elements
  std::int64_t offset = 0;
  std::int64_t count = 0;
  std::uint64_t version = 0;
  bool requires_grad = false;
  std::shared_ptr<TensorImpl> grad;
  std::shared_ptr<NodeBase> grad_fn;
  std::shared_ptr<const Codes> codes;

  bool has_strides(const Shape& wanted) const {
    if (count == 0) return true;
    for (int i = 0; i < shape.rank(); ++i)
      if (shape[i] != 1 && strides[i] != wanted[i]) return false;
    return true;
  }
  /// Takes over shape and data of `other`.
  void set_data(const TensorImpl& other) {
    storage = other.storage;
    offset = other.offset;
    shape = other.shape;
    strides = other.strides;
    count = other.count;
    codes.reset();
    ++version;
  }
  static const std::shared_ptr<TensorImpl>& require(const std::shared_ptr<TensorImpl>& impl) {
    if (!impl) throw StateError("tensor", "this tensor is undefined; assign one first");
    return impl;
  }
};

/// An uninitialised tensor of `count` elements of `size` bytes. Throws as `element_count`.
inline std::shared_ptr<TensorImpl> make_tensor_impl(const Shape& shape, const Shape& strides,
                                                    std::size_t size) {
  auto impl = std::make_shared<TensorImpl>();
  impl->count = element_count(shape);
  impl->shape = shape;
  impl->strides = strides;
  impl->storage = Storage(static_cast<std::size_t>(impl->count) * size);
  return impl;
}

template <class Scalar>
class BasicTensor {
 public:
  using scalar_type = Scalar;

  /// Undefined: `defined()` is false and only assignment is allowed.
  BasicTensor() = default;
  /// Uninitialised, row-major.
  explicit BasicTensor(const Shape& shape) : BasicTensor(shape, contiguous_strides(shape)) {}
  /// Uninitialised, dense, with these strides (a permutation of row-major).
  BasicTensor(const Shape& shape, const Shape& strides)
      : impl_(make_tensor_impl(shape, strides, sizeof(Scalar))) {}
  /// A view: `offset` elements into `storage`.
  BasicTensor(const Storage& storage, std::int64_t offset, const Shape& shape, const Shape& strides)
      : impl_(std::make_shared<TensorImpl>()) {
    impl_->count = element_count(shape);
    impl_->shape = shape;
    impl_->strides = strides;
    impl_->storage = storage;
    impl_->offset = offset;
  }
  /// A handle on what others hold too; its elements must be of type Scalar.
  static BasicTensor of(std::shared_ptr<TensorImpl> impl) {
    BasicTensor out;
    out.impl_ = std::move(impl);
    return out;
  }
  const std::shared_ptr<TensorImpl>& shared_impl() const noexcept { return impl_; }

  bool defined() const noexcept { return impl_ != nullptr; }
  /// Same handle (not: equal values).
  bool is(const BasicTensor& other) const noexcept { return impl_ == other.impl_; }
  const void* identity() const noexcept { return impl_.get(); }

  const Shape& shape() const { return impl().shape; }
  const Shape& strides() const { return impl().strides; }
  int rank() const { return impl().shape.rank(); }
  std::int64_t size(int dim) const { return impl().shape[dim]; }
  std::int64_t numel() const { return impl().count; }
  static constexpr DType dtype() { return dtype_of_v<Scalar>; }
  const Storage& storage() const { return impl().storage; }
  std::int64_t offset() const { return impl().offset; }

  /// First element. Read-only.
  const Scalar* data() const { return static_cast<const Scalar*>(impl().storage.data()) + impl_->offset; }
  /// First element, for writing: counts as a write in place (codes are dropped).
  Scalar* mutable_data() const {
    TensorImpl& i = impl();
    i.codes.reset();
    ++i.version;
    return static_cast<Scalar*>(i.storage.data()) + i.offset;
  }
  /// How many writes in place there were.
  std::uint64_t version() const { return impl().version; }

  bool is_contiguous() const { return has_strides(contiguous_strides(shape())); }
  /// Rank 3 and up: [N, C, ...] with C innermost. Rank 2 and below: row-major.
  bool is_channels_last() const { return has_strides(channels_last_strides(shape())); }
  /// The elements fill one block of memory, in whatever order.
  bool is_dense() const { return is_contiguous() || is_channels_last(); }
  bool has_strides(const Shape& wanted) const { return impl().has_strides(wanted); }

  /// This tensor if it is row-major, else a row-major copy. Not recorded by autograd.
  BasicTensor contiguous() const { return is_contiguous() ? *this : copy_with(contiguous_strides(shape())); }
  /// This tensor if it is channels-last, else such a copy. Not recorded by autograd.
  BasicTensor channels_last() const {
    return is_channels_last() ? *this : copy_with(channels_last_strides(shape()));
  }
  /// A copy with the same strides where dense, else row-major. Not recorded by autograd.
  BasicTensor clone() const {
    return copy_with(is_channels_last() ? channels_last_strides(shape()) : contiguous_strides(shape()));
  }
  /// Shares the data, not the history; keeps the codes.
  BasicTensor detach() const {
    BasicTensor out(impl().storage, impl_->offset, impl_->shape, impl_->strides);
    out.impl_->codes = impl_->codes;
    return out;
  }

  /// The element at `index`; negative indices count from the end.
  Scalar at(std::initializer_list<std::int64_t> index) const { return data()[position(index)]; }
  void set(std::initializer_list<std::int64_t> index, Scalar value) const {
    const std::int64_t at = position(index);
    mutable_data()[at] = value;
  }
  /// The only element. Throws ShapeError if there are more or none.
  Scalar item() const {
    if (numel() != 1) throw ShapeError("item", concat("needs one element, the shape is ", shape()));
    return data()[0];
  }
  /// The elements in logical (row-major) order.
  std::vector<Scalar> to_vector() const {
    std::vector<Scalar> out(static_cast<std::size_t>(numel()));
    std::size_t i = 0;
    for_each_offset(shape(), strides(), [&](std::int64_t at) { out[i++] = data()[at]; });
    return out;
  }

  BasicTensor& fill_(Scalar value) {
    Scalar* to = mutable_data();
    for_each_offset(shape(), strides(), [&](std::int64_t at) { to[at] = value; });
    return *this;
  }
  /// Copies values from a tensor of the same shape.
  BasicTensor& copy_(const BasicTensor& from) {
    if (from.shape() != shape())
      throw ShapeError("copy_", concat("source has shape ", from.shape(), ", this tensor ", shape()));
    Scalar* to = mutable_data();
    const Scalar* source = from.data();
    if (from.has_strides(strides()) && is_dense()) {
      std::copy(source, source + numel(), to);
    } else {
      for_each_offset_pair(shape(), strides(), from.strides(),
                           [&](std::int64_t a, std::int64_t b) { to[a] = source[b]; });
    }
    return *this;
  }
  /// Takes over shape and data of `other` for every holder of this handle (a lazily sized buffer).
  void set_data(const BasicTensor& other) { impl().set_data(other.impl()); }

  bool requires_grad() const { return impl().requires_grad || impl_->grad_fn; }
  /// Marks a leaf whose gradient is wanted. Returns this tensor.
  BasicTensor& requires_grad_(bool value = true) {
    if (impl().grad_fn && !value)
      throw StateError("requires_grad_", "only a leaf can stop to require a gradient; use detach()");
    impl_->requires_grad = value;
    return *this;
  }
  bool is_leaf() const { return !impl().grad_fn; }
  /// Accumulated gradient, undefined if there is none.
  BasicTensor grad() const { return of(impl().grad); }
  void set_grad(const BasicTensor& grad) const { impl().grad = grad.impl_; }
  const std::shared_ptr<NodeBase>& grad_fn() const { return impl().grad_fn; }
  void set_grad_fn(std::shared_ptr<NodeBase> node) const { impl().grad_fn = std::move(node); }

  /// Adds d(this)/d(leaf) to every leaf's grad(). A gradient must be given unless there is one element.
  /// Throws StateError without history, or where the history was used up by an earlier call.
  void backward(const BasicTensor& gradient = {}, bool retain_graph = false) const {
    BasicTensor seed = gradient;
    if (!seed.defined()) {
      if (numel() != 1)
        throw ShapeError("backward", concat("shape ", shape(), " is not one element; give a gradient"));
      seed = BasicTensor(shape());
      seed.fill_(Scalar(1));
    }
    if (seed.shape() != shape())
      throw ShapeError("backward", concat("gradient has shape ", seed.shape(), ", the tensor ", shape()));
    if (!impl().grad_fn)
      throw StateError("backward", "this tensor has no history: nothing that made it requires a gradient");
    const std::shared_ptr<NodeBase> node = impl_->grad_fn;
    node->run_backward(seed.impl_, retain_graph);
  }

  /// The int8 codes this real tensor stands for, or null. Only fake quantizers and QAT units attach them.
  const std::shared_ptr<const Codes>& codes() const { return impl().codes; }
  void set_codes(std::shared_ptr<const Codes> codes) const { impl().codes = std::move(codes); }

  /// Calls visit(offset) in logical order.
  template <class Visit>
  static void for_each_offset(const Shape& shape, const Shape& strides, const Visit& visit) {
    for_each_offset_pair(shape, strides, strides, [&](std::int64_t at, std::int64_t) { visit(at); });
  }
  /// Calls visit(offset_a, offset_b) in logical order.
  template <class Visit>
  static void for_each_offset_pair(const Shape& shape, const Shape& a, const Shape& b, const Visit& visit) {
    if (element_count(shape) == 0) return;
    if (shape.rank() == 0) return visit(std::int64_t{0}, std::int64_t{0});
    Shape index = shape;
    for (int i = 0; i < shape.rank(); ++i) index[i] = 0;
    const int last = shape.rank() - 1;
    const std::int64_t inner = shape[last], step_a = a[last], step_b = b[last];
    std::int64_t at_a = 0, at_b = 0;
    for (;;) {
      for (std::int64_t i = 0; i < inner; ++i) visit(at_a + i * step_a, at_b + i * step_b);
      int d = last - 1;
      for (; d >= 0; --d) {
        at_a += a[d];
        at_b += b[d];
        if (++index[d] < shape[d]) break;
        at_a -= a[d] * shape[d];
        at_b -= b[d] * shape[d];
        index[d] = 0;
      }
      if (d < 0) return;
    }
  }

 private:
  TensorImpl& impl() const { return *TensorImpl::require(impl_); }
  std::int64_t position(std::initializer_list<std::int64_t> index) const {
    if (static_cast<int>(index.size()) != rank())
      throw ShapeError("at", concat(index.size(), " indices for shape ", shape()));
    std::int64_t at = 0;
    int dim = 0;
    for (std::int64_t i : index) {
      const std::int64_t n = size(dim), wrapped = i < 0 ? i + n : i;
      if (wrapped < 0 || wrapped >= n)
        throw ShapeError("at", concat("index ", i, " outside dimension ", dim, " of ", shape()));
      at += wrapped * strides()[dim++];
    }
    return at;
  }
  BasicTensor copy_with(const Shape& wanted) const {
    BasicTensor out(shape(), wanted);
    out.copy_(*this);
    return out;
  }

  std::shared_ptr<TensorImpl> impl_;
};

using Tensor = BasicTensor<float>;
using Tensors = std::vector<Tensor>;

/// The integer codes behind a real tensor: `values` has its shape and its strides.
/// `values` are uint8; a declared int8 dtype is held as code + 128 (`stored_zero_point`).
struct Codes {
  BasicTensor<std::uint8_t> values;
  QParams qparams;
};

/// 128 for int8, whose codes are stored shifted to uint8; 0 for uint8.
inline std::int32_t storage_shift(DType dtype) { return dtype == DType::kInt8 ? 128 : 0; }
/// `qparams` with zero point and range as the stored uint8 codes have them.
inline QParams stored(QParams qparams) {
  const std::int32_t shift = storage_shift(qparams.dtype);
  qparams.zero_point += shift;
  qparams.range.quant_min += shift;
  qparams.range.quant_max += shift;
  qparams.dtype = DType::kUInt8;
  return qparams;
}

MIDTREAD_ROOT_NAMESPACE_END

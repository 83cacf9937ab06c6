// SPDX-License-Identifier: MIT
// A tensor of any element type: what buffers and state dicts hold.
#pragma once

#include <midtread/tensor/tensor.hpp>

#include <utility>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Shares its tensor, as every handle does.
class AnyTensor {
 public:
  AnyTensor() = default;
  template <class Scalar>
  AnyTensor(const BasicTensor<Scalar>& tensor)
      : impl_(tensor.shared_impl()), dtype_(dtype_of_v<Scalar>) {}  // NOLINT

  bool defined() const noexcept { return impl_ != nullptr; }
  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const { return impl().shape; }
  std::int64_t numel() const { return impl().count; }
  std::int64_t bytes() const { return numel() * static_cast<std::int64_t>(size_of(dtype_)); }
  bool requires_grad() const { return impl().requires_grad || impl_->grad_fn; }
  void set_requires_grad(bool on) const { impl().requires_grad = on; }
  const void* identity() const noexcept { return impl_.get(); }

  template <class Scalar>
  bool holds() const noexcept {
    return dtype_ == dtype_of_v<Scalar>;
  }
  /// The tensor of this element type. DTypeError naming `where` if it holds another.
  template <class Scalar>
  BasicTensor<Scalar> get(const std::string& where = "tensor") const {
    if (!holds<Scalar>()) refuse(dtype_of_v<Scalar>, where);
    return BasicTensor<Scalar>::of(impl_);
  }
  /// function(BasicTensor<...>) of whatever type it holds.
  template <class Function>
  decltype(auto) visit(const Function& function) const {
    switch (dtype_) {
      case DType::kFloat64: return function(BasicTensor<double>::of(impl_));
      case DType::kInt64: return function(BasicTensor<std::int64_t>::of(impl_));
      case DType::kInt32: return function(BasicTensor<std::int32_t>::of(impl_));
      case DType::kUInt8: return function(BasicTensor<std::uint8_t>::of(impl_));
      case DType::kInt8: return function(BasicTensor<std::int8_t>::of(impl_));
      default: return function(BasicTensor<float>::of(impl_));
    }
  }

  /// Copies values from a tensor of the same shape and type.
  void copy_(const AnyTensor& from) const {
    visit([&](auto to) { to.copy_(decltype(to)::of(from.impl_)); });
  }
  /// Takes over shape and data of `other`, of the same type, for every holder.
  void set_data(const AnyTensor& other) const { impl().set_data(other.impl()); }
  AnyTensor clone() const {
    return visit([](const auto& tensor) { return AnyTensor(tensor.clone()); });
  }

 private:
  TensorImpl& impl() const { return *TensorImpl::require(impl_); }
  [[noreturn]] void refuse(DType wanted, const std::string& where) const {
    throw DTypeError(where, concat("holds ", dtype_, ", wanted ", wanted));
  }

  std::shared_ptr<TensorImpl> impl_;
  DType dtype_ = DType::kFloat32;
};

/// The tensor of this element type. DTypeError naming `where` if it holds another.
template <class Scalar>
BasicTensor<Scalar> get_tensor(const AnyTensor& tensor, const std::string& where) {
  return tensor.get<Scalar>(where);
}

MIDTREAD_ROOT_NAMESPACE_END

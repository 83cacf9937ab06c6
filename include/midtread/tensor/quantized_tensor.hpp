// SPDX-License-Identifier: MIT
// An int8 activation: integer codes and what they mean. A type of its own, so that it is not taken for real
// numbers.
#pragma once

#include <midtread/kernels/affine.hpp>
#include <midtread/tensor/any_tensor.hpp>

#include <variant>

MIDTREAD_NAMESPACE_BEGIN(quantized)

/// Codes of shape [N, C, H, W] (or any rank), dense and channels-last, held as uint8 (a declared int8 code as
/// code + 128).
class Tensor {
 public:
  Tensor() = default;
  Tensor(BasicTensor<std::uint8_t> stored_codes, const QParams& qparams)
      : values_(std::move(stored_codes)), qparams_(qparams) {}
  /// Uninitialised.
  Tensor(const Shape& shape, const QParams& qparams)
      : Tensor(BasicTensor<std::uint8_t>(shape, channels_last_strides(shape)), qparams) {}

  const Shape& shape() const { return values_.shape(); }
  std::int64_t numel() const { return values_.numel(); }
  /// Scale, zero point and range in terms of the declared dtype.
  const QParams& qparams() const { return qparams_; }
  /// The uint8 codes the kernels work on.
  const BasicTensor<std::uint8_t>& stored() const { return values_; }
  /// The zero point of stored().
  std::int32_t stored_zero_point() const { return qparams_.zero_point + storage_shift(qparams_.dtype); }

  /// Row-major codes in the declared dtype (uint8 or int8).
  AnyTensor codes() const {
    const BasicTensor<std::uint8_t> plain = values_.contiguous();
    if (qparams_.dtype == DType::kUInt8) return plain.clone();
    BasicTensor<std::int8_t> out(plain.shape());
    std::int8_t* to = out.mutable_data();
    for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = static_cast<std::int8_t>(plain.data()[i] - 128);
    return out;
  }
  /// (q - z) * s.
  midtread::Tensor dequantize() const {
    midtread::Tensor out(shape(), values_.strides());
    kernels::dequantize(values_.data(), out.mutable_data(), numel(), {qparams_.scale, stored_zero_point()});
    return out;
  }

 private:
  BasicTensor<std::uint8_t> values_;
  QParams qparams_;
};

/// What flows between the steps of an int8 model.
using Value = std::variant<midtread::Tensor, Tensor>;

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// What a quantizer's type says: element type, scheme and granularity.
//
//   affine: any zero point      symmetric: the zero point is the middle      per channel: one scale per
//   output channel
#pragma once

#include <midtread/core/qparams.hpp>

#include <string>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct UInt8 {
  static constexpr DType kDType = DType::kUInt8;
};
struct Int8 {
  static constexpr DType kDType = DType::kInt8;
};
struct Affine {
  static constexpr bool kSymmetric = false;
};
struct Symmetric {
  static constexpr bool kSymmetric = true;
};
struct PerTensor {
  static constexpr bool kPerChannel = false;
};
struct PerChannel {
  static constexpr bool kPerChannel = true;
};

/// A Spec as a value.
struct SpecInfo {
  DType dtype = DType::kUInt8;
  bool symmetric = false;
  bool per_channel = false;

  /// 0..255; int8 affine -128..127; int8 symmetric -127..127 (TFLite's rule; the products of two codes fit 15
  /// bits).
  constexpr CodeRange default_range() const {
    if (dtype == DType::kUInt8) return {0, 255};
    return {symmetric ? -127 : -128, 127};
  }
  /// "int8_symmetric", "uint8_affine_per_channel".
  std::string name() const {
    return std::string(to_string(dtype)) + (symmetric ? "_symmetric" : "_affine") +
           (per_channel ? "_per_channel" : "");
  }
  friend bool operator==(const SpecInfo& a, const SpecInfo& b) {
    return a.dtype == b.dtype && a.symmetric == b.symmetric && a.per_channel == b.per_channel;
  }
};

template <class Code, class Scheme, class Granularity>
struct Spec {
  static constexpr DType kDType = Code::kDType;
  static constexpr bool kSymmetric = Scheme::kSymmetric;
  static constexpr bool kPerChannel = Granularity::kPerChannel;
  static constexpr SpecInfo info() { return {kDType, kSymmetric, kPerChannel}; }
};

using UInt8Affine = Spec<UInt8, Affine, PerTensor>;
using UInt8Symmetric = Spec<UInt8, Symmetric, PerTensor>;
using UInt8PerChannelAffine = Spec<UInt8, Affine, PerChannel>;
using Int8Affine = Spec<Int8, Affine, PerTensor>;
using Int8Symmetric = Spec<Int8, Symmetric, PerTensor>;
using Int8PerChannel = Spec<Int8, Symmetric, PerChannel>;
using Int8PerChannelAffine = Spec<Int8, Affine, PerChannel>;

MIDTREAD_NAMESPACE_END

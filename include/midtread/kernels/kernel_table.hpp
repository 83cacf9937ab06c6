// SPDX-License-Identifier: MIT
// The int8 kernels of one instruction set, as pointers. A null entry falls through to the next, lesser table.
//
// Activations are uint8 codes, channels-last and dense: [N, H, W, C]. A label names types, operation, tile
// and ISA.
#pragma once

#include <midtread/kernels/affine.hpp>
#include <midtread/kernels/conv_params.hpp>
#include <midtread/kernels/pool_params.hpp>
#include <midtread/kernels/scratch.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels)

struct PackedWeights;

/// Convolution, depthwise convolution or transposed convolution. Call through pack_weights, run_conv and
/// accumulate_conv (packed_weights.hpp), which check.
struct ConvKernel {
  const char* label;
  bool transposed;
  /// The kernel's own form of the weights; only the weight sizes, groups, stride and dilation of the shape
  /// may matter.
  Storage (*pack)(const Conv2dShape& shape, const std::int8_t* weights);
  void (*run)(const PackedWeights& weights, const Conv2dShape& shape, const std::uint8_t* x,
              std::int32_t x_zero_point, const Epilogue& epilogue, std::uint8_t* y, Scratch& scratch);
  /// acc = sum (q - z) * w, without a bias.
  void (*accumulate)(const PackedWeights& weights, const Conv2dShape& shape, const std::uint8_t* x,
                     std::int32_t x_zero_point, std::int32_t* acc, Scratch& scratch);
  /// Whether `run` gives the epilogue's tail each piece of codes as it is finished.
  bool runs_tail = false;
};

/// Weights in the form their kernel reads. Copies share the bytes.
struct PackedWeights {
  const ConvKernel* kernel = nullptr;
  Conv2dShape shape;  ///< as given to pack
  Storage storage;

  template <class T>
  const T* data() const {
    return static_cast<const T*>(storage.data());
  }
};

/// A dense output of up to four dimensions, outermost first, and the inputs' strides (0: broadcast).
struct BinaryShape {
  std::int64_t dims[4] = {1, 1, 1, 1};
  std::int64_t a_strides[4] = {0, 0, 0, 1};
  std::int64_t b_strides[4] = {0, 0, 0, 1};
};

/// `n` elements on both sides.
inline BinaryShape elementwise(std::int64_t n) {
  BinaryShape shape;
  shape.dims[3] = n;
  return shape;
}

/// y = quantize(op(dequantize(a), dequantize(b))); a fused ReLU is range.quant_min = zero point. `y` may be `a`
/// or `b` where these are elementwise(n) and n is a multiple of 64.
struct BinaryKernel {
  const char* label;
  void (*run)(const BinaryShape& shape, const std::uint8_t* a, AffineParams qa, const std::uint8_t* b,
              AffineParams qb, const QuantizeParams& out, std::uint8_t* y);
};

/// y = quantize(dequantize(x)) over `rows` rows of `length` codes whose starts lie a stride apart: one input
/// of cat.
struct RequantizeCopyKernel {
  const char* label;
  void (*run)(const std::uint8_t* x, AffineParams in, std::int64_t rows, std::int64_t length,
              std::int64_t x_stride, const QuantizeParams& out, std::uint8_t* y, std::int64_t y_stride);
};

/// y = rne(sum(q - z) / counted) + z.
struct AveragePoolKernel {
  const char* label;
  void (*run)(const Pool2dShape& shape, const std::uint8_t* x, std::int32_t zero_point, std::uint8_t* y,
              Scratch& scratch);
};

/// The largest code of each window; padding is never largest.
struct MaxPoolKernel {
  const char* label;
  void (*run)(const Pool2dShape& shape, const std::uint8_t* x, std::uint8_t* y);
};

/// y = table[x], 256 entries. `y` may be `x` where n is a multiple of 64.
struct LookupKernel {
  const char* label;
  void (*run)(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y, std::int64_t n);
};

/// NaN gives quant_min: callers that must report it look first.
struct QuantizeKernel {
  const char* label;
  void (*run)(const float* x, std::uint8_t* q, std::int64_t n, const QuantizeParams& out);
};

struct DequantizeKernel {
  const char* label;
  void (*run)(const std::uint8_t* q, float* x, std::int64_t n, AffineParams in);
};

struct KernelTable {
  const ConvKernel* conv = nullptr;
  const ConvKernel* depthwise = nullptr;
  const ConvKernel* conv_transpose = nullptr;
  const BinaryKernel* add = nullptr;
  const BinaryKernel* mul = nullptr;
  const RequantizeCopyKernel* requantize_copy = nullptr;
  const AveragePoolKernel* average_pool = nullptr;
  const MaxPoolKernel* max_pool = nullptr;
  const LookupKernel* lookup = nullptr;
  const QuantizeKernel* quantize = nullptr;
  const DequantizeKernel* dequantize = nullptr;
};

MIDTREAD_NAMESPACE_END

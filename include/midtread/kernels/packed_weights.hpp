// SPDX-License-Identifier: MIT
// Packing weights for a kernel and running it, with the sizes and ranges checked first.
#pragma once

#include <midtread/kernels/code_tail.hpp>
#include <midtread/kernels/kernel_table.hpp>

#include <cstring>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Weight codes [O, I/g, kH, kW] (transposed: [I, O/g, kH, kW]) with zero point 0. Throws ShapeError.
inline PackedWeights pack_weights(const ConvKernel& kernel, const Conv2dShape& shape,
                                  const std::int8_t* weights) {
  check(shape, kernel.transposed, kernel.label);
  return {&kernel, shape, kernel.pack(shape, weights)};
}

/// Every size alike, without a branch each.
inline bool same(const Conv2dShape& a, const Conv2dShape& b) {
  return ((a.batch ^ b.batch) | (a.in_channels ^ b.in_channels) | (a.in_height ^ b.in_height) |
          (a.in_width ^ b.in_width) | (a.out_channels ^ b.out_channels) |
          (a.kernel_height ^ b.kernel_height) | (a.kernel_width ^ b.kernel_width) |
          (a.stride_height ^ b.stride_height) | (a.stride_width ^ b.stride_width) |
          (a.pad_height ^ b.pad_height) | (a.pad_width ^ b.pad_width) |
          (a.dilation_height ^ b.dilation_height) | (a.dilation_width ^ b.dilation_width) |
          (a.groups ^ b.groups) | (a.out_height ^ b.out_height) | (a.out_width ^ b.out_width)) == 0;
}

/// Throws ShapeError where `shape` is not the one packed for (batch and spatial sizes may differ),
/// QuantizationError where the zero point is not a uint8 code, StateError for empty weights.
MIDTREAD_NOINLINE inline void check_conv_operands(const PackedWeights& weights, const Conv2dShape& shape,
                                                  std::int32_t x_zero_point) {
  if (weights.kernel == nullptr) throw StateError("conv", "weights are not packed");
  const char* where = weights.kernel->label;
  const Conv2dShape& p = weights.shape;
  check(shape, weights.kernel->transposed, where);
  if (shape.in_channels != p.in_channels || shape.out_channels != p.out_channels ||
      shape.groups != p.groups || shape.kernel_height != p.kernel_height ||
      shape.kernel_width != p.kernel_width || shape.stride_height != p.stride_height ||
      shape.stride_width != p.stride_width || shape.pad_height != p.pad_height ||
      shape.pad_width != p.pad_width || shape.dilation_height != p.dilation_height ||
      shape.dilation_width != p.dilation_width)
    throw ShapeError(where, "the convolution differs from the one its weights were packed for: pack again");
  if (x_zero_point < 0 || x_zero_point > 255)
    throw QuantizationError(where, concat("input zero point ", x_zero_point, ", allowed 0..255"));
}

/// The same, in a few instructions where the shape is that of packing.
inline void check_conv_call(const PackedWeights& weights, const Conv2dShape& shape,
                            std::int32_t x_zero_point) {
  if (weights.kernel == nullptr || !same(shape, weights.shape) || x_zero_point < 0 || x_zero_point > 255)
    check_conv_operands(weights, shape, x_zero_point);
}

/// Whether bounds and zero point are uint8 codes.
inline bool is_fit(const Epilogue& e) {
  return e.lo >= 0 && e.hi <= 255 && e.lo <= e.hi && e.zero_point >= 0 && e.zero_point <= 255;
}

[[noreturn]] MIDTREAD_COLD inline void refuse_epilogue(const char* where, const Epilogue& e) {
  throw QuantizationError(where, concat("output codes ", e.lo, "..", e.hi, " with zero point ", e.zero_point,
                                        ", allowed within 0..255"));
}

/// x [N, H, W, I] -> y [N, outH, outW, O].
inline void run_conv(const PackedWeights& weights, const Conv2dShape& shape, const std::uint8_t* x,
                     std::int32_t x_zero_point, const Epilogue& epilogue, std::uint8_t* y, Scratch& scratch) {
  check_conv_call(weights, shape, x_zero_point);
  if (!is_fit(epilogue)) refuse_epilogue(weights.kernel->label, epilogue);
  const FpEnvGuard fp_env;
  weights.kernel->run(weights, shape, x, x_zero_point, epilogue, y, scratch);
  if (epilogue.tail != nullptr && !weights.kernel->runs_tail)
    run_tail(*epilogue.tail, y, shape.batch * shape.out_pixels() * shape.out_channels);
}

/// x [N, H, W, I] -> acc [N, outH, outW, O] = sum (q - z) * w.
inline void accumulate_conv(const PackedWeights& weights, const Conv2dShape& shape, const std::uint8_t* x,
                            std::int32_t x_zero_point, std::int32_t* acc, Scratch& scratch) {
  check_conv_call(weights, shape, x_zero_point);
  weights.kernel->accumulate(weights, shape, x, x_zero_point, acc, scratch);
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// add, mul, cat's copy, table lookup, quantize and dequantize in plain loops.
//
//   y = quantize(op((qa - za) * sa, (qb - zb) * sb))
#pragma once

#include <midtread/kernels/kernel_table.hpp>
#include <midtread/kernels/target.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::reference)
MIDTREAD_EXACT_BEGIN

inline float add_real(float a, float b) {
  MIDTREAD_EXACT
  MIDTREAD_KEEP_PRODUCT(a);
  MIDTREAD_KEEP_PRODUCT(b);
  return a + b;
}
inline float mul_real(float a, float b) {
  MIDTREAD_EXACT
  return a * b;
}

template <float (*kOperation)(float, float)>
void run_binary(const BinaryShape& shape, const std::uint8_t* a, AffineParams qa, const std::uint8_t* b,
                AffineParams qb, const QuantizeParams& out, std::uint8_t* y) {
  MIDTREAD_EXACT
  const float inverse = reciprocal(out.scale);
  const auto& d = shape.dims;
  const auto& sa = shape.a_strides;
  const auto& sb = shape.b_strides;
  for (std::int64_t i = 0; i < d[0]; ++i)
    for (std::int64_t j = 0; j < d[1]; ++j)
      for (std::int64_t k = 0; k < d[2]; ++k)
        for (std::int64_t l = 0; l < d[3]; ++l) {
          const float ra =
              dequantize(a[i * sa[0] + j * sa[1] + k * sa[2] + l * sa[3]], qa.zero_point, qa.scale);
          const float rb =
              dequantize(b[i * sb[0] + j * sb[1] + k * sb[2] + l * sb[3]], qb.zero_point, qb.scale);
          *y++ = static_cast<std::uint8_t>(
              quantize_code(kOperation(ra, rb), inverse, out.zero_point, out.range, out.rounding));
        }
}

inline void run_requantize_copy(const std::uint8_t* x, AffineParams in, std::int64_t rows,
                                std::int64_t length, std::int64_t x_stride, const QuantizeParams& out,
                                std::uint8_t* y, std::int64_t y_stride) {
  MIDTREAD_EXACT
  const float inverse = reciprocal(out.scale);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < length; ++i) {
      const float real = dequantize(x[r * x_stride + i], in.zero_point, in.scale);
      y[r * y_stride + i] =
          static_cast<std::uint8_t>(quantize_code(real, inverse, out.zero_point, out.range, out.rounding));
    }
}

inline void run_lookup(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = table[x[i]];
}

inline void run_quantize(const float* x, std::uint8_t* q, std::int64_t n, const QuantizeParams& out) {
  quantize(x, q, n, out);
}

inline void run_dequantize(const std::uint8_t* q, float* x, std::int64_t n, AffineParams in) {
  dequantize(q, x, n, in);
}

inline constexpr BinaryKernel kAdd = {"add_u8__portable", run_binary<add_real>};
inline constexpr BinaryKernel kMul = {"mul_u8__portable", run_binary<mul_real>};
inline constexpr RequantizeCopyKernel kRequantizeCopy = {"requantize_copy_u8__portable", run_requantize_copy};
inline constexpr LookupKernel kLookup = {"lookup_u8__portable", run_lookup};
inline constexpr QuantizeKernel kQuantize = {"quantize_f32u8__portable", run_quantize};
inline constexpr DequantizeKernel kDequantize = {"dequantize_u8f32__portable", run_dequantize};

MIDTREAD_EXACT_END
MIDTREAD_NAMESPACE_END

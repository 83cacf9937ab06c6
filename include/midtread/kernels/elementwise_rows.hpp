// SPDX-License-Identifier: MIT
// The walk of the SIMD element-by-element kernels: rows of codes to an instruction set's vectors, the rest
// (other roundings, strides within a row, few elements) to the reference.
//
// Isa holds what differs between instruction sets:
//   Row, terms(a, b, out), vectors_fit(scales...), kQuantizeMin, kDequantizeMin, kLookupMin (fewest
//   elements), binary_row<op, broadcast>(a, b, n, Row, y), requantize_row(x, n, Row, y), quantize_row(x, q,
//   n, Row), dequantize_row(q, x, n, AffineParams), lookup_row(table, x, y, n)
#pragma once

#include <midtread/kernels/binary_rows.hpp>
#include <midtread/kernels/cpu_features.hpp>
#include <midtread/kernels/reference/elementwise.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Codes per piece of parallel work.
inline constexpr std::int64_t kElementGrain = 1 << 15;

enum class BinaryOp { kAdd, kMul };

template <class Isa, BinaryOp kOp>
void run_binary_rows(const BinaryShape& shape, const std::uint8_t* a, AffineParams qa, const std::uint8_t* b,
                     AffineParams qb, const QuantizeParams& out, std::uint8_t* y) {
  const BinaryShape s = collapse(shape);
  const std::int64_t a_step = s.a_strides[3], b_step = s.b_strides[3], n = s.dims[3];
  const bool rows_fit = (a_step == 1 && (b_step == 1 || b_step == 0)) || (a_step == 0 && b_step == 1);
  if (out.rounding != Rounding::kHalfEven || !Isa::vectors_fit(qa.scale, qb.scale, out.scale) || !rows_fit ||
      n < 1) {
    constexpr auto kReal = kOp == BinaryOp::kAdd ? reference::add_real : reference::mul_real;
    reference::run_binary<kReal>(shape, a, qa, b, qb, out, y);
    return;
  }
  const typename Isa::Row row = Isa::terms(qa, qb, out), swapped = Isa::terms(qb, qa, out);
  for_each_binary_row(s, a, b, y, kElementGrain, [&](const BinaryRun& run) {
    if (b_step == 0)
      Isa::template binary_row<kOp, true>(run.a, run.b, run.length, row, run.y);
    else if (a_step == 0)
      Isa::template binary_row<kOp, true>(run.b, run.a, run.length, swapped, run.y);
    else
      Isa::template binary_row<kOp, false>(run.a, run.b, run.length, row, run.y);
  });
}

template <class Isa>
void run_requantize_rows(const std::uint8_t* x, AffineParams in, std::int64_t rows, std::int64_t length,
                         std::int64_t x_stride, const QuantizeParams& out, std::uint8_t* y,
                         std::int64_t y_stride) {
  if (out.rounding != Rounding::kHalfEven || !Isa::vectors_fit(in.scale, out.scale) || length < 1) {
    reference::run_requantize_copy(x, in, rows, length, x_stride, out, y, y_stride);
    return;
  }
  const typename Isa::Row row = Isa::terms(in, in, out);
  parallel_for(0, rows, std::max(std::int64_t{1}, kElementGrain / length),
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t r = first; r < last; ++r)
                   Isa::requantize_row(x + r * x_stride, length, row, y + r * y_stride);
               });
}

template <class Isa>
void run_lookup_rows(const std::uint8_t* table, const std::uint8_t* x, std::uint8_t* y, std::int64_t n) {
  parallel_for(0, n, kElementGrain, [&](std::int64_t first, std::int64_t last) {
    const auto run = last - first < Isa::kLookupMin ? reference::run_lookup : Isa::lookup_row;
    run(table, x + first, y + first, last - first);
  });
}

template <class Isa>
void run_quantize_rows(const float* x, std::uint8_t* q, std::int64_t n, const QuantizeParams& out) {
  const bool fits = out.rounding == Rounding::kHalfEven && Isa::vectors_fit(out.scale);
  const typename Isa::Row row = Isa::terms(out.affine(), out.affine(), out);
  parallel_for(0, n, kElementGrain, [&](std::int64_t first, std::int64_t last) {
    if (fits && last - first >= Isa::kQuantizeMin)
      Isa::quantize_row(x + first, q + first, last - first, row);
    else
      reference::run_quantize(x + first, q + first, last - first, out);
  });
}

template <class Isa>
void run_dequantize_rows(const std::uint8_t* q, float* x, std::int64_t n, AffineParams in) {
  parallel_for(0, n, kElementGrain, [&](std::int64_t first, std::int64_t last) {
    const bool fits = last - first >= Isa::kDequantizeMin && Isa::vectors_fit(in.scale);
    (fits ? Isa::dequantize_row : reference::run_dequantize)(q + first, x + first, last - first, in);
  });
}

MIDTREAD_NAMESPACE_END

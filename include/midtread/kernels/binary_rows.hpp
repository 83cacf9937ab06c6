// SPDX-License-Identifier: MIT
// How the SIMD kernels walk through the operands of an element-by-element operation: as few and as long rows
// as the strides allow.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/kernel_table.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Drops dimensions of 1 and joins those that both inputs walk through without a jump; the longest run
/// becomes dims[3].
inline BinaryShape collapse(const BinaryShape& in) {
  BinaryShape out;
  out.b_strides[3] = out.a_strides[3] = 1;
  int top = 4;
  for (int d = 3; d >= 0; --d) {
    if (in.dims[d] == 1) continue;
    if (top < 4 && in.a_strides[d] == out.a_strides[top] * out.dims[top] &&
        in.b_strides[d] == out.b_strides[top] * out.dims[top]) {
      out.dims[top] *= in.dims[d];
      continue;
    }
    --top;
    out.dims[top] = in.dims[d];
    out.a_strides[top] = in.a_strides[d];
    out.b_strides[top] = in.b_strides[d];
  }
  return out;
}

/// A piece of a row; the steps within it are strides[3].
struct BinaryRun {
  const std::uint8_t* a;
  const std::uint8_t* b;
  std::uint8_t* y;
  std::int64_t length;
};

/// Calls run(BinaryRun) for every row of a collapsed shape in pieces of at most `grain`; rows are not empty.
template <class Run>
void for_each_binary_row(const BinaryShape& s, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* y,
                         std::int64_t grain, const Run& run) {
  const std::int64_t n = s.dims[3], pieces = (n + grain - 1) / grain;  // of a row
  const std::int64_t rows = s.dims[0] * s.dims[1] * s.dims[2];
  parallel_for(
      0, rows * pieces, std::max(std::int64_t{1}, grain / n), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t piece = first; piece < last; ++piece) {
          const std::int64_t r = piece / pieces, begin = piece % pieces * grain;
          const std::int64_t k = r % s.dims[2], j = r / s.dims[2] % s.dims[1], i = r / s.dims[2] / s.dims[1];
          run(BinaryRun{
              a + i * s.a_strides[0] + j * s.a_strides[1] + k * s.a_strides[2] + begin * s.a_strides[3],
              b + i * s.b_strides[0] + j * s.b_strides[1] + k * s.b_strides[2] + begin * s.b_strides[3],
              y + r * n + begin, std::min(grain, n - begin)});
        }
      });
}

MIDTREAD_NAMESPACE_END

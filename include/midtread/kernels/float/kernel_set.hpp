// SPDX-License-Identifier: MIT
// The inner loops of real-number kernels, one set per instruction set. Drivers (conv2d.hpp, gemm.hpp, ...) cut the
// work and pack operands; a set only runs over rows of pixels.
#pragma once

#include <midtread/core/platform.hpp>

#include <cstdint>

// These kernels are no contract arithmetic: a product may be fused with the sum it goes to. After a target region's
// begin, which switches that off on GCC.
#if MIDTREAD_GCC
#define MIDTREAD_FUSE_PRODUCTS _Pragma("GCC optimize(\"fp-contract=fast\")")
#else
#define MIDTREAD_FUSE_PRODUCTS
#endif

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// y[p, 0..width) = init + sum over taps and i < run of x[p, offsets[tap] + i] * panel[tap, i, :] for a grid of pixels.
/// panel: [taps, run, vectors * lanes], init: [vectors * lanes]. Steps and offsets in elements.
template <class S>
struct ConvRows {
  const S* x;
  std::int64_t x_row, x_step;  ///< to the pixel below, to the pixel at the right
  const std::int64_t* offsets;
  std::int64_t taps, run;
  const S* panel;
  const S* init;
  S* y;
  std::int64_t y_row, y_step;
  std::int64_t rows, columns;
  int vectors;         ///< 1 or 2
  std::int64_t width;  ///< channels to store, at most vectors * lanes
};

/// sum[tap, i, :] += x[p, offsets[tap] + i] * g[p, :] over a grid of pixels.
/// g: [rows, columns, vectors * lanes], sum: [taps, run, vectors * lanes].
template <class S>
struct OuterRows {
  const S* x;
  std::int64_t x_row, x_step;
  const std::int64_t* offsets;
  std::int64_t taps, run;
  const S* g;
  S* sum;
  std::int64_t rows, columns;
  int vectors;
};

/// y[p, c] = init[c] + sum over taps of x[p, offsets[tap] + c] * w[tap, c]. w: [taps, channels].
template <class S>
struct DepthwiseRows {
  const S* x;
  std::int64_t x_row, x_step;
  const std::int64_t* offsets;
  std::int64_t taps, channels;
  const S* w;
  const S* init;
  S* y;
  std::int64_t y_row, y_step;
  std::int64_t rows, columns;
};

/// sum[tap, c] += x[p, offsets[tap] + c] * g[p, c]. sum: [taps, channels].
template <class S>
struct DepthwiseOuterRows {
  const S* x;
  std::int64_t x_row, x_step;
  const std::int64_t* offsets;
  std::int64_t taps, channels;
  const S* g;
  std::int64_t g_row, g_step;
  S* sum;
  std::int64_t rows, columns;
};

/// `count` neighbouring outputs whose windows have the same taps inside the image.
template <class S>
struct PoolRun {
  const S* x;
  std::int64_t x_step;
  const std::int64_t* offsets;
  const std::int32_t* index;  ///< max: what is stored for each tap
  std::int64_t taps, channels, count;
  S* y;
  std::uint16_t* tap;  ///< max: the tap taken; null where nobody asks
  S divisor;           ///< average
};

/// Adds to dx. Windows may overlap.
template <class S>
struct PoolGradientRun {
  const S* dy;
  const std::uint16_t* tap;
  const std::int64_t* offsets;
  const std::int32_t* index;
  std::int64_t taps, channels, count;
  S* dx;
  std::int64_t dx_step;
  S divisor;
};

/// The channel functions work on rows of `channels`; their sums are added to what is there.
template <class S>
struct KernelSet {
  const char* isa;
  std::int64_t lanes;  ///< elements of a vector
  void (*conv)(const ConvRows<S>&);
  void (*outer)(const OuterRows<S>&);
  void (*depthwise)(const DepthwiseRows<S>&);
  void (*depthwise_outer)(const DepthwiseOuterRows<S>&);
  /// sum[c] += x[r, c]
  void (*sum)(std::int64_t rows, std::int64_t channels, const S* x, S* sum);
  /// d = x[r, c] - origin[c]: sum[c] += d, square[c] += d * d
  void (*moments)(std::int64_t rows, std::int64_t channels, const S* x, const S* origin, S* sum, S* square);
  /// sum[c] += g[r, c], product[c] += g[r, c] * (x[r, c] - centre[c])
  void (*products)(std::int64_t rows, std::int64_t channels, const S* x, const S* centre, const S* g, S* sum, S* product);
  /// y = (x - centre) * factor + shift
  void (*affine)(std::int64_t rows, std::int64_t channels, const S* x, const S* centre, const S* factor, const S* shift, S* y);
  /// dx = g * factor - (x - centre) * slope - offset
  void (*affine_gradient)(std::int64_t rows, std::int64_t channels, const S* x, const S* centre, const S* g,
                          const S* factor, const S* slope, const S* offset, S* dx);
  void (*max_pool)(const PoolRun<S>&);
  void (*max_pool_gradient)(const PoolGradientRun<S>&);
  void (*average_pool)(const PoolRun<S>&);
  void (*average_pool_gradient)(const PoolGradientRun<S>&);
};

MIDTREAD_NAMESPACE_END

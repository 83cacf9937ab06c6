// SPDX-License-Identifier: MIT
// What the loops of fake quantize need of one scale and zero point, and the table of those loops.
//
//   v = x * (1/s)    r = round(clamp(v, lo - z, hi - z))    y = r * s    code = r + z
//   passes where round(v) lies in [lo - z, hi - z], which is pass_low <= v <= pass_high
#pragma once

#include <midtread/kernels/affine.hpp>

#include <limits>

MIDTREAD_NAMESPACE_BEGIN(kernels)
MIDTREAD_EXACT_BEGIN

/// The smallest float that rounds to `code` or above; |code| < 2^22.
inline float first_rounding_to(float code, Rounding rounding) {
  MIDTREAD_EXACT
  const float tie = code - 0.5f;
  return static_cast<float>(round(tie, rounding)) == code ? tie : std::nextafter(tie, HUGE_VALF);
}
/// The largest float that rounds to `code` or below.
inline float last_rounding_to(float code, Rounding rounding) {
  MIDTREAD_EXACT
  const float tie = code + 0.5f;
  return static_cast<float>(round(tie, rounding)) == code ? tie : std::nextafter(tie, -HUGE_VALF);
}

struct FakeQuantizeRow {
  float scale, inverse;
  float lo, hi;               ///< the code range less the zero point
  float pass_low, pass_high;  ///< bounds of v
  std::int32_t zero_point;    ///< of the uint8 codes that are stored
  bool half_even;
  /// Other roundings move a tie v by 2t where v - rne(v) is t = +-1/2: half_up 1/2, std_round 1/2 with the
  /// sign of v, half_down -1/2 with that sign. As bits: t = (v & tie_sign) ^ tie.
  std::int32_t tie_sign, tie;

  /// `stored_zero_point` belongs to uint8 codes; `z` and `range` to the declared dtype.
  FakeQuantizeRow(float s, std::int32_t z, CodeRange range, std::int32_t stored_zero_point, Rounding rounding)
      : scale(s),
        inverse(reciprocal(s)),
        lo(static_cast<float>(range.quant_min - z)),
        hi(static_cast<float>(range.quant_max - z)),
        pass_low(first_rounding_to(lo, rounding)),
        pass_high(last_rounding_to(hi, rounding)),
        zero_point(stored_zero_point),
        half_even(rounding == Rounding::kHalfEven),
        tie_sign(rounding == Rounding::kHalfUp ? 0 : std::numeric_limits<std::int32_t>::min()),
        tie(rounding == Rounding::kHalfDown ? kHalfBits | std::numeric_limits<std::int32_t>::min()
                                            : kHalfBits) {}

 private:
  static constexpr std::int32_t kHalfBits = 0x3F000000;  // of 0.5f
};

/// Inside means low <= x * factor <= high, where v shall be below 2^22.
struct StepBand {
  float factor, low, high;
};

/// Sums over a row: of dy * (round(v) - v) inside, of dy below and above.
struct StepSums {
  double inside = 0, below = 0, above = 0;
};

/// Smallest and largest of many numbers. Where not all are finite, both mean nothing.
struct Range {
  float min, max;
  bool finite;
};

/// Equal bins: floor((v - low) * factor / divisor), at most count - 1, of v = x or |x| in min..max; `count`
/// elsewhere and for NaN. In double, which the quotient must suit: not negative, below 2^31.
struct BinGrid {
  bool absolute;
  double min, max, low, factor, divisor;
  std::int32_t count;
};

/// Loops over one row of n elements. All sets give the same bits.
struct RowKernels {
  const char* isa;
  /// y and, unless null, stored codes. Returns whether there was a NaN.
  bool (*fake_quantize)(const float* x, float* y, std::uint8_t* codes, std::int64_t n,
                        const FakeQuantizeRow&);
  /// dx = dy where x passes, else 0.
  void (*straight_through)(const float* x, const float* dy, float* dx, std::int64_t n,
                           const FakeQuantizeRow&);
  /// dx = dy inside the band, else 0. Sums: lane i % 16 adds up to 32 floats, then goes to double; the last
  /// group does so by itself where it is not complete; lanes meet in their order.
  StepSums (*learned_step)(const float* x, const float* dy, float* dx, std::int64_t n, const FakeQuantizeRow&,
                           const StepBand&);
  /// n >= 1.
  Range (*range)(const float* x, std::int64_t n);
  /// Sum of (x - y)^2 in double, in 16 lanes.
  double (*squared_error)(const float* x, std::int64_t n, const FakeQuantizeRow&);
  /// y = clamp(tanh(x) / top, -1, 1). NaN stays.
  void (*tanh_over)(const float* x, float* y, std::int64_t n, float top);
  /// y = (2 q - hi) * s with q = clamp(rne((v + hi) / 2), 0, hi): DoReFa's weights. NaN stays.
  void (*odd_codes)(const float* x, float* y, std::int64_t n, const FakeQuantizeRow&);
  void (*bins)(const float* x, std::int32_t* bin, std::int64_t n, const BinGrid&);
};

MIDTREAD_EXACT_END
MIDTREAD_NAMESPACE_END

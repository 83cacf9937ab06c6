// SPDX-License-Identifier: MIT
// Which codes a quantizer uses: the spec's default, the user's own ends, or those of b bits; halved by
// reduce_range.
//
//   int8 -2^(b-1) + narrow .. 2^(b-1) - 1      uint8 0 .. 2^b - 1
#pragma once

#include <midtread/quant/spec.hpp>

#include <optional>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// The user's part: nothing, both ends, or bit_width and narrow_range.
struct RangeRequest {
  std::optional<std::int32_t> quant_min = std::nullopt;
  std::optional<std::int32_t> quant_max = std::nullopt;
  bool reduce_range = false;  ///< half the codes, for engines that add pairs of products in 16 bits
  std::optional<int> bit_width = std::nullopt;  ///< 2..8
  std::optional<bool> narrow_range =
      std::nullopt;  ///< as many codes below zero as above; symmetric int8 only, default true
};

inline std::int32_t floor_half(std::int32_t value) { return value >= 0 ? value / 2 : -((1 - value) / 2); }

/// PyTorch's resolution, without a check: floor(end / 2) where reduced, so -127..127 becomes -64..63.
inline CodeRange resolved_range(const SpecInfo& spec, const RangeRequest& request) {
  CodeRange range = spec.default_range();
  if (request.bit_width || request.narrow_range) {
    const std::int32_t codes = 1 << request.bit_width.value_or(8);
    range =
        spec.dtype == DType::kUInt8
            ? CodeRange{0, codes - 1}
            : CodeRange{-codes / 2 + (request.narrow_range.value_or(spec.symmetric) ? 1 : 0), codes / 2 - 1};
  }
  if (request.quant_min && request.quant_max) range = {*request.quant_min, *request.quant_max};
  if (request.reduce_range) range = {floor_half(range.quant_min), floor_half(range.quant_max)};
  return range;
}

/// Throws ConfigError unless both ends or none are given, quant_min <= 0 <= quant_max, quant_min < quant_max,
/// the dtype holds the codes, bit_width is 2..8 and not given with the ends, and narrow_range comes with a
/// symmetric int8 spec.
inline void check_range(const SpecInfo& spec, const RangeRequest& request) {
  const std::int32_t low = spec.dtype == DType::kUInt8 ? 0 : -128,
                     high = spec.dtype == DType::kUInt8 ? 255 : 127;
  if (request.quant_min.has_value() != request.quant_max.has_value())
    throw ConfigError(request.quant_min ? "quant_max" : "quant_min",
                      "not set while the other end is; set both or none");
  if (request.quant_min) {
    const std::int32_t lo = *request.quant_min, hi = *request.quant_max;
    const std::string got = concat("got quant_min ", lo, ", quant_max ", hi);
    if (lo > 0 || hi < 0)
      throw ConfigError("quant_min", got + ", allowed quant_min <= 0 <= quant_max (zero needs a code)");
    if (lo >= hi) throw ConfigError("quant_min", got + ", allowed quant_min < quant_max");
    if (lo < low || hi > high)
      throw ConfigError("quant_min", concat(got, ", allowed within ", low, "..", high, " of ", spec.dtype));
  }
  if (request.bit_width) {
    if (*request.bit_width < 2 || *request.bit_width > 8)
      throw ConfigError("bit_width",
                        concat("got ", *request.bit_width, ", allowed 2..8 (codes are stored in 8 bits)"));
    if (request.quant_min)
      throw ConfigError("bit_width", concat("got ", *request.bit_width, " with quant_min ",
                                            *request.quant_min, ", quant_max ", *request.quant_max,
                                            "; set bit_width or the two ends, not both"));
  }
  if (request.narrow_range) {
    if (request.quant_min)
      throw ConfigError("narrow_range",
                        concat("set with quant_min ", *request.quant_min, ", quant_max ", *request.quant_max,
                               "; it shapes the range of bit_width, the ends say all themselves"));
    if (*request.narrow_range && spec.dtype == DType::kUInt8)
      throw ConfigError(
          "narrow_range",
          concat("got true for ", spec.name(),
                 ", allowed for symmetric int8: unsigned codes have no lowest negative one to drop"));
    if (*request.narrow_range && !spec.symmetric)
      throw ConfigError("narrow_range",
                        concat("got true for ", spec.name(),
                               ", allowed for symmetric int8: an affine range keeps all its codes"));
  }
  if (request.reduce_range && spec.dtype == DType::kUInt8 && spec.symmetric)
    throw ConfigError("reduce_range",
                      "got true, allowed false for symmetric uint8; set quant_min and quant_max instead");
  const CodeRange range = resolved_range(spec, request);
  if (range.quant_min >= range.quant_max)
    throw ConfigError("reduce_range", concat("leaves the codes ", range.quant_min, "..", range.quant_max,
                                             ", needs two at least"));
}

/// The zero point of a symmetric quantizer: 0 for int8. For uint8 2^(b-1), which is 128, or the middle,
/// rounded down, of a range the user gave (PyTorch: 127 for an explicit 0..255).
inline std::int32_t symmetric_zero_point(const SpecInfo& spec, const RangeRequest& request) {
  if (spec.dtype != DType::kUInt8) return 0;
  if (!request.quant_min) return 1 << (request.bit_width.value_or(8) - 1);
  const CodeRange range = resolved_range(spec, request);
  return floor_half(range.quant_min + range.quant_max);
}

MIDTREAD_NAMESPACE_END

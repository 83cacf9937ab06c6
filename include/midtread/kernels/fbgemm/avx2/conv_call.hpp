// SPDX-License-Identifier: MIT
// What a convolution call carries to its pieces: operands, the kind of output, and per-channel terms padded
// to panels.
#pragma once

#include <midtread/kernels/fbgemm/avx2/vector.hpp>
#include <midtread/kernels/kernel_table.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// Either codes through an epilogue, or accumulators.
struct ConvCall {
  const std::uint8_t* x;
  std::int32_t x_zero_point;
  const Epilogue* epilogue;
  std::uint8_t* codes;
  std::int32_t* acc;

  OutputCodes bounds() const {
    return epilogue ? output_codes(epilogue->lo, epilogue->hi, epilogue->zero_point) : OutputCodes{};
  }
  /// The epilogue where its rounding has no vector form.
  const Epilogue* general() const {
    return epilogue && epilogue->rounding != Rounding::kHalfEven ? epilogue : nullptr;
  }
};

/// Bias and multiplier of `groups` groups, each padded with zeros to `padded` channels; zeros if `e` is null.
inline void pad_channels(const Epilogue* e, std::int64_t groups, std::int64_t channels, std::int64_t padded,
                         std::int32_t* bias, float* multiplier) {
  std::memset(bias, 0, static_cast<std::size_t>(groups * padded) * sizeof(std::int32_t));
  std::memset(multiplier, 0, static_cast<std::size_t>(groups * padded) * sizeof(float));
  if (e == nullptr) return;
  for (std::int64_t g = 0; g < groups; ++g) {
    const auto bytes = static_cast<std::size_t>(channels) * 4;
    if (e->bias) std::memcpy(bias + g * padded, e->bias + g * channels, bytes);
    std::memcpy(multiplier + g * padded, e->multiplier + g * channels, bytes);
  }
}

MIDTREAD_NAMESPACE_END

#endif

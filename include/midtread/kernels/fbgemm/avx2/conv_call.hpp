// SPDX-License-Identifier: MIT
// The kind of output of a call, and per-channel terms padded to panels.
#pragma once

#include <midtread/kernels/conv_call.hpp>
#include <midtread/kernels/fbgemm/avx2/vector.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline OutputCodes output_codes(const ConvCall& call) {
  const Epilogue* e = call.epilogue;
  return e ? output_codes(e->lo, e->hi, e->zero_point) : OutputCodes{};
}

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

// SPDX-License-Identifier: MIT
// Depthwise convolution on AVX2, any window: 16 channels of 4 pixels at a time, two taps per vpmaddwd.
#pragma once

#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/padded_band.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

inline constexpr std::int64_t kDepthwiseChannels = 16;

/// Channel of lane i of the low half of two interleaved vectors of 16 int16; the high half holds channel + 4.
inline std::int64_t interleaved_channel(std::int64_t lane) { return lane < 4 ? lane : lane + 4; }

/// int16 [block][tap pair][low, high half][8][2], zero where there is no channel or no second tap.
inline Storage pack_depthwise(const Conv2dShape& s, const std::int8_t* weights) {
  const std::int64_t blocks = (s.out_channels + kDepthwiseChannels - 1) / kDepthwiseChannels;
  const std::int64_t pairs = (s.taps() + 1) / 2;
  Storage storage(static_cast<std::size_t>(blocks * pairs * 2 * kDepthwiseChannels) * sizeof(std::int16_t));
  auto* packed = static_cast<std::int16_t*>(storage.data());
  for (std::int64_t block = 0; block < blocks; ++block)
    for (std::int64_t pair = 0; pair < pairs; ++pair)
      for (std::int64_t half = 0; half < 2; ++half)
        for (std::int64_t lane = 0; lane < 8; ++lane)
          for (std::int64_t second = 0; second < 2; ++second) {
            const std::int64_t c = block * kDepthwiseChannels + interleaved_channel(lane) + 4 * half;
            const std::int64_t tap = 2 * pair + second;
            *packed++ = c < s.out_channels && tap < s.taps() ? weights[c * s.taps() + tap] : std::int16_t{0};
          }
  return storage;
}

/// 16 channels of a band.
struct DepthwiseBlock {
  const std::int16_t* weights;
  const std::int32_t* tap_offsets;  ///< an even number of them
  std::int64_t pairs;
  const std::int32_t* bias;  ///< in interleaved order
  const float* multiplier;   ///< in interleaved order
  OutputCodes bounds;
  const Epilogue* general;  ///< set for other roundings than half to even
  std::uint8_t* codes;
  std::int32_t* acc;   ///< set: accumulators
  std::int64_t first;  ///< channel
  std::int64_t pitch;
  std::int64_t channels;  ///< at most 16
};

/// Accumulators and the rarer roundings, from a row of 16 sums in natural order.
MIDTREAD_NOINLINE inline void finish_depthwise(const std::int32_t* row, std::int64_t at,
                                               const DepthwiseBlock& block) {
  if (block.acc != nullptr) {
    std::memcpy(block.acc + at, row, static_cast<std::size_t>(block.channels) * sizeof(std::int32_t));
    return;
  }
  const Epilogue& e = *block.general;
  for (std::int64_t c = 0; c < block.channels; ++c)
    block.codes[at + c] = static_cast<std::uint8_t>(
        requantize(row[c], e.multiplier[block.first + c], e.zero_point, e.lo, e.hi, e.rounding));
}

MIDTREAD_TARGET_AVX2_BEGIN

/// 16 codes in natural order from sums in interleaved order.
inline __m128i depthwise_codes(__m256i low, __m256i high, const DepthwiseBlock& block, __m256 lo, __m256 hi,
                               __m256i zero_point) {
  const __m256 real_low = _mm256_mul_ps(_mm256_cvtepi32_ps(low), _mm256_loadu_ps(block.multiplier));
  const __m256 real_high = _mm256_mul_ps(_mm256_cvtepi32_ps(high), _mm256_loadu_ps(block.multiplier + 8));
  const __m256i words =
      _mm256_packs_epi32(to_codes(real_low, lo, hi, zero_point), to_codes(real_high, lo, hi, zero_point));
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

/// kPlain: 16 codes, rounded half to even.
template <int kPixels, bool kPlain>
MIDTREAD_NOINLINE void depthwise_pixels(const std::int16_t* band, const BandPixel* pixels, std::int64_t count,
                                        const DepthwiseBlock& block) {
  const __m256 lo = _mm256_set1_ps(block.bounds.lo), hi = _mm256_set1_ps(block.bounds.hi);
  const __m256i z = _mm256_set1_epi32(block.bounds.zero_point);
  for (std::int64_t p = 0; p + kPixels <= count; p += kPixels, pixels += kPixels) {
    const std::int16_t* inputs[kPixels];
    __m256i low[kPixels], high[kPixels];
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < kPixels; ++i) {
      inputs[i] = band + pixels[i].input;
      low[i] = load(block.bias);
      high[i] = load(block.bias + 8);
    }
    const std::int16_t* w = block.weights;
    const std::int32_t* offsets = block.tap_offsets;
    for (std::int64_t t = block.pairs; t > 0; --t, w += 32, offsets += 2) {
      const std::int64_t first = offsets[0], second = offsets[1];
      const __m256i w_low = load(w), w_high = load(w + 16);
      MIDTREAD_UNROLL(4)
      for (int i = 0; i < kPixels; ++i) {
        const __m256i a = load(inputs[i] + first), b = load(inputs[i] + second);
        low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w_low));
        high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w_high));
      }
    }
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < kPixels; ++i) {
      const std::int64_t at = pixels[i].output * block.pitch;
      if (kPlain) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(block.codes + at),
                         depthwise_codes(low[i], high[i], block, lo, hi, z));
      } else if (block.acc == nullptr && block.general == nullptr) {
        store_codes(depthwise_codes(low[i], high[i], block, lo, hi, z), block.codes + at, block.channels);
      } else {
        alignas(32) std::int32_t row[16];
        store(row, _mm256_permute2x128_si256(low[i], high[i], 0x20));
        store(row + 8, _mm256_permute2x128_si256(low[i], high[i], 0x31));
        finish_depthwise(row, at, block);
      }
    }
  }
}

MIDTREAD_TARGET_END

inline void run_depthwise_block(const std::int16_t* band, const BandPixel* pixels, std::int64_t count,
                                const DepthwiseBlock& block) {
  const std::int64_t wide = count / 4 * 4;
  const bool plain = block.acc == nullptr && block.general == nullptr && block.channels == kDepthwiseChannels;
  (plain ? depthwise_pixels<4, true> : depthwise_pixels<4, false>)(band, pixels, wide, block);
  (plain ? depthwise_pixels<1, true> : depthwise_pixels<1, false>)(band, pixels + wide, count - wide, block);
}

inline void depthwise_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                            Scratch& scratch) {
  constexpr std::int64_t kBandBytes = 64 * 1024, kMinPixels = 1, kSliceChannels = 64;
  const std::int64_t padded =
      (s.out_channels + kDepthwiseChannels - 1) / kDepthwiseChannels * kDepthwiseChannels;
  const std::int64_t slice = std::min(padded, kSliceChannels), pairs = (s.taps() + 1) / 2;
  const PaddedBand plan(s, slice, kBandBytes, kMinPixels);

  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(4 * padded + 2 * pairs));
  auto* multiplier = reinterpret_cast<float*>(bias + padded);
  std::int32_t* natural_bias = bias + 2 * padded;
  auto* natural_multiplier = reinterpret_cast<float*>(bias + 3 * padded);
  std::int32_t* offsets = bias + 4 * padded;
  pad_channels(call.epilogue, 1, s.out_channels, padded, natural_bias, natural_multiplier);
  for (std::int64_t i = 0; i < padded; ++i) {
    const std::int64_t lane = i % 8, half = i % 16 / 8;
    const std::int64_t c = i / 16 * 16 + interleaved_channel(lane) + 4 * half;
    bias[i] = natural_bias[c];
    multiplier[i] = natural_multiplier[c];
  }
  for (std::int64_t t = 0; t < 2 * pairs; ++t) {
    const std::int64_t tap = std::min(t, s.taps() - 1);
    offsets[t] = static_cast<std::int32_t>(plan.tap_offset(tap / s.kernel_width, tap % s.kernel_width));
  }

  const std::int64_t band_bytes = (plan.elements() * 2 + 63) / 64 * 64;
  scratch.prepare_leases(static_cast<std::size_t>(band_bytes) +
                         static_cast<std::size_t>(plan.pixels()) * sizeof(BandPixel));
  const auto* packed = weights.data<std::int16_t>();
  parallel_for(0, plan.shape.batch * plan.bands_per_image(), 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* band = lease.data<std::int16_t>();
    auto* pixels = reinterpret_cast<BandPixel*>(lease.data<unsigned char>() + band_bytes);
    const std::int64_t n = piece / plan.bands_per_image();
    const std::int64_t first = piece % plan.bands_per_image() * plan.out_rows;
    const std::int64_t rows = std::min(plan.out_rows, plan.shape.out_height - first);
    const std::int64_t count = rows * plan.shape.out_width;
    plan.list_pixels(rows, pixels);
    const std::int64_t origin = (n * plan.shape.out_height + first) * plan.shape.out_width * s.out_channels;
    for (std::int64_t c = 0; c < s.out_channels; c += kDepthwiseChannels) {
      if (c % slice == 0)
        plan.fill(call.x + c, std::min(slice, s.out_channels - c), n, first, rows, call.x_zero_point,
                  widen_pixels, band);
      const DepthwiseBlock block{packed + c * 2 * pairs,
                                 offsets,
                                 pairs,
                                 bias + c,
                                 multiplier + c,
                                 output_codes(call),
                                 call.general(),
                                 call.codes ? call.codes + origin + c : nullptr,
                                 call.acc ? call.acc + origin + c : nullptr,
                                 c,
                                 s.out_channels,
                                 std::min(kDepthwiseChannels, s.out_channels - c)};
      run_depthwise_block(band + c % slice, pixels, count, block);
    }
  });
}

inline constexpr ConvKernel kDepthwise =
    conv_kernel<depthwise_bands>("depthwise_u8s8s32_4x16c2__avx2", false, pack_depthwise);

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// Depthwise convolution on AVX2, any window: 16 channels of 4 pixels at a time, two taps interleaved per vpmaddwd.
#pragma once

#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/padded_band.hpp>

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

/// 16 channels of a band; `bias` and `multiplier` in interleaved order.
struct DepthwiseBlock {
  const std::int16_t* weights;
  const std::int32_t* tap_offsets;  ///< an even number of them
  std::int64_t pairs;
  const std::int32_t* bias;
  const float* multiplier;
  OutputCodes bounds;
  std::uint8_t* codes;
  std::int32_t* acc;  ///< set: accumulators in natural order, no bias
  std::int64_t pitch;
  std::int64_t channels;  ///< at most 16
};

MIDTREAD_TARGET_AVX2_BEGIN

template <int kPixels>
MIDTREAD_NOINLINE void depthwise_pixels(const std::int16_t* band, const BandPixel* pixels, std::int64_t count,
                                        const DepthwiseBlock& block) {
  const __m256 lo = _mm256_set1_ps(block.bounds.lo), hi = _mm256_set1_ps(block.bounds.hi);
  const __m256i z = _mm256_set1_epi32(block.bounds.zero_point);
  for (std::int64_t p = 0; p + kPixels <= count; p += kPixels, pixels += kPixels) {
    __m256i low[kPixels], high[kPixels];
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < kPixels; ++i) low[i] = high[i] = _mm256_setzero_si256();
    const std::int16_t* w = block.weights;
    for (std::int64_t t = 0; t < block.pairs; ++t, w += 32) {
      const std::int16_t* first = band + block.tap_offsets[2 * t];
      const std::int16_t* second = band + block.tap_offsets[2 * t + 1];
      const __m256i w_low = load(w), w_high = load(w + 16);
      MIDTREAD_UNROLL(4)
      for (int i = 0; i < kPixels; ++i) {
        const __m256i a = load(first + pixels[i].input), b = load(second + pixels[i].input);
        low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w_low));
        high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w_high));
      }
    }
    MIDTREAD_UNROLL(4)
    for (int i = 0; i < kPixels; ++i) {
      const std::int64_t at = pixels[i].output * block.pitch;
      if (block.acc != nullptr) {
        alignas(32) std::int32_t row[16];
        store(row, _mm256_permute2x128_si256(low[i], high[i], 0x20));
        store(row + 8, _mm256_permute2x128_si256(low[i], high[i], 0x31));
        std::memcpy(block.acc + at, row, static_cast<std::size_t>(block.channels) * sizeof(std::int32_t));
        continue;
      }
      const __m256i a = _mm256_add_epi32(low[i], load(block.bias));
      const __m256i b = _mm256_add_epi32(high[i], load(block.bias + 8));
      const __m256 real_a = _mm256_mul_ps(_mm256_cvtepi32_ps(a), _mm256_loadu_ps(block.multiplier));
      const __m256 real_b = _mm256_mul_ps(_mm256_cvtepi32_ps(b), _mm256_loadu_ps(block.multiplier + 8));
      const __m256i words = _mm256_packs_epi32(to_codes(real_a, lo, hi, z), to_codes(real_b, lo, hi, z));
      store_codes(_mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)),
                  block.codes + at, block.channels);
    }
  }
}

MIDTREAD_TARGET_END

inline void depthwise_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                            Scratch& scratch) {
  constexpr std::int64_t kBandBytes = 64 * 1024, kMinPixels = 1;
  const PaddedBand plan(s, kDepthwiseChannels, kBandBytes, kMinPixels);
  const std::int64_t blocks = plan.pitch / kDepthwiseChannels, pairs = (s.taps() + 1) / 2;

  auto* bias = scratch.shared<std::int32_t>(static_cast<std::size_t>(4 * plan.pitch + 2 * pairs));
  auto* multiplier = reinterpret_cast<float*>(bias + plan.pitch);
  std::int32_t* natural_bias = bias + 2 * plan.pitch;
  auto* natural_multiplier = reinterpret_cast<float*>(bias + 3 * plan.pitch);
  std::int32_t* offsets = bias + 4 * plan.pitch;
  pad_channels(call.epilogue, 1, s.out_channels, plan.pitch, natural_bias, natural_multiplier);
  for (std::int64_t i = 0; i < plan.pitch; ++i) {
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
    const std::int64_t count = rows * plan.shape.out_width, wide = count / 4 * 4;
    plan.fill(call.x, n, first, rows, call.x_zero_point, widen, band);
    plan.list_pixels(rows, pixels);
    const std::int64_t origin = (n * plan.shape.out_height + first) * plan.shape.out_width * s.out_channels;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const std::int64_t c = b * kDepthwiseChannels;
      const DepthwiseBlock block{packed + c * 2 * pairs,
                                 offsets,
                                 pairs,
                                 bias + c,
                                 multiplier + c,
                                 call.bounds(),
                                 call.codes ? call.codes + origin + c : nullptr,
                                 call.acc ? call.acc + origin + c : nullptr,
                                 s.out_channels,
                                 std::min(kDepthwiseChannels, s.out_channels - c)};
      depthwise_pixels<4>(band + c, pixels, wide, block);
      depthwise_pixels<1>(band + c, pixels + wide, count - wide, block);
    }
  });
}

inline void run_depthwise(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
                          std::int32_t x_zero_point, const Epilogue& e, std::uint8_t* y, Scratch& scratch) {
  if (e.rounding == Rounding::kHalfEven) {
    depthwise_bands(weights, s, {x, x_zero_point, &e, y, nullptr}, scratch);
    return;
  }
  const std::int64_t outputs = s.batch * s.out_pixels() * s.out_channels;
  Buffer<std::int32_t> acc(static_cast<std::size_t>(outputs));
  depthwise_bands(weights, s, {x, x_zero_point, nullptr, nullptr, acc.data()}, scratch);
  for (std::int64_t i = 0; i < outputs; ++i) {
    const std::int64_t c = i % s.out_channels;
    y[i] = static_cast<std::uint8_t>(requantize(acc.data()[i] + (e.bias ? e.bias[c] : 0), e.multiplier[c],
                                                e.zero_point, e.lo, e.hi, e.rounding));
  }
}

inline void accumulate_depthwise(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
                                 std::int32_t x_zero_point, std::int32_t* acc, Scratch& scratch) {
  depthwise_bands(weights, s, {x, x_zero_point, nullptr, nullptr, acc}, scratch);
}

inline constexpr ConvKernel kDepthwise = {"depthwise_u8s8s32_4x16c2__avx2", false, pack_depthwise, run_depthwise,
                                          accumulate_depthwise};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Depthwise convolution on AVX2, any window, and groups of 2, 4 and 8 channels. Rows of codes are spread to
// planes once, in which a lane holds two codes that an output multiplies: of two rows above each other, or
// two inputs of its group. Outputs are sums of vpmaddwd of whole registers.
//
//   acc[x][c] = sum over pairs p, columns k of pair[p][x * stride + k][c] . w[p][k][c]
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/avx2/depthwise_plan.hpp>
#include <midtread/kernels/fbgemm/avx2/vector.hpp>

#include <limits>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// Codes of a row of one phase; step 0: the row that stands for padding.
struct PhaseRow {
  const std::uint8_t* first;
  std::int64_t step;
};

/// A row of outputs of a slice.
struct DepthwiseLine {
  const std::int16_t* planes;
  std::int64_t planes_step;     ///< from a register to the next
  const std::int32_t* offsets;  ///< of the taps among the planes
  std::int64_t taps;
  const std::int16_t* weights;  ///< [tap][8][2]
  std::int64_t weights_step;    ///< from a register to the next
  std::int64_t width;
};

/// Sums of 8 channels from `c` on of `pixels` outputs from `x` on, as they are or with the rarer roundings.
MIDTREAD_NOINLINE inline void finish_outputs(const std::int32_t* sums, std::int64_t x, std::int64_t pixels,
                                             std::int64_t c, const PanelOutput& line) {
  PanelOutput out = line;
  out.columns = std::min(line.columns - c, kLaneChannels);
  out.multiplier += c;
  for (std::int64_t i = 0; i < pixels; ++i)
    fbgemm::finish_slowly(sums + i * kLaneChannels, (x + i) * line.pitch + c, out);
}

/// The first `channels` of 8 codes of `pixels` outputs.
MIDTREAD_NOINLINE inline void store_some(const std::uint8_t* bytes, std::uint8_t* codes, std::int64_t pitch,
                                         std::int64_t pixels, std::int64_t channels) {
  for (std::int64_t i = 0; i < pixels; ++i)
    std::memcpy(codes + i * pitch, bytes + i * kLaneChannels, static_cast<std::size_t>(channels));
}

MIDTREAD_TARGET_AVX2_BEGIN

/// The first `n` of 16 codes, reads no further.
inline __m128i load_first_codes(const std::uint8_t* p, std::int64_t n) {
  if (n >= 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  if (n == 8) return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  alignas(16) std::uint8_t codes[16] = {};
  std::memcpy(codes, p, static_cast<std::size_t>(n));
  return _mm_load_si128(reinterpret_cast<const __m128i*>(codes));
}

/// A pixel of two rows, `n` channels, 16 at most, to the planes of two registers.
template <bool kWhole>
MIDTREAD_ALWAYS_INLINE void interleave_pixel(const std::uint8_t* a, const std::uint8_t* b, std::int64_t n,
                                             std::int16_t* low, std::int16_t* high) {
  const __m128i x = load_first_codes(a, kWhole ? 16 : n), y = load_first_codes(b, kWhole ? 16 : n);
  store(low, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x, y)));
  if (kWhole || n > 8) store(high, _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(x, y)));
}

template <bool kWhole>
inline void interleave_channels(PhaseRow a, PhaseRow b, std::int64_t pixels, std::int64_t n,
                                std::int16_t* low, std::int16_t* high) {
  std::int64_t p = 0;
  for (; p + 2 <= pixels; p += 2, a.first += 2 * a.step, b.first += 2 * b.step, low += 32, high += 32) {
    interleave_pixel<kWhole>(a.first, b.first, n, low, high);
    interleave_pixel<kWhole>(a.first + a.step, b.first + b.step, n, low + 16, high + 16);
  }
  if (p < pixels) interleave_pixel<kWhole>(a.first, b.first, n, low, high);
}

/// Two rows: codes above each other in a lane.
MIDTREAD_NOINLINE inline void interleave_rows(PhaseRow a, PhaseRow b, std::int64_t pixels,
                                              std::int64_t channels, std::int16_t* planes,
                                              std::int64_t plane) {
  for (std::int64_t c = 0; c < channels; c += 16, a.first += 16, b.first += 16, planes += 2 * plane)
    (channels - c >= 16 ? interleave_channels<true> : interleave_channels<false>)(a, b, pixels, channels - c,
                                                                                  planes, planes + plane);
}

/// One row: plane `i` of a register has pair `i` of the inputs of a group in the lanes of its outputs.
MIDTREAD_NOINLINE inline void spread_row(PhaseRow a, std::int64_t pixels, std::int64_t channels,
                                         std::int64_t group, std::int16_t* planes, std::int64_t plane) {
  const std::int64_t pairs = group / 2;
  for (std::int64_t c = 0; c < channels; c += kLaneChannels, a.first += kLaneChannels)
    for (std::int64_t i = 0; i < pairs; ++i, planes += plane) {
      alignas(32) std::int32_t lanes[8];
      for (std::int64_t l = 0; l < 8; ++l) lanes[l] = static_cast<std::int32_t>(l / group * pairs + i);
      const __m256i index = load(lanes);
      const std::uint8_t* from = a.first;
      for (std::int64_t p = 0; p < pixels; ++p, from += a.step) {
        const __m128i words =
            _mm_cvtepu8_epi16(load_first_codes(from, std::min(channels - c, kLaneChannels)));
        store(planes + 16 * p, _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(words), index));
      }
    }
}

/// `n` elements, a multiple of 16.
inline void fill_words(std::int16_t* out, std::int64_t n, std::int16_t value) {
  for (std::int64_t i = 0; i < n; i += 16) store(out + i, _mm256_set1_epi16(value));
}

/// 8 codes each of the first `n` of four pixels.
template <int n>
MIDTREAD_ALWAYS_INLINE void store_pixels(__m256i codes, std::uint8_t* out, std::int64_t pitch) {
  const __m128i low = _mm256_castsi256_si128(codes), high = _mm256_extracti128_si256(codes, 1);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), low);
  if (n > 1) _mm_storeh_pi(reinterpret_cast<__m64*>(out + pitch), _mm_castsi128_ps(low));
  if (n > 2) _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 2 * pitch), high);
  if (n > 3) _mm_storeh_pi(reinterpret_cast<__m64*>(out + 3 * pitch), _mm_castsi128_ps(high));
}

/// kPixels outputs of 8 channels at a time; kTaps: their number, or 0. The arrays of registers stay in this
/// function: GCC keeps in memory what it passes by reference, even inlined.
template <int kPixels, int kTaps>
MIDTREAD_NOINLINE void depthwise_line(const DepthwiseLine& line, const PanelOutput& output) {
  DepthwiseLine l = line;  // a store of codes may change what `line` refers to
  PanelOutput out = output;
  const Epilogue e = out.epilogue != nullptr ? *out.epilogue : Epilogue{};
  const bool plain = out.epilogue != nullptr && e.rounding == Rounding::kHalfEven;
  const CodeBounds bounds(output_codes(e.lo, e.hi, e.zero_point));
  for (std::int64_t c = 0; c < out.columns; c += kLaneChannels) {
    const __m256i bias = load(out.bias + c);
    const __m256 multiplier = _mm256_loadu_ps(out.multiplier + c);
    const std::int16_t* from[kTaps > 0 ? kTaps : 1] = {l.planes};
    MIDTREAD_UNROLL(6)
    for (int t = 0; t < kTaps; ++t) from[t] = l.planes + l.offsets[t];
    const bool whole = out.columns - c >= kLaneChannels;
    for (std::int64_t x = 0; x < l.width; x += kPixels) {
      __m256i sums[kPixels];
      MIDTREAD_UNROLL(8)
      for (int i = 0; i < kPixels; ++i) sums[i] = bias;
      if (kTaps > 0) {
        MIDTREAD_UNROLL(6)
        for (int t = 0; t < kTaps; ++t) {
          const __m256i weights = load(l.weights + 16 * t);
          MIDTREAD_UNROLL(8)
          for (int i = 0; i < kPixels; ++i) {
            const __m256i products = _mm256_madd_epi16(load(from[t] + 16 * (x + i)), weights);
            sums[i] = in_order(_mm256_add_epi32(sums[i], products));
          }
        }
      } else {
        const std::int16_t* w = l.weights;
        for (std::int64_t t = 0; t < l.taps; ++t, w += 16) {
          const std::int16_t* codes = l.planes + l.offsets[t] + 16 * x;
          const __m256i weights = load(w);
          MIDTREAD_UNROLL(8)
          for (int i = 0; i < kPixels; ++i)
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(load(codes + 16 * i), weights));
        }
      }
      const std::int64_t pixels = std::min<std::int64_t>(kPixels, l.width - x);
      if (!plain) {
        alignas(32) std::int32_t rows[kPixels][kLaneChannels];
        MIDTREAD_UNROLL(8)
        for (int i = 0; i < kPixels; ++i) store(rows[i], sums[i]);
        finish_outputs(rows[0], x, pixels, c, out);
        continue;
      }
      __m256i q[8];
      MIDTREAD_UNROLL(8)
      for (int i = 0; i < 8; ++i)
        q[i] = i < kPixels ? bounds.round(sums[i < kPixels ? i : 0], multiplier) : q[kPixels - 1];
      const __m256i first = join_halves(bounds.pack(q[0], q[1], q[2], q[3]));
      const __m256i second = join_halves(bounds.pack(q[4], q[5], q[6], q[7]));
      std::uint8_t* const codes = out.codes + x * out.pitch + c;
      if (pixels == kPixels && whole) {
        store_pixels<4>(first, codes, out.pitch);
        if (kPixels > 4)
          store_pixels<(kPixels > 4 ? kPixels - 4 : 1)>(second, codes + 4 * out.pitch, out.pitch);
      } else {
        alignas(32) std::uint8_t bytes[8 * kLaneChannels];
        store(bytes, first);
        store(bytes + 4 * kLaneChannels, second);
        store_some(bytes, codes, out.pitch, pixels, std::min(out.columns - c, kLaneChannels));
      }
    }
    l.planes += l.planes_step;
    l.weights += l.weights_step;
  }
}

MIDTREAD_TARGET_END

inline void depthwise_rows(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                           Scratch& scratch) {
  constexpr std::int64_t kRowsPerPiece = 32;
  const DepthwisePlan plan(s);
  if (plan.all_planes() > std::numeric_limits<std::int32_t>::max() / 2)
    throw UnsupportedError(
        "conv", concat("one row of output needs ", plan.all_planes(), " input codes, allowed 2^30"));
  const std::int64_t channels = plan.registers * kLaneChannels;
  const auto* sums = weights.data<std::int32_t>();
  const auto* packed =
      reinterpret_cast<const std::int16_t*>(weights.data<unsigned char>() + sums_bytes(channels));
  if (ColumnBlocks::suit(s) && call.codes != nullptr && !call.general())
    return depthwise_columns(s, call, sums, packed + plan.packed_bytes() / 2, scratch);
  const std::int64_t row_taps = plan.inputs * s.kernel_width;
  constexpr std::int64_t kRunInts = sizeof(DepthwisePlan::Run) / sizeof(std::int32_t);
  auto* bias = scratch.shared<std::int32_t>(
      static_cast<std::size_t>(2 * channels + plan.phases * kRunInts + row_taps));
  auto* runs = reinterpret_cast<DepthwisePlan::Run*>(bias + 2 * channels);
  for (std::int64_t phase = 0; phase < plan.phases; ++phase) runs[phase] = plan.run(phase);
  std::int32_t* row_offsets = bias + 2 * channels + plan.phases * kRunInts;
  column_bias(call, sums, 1, s.out_channels, channels, bias);
  const float* multiplier = column_multipliers(call.epilogue, 1, s.out_channels, channels,
                                               reinterpret_cast<float*>(bias + channels));
  for (std::int64_t i = 0; i < row_taps; ++i)
    row_offsets[i] =
        static_cast<std::int32_t>(i / s.kernel_width * plan.plane() + plan.tap_offset(i % s.kernel_width));

  const std::int64_t planes_bytes = (plan.all_planes() * 2 + 63) / 64 * 64;
  scratch.prepare_leases(static_cast<std::size_t>(planes_bytes + plan.taps(plan.variants - 1) * 4));
  const bool six = plan.taps(0) == 6 && plan.taps(plan.variants - 1) == 6,
             sevens = s.out_width % 8 != 0 && s.out_width % 7 == 0;
  const auto run_line = six ? (sevens ? depthwise_line<7, 6> : depthwise_line<8, 6>)
                            : (s.out_width <= 4 ? depthwise_line<4, 0> : depthwise_line<8, 0>);
  const std::int64_t chunks = (s.out_height + kRowsPerPiece - 1) / kRowsPerPiece,
                     slices = (plan.registers + plan.slice - 1) / plan.slice;
  parallel_for(0, s.batch * chunks * slices, 1, [&](std::int64_t piece, std::int64_t) {
    const Scratch::Lease lease(scratch);
    auto* planes = lease.data<std::int16_t>();
    auto* offsets = reinterpret_cast<std::int32_t*>(lease.data<unsigned char>() + planes_bytes);
    const std::int64_t slice = piece % slices, n = piece / slices / chunks;
    const std::int64_t first = piece / slices % chunks * kRowsPerPiece,
                       end = std::min(first + kRowsPerPiece, s.out_height);
    const std::int64_t first_register = slice * plan.slice, c0 = first_register * kLaneChannels;
    const std::int64_t registers = std::min(plan.slice, plan.registers - first_register);
    const std::int64_t own = std::min(registers * kLaneChannels, s.out_channels - c0);
    const std::int64_t plane = plan.plane(), row_planes = plan.row_planes(), pixel = 2 * kLaneChannels;
    const std::uint8_t* image = call.x + n * s.in_pixels() * s.in_channels + c0;

    // The columns of padding stay as they are.
    const auto zero = static_cast<std::int16_t>(call.x_zero_point);
    for (std::int64_t at = 0; at < plan.all_planes(); at += plane)
      for (std::int64_t phase = 0; phase < plan.phases; ++phase) {
        const DepthwisePlan::Run run = runs[phase];
        std::int16_t* to = planes + at + phase * plan.columns * pixel;
        fill_words(to, run.at * pixel, zero);
        fill_words(to + (run.at + run.count) * pixel, (plan.columns - run.at - run.count) * pixel, zero);
      }
    std::uint8_t padding[DepthwisePlan::kMostRegisters * kLaneChannels];
    std::memset(padding, call.x_zero_point, sizeof padding);

    std::int64_t next = 0, next_layer = 0;
    for (std::int64_t oy = first; oy < end; ++oy) {
      const std::int64_t variant = plan.variant(oy), begin = plan.first_row(oy), rows = plan.rows(variant);
      if (next < begin) next = begin, next_layer = begin % plan.layers;
      for (; next < begin + rows; ++next, next_layer = next_layer + 1 < plan.layers ? next_layer + 1 : 0)
        for (std::int64_t phase = 0; phase < plan.phases; ++phase) {
          const DepthwisePlan::Run run = runs[phase];
          const auto row = [&](std::int64_t i) {
            const std::int64_t iy = plan.input_row(next, i);
            return iy >= 0 && iy < s.in_height
                       ? PhaseRow{image + (iy * s.in_width + run.left) * s.in_channels,
                                  s.stride_width * s.in_channels}
                       : PhaseRow{padding, 0};
          };
          std::int16_t* to = planes + next_layer * row_planes + (phase * plan.columns + run.at) * pixel;
          if (plan.tall == 2)
            interleave_rows(row(0), row(1), run.count, own, to, plane);
          else
            spread_row(row(0), run.count, own, s.in_group(), to, plane);
        }
      // The next layer follows the window's last.
      std::int64_t layer = next_layer + plan.layers - rows;
      for (std::int64_t i = 0; i < rows; ++i, ++layer) {
        if (layer >= plan.layers) layer -= plan.layers;
        const auto at = static_cast<std::int32_t>(layer * row_planes);
        for (std::int64_t tap = 0; tap < row_taps; ++tap) offsets[i * row_taps + tap] = at + row_offsets[tap];
      }
      const std::int64_t origin = (n * s.out_height + oy) * s.out_width * s.out_channels + c0;
      run_line({planes, plan.inputs * plane, offsets, plan.taps(variant),
                packed + (first_register * plan.variants + variant) * plan.weights(),
                plan.variants * plan.weights(), s.out_width},
               {call.codes ? call.codes + origin : nullptr, call.acc ? call.acc + origin : nullptr,
                s.out_channels, own, bias + c0, multiplier + c0, call.epilogue});
    }
  });
}

inline constexpr ConvKernel kDepthwise =
    conv_kernel<depthwise_rows>("depthwise_u8s8s32_8x8c2__avx2", false, pack_depthwise);

MIDTREAD_NAMESPACE_END

#endif

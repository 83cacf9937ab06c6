// SPDX-License-Identifier: MIT
// A matrix product of few rows: the excess would not pay, so products are taken in 16 bits, of codes less
// their zero point. One row meets 64 channels at a time, two meet 32, four 16.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/fbgemm/avx2/exact_panels.hpp>
#include <midtread/kernels/fbgemm/avx2/gemm_tile.hpp>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

MIDTREAD_TARGET_AVX2_BEGIN

/// kRows rows [depth] against kPanels panels [depth / 2][16][2] that follow each other. `out` begins at the
/// first panel's channels; only a single panel may have fewer than 16.
template <int kRows, int kPanels, class Weight>
MIDTREAD_NOINLINE void few_tile(const std::int16_t* codes, std::int64_t depth, const Weight* weights,
                                const TileOutput& out) {
  constexpr int kUnits = kRows * kPanels;  // of a row and a panel, as they leave
  __m256i acc[kUnits][2];
  MIDTREAD_UNROLL(4)
  for (int u = 0; u < kUnits; ++u) {
    acc[u][0] = load(out.bias + 16 * (u / kRows));
    acc[u][1] = load(out.bias + 16 * (u / kRows) + 8);
  }
  const std::int64_t size = 16 * depth;
  for (std::int64_t k = 0; k < depth; k += 2, weights += 32) {
    __m256i pairs[kRows];
    MIDTREAD_UNROLL(4)
    for (int r = 0; r < kRows; ++r) {
      int pair;
      std::memcpy(&pair, codes + r * depth + k, 4);
      pairs[r] = _mm256_set1_epi32(pair);
    }
    MIDTREAD_UNROLL(4)
    for (int u = 0; u < kUnits; ++u) {
      const Weight* w = weights + u / kRows * size;
      acc[u][0] = _mm256_add_epi32(acc[u][0], _mm256_madd_epi16(pairs[u % kRows], load_weights(w)));
      acc[u][1] = _mm256_add_epi32(acc[u][1], _mm256_madd_epi16(pairs[u % kRows], load_weights(w + 16)));
    }
  }
  if (out.acc != nullptr || out.general != nullptr) {
    alignas(32) std::int32_t rest[kUnits][16];
    MIDTREAD_UNROLL(4)
    for (int u = 0; u < kUnits; ++u) {
      store(rest[u], acc[u][0]);
      store(rest[u] + 8, acc[u][1]);
    }
    for (int u = 0; u < kUnits; ++u) {
      const BandPixel row{0, u % kRows};
      TileOutput own = out;
      if (out.acc != nullptr) own.acc += 16 * (u / kRows);
      if (out.codes != nullptr) own.codes += 16 * (u / kRows);
      own.multiplier += 16 * (u / kRows);
      finish_slowly(rest[u], 1, &row, own);
    }
    return;
  }
  const CodeBounds bounds(out.bounds);
  MIDTREAD_UNROLL(4)
  for (int u = 0; u < kUnits; u += 2) {
    const int v = u + 1 < kUnits ? u + 1 : u;
    const float *of_u = out.multiplier + 16 * (u / kRows), *of_v = out.multiplier + 16 * (v / kRows);
    const __m256i codes_of_two = join_halves(bounds.pack(
        bounds.round(acc[u][0], _mm256_loadu_ps(of_u)), bounds.round(acc[u][1], _mm256_loadu_ps(of_u + 8)),
        bounds.round(acc[v][0], _mm256_loadu_ps(of_v)), bounds.round(acc[v][1], _mm256_loadu_ps(of_v + 8))));
    store_codes(_mm256_castsi256_si128(codes_of_two), out.codes + u % kRows * out.pitch + 16 * (u / kRows),
                out.columns);
    if (v != u)
      store_codes(_mm256_extracti128_si256(codes_of_two, 1),
                  out.codes + v % kRows * out.pitch + 16 * (v / kRows), out.columns);
  }
}

MIDTREAD_TARGET_END

/// Rows of a call, their codes widened, against panels one after the other.
struct FewRows {
  static constexpr std::int64_t kMost = 4;

  std::int64_t rows, depth, channels;
  const std::int16_t* codes;     ///< [rows][depth]
  const unsigned char* weights;  ///< of the first panel
  bool wide;                     ///< weights are int16
  TileOutput out;                ///< of the panel to come

  /// Panels [first, last); what is left of 64 channels goes by 16.
  void run(std::int64_t first, std::int64_t last) {
    advance(first);
    switch (rows) {
      case 1: return run_panels<1, 4>(first, last);
      case 2: return run_panels<2, 2>(first, last);
      case 3: return run_panels<3, 1>(first, last);
      default: return run_panels<4, 1>(first, last);
    }
  }

 private:
  template <int kRows, int kTogether>
  void run_panels(std::int64_t first, std::int64_t last) {
    const std::int64_t full = std::min(last, channels / 16);
    for (; first + kTogether <= full; first += kTogether) run_tile<kRows, kTogether>(first);
    for (; first < full; ++first) run_tile<kRows, 1>(first);
    if (first == last) return;
    // Bias and multipliers are the caller's arrays, which end with the channels.
    alignas(32) std::int32_t bias[16] = {};
    alignas(32) float multiplier[16] = {};
    out.columns = channels - 16 * first;
    const auto bytes = static_cast<std::size_t>(out.columns) * 4;
    std::memcpy(bias, out.bias, bytes);
    if (out.acc == nullptr) std::memcpy(multiplier, out.multiplier, bytes);
    out.bias = bias;
    out.multiplier = multiplier;
    run_tile<kRows, 1>(first);
  }

  template <int kRows, int kPanels>
  void run_tile(std::int64_t panel) {
    const std::int64_t first = panel * 16 * depth;
    if (wide)
      few_tile<kRows, kPanels>(codes, depth, reinterpret_cast<const std::int16_t*>(weights) + first, out);
    else
      few_tile<kRows, kPanels>(codes, depth, reinterpret_cast<const std::int8_t*>(weights) + first, out);
    advance(kPanels);
  }

  void advance(std::int64_t panels) {
    out.bias += panels * 16;
    if (out.acc != nullptr) {
      out.acc += panels * 16;
    } else {
      out.codes += panels * 16;
      out.multiplier += panels * 16;
    }
  }
};

/// False where the weights or the number of rows ask for conv_bands.
inline bool run_few_rows(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                         Scratch& scratch) {
  const std::int64_t rows = s.batch * s.out_pixels();
  if (rows > FewRows::kMost || !s.is_pointwise() || s.groups != 1) return false;
  const auto* storage = weights.data<unsigned char>();
  const std::int64_t panels = (s.out_channels + 15) / 16;
  const ExactPanel& panel = *reinterpret_cast<const ExactPanel*>(storage + sums_bytes(panels * 16));
  if (panel.few == 0) return false;
  if (rows == 0) return true;

  FewRows few{};
  few.rows = rows;
  few.depth = few_depth(s);
  few.channels = s.out_channels;
  few.weights = storage + panel.few;
  few.wide = few_are_wide(s);
  const std::int64_t elements = rows * few.depth + 16;
  const std::int64_t zeros = call.epilogue != nullptr && call.epilogue->bias != nullptr ? 0 : 16 * panels;
  auto* codes = reinterpret_cast<std::int16_t*>(
      scratch.shared<std::int32_t>(static_cast<std::size_t>(zeros + (elements + 1) / 2)) + zeros);
  few.codes = codes;
  for (std::int64_t r = 0; r < rows; ++r, codes += few.depth) {
    widen(call.x + r * s.in_channels, s.in_channels, call.x_zero_point, codes);
    for (std::int64_t i = s.in_channels; i < few.depth; ++i) codes[i] = 0;
  }
  few.out.codes = call.codes;
  few.out.acc = call.acc;
  few.out.pitch = s.out_channels;
  few.out.columns = 16;
  few.out.bounds = output_codes(call);
  few.out.general = call.general();
  few.out.multiplier = call.epilogue != nullptr ? call.epilogue->multiplier : nullptr;
  if (zeros == 0) {
    few.out.bias = call.epilogue->bias;
  } else {
    auto* none = reinterpret_cast<std::int32_t*>(const_cast<std::int16_t*>(few.codes)) - zeros;
    std::memset(none, 0, static_cast<std::size_t>(zeros) * sizeof *none);
    few.out.bias = none;
  }
  // With one thread, or little to do, no piece asks for another.
  constexpr std::int64_t kPanelsPerPiece = 8;
  if (panels <= kPanelsPerPiece || num_threads() == 1)
    few.run(0, panels);
  else
    parallel_for(0, panels, kPanelsPerPiece,
                 [&](std::int64_t first, std::int64_t last) { FewRows(few).run(first, last); });
  return true;
}

MIDTREAD_NAMESPACE_END

#endif

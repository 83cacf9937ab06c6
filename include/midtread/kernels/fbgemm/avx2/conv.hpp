// SPDX-License-Identifier: MIT
// Convolution (also grouped, also linear) on AVX2: bands of codes, register tiles on vpmaddubsw that are
// exact.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/kernels/fbgemm/avx2/conv_call.hpp>
#include <midtread/kernels/fbgemm/avx2/depthwise.hpp>
#include <midtread/kernels/fbgemm/avx2/few_rows.hpp>
#include <midtread/kernels/fbgemm/avx2/pixel_block.hpp>
#include <midtread/kernels/fbgemm/vnni/code_band.hpp>

#include <limits>

#if MIDTREAD_X86

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::avx2)

/// The panels of a convolution's weights, and what kinds there are.
struct PackedPanels {
  const unsigned char* storage;
  PanelCut cut;
  std::int64_t count;        ///< of all groups
  const std::int32_t* sums;  ///< [1 + taps][columns], or [columns]
  const ExactPanel* index;   ///< [count]
  bool wide = false, narrow = false;
  std::int64_t steps = 0;  ///< of the excess

  PackedPanels(const PackedWeights& weights, const Conv2dShape& s)
      : storage(weights.data<unsigned char>()),
        cut{s.out_group(), kPanelColumns},
        count(s.groups * cut.count()),
        sums(weights.data<std::int32_t>()),
        index(
            reinterpret_cast<const ExactPanel*>(storage + sums_bytes(sum_rows(s) * count * kPanelColumns))) {
    for (std::int64_t p = 0; p < count; ++p) {
      wide = wide || index[p].depth == 0;
      narrow = narrow || index[p].depth != 0;
      steps += index[p].steps;
    }
  }
  std::int64_t columns() const { return count * kPanelColumns; }
  std::int64_t step(const Conv2dShape& s) const { return narrow ? exact_step(s) : kWideStep; }
};

/// A call: what it plans, the memory that its pieces share, and a piece, which is a band of an image and some
/// of the panels.
class ConvBands {
 public:
  ConvBands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call, Scratch& scratch)
      : s_(s),
        call_(call),
        scratch_(scratch),
        panels_(weights, s),
        segments_(s, panels_.step(s)),
        band_(s, kBandBytes, PixelBlock::kMost, panels_.step(s), !panels_.wide),
        plan_(band_.plan()),
        planes_(plan_) {
    windowed_ = panels_.narrow && sum_rows(s) > 1 && s.out_width <= 28;
    planar_ =
        panels_.steps > 0 && reads_planes(s) && planes_.bytes() <= std::numeric_limits<std::int32_t>::max();
    if (planar_)
      block_bytes_ = planes_.slack() + planes_.bytes();
    else if (panels_.steps > 0)
      block_bytes_ = (PixelBlock::bytes(segments_) + 63) / 64 * 64;
    const std::int64_t width = plan_.shape.out_width;
    if (planar_ || windowed_)
      block_pixels_ = PixelBlock::rows_size(width, planar_ ? PixelBlock::kMostOfRows : PixelBlock::kMost);
    if (!panels_.narrow)  // what 16-bit tiles read again for each panel stays in the nearest cache
      most_pixels_ = std::max(kWideBlock / segments_.depth(), PixelBlock::kMost);
    const std::int64_t bands = plan_.shape.batch * plan_.bands_per_image();
    // Fewer bands than threads: share out the panels as well, each piece copying its band again.
    panels_per_piece_ = bands >= num_threads() ? panels_.count : kPanelsPerPiece;
    splits_ = (panels_.count + panels_per_piece_ - 1) / panels_per_piece_;
    pieces_ = bands * splits_;
    share_memory();
    scratch.prepare_leases(
        static_cast<std::size_t>(band_.bytes() + block_bytes_ + (panels_.wide ? 2 * plan_.elements() : 0)));
  }

  void run() const {
    parallel_for(0, pieces_, 1, [&](std::int64_t piece, std::int64_t) { run_piece(piece); });
    if (splits_ > 1) call_.finish(s_);
  }

 private:
  static constexpr std::int64_t kBandBytes = 192 * 1024, kPanelsPerPiece = 8, kWideBlock = 8 * 1024;

  /// The output rows of a piece: the first, and where their input is.
  struct Band {
    std::int64_t first;  ///< of the image
    const std::uint8_t* codes;
    const std::int16_t* wide;
    const std::uint8_t* planes;
    std::uint8_t* memory;  ///< of a block
    std::int64_t origin;   ///< its first among all output pixels
  };

  /// Corrected bias, multipliers, the segments' offsets, the pixels of a band, the excess as its codes stand.
  void share_memory() {
    const std::int64_t columns = panels_.columns(), pixels = 2 * plan_.pixels();
    const std::int64_t steps = planar_ ? panels_.steps : 0, places = planar_ ? segments_.depth() : 0;
    auto* memory = scratch_.shared<std::int32_t>(
        static_cast<std::size_t>(2 * columns + segments_.count + pixels + places) +
        static_cast<std::size_t>(steps) * sizeof(ExcessStep) / sizeof(std::int32_t));
    const auto take = [&](std::int64_t count) {
      std::int32_t* const taken = memory;
      memory += count;
      return taken;
    };
    std::int32_t* const bias = take(columns);
    column_bias(call_, panels_.sums, s_.groups, s_.out_group(), panels_.cut.columns(), bias);
    bias_ = bias;
    multiplier_ = column_multipliers(call_.epilogue, s_.groups, s_.out_group(), panels_.cut.columns(),
                                     reinterpret_cast<float*>(take(columns)));
    std::int32_t* const offsets = take(segments_.count);
    for (std::int64_t i = 0; i < segments_.count; ++i) offsets[i] = segments_.offset(s_, plan_, i);
    offsets_ = offsets;
    auto* const listed = reinterpret_cast<BandPixel*>(take(pixels));
    band_.list_pixels(plan_.out_rows, listed);
    pixels_ = listed;
    if (!planar_) return;
    std::int32_t* const at = take(places);
    planes_.list_offsets(segments_, at);
    auto* const moved = reinterpret_cast<ExcessStep*>(memory);
    for (std::int64_t p = 0; p < panels_.count; ++p) {
      const PanelExcess own(panels_.storage, panels_.index[p]);
      for (std::int64_t i = 0; i < panels_.index[p].steps; ++i) {
        ExcessStep& step = moved[panels_.index[p].before + i] = own.list[i];
        for (auto& two : step.offsets)
          for (std::int32_t& offset : two) offset = at[offset / kTogether];
      }
    }
    moved_ = moved;
  }

  void run_piece(std::int64_t piece) const {
    const Scratch::Lease lease(scratch_);
    const std::int64_t number = piece / splits_, image = number / plan_.bands_per_image();
    const std::int64_t first = number % plan_.bands_per_image() * plan_.out_rows;
    const std::int64_t rows = std::min(plan_.out_rows, plan_.shape.out_height - first);
    auto* const memory = lease.data<std::uint8_t>() + band_.bytes();
    Band band{};
    band.first = first;
    band.memory = memory;
    if (panels_.narrow)
      band.codes = band_.fill(call_.x, image, first, rows, call_.x_zero_point, lease.data<std::uint8_t>());
    if (panels_.wide) {
      auto* const wide = reinterpret_cast<std::int16_t*>(memory + block_bytes_);
      plan_.fill(call_.x, s_.in_channels, image, first, rows, call_.x_zero_point, widen_pixels, wide);
      band.wide = wide;
    }
    if (planar_) {
      planes_.fill(band.codes, rows, memory + planes_.slack());
      band.planes = memory + planes_.slack();
    }
    const std::int64_t width = plan_.shape.out_width, count = rows * width;
    const std::int64_t size = block_pixels_ != 0 ? block_pixels_ : PixelBlock::size(count, most_pixels_);
    band.origin = (image * plan_.shape.out_height + first) * width;
    const std::int64_t first_panel = piece % splits_ * panels_per_piece_;
    const std::int64_t last_panel = std::min(panels_.count, first_panel + panels_per_piece_);
    for (std::int64_t i = 0; i < count; i += size) {
      const std::int64_t in_block = std::min(size, count - i);
      run_block(band, i, in_block, first_panel, last_panel);
      if (splits_ == 1) call_.finish(s_, band.origin + i, in_block);
    }
  }

  /// `count` pixels of a band against panels [first, last).
  void run_block(const Band& band, std::int64_t i, std::int64_t count, std::int64_t first,
                 std::int64_t last) const {
    BandPixel ordered[PixelBlock::kMostOfRows];
    TapWindow windows[2 * PixelBlock::kMostOfRows + 1];
    BlockWindows block_windows{};
    if (windowed_) block_windows = cut_windows(band, i, count, ordered, windows);
    const std::int64_t per_group = panels_.cut.count();
    for (std::int64_t p = first; p < last;) {
      const std::int64_t group = p / per_group, end = std::min((group + 1) * per_group, last);
      const std::int64_t input = group * s_.in_group();
      PlaneCodes planes;
      if (planar_)
        planes = {band.planes + input * planes_.channel_step(), moved_, planes_.row_step(),
                  plan_.shape.out_width};
      PixelBlock block(panels_.narrow ? band.codes + input : nullptr, pixels_, i, count, offsets_, segments_,
                       planes, band.memory);
      for (; p < end; ++p) {
        const ExactPanel& panel = panels_.index[p];
        const TileOutput out = output_of(p, band.origin + (windowed_ && panel.depth != 0 ? i : 0));
        if (panel.depth != 0)
          block.run(panels_.storage, panel, out, windowed_ ? &block_windows : nullptr, p * kPanelColumns);
        else
          run_panel(band.wide + input, pixels_ + i, count,
                    {panels_.storage + panel.weights, offsets_, segments_.count, segments_.length / 2}, out);
      }
    }
  }

  /// The outputs of a panel from pixel `first` of all on.
  TileOutput output_of(std::int64_t p, std::int64_t first) const {
    const std::int64_t per_group = panels_.cut.count(), column = p % per_group * kPanelColumns;
    const std::int64_t at = first * s_.out_channels + p / per_group * s_.out_group() + column;
    TileOutput out{};
    out.codes = call_.codes ? call_.codes + at : nullptr;
    out.acc = call_.acc ? call_.acc + at : nullptr;
    out.pitch = s_.out_channels;
    out.columns = std::min(kPanelColumns, s_.out_group() - column);
    out.bias = bias_ + p * kPanelColumns;
    out.multiplier = multiplier_ + p * kPanelColumns;
    out.bounds = output_codes(call_);
    out.general = call_.general();
    return out;
  }

  /// Whole rows from pixel `i` of the band on.
  BlockWindows cut_windows(const Band& band, std::int64_t i, std::int64_t count, BandPixel* ordered,
                           TapWindow* windows) const {
    const std::int64_t row = i / plan_.shape.out_width, rows = count / plan_.shape.out_width;
    return {band.codes == nullptr ? nullptr : band.codes + row * plan_.stride_y * plan_.width * plan_.pitch,
            ordered,
            windows,
            list_windows(plan_, band.first + row, rows, ordered, windows),
            panels_.sums + panels_.columns(),
            panels_.columns(),
            s_.in_channels,
            s_.kernel_width,
            s_.taps(),
            call_.x_zero_point};
  }

  const Conv2dShape& s_;
  const ConvCall& call_;
  Scratch& scratch_;
  const PackedPanels panels_;
  const Segments segments_;
  const CodeBand band_;
  const PaddedBand& plan_;
  const PlanarCodes planes_;
  bool windowed_, planar_;
  std::int64_t block_bytes_ = 0, panels_per_piece_, splits_, pieces_;
  std::int64_t block_pixels_ = 0;                 ///< of whole rows; 0: blocks are equal
  std::int64_t most_pixels_ = PixelBlock::kMost;  ///< of equal blocks
  const std::int32_t *bias_, *offsets_;
  const float* multiplier_;
  const BandPixel* pixels_;
  const ExcessStep* moved_ = nullptr;
};

inline void conv_bands(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call,
                       Scratch& scratch) {
  ConvBands(weights, s, call, scratch).run();
}

inline Storage pack_conv(const Conv2dShape& s, const std::int8_t* weights) {
  return has_small_groups(s) ? pack_depthwise(s, weights) : pack_exact(s, weights);
}

inline void conv(const PackedWeights& weights, const Conv2dShape& s, const ConvCall& call, Scratch& scratch) {
  const bool small_groups = has_small_groups(s);
  if (!small_groups && !run_few_rows(weights, s, call, scratch)) {
    conv_bands(weights, s, call, scratch);
    return;
  }
  if (small_groups) depthwise_rows(weights, s, call, scratch);
  call.finish(s);
}

inline constexpr ConvKernel kConv = conv_kernel<conv>("gemm_u8s8s32_6x16c4__avx2", false, pack_conv, true);

MIDTREAD_NAMESPACE_END

#endif

// SPDX-License-Identifier: MIT
// What one thread is asked to multiply: slots a fixed distance apart by panels of weights.
//
//   acc[output(slot)][o] = bias[o] + sum over steps i, k < 64 of codes[slot * stride + steps[i] + k] *
//   w[i][k][o]
#pragma once

#include <midtread/kernels/fbgemm/vnni/panels.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels::fbgemm::amx)

/// Codes of the depth that a tile holds.
inline constexpr std::int64_t kStep = 64;
/// Fewer slots than this go to the AVX512-VNNI tiles: reading the weights is what takes the time.
inline constexpr std::int64_t kFewestSlots = 8;

struct TileJob {
  const std::uint8_t* codes;  ///< of slot 0
  std::int64_t stride;        ///< bytes from a slot to the next
  std::int64_t slots;         ///< of an image
  std::int64_t images;
  std::int64_t image_bytes, image_outputs;  ///< from an image to the next
  const std::int32_t* outputs;              ///< of the slots, -1: none; null: the slots are the outputs
  const std::int32_t* steps;                ///< where a slot's codes are, kStep at a time
  std::int64_t step_count;
  const std::int8_t* weights;  ///< [panel][step][kStep / 4][width][4]
  PanelCut cut;
  std::int64_t first_panel, last_panel;
  PanelOutput out;  ///< of output 0, column 0; `columns` are all that exist

  /// -1: none.
  std::int64_t output(std::int64_t image, std::int64_t slot) const {
    const std::int64_t output = outputs != nullptr ? outputs[slot] : slot;
    return output < 0 ? output : image * image_outputs + output;
  }
  const std::uint8_t* input(std::int64_t image, std::int64_t slot) const {
    return codes + image * image_bytes + slot * stride;
  }
  const std::int8_t* panel(std::int64_t p) const { return weights + cut.first(p) * step_count * kStep; }
};

/// `width` columns of `out` from `column` on.
inline PanelOutput columns_of(PanelOutput out, std::int64_t column, std::int64_t width) {
  if (out.codes != nullptr) out.codes += column;
  if (out.acc != nullptr) out.acc += column;
  out.bias += column;
  out.multiplier += column;
  out.columns = std::min(width, out.columns - column);
  return out;
}

/// `out` from output `origin` on.
inline PanelOutput outputs_of(PanelOutput out, std::int64_t origin) {
  if (out.codes != nullptr) out.codes += origin * out.pitch;
  if (out.acc != nullptr) out.acc += origin * out.pitch;
  return out;
}

using RunTiles = void (*)(const TileJob& job);

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Weights in the order the inner loops read them: for each panel of one or two vectors of output channels, tap after
// tap, input after input, that panel's channels, zeros where there are no more channels.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/core/storage.hpp>
#include <midtread/kernels/float/kernel_set.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

MIDTREAD_NAMESPACE_BEGIN(kernels::floating)

/// How `channels` are cut into panels: pairs of vectors, and one single vector at the end if that is enough.
struct PanelLayout {
  std::int64_t channels = 0, lanes = 1;

  std::int64_t count() const { return (channels + 2 * lanes - 1) / (2 * lanes); }
  std::int64_t first(std::int64_t panel) const { return panel * 2 * lanes; }
  std::int64_t width(std::int64_t panel) const { return std::min(channels - first(panel), 2 * lanes); }
  int vectors(std::int64_t panel) const { return width(panel) > lanes ? 2 : 1; }
  /// Channels of a panel with its zeros.
  std::int64_t padded(std::int64_t panel) const { return vectors(panel) * lanes; }
  /// Channels of all panels with their zeros.
  std::int64_t padded() const { return channels > 0 ? first(count() - 1) + padded(count() - 1) : 0; }
};

/// Matrix entry (depth k, channel c) lies at source[k * k_step + c * c_step]; `to` has depth * layout.padded() elements.
template <class S>
void pack_panel(const PanelLayout& layout, std::int64_t panel, std::int64_t depth, const S* source, std::int64_t k_step,
                std::int64_t c_step, S* to) {
  const std::int64_t width = layout.width(panel), padded = layout.padded(panel);
  const S* from = source + layout.first(panel) * c_step;
  for (std::int64_t k = 0; k < depth; ++k, to += padded) {
    const S* row = from + k * k_step;
    if (c_step == 1)
      std::memcpy(to, row, static_cast<std::size_t>(width) * sizeof(S));
    else
      for (std::int64_t c = 0; c < width; ++c) to[c] = row[c * c_step];
    for (std::int64_t c = width; c < padded; ++c) to[c] = S(0);
  }
}

/// A bias (or null: zeros) with the panels' zeros behind it.
template <class S>
Buffer<S> padded_bias(const PanelLayout& layout, const S* bias) {
  Buffer<S> out(static_cast<std::size_t>(std::max<std::int64_t>(layout.padded(), 1)));
  for (std::int64_t c = 0; c < layout.padded(); ++c) out.data()[c] = bias && c < layout.channels ? bias[c] : S(0);
  return out;
}

MIDTREAD_NAMESPACE_END

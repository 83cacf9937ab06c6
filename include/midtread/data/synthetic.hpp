// SPDX-License-Identifier: MIT
// Made-up images for tests and for machines without a data set: one smooth pattern per class, moved, dimmed
// and noisy.
#pragma once

#include <midtread/core/random.hpp>
#include <midtread/data/tensor_dataset.hpp>

#include <algorithm>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

struct SyntheticOptions {
  std::int64_t channels = 1, height = 28, width = 28;
  std::int64_t classes = 10;
  std::int64_t shift = 2;   ///< pixels an image is moved by, at most
  std::int64_t noise = 32;  ///< added to a byte, at most, either way
};

/// `count` images, labels 0, 1, ..., 0, 1, ... The patterns depend on the options only and the rest on
/// `seed`, so a training and a test set are two seeds. Integer arithmetic: the same bytes on every machine.
inline TensorDataset synthetic_images(std::int64_t count, std::uint64_t seed,
                                      const SyntheticOptions& options = {}) {
  const std::int64_t channels = options.channels, height = options.height, width = options.width;
  if (count < 0) throw ConfigError("synthetic_images", concat("got ", count, " images, allowed 0 and more"));
  if (channels < 1 || height < 1 || width < 1 || options.classes < 1 || options.shift < 0 ||
      options.noise < 0 || options.noise > 127 || options.shift > 1024)
    throw ConfigError("synthetic_images",
                      "allowed: channels, height, width and classes 1 and more, shift 0..1024, noise 0..127");

  constexpr std::int64_t kGrid = 5;  // random values per side, with straight lines between
  const auto spread = [](std::int64_t i, std::int64_t size) {  // pixel -> grid, in 256ths
    return size > 1 ? std::clamp<std::int64_t>(i, 0, size - 1) * (kGrid - 1) * 256 / (size - 1) : 0;
  };
  const Shape shape{count, channels, height, width};
  BasicTensor<std::uint8_t> images(shape, channels_last_strides(shape));
  BasicTensor<std::int64_t> labels(Shape{count});
  std::uint8_t* to = images.mutable_data();
  std::int64_t* label = labels.mutable_data();
  std::vector<std::int64_t> grid(static_cast<std::size_t>(channels * kGrid * kGrid));
  for (std::int64_t n = 0; n < count; ++n) {
    label[n] = n % options.classes;
    Generator pattern = Generator(0).fork(static_cast<std::uint64_t>(label[n]));
    for (std::int64_t& value : grid) value = pattern.below(256);
    Generator random = Generator(seed).fork(static_cast<std::uint64_t>(n));
    const std::int64_t dy = random.below(2 * options.shift + 1) - options.shift;
    const std::int64_t dx = random.below(2 * options.shift + 1) - options.shift;
    const std::int64_t gain = 128 + random.below(129);  // of 256
    std::uint32_t word = 0;
    std::int64_t drawn = 0;
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x) {
        const std::int64_t v = spread(y + dy, height), u = spread(x + dx, width);
        const std::int64_t row = std::min(v / 256, kGrid - 2), col = std::min(u / 256, kGrid - 2);
        const std::int64_t fy = v - row * 256, fx = u - col * 256;
        for (std::int64_t c = 0; c < channels; ++c) {
          const std::int64_t* g = grid.data() + (c * kGrid + row) * kGrid + col;
          const std::int64_t above = g[0] * (256 - fx) + g[1] * fx;
          const std::int64_t below = g[kGrid] * (256 - fx) + g[kGrid + 1] * fx;
          const std::int64_t value = (above * (256 - fy) + below * fy) / 65536 * gain / 256;
          word = drawn++ % 4 == 0 ? random.next() : word >> 8;
          const std::int64_t noise = (word & 255u) * (2 * options.noise + 1) / 256 - options.noise;
          *to++ = static_cast<std::uint8_t>(std::clamp<std::int64_t>(value + noise, 0, 255));
        }
      }
  }
  return TensorDataset(images, labels, options.classes);
}

MIDTREAD_NAMESPACE_END

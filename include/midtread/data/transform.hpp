// SPDX-License-Identifier: MIT
// Random changes of an image for training. All randomness comes from the generator given, one per example.
#pragma once

#include <midtread/core/random.hpp>
#include <midtread/data/normalize.hpp>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

/// [C, H, W] to an image to train on. It must not write to its argument.
using Transform = std::function<Tensor(const Tensor& image, Generator& generator)>;

/// One after the other.
inline Transform compose(std::vector<Transform> transforms) {
  return [transforms = std::move(transforms)](const Tensor& image, Generator& generator) {
    Tensor out = image;
    for (const Transform& transform : transforms) out = transform(out, generator);
    return out;
  };
}

/// Row-major [C, H, W], or ShapeError naming `where`.
inline Tensor as_image(const Tensor& image, const char* where) {
  if (image.rank() != 3)
    throw ShapeError(where, concat("the image has shape ", image.shape(), ", wanted [C, H, W]"));
  return image.contiguous();
}

/// A window of the image's own size, at a random place of the image with `padding` zeros on every side.
inline Transform random_crop(std::int64_t padding) {
  if (padding < 0 || padding > 65536)
    throw ConfigError("random_crop", concat("padding ", padding, " pixels, allowed 0..65536"));
  return [padding](const Tensor& image, Generator& generator) {
    const Tensor from = as_image(image, "random_crop");
    const std::int64_t height = from.size(1), width = from.size(2);
    const std::int64_t dy = generator.below(2 * padding + 1) - padding;
    const std::int64_t dx = generator.below(2 * padding + 1) - padding;
    Tensor out(from.shape());
    float* to = out.mutable_data();
    std::fill_n(to, out.numel(), 0.0f);
    const std::int64_t first = std::max<std::int64_t>(0, -dx), last = std::min(width, width - dx);
    for (std::int64_t row = 0; row < from.size(0) * height; ++row) {
      const std::int64_t y = row % height + dy;
      if (y < 0 || y >= height || first >= last) continue;
      std::copy_n(from.data() + (row + dy) * width + first + dx, last - first, to + row * width + first);
    }
    return out;
  };
}

/// Mirrors left and right with this probability.
inline Transform random_horizontal_flip(double probability = 0.5) {
  if (!(probability >= 0 && probability <= 1))
    throw ConfigError("random_horizontal_flip", concat("probability ", probability, ", allowed 0..1"));
  return [probability](const Tensor& image, Generator& generator) {
    const Tensor from = as_image(image, "random_horizontal_flip");
    if (generator.uniform() >= probability) return from;
    Tensor out(from.shape());
    float* to = out.mutable_data();
    const std::int64_t width = from.size(2);
    for (std::int64_t row = 0; row < from.size(0) * from.size(1); ++row)
      std::reverse_copy(from.data() + row * width, from.data() + (row + 1) * width, to + row * width);
    return out;
  };
}

MIDTREAD_NAMESPACE_END

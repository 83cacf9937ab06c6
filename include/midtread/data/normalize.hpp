// SPDX-License-Identifier: MIT
// Per-channel normalisation of an image: y = (x - mean[c]) / std[c].
#pragma once

#include <midtread/tensor/tensor.hpp>

#include <cmath>
#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

/// One mean and one standard deviation for all channels, or one per channel. Default-constructed: y = x.
class Normalize {
 public:
  Normalize() = default;
  /// Throws ConfigError unless the lists are equally long, not empty, finite, and every std is positive.
  Normalize(std::vector<float> mean, std::vector<float> std) : mean_(std::move(mean)), std_(std::move(std)) {
    if (mean_.empty() || mean_.size() != std_.size())
      throw ConfigError("normalize", concat("got ", mean_.size(), " means and ", std_.size(),
                                            " standard deviations; give as many of both, at least one"));
    for (std::size_t i = 0; i < mean_.size(); ++i)
      if (!std::isfinite(mean_[i]) || !std::isfinite(std_[i]) || !(std_[i] > 0))
        throw ConfigError("normalize", concat("channel ", i, ": mean ", mean_[i], ", std ", std_[i],
                                              "; both must be finite, std positive"));
  }

  bool empty() const noexcept { return mean_.empty(); }
  float mean(std::int64_t channel) const { return mean_.empty() ? 0.0f : mean_[position(channel)]; }
  float std(std::int64_t channel) const { return std_.empty() ? 1.0f : std_[position(channel)]; }

  /// Throws ShapeError if there is neither one value nor one per channel.
  void check_channels(std::int64_t channels) const {
    if (mean_.size() > 1 && static_cast<std::int64_t>(mean_.size()) != channels)
      throw ShapeError("normalize", concat("has ", mean_.size(), " channels, the image ", channels));
  }

  /// `image` is [C, ...].
  Tensor operator()(const Tensor& image) const {
    if (empty()) return image;
    if (image.rank() < 1) throw ShapeError("normalize", "the image is a scalar, wanted [C, H, W]");
    check_channels(image.size(0));
    Tensor out = image.contiguous().clone();
    float* to = out.mutable_data();
    const std::int64_t plane = out.size(0) > 0 ? out.numel() / out.size(0) : 0;
    for (std::int64_t c = 0; c < out.size(0); ++c) {
      const float m = mean(c), s = std(c);
      for (std::int64_t i = 0; i < plane; ++i, ++to) *to = (*to - m) / s;
    }
    return out;
  }

 private:
  std::size_t position(std::int64_t channel) const {
    return mean_.size() == 1 ? 0 : static_cast<std::size_t>(channel);
  }

  std::vector<float> mean_;
  std::vector<float> std_;
};

/// Normalize(mean, std), as the other transforms are written.
inline Normalize normalize(std::vector<float> mean, std::vector<float> std) {
  return Normalize(std::move(mean), std::move(std));
}

MIDTREAD_NAMESPACE_END

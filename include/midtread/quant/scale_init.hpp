// SPDX-License-Identifier: MIT
// The first value of a learned scale: an observer's, or from moments of the first tensor.
//
//   mean_abs     s = 2 mean|v| / sqrt(Qp)                      (LSQ 1902.08153)
//   three_sigma  s = max(|m - 3 sd|, |m + 3 sd|) / 2^(b-1)     (weights of LSQ+ 2004.09576 and TQT
//   1903.08066)
#pragma once

#include <midtread/core/fp_env.hpp>
#include <midtread/ops/channel_runs.hpp>
#include <midtread/quant/observer_options.hpp>
#include <midtread/tensor/tensor.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

enum class ScaleInit { kObserver, kMeanAbs, kThreeSigma };

inline const char* to_string(ScaleInit init) {
  return init == ScaleInit::kObserver ? "observer" : init == ScaleInit::kMeanAbs ? "mean_abs" : "three_sigma";
}

inline ScaleInit parse_scale_init(const std::string& name) {
  for (ScaleInit init : {ScaleInit::kObserver, ScaleInit::kMeanAbs, ScaleInit::kThreeSigma})
    if (name == to_string(init)) return init;
  throw ConfigError("init", concat("got '", printable(name), "', allowed observer, mean_abs, three_sigma"));
}

/// The positive levels Qp of LSQ's formulas.
inline double positive_levels(CodeRange range) {
  return static_cast<double>(range.quant_max > 0 ? range.quant_max : -range.quant_min);
}
/// 2^(b-1) of the b bits that hold the range.
inline double half_levels(CodeRange range) {
  double levels = 1;
  while (2 * levels < static_cast<double>(range.quant_max - range.quant_min + 1)) levels *= 2;
  return levels;
}

/// One scale per channel of `runs` from the moments of `x`, not below `floor`. `x` is dense; row-major where
/// there are several runs.
inline std::vector<float> moment_scales(const Tensor& x, const ops::ChannelRuns& runs, ScaleInit init,
                                        CodeRange range, float floor) {
  const FpEnvGuard fp_env;
  const auto channels = static_cast<std::size_t>(runs.channels());
  std::vector<double> sum(channels), absolute(channels), square(channels);
  std::vector<std::int64_t> count(channels);
  const float* from = x.data();
  for (std::int64_t run = 0; run < runs.count(); ++run) {
    const auto c = static_cast<std::size_t>(runs.channel(run));
    for (std::int64_t i = run * runs.length; i < (run + 1) * runs.length; ++i) {
      const auto v = static_cast<double>(from[i]);
      sum[c] += v;
      absolute[c] += std::abs(v);
      square[c] += v * v;
    }
    count[c] += runs.length;
  }
  std::vector<float> scales(channels, floor);
  for (std::size_t c = 0; c < channels; ++c) {
    if (count[c] == 0) continue;
    const double n = static_cast<double>(count[c]), mean = sum[c] / n;
    const double scale = init == ScaleInit::kMeanAbs
                             ? 2 * (absolute[c] / n) / std::sqrt(positive_levels(range))
                             : (std::abs(mean) + 3 * std::sqrt(std::max(0.0, square[c] / n - mean * mean))) /
                                   half_levels(range);
    scales[c] = std::max(floor, static_cast<float>(scale));
  }
  return scales;
}

MIDTREAD_NAMESPACE_END

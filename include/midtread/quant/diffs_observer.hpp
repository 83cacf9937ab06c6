// SPDX-License-Identifier: MIT
// Vitis AI's diffs: of five power-of-two scales, the one with the least squared error on the batch.
//
//   s = 2^-p, p = p0..p0 + 4      p0: overflow-free (power_of_two.hpp)      cost sum (x - fake_quantize(x,
//   s))^2
#pragma once

#include <midtread/quant/calibration_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Per tensor or per channel; symmetric specs. Of equal costs the smallest p.
template <class SpecType>
class DiffsObserver : public CalibrationObserver {
  static_assert(SpecType::kSymmetric,
                "DiffsObserver finds power-of-two scales, which have no zero point: give it a symmetric Spec "
                "(Int8Symmetric)");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = CalibrationOptions<Owner>;
  using Options = OptionsFor<DiffsObserver>;
  using Settings = CalibrationSettings;
  static constexpr bool kMemorylessWeight = true;
  static constexpr const char* kName = "diffs";
  static constexpr int kPositions = 5;

  explicit DiffsObserver(const CalibrationSettings& settings = {})
      : CalibrationObserver(Spec::info(), with_power_of_two(settings), {"diffs", false, true, false}) {}
  std::string type_name() const override { return "DiffsObserver"; }

 protected:
  kernels::AffineParams search(const Tensor& x, const ops::ChannelRuns& runs, std::int64_t channel,
                               const MinMax& batch) override {
    // Far beyond kMaxFixPosition all are the same, and 2^p must stay a float.
    const int first = std::min(overflow_free_position(batch.min, batch.max, range(), middle()), 100);
    double costs[kPositions] = {};
    for (std::int64_t run = 0; run < runs.count(); ++run)
      if (runs.channel(run) == channel)
        for (int k = 0; k < kPositions; ++k)
          costs[k] += cost(x.data() + run * runs.length, runs.length, first + k);
    int best = 0;
    for (int k = 1; k < kPositions; ++k)
      if (costs[k] < costs[best]) best = k;
    std::vector<RangeCandidate> candidates;
    for (int k = 0; k < kPositions && !Spec::kPerChannel; ++k)
      candidates.push_back(
          {std::ldexp(static_cast<double>(codes_above()), -(first + k)), costs[k], k == best});
    set_candidates(std::move(candidates));
    return {fix_position_scale(first + best), middle()};
  }
  Pointer shallow_copy() const override { return nn::Module::share(new DiffsObserver(*this)); }

 private:
  static CalibrationSettings with_power_of_two(CalibrationSettings settings) {
    if (!settings.scale_type) settings.scale_type = ScaleType::kPowerOfTwo;
    return settings;
  }
  /// Non-finite values, where they may be skipped, count as zeros, which cost nothing.
  double cost(const float* x, std::int64_t n, int position) const {
    const auto scale = static_cast<float>(std::ldexp(1.0, -position));
    const kernels::FakeQuantizeRow row(scale, middle(), range(), middle(), rounding());
    const double sum = kernels::row_kernels().squared_error(x, n, row);
    if (std::isfinite(sum)) return sum;
    std::vector<float> finite(x, x + n);
    for (float& v : finite)
      if (!std::isfinite(v)) v = 0;
    return kernels::row_kernels().squared_error(finite.data(), n, row);
  }
};

MIDTREAD_NAMESPACE_END

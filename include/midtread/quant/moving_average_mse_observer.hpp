// SPDX-License-Identifier: MIT
// HAT's mse: the range, shrunk in steps of a hundredth, whose codes are nearest to the values, averaged over
// batches.
//
//   cost(r) = sum (x - fake_quantize(x, r min..r max))^2,   r = 1, 0.99 .. 0.06
#pragma once

#include <midtread/quant/clipped_average_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Of equal costs the smallest range.
template <class SpecType>
class MovingAverageMseObserver : public ClippedAverageObserver {
  static_assert(
      !SpecType::kPerChannel,
      "MovingAverageMseObserver clips a whole tensor: give it a per-tensor Spec (Int8Symmetric), or use "
      "MovingAverageMinMaxObserver for one scale per channel");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = ClippedAverageOptions<Owner>;
  using Options = OptionsFor<MovingAverageMseObserver>;
  using Settings = ClippedAverageSettings;
  static constexpr const char* kName = "moving_average_mse";

  explicit MovingAverageMseObserver(const ClippedAverageSettings& settings = {})
      : ClippedAverageObserver(Spec::info(), settings, {"mse", false, false, false, true}) {}
  std::string type_name() const override { return "MovingAverageMseObserver"; }

 protected:
  MinMax clipped(const float* x, std::int64_t n, const MinMax& range) override {
    std::vector<RangeCandidate> candidates;
    MinMax best = range;
    double least = HUGE_VAL;
    std::size_t chosen = 0;
    for (int k = 0; k <= kLast; k += clipping().stride.value_or(1)) {
      const auto ratio = static_cast<float>(1 - 0.01 * k);
      const MinMax part{ratio * range.min, ratio * range.max, true};
      const ChannelQParams q = range_qparams(&part.min, &part.max, 1);
      const double cost = kernels::row_kernels().squared_error(
          x, n, {q.scales[0], q.zero_points[0], q.range, q.zero_points[0], q.rounding});
      if (cost <= least) least = cost, best = part, chosen = candidates.size();
      candidates.push_back({largest_of(part), cost, false});
    }
    candidates[chosen].chosen = true;
    set_candidates(std::move(candidates));
    return best;
  }
  Pointer shallow_copy() const override { return nn::Module::share(new MovingAverageMseObserver(*this)); }

 private:
  static constexpr int kLast = 94;
};

MIDTREAD_NAMESPACE_END

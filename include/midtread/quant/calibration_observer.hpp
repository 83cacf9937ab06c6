// SPDX-License-Identifier: MIT
// Base of the calibration methods (Vitis AI's): each batch gives a scale, a statistic makes one of them.
//
//   symmetric  s = t / (hi - z)      affine  range max(min, -t)..min(max, t) by choose_qparams      all zero
//   s = 2^-18
//
// t is the method's threshold: what lies beyond is clipped. Zero points: the most frequent, of equals the
// smallest.
#pragma once

#include <midtread/quant/calibration_options.hpp>
#include <midtread/quant/range_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Buffers besides the range's (of all data): history_scale float32 [n, C] and history_zero_point int32 [n,
/// C], one row per batch, the last kHistory of them; C = 1 per tensor.
class CalibrationObserver : public RangeObserver {
 public:
  static constexpr std::int64_t kHistory = 1024;

  bool observe_range(float, float) override { return false; }
  void reset() override {
    RangeObserver::reset();
    forget();
  }
  void restore(const ChannelQParams& q) override {
    RangeObserver::restore(q);
    forget();
    append(q.scales, q.zero_points);
  }
  ChannelQParams qparams() const override {
    require_ready();
    const std::int64_t channels = min_val().numel(), rows = history_scale_.numel() / channels;
    if (rows < 1 || rows * channels != history_scale_.numel() ||
        history_scale_.shape() != history_zero_point_.shape())
      throw ShapeError(
          where(), concat("history_scale has shape ", history_scale_.shape(), ", history_zero_point ",
                          history_zero_point_.shape(), ", needs a row of ", channels, " for every batch"));
    ChannelQParams out = empty_qparams();
    std::vector<float> scales(static_cast<std::size_t>(rows));
    std::vector<std::int32_t> zero_points(scales.size());
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t r = 0; r < rows; ++r) {
        scales[static_cast<std::size_t>(r)] = history_scale_.data()[r * channels + c];
        zero_points[static_cast<std::size_t>(r)] = history_zero_point_.data()[r * channels + c];
      }
      std::sort(zero_points.begin(), zero_points.end());
      out.scales.push_back(statistic_of(scales, calibration_.chosen_statistic()));
      out.zero_points.push_back(most_frequent(zero_points, false));
    }
    return out;
  }
  std::vector<RangeCandidate> candidates() const override { return candidates_; }
  std::string options_text() const override {
    std::string text =
        calibration_.per_batch ? to_string(calibration_.chosen_statistic()) : "all batches together";
    const std::string rest = RangeObserver::options_text();
    return rest.empty() ? text : text + ", " + rest;
  }
  const CalibrationSettings& calibration() const noexcept { return calibration_; }

 protected:
  /// Throws ConfigError on options that do not fit the spec or the method.
  CalibrationObserver(const SpecInfo& spec, const CalibrationSettings& settings,
                      const CalibrationMethod& method)
      : RangeObserver(spec, (check(settings, method), settings)), calibration_(settings) {
    history_scale_ = register_buffer("history_scale", Tensor(Shape{0}));
    history_zero_point_ = register_buffer("history_zero_point", BasicTensor<std::int32_t>(Shape{0}));
  }
  CalibrationObserver(const CalibrationObserver&) = default;

  /// Scale and zero point of the values of `runs` that belong to `channel`, their range being `range`, or,
  /// where per_batch is false, of all data so far.
  virtual kernels::AffineParams search(const Tensor& x, const ops::ChannelRuns& runs, std::int64_t channel,
                                       const MinMax& range) = 0;

  /// Of data in `range`, clipped at +-threshold.
  kernels::AffineParams threshold_params(const MinMax& range, double threshold) const {
    const auto t = static_cast<float>(threshold);
    if (!(t > 0)) return {kZeroRangeScale, spec().symmetric ? middle() : this->range().quant_min};
    const auto eps = static_cast<float>(settings().eps);
    if (!spec().symmetric)
      return kernels::choose_qparams(std::max(range.min, -t), std::min(range.max, t), false, this->range(),
                                     spec().dtype, eps);
    return {std::max(t / static_cast<float>(codes_above()), eps), middle()};
  }
  /// Codes on the side of the zero point that the threshold maps to; symmetric specs.
  std::int32_t codes_above() const {
    return range().quant_max > middle() ? range().quant_max - middle() : middle() - range().quant_min;
  }
  void set_candidates(std::vector<RangeCandidate> candidates) { candidates_ = std::move(candidates); }

  void take_in(const Tensor& x, const ops::ChannelRuns& runs, const std::vector<MinMax>& batch) override {
    std::vector<float> scales;
    std::vector<std::int32_t> zero_points;
    candidates_.clear();
    for (std::size_t c = 0; c < batch.size(); ++c) {
      MinMax range = batch[c].empty() ? MinMax{0, 0, true} : batch[c];
      if (keeps_all() && state() == ObserverState::kReady)
        range.merge({min_val().data()[c], max_val().data()[c], true});
      const kernels::AffineParams p = search(x, runs, static_cast<std::int64_t>(c), range);
      scales.push_back(p.scale);
      zero_points.push_back(p.zero_point);
    }
    if (is_memoryless() || !calibration_.per_batch) forget_history();
    append(scales, zero_points);
  }
  /// Whether a search sees the data of all batches.
  bool keeps_all() const { return !calibration_.per_batch && !is_memoryless(); }
  /// All but the range.
  virtual void forget() { forget_history(); }
  MinMax merged(const MinMax& before, const MinMax& batch) const override {
    MinMax out = before;
    out.merge(batch);
    return out;
  }
  void rebind() override {
    RangeObserver::rebind();
    history_scale_ = get_tensor<float>(own_buffers().at("history_scale"), where());
    history_zero_point_ = get_tensor<std::int32_t>(own_buffers().at("history_zero_point"), where());
  }

 private:
  void forget_history() {
    history_scale_.set_data(Tensor(Shape{0}));
    history_zero_point_.set_data(BasicTensor<std::int32_t>(Shape{0}));
  }
  void append(const std::vector<float>& scales, const std::vector<std::int32_t>& zero_points) {
    const auto channels = static_cast<std::int64_t>(scales.size());
    std::vector<float> s = history_scale_.to_vector();
    std::vector<std::int32_t> z = history_zero_point_.to_vector();
    s.insert(s.end(), scales.begin(), scales.end());
    z.insert(z.end(), zero_points.begin(), zero_points.end());
    if (static_cast<std::int64_t>(s.size()) > kHistory * channels) {
      s.erase(s.begin(), s.begin() + static_cast<std::ptrdiff_t>(channels));
      z.erase(z.begin(), z.begin() + static_cast<std::ptrdiff_t>(channels));
    }
    const Shape shape{static_cast<std::int64_t>(s.size()) / channels, channels};
    history_scale_.set_data(from_vector(s, shape));
    history_zero_point_.set_data(from_vector(z, shape));
  }

  CalibrationSettings calibration_;
  Tensor history_scale_;
  BasicTensor<std::int32_t> history_zero_point_;
  std::vector<RangeCandidate> candidates_;
};

MIDTREAD_NAMESPACE_END

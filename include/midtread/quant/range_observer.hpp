// SPDX-License-Identifier: MIT
// Observers that keep a smallest and a largest value, per tensor or per channel, and derive scales from them
// by kernels::choose_qparams. How a batch changes them is the derived class's.
#pragma once

#include <midtread/core/fp_env.hpp>
#include <midtread/ops/channel_runs.hpp>
#include <midtread/quant/min_max.hpp>
#include <midtread/quant/observer_base.hpp>
#include <midtread/quant/observer_options.hpp>
#include <midtread/tensor/factory.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Buffers (PyTorch's names): min_val, max_val of shape [] or, once data was seen, [C]; eps of shape [1].
/// Poisoned is NaN in them, so that it survives a checkpoint.
class RangeObserver : public ObserverBase {
 public:
  void observe(const Tensor& input) override {
    if (input.numel() == 0) return;
    const FpEnvGuard fp_env;
    check_statistics();
    if (!is_memoryless() && state() == ObserverState::kPoisoned) require_ready();
    const bool whole = !spec().per_channel && input.is_dense();
    const Tensor x = whole ? input : input.contiguous();
    const ops::ChannelRuns runs = spec().per_channel
                                      ? ops::ChannelRuns(x.shape(), axis(), settings_.groups, where())
                                      : ops::ChannelRuns(Shape{1, x.numel()}, 0, 1, where());
    if (!is_memoryless() && min_val_.numel() != 0 && min_val_.numel() != runs.channels())
      throw ShapeError(where(), concat("has statistics of ", min_val_.numel(), " channels, the tensor ",
                                       x.shape(), " has ", runs.channels(), " along axis ", axis(),
                                       "; reset() before another tensor"));
    std::vector<MinMax> batch = ranges(x, runs);
    bool finite = true;
    for (const MinMax& range : batch) finite = finite && range.finite;
    if (!finite) {
      count_non_finite(input, runs.channels());
      batch = finite_ranges(x, runs);
    }
    take_in(x, runs, batch);
    narrow(x, batch);
    accumulate(batch);
  }

  bool observe_range(float min, float max) override {
    if (spec().per_channel) return false;
    const FpEnvGuard fp_env;
    check_statistics();
    if (!is_memoryless() && state() == ObserverState::kPoisoned) require_ready();
    if (!std::isfinite(min) || !std::isfinite(max)) {
      poison(1);
      throw NumericError(where(), concat("non-finite range ", min, "..", max,
                                         "; lower the learning rate or check the input"));
    }
    if (min <= max) accumulate({{min, max, true}});
    return true;
  }

  ChannelQParams qparams() const override {
    require_ready();
    check_statistics();
    return range_qparams(min_val_.data(), max_val_.data(), static_cast<std::size_t>(min_val_.numel()));
  }

  ObserverState state() const override {
    if (min_val_.numel() == 0) return ObserverState::kEmpty;
    const float *min = min_val_.data(), *max = max_val_.data();
    bool untouched = true, finite = true;
    for (std::int64_t c = 0; c < std::min(min_val_.numel(), max_val_.numel()); ++c) {
      untouched = untouched && min[c] == HUGE_VALF && max[c] == -HUGE_VALF;
      finite = finite && std::isfinite(min[c]) && std::isfinite(max[c]);
    }
    return untouched ? ObserverState::kEmpty : finite ? ObserverState::kReady : ObserverState::kPoisoned;
  }

  void reset() override {
    min_val_.set_data(empty_statistic(HUGE_VALF));
    max_val_.set_data(empty_statistic(-HUGE_VALF));
  }

  /// The range that holds all codes; symmetric: the one whose scale comes out again. Throws QuantizationError
  /// on a zero point that a symmetric spec does not have, and on a scale that is no power of two where it
  /// must be.
  void restore(const ChannelQParams& q) override {
    for (std::size_t c = 0; c < q.scales.size(); ++c) {
      int exponent = 0;
      if (spec().symmetric && q.zero_points[c] != symmetric_zero_point_)
        throw QuantizationError(where(), concat("got zero point ", q.zero_points[c], ", ", spec().name(),
                                                " has ", symmetric_zero_point_));
      if (settings_.is_power_of_two() && std::frexp(q.scales[c], &exponent) != 0.5f)
        throw QuantizationError(where(),
                                concat("got scale ", q.scales[c], ", scale_type power_of_two allows 2^-p"));
    }
    std::vector<MinMax> ranges(q.scales.size());
    for (std::size_t c = 0; c < ranges.size(); ++c) {
      const float s = q.scales[c], z = static_cast<float>(q.zero_points[c]),
                  lo = static_cast<float>(q.range.quant_min), hi = static_cast<float>(q.range.quant_max),
                  half = (hi - lo) / 2;
      ranges[c] =
          spec().symmetric ? MinMax{-half * s, half * s, true} : MinMax{(lo - z) * s, (hi - z) * s, true};
    }
    store(ranges);
  }

  bool is_memoryless() const override { return settings_.memoryless.value_or(false); }
  int axis() const override { return spec().per_channel ? settings_.axis.value_or(0) : -1; }
  const ObserverSettings& settings() const noexcept { return settings_; }
  const Tensor& min_val() const noexcept { return min_val_; }
  const Tensor& max_val() const noexcept { return max_val_; }

  std::string options_text() const override {
    std::string text;
    const auto add = [&](const std::string& item) { text += (text.empty() ? "" : ", ") + item; };
    if (is_memoryless()) add("memoryless");
    if (spec().per_channel) add(concat("axis=", axis()));
    if (settings_.groups != 1) add(concat("groups=", settings_.groups));
    if (settings_.is_power_of_two()) add("scale_type=power_of_two");
    if (rounding() != Rounding::kHalfEven) add(concat("rounding=", to_string(rounding())));
    if (settings_.skip_nonfinite) add("skip_nonfinite");
    return text;
  }

 protected:
  /// Throws ConfigError on options that do not fit `spec`.
  RangeObserver(const SpecInfo& spec, const ObserverSettings& settings, bool averages = false)
      : ObserverBase(spec, (check(settings, spec, averages), resolved_range(spec, settings.range)),
                     settings.rounding),
        settings_(settings),
        symmetric_zero_point_(symmetric_zero_point(spec, settings.range)) {
    eps_ = register_buffer("eps", full<float>(Shape{1}, static_cast<float>(settings.eps)));
    min_val_ = register_buffer("min_val", empty_statistic(HUGE_VALF));
    max_val_ = register_buffer("max_val", empty_statistic(-HUGE_VALF));
  }
  RangeObserver(const RangeObserver&) = default;

  /// The new range of a channel from the one before and the batch's.
  virtual MinMax merged(const MinMax& before, const MinMax& batch) const = 0;

  /// More of a batch than its range, before the range is merged. `x` is dense, in any order where per tensor,
  /// else row-major; it holds non-finite values only where they may be skipped.
  virtual void take_in(const Tensor& x, const ops::ChannelRuns& runs, const std::vector<MinMax>& batch) {
    (void)x, (void)runs, (void)batch;
  }

  /// Clips the batch's ranges before they are merged. `x` as in take_in.
  virtual void narrow(const Tensor& x, std::vector<MinMax>& batch) { (void)x, (void)batch; }

  /// Scales and zero points of `channels` ranges.
  ChannelQParams range_qparams(const float* min, const float* max, std::size_t channels) const {
    if (eps_.numel() != 1 || !(eps_.data()[0] > 0))
      throw QuantizationError(where(), concat("eps of shape ", eps_.shape(), " must be one positive number"));
    const FpEnvGuard fp_env;
    ChannelQParams out = empty_qparams();
    out.scales.resize(channels);
    out.zero_points.resize(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      const kernels::AffineParams p =
          kernels::choose_qparams(min[c], max[c], spec().symmetric, range(), spec().dtype, eps_.data()[0]);
      out.scales[c] = p.scale;
      out.zero_points[c] = spec().symmetric ? symmetric_zero_point_ : p.zero_point;
      if (settings_.is_power_of_two())
        out.scales[c] =
            fix_position_scale(overflow_free_position(min[c], max[c], range(), symmetric_zero_point_));
    }
    return out;
  }
  /// All but the scales and zero points.
  ChannelQParams empty_qparams() const {
    ChannelQParams out;
    out.axis = axis();
    out.range = range();
    out.dtype = spec().dtype;
    out.rounding = rounding();
    return out;
  }
  /// Where the spec is symmetric.
  std::int32_t middle() const noexcept { return symmetric_zero_point_; }

  void rebind() override {
    eps_ = get_tensor<float>(own_buffers().at("eps"), where());
    min_val_ = get_tensor<float>(own_buffers().at("min_val"), where());
    max_val_ = get_tensor<float>(own_buffers().at("max_val"), where());
  }

 private:
  /// A checkpoint may have brought anything.
  void check_statistics() const {
    if (min_val_.numel() != max_val_.numel() || (!spec().per_channel && min_val_.numel() != 1))
      throw ShapeError(where(),
                       concat("min_val has shape ", min_val_.shape(), " and max_val ", max_val_.shape(),
                              spec().per_channel ? ", needs one value per channel" : ", needs one value"));
  }

  Tensor empty_statistic(float value) const {
    return spec().per_channel ? Tensor(Shape{0}) : scalar<float>(value);
  }

  void store(const std::vector<MinMax>& ranges) {
    const Shape shape = spec().per_channel ? Shape{static_cast<std::int64_t>(ranges.size())} : Shape{};
    if (min_val_.shape() != shape) min_val_.set_data(Tensor(shape));
    if (max_val_.shape() != shape) max_val_.set_data(Tensor(shape));
    float *min = min_val_.mutable_data(), *max = max_val_.mutable_data();
    for (std::size_t c = 0; c < ranges.size(); ++c) {
      min[c] = ranges[c].min;
      max[c] = ranges[c].max;
    }
  }

  void accumulate(std::vector<MinMax> batch) {
    const bool first = is_memoryless() || state() == ObserverState::kEmpty;
    for (std::size_t c = 0; c < batch.size(); ++c) {
      if (batch[c].empty())  // only non-finite values, which were skipped
        batch[c] = first ? MinMax{0.0f, 0.0f, true} : MinMax{min_val_.data()[c], max_val_.data()[c], true};
      else if (!first)
        batch[c] = merged({min_val_.data()[c], max_val_.data()[c], true}, batch[c]);
    }
    store(batch);
  }

  static std::vector<MinMax> ranges(const Tensor& x, const ops::ChannelRuns& runs) {
    std::vector<MinMax> out(static_cast<std::size_t>(runs.channels()));
    const float* from = x.data();
    if (runs.count() == 1) {
      out[0] = parallel_min_max(from, runs.length);
    } else if (runs.outer == 1) {
      const std::int64_t grain = (1 << 15) / std::max<std::int64_t>(runs.length, 1) + 1;
      parallel_for(0, runs.count(), grain, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t c = first; c < last; ++c)
          out[static_cast<std::size_t>(c)] = min_max(from + c * runs.length, runs.length);
      });
    } else {
      for (std::int64_t run = 0; run < runs.count(); ++run)
        out[static_cast<std::size_t>(runs.channel(run))].merge(
            min_max(from + run * runs.length, runs.length));
    }
    return out;
  }

  static std::vector<MinMax> finite_ranges(const Tensor& x, const ops::ChannelRuns& runs) {
    std::vector<MinMax> out(static_cast<std::size_t>(runs.channels()));
    for (std::int64_t run = 0; run < runs.count(); ++run)
      out[static_cast<std::size_t>(runs.channel(run))].merge(
          finite_min_max(x.data() + run * runs.length, runs.length));
    return out;
  }

  /// Counts them if they may be skipped, else is poisoned and throws.
  void count_non_finite(const Tensor& x, std::int64_t channels) {
    std::int64_t index = 0, first = -1, count = 0;
    Tensor::for_each_offset(x.shape(), x.strides(), [&](std::int64_t at) {
      if (!std::isfinite(x.data()[at])) {
        if (first < 0) first = index;
        ++count;
      }
      ++index;
    });
    if (settings_.skip_nonfinite) return count_skipped(count);
    poison(channels);
    throw NumericError(where(), concat(count, " non-finite of ", x.numel(), " values, first at index ", first,
                                       "; lower the learning rate, check the input, or set skip_nonfinite"));
  }

  void poison(std::int64_t channels) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    store(std::vector<MinMax>(static_cast<std::size_t>(channels), MinMax{nan, nan, false}));
  }

  ObserverSettings settings_;
  std::int32_t symmetric_zero_point_;
  Tensor eps_, min_val_, max_val_;
};

MIDTREAD_NAMESPACE_END

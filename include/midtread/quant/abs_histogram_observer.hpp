// SPDX-License-Identifier: MIT
// Base of the calibration methods that look at a histogram of |x|: percentile, MSE and entropy.
#pragma once

#include <midtread/quant/abs_histogram.hpp>
#include <midtread/quant/calibration_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Where per_batch is false the histogram is kept in two more buffers: histogram float64 [bins] and
/// histogram_width float64 [1].
class AbsHistogramObserver : public CalibrationObserver {
 protected:
  AbsHistogramObserver(const SpecInfo& spec, const CalibrationSettings& settings,
                       const CalibrationMethod& method)
      : CalibrationObserver(spec, settings, method) {
    if (settings.per_batch) return;
    counts_ = register_buffer("histogram", BasicTensor<double>(Shape{0}));
    width_ = register_buffer("histogram_width", zeros<double>(Shape{1}));
  }
  AbsHistogramObserver(const AbsHistogramObserver&) = default;

  /// Where to clip what `histogram` counted; `range` is that of the data, not 0..0.
  virtual double threshold(const AbsHistogram& histogram, const MinMax& range) = 0;

  kernels::AffineParams search(const Tensor& x, const ops::ChannelRuns&, std::int64_t,
                               const MinMax& range) override {
    AbsHistogram h = keeps_all() ? kept() : AbsHistogram(calibration().chosen_bins());
    const double largest = static_cast<double>(std::max(std::fabs(range.min), std::fabs(range.max)));
    h.add(x.data(), x.numel(), largest, calibration().chosen_bins());
    if (keeps_all()) {
      counts_.set_data(from_vector(h.counts, Shape{static_cast<std::int64_t>(h.bins())}));
      width_.fill_(h.width);
    }
    return threshold_params(range, largest > 0 ? threshold(h, range) : 0.0);
  }
  /// First bin tried as the end of the range.
  int search_start() const {
    return calibration().search_start.value_or(calibration().chosen_bins() / 4 * 3);
  }
  int search_stride() const { return calibration().search_stride.value_or(16); }

  void forget() override {
    CalibrationObserver::forget();
    if (calibration().per_batch) return;
    counts_.set_data(BasicTensor<double>(Shape{0}));
    width_.fill_(0);
  }
  void rebind() override {
    CalibrationObserver::rebind();
    if (calibration().per_batch) return;
    counts_ = get_tensor<double>(own_buffers().at("histogram"), where());
    width_ = get_tensor<double>(own_buffers().at("histogram_width"), where());
  }

 private:
  AbsHistogram kept() const {
    AbsHistogram h(calibration().chosen_bins());
    if (counts_.numel() == 0) return h;
    h.counts = counts_.to_vector();
    h.width = width_.item();
    bool good = std::isfinite(h.width) && h.width >= 0;
    for (double c : h.counts) good = good && c >= 0 && std::isfinite(c);
    if (!good)
      throw QuantizationError(where(), "histogram or histogram_width holds what is not a count or a width");
    return h;
  }

  BasicTensor<double> counts_, width_;
};

MIDTREAD_NAMESPACE_END

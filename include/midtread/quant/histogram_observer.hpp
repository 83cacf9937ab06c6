// SPDX-License-Identifier: MIT
// PyTorch's HistogramObserver: counts all values in equal bins, then looks for the range with the least
// squared error (histogram.hpp).
#pragma once

#include <midtread/quant/histogram.hpp>
#include <midtread/quant/range_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct HistogramSettings : ObserverSettings {
  int bins = 2048;
  int upsample_rate = 16;
};

template <class OwnerType>
class HistogramOptions : public ObserverSetters<HistogramOptions<OwnerType>, HistogramSettings> {
  using Base = ObserverSetters<HistogramOptions<OwnerType>, HistogramSettings>;

 public:
  using Owner = OwnerType;
  static constexpr const char* kMoreNames = ", bins, upsample_rate";

  /// 2..65536, default 2048.
  HistogramOptions& bins(int value) { return this->settings_.bins = value, *this; }
  /// Into how many parts an old bin is cut when the range grows: 1..1024, default 16.
  HistogramOptions& upsample_rate(int value) { return this->settings_.upsample_rate = value, *this; }

  /// By name. Throws ConfigError listing the names.
  HistogramOptions& set(const std::string& name, const OptionValue& value) {
    const OptionReader read(name, value);
    if (name == "bins") return bins(read.integer<int>());
    if (name == "upsample_rate") return upsample_rate(read.integer<int>());
    return Base::set(name, value);
  }
};

/// Throws ConfigError.
inline const HistogramSettings& checked(const HistogramSettings& settings) {
  if (settings.bins < 2 || settings.bins > 65536)
    throw ConfigError("bins", concat("got ", settings.bins, ", allowed 2..65536"));
  if (settings.upsample_rate < 1 || settings.upsample_rate > 1024)
    throw ConfigError("upsample_rate", concat("got ", settings.upsample_rate, ", allowed 1..1024"));
  return settings;
}

/// Buffers besides the range's: histogram, float32 [bins]. The search counts 256 codes whatever reduce_range
/// says, as PyTorch's does; where quant_min and quant_max or bit_width are given, those.
template <class SpecType>
class HistogramObserver : public RangeObserver {
  static_assert(!SpecType::kPerChannel,
                "HistogramObserver keeps one histogram: give it a per-tensor Spec (UInt8Affine), or use "
                "MinMaxObserver for one range per channel");

 public:
  using Spec = SpecType;
  template <class Owner>
  using OptionsFor = HistogramOptions<Owner>;
  using Options = OptionsFor<HistogramObserver>;
  using Settings = HistogramSettings;
  static constexpr bool kMemorylessWeight = true;
  static constexpr const char* kName = "histogram";

  /// Throws ConfigError on options that do not fit.
  explicit HistogramObserver(const HistogramSettings& settings = {})
      : RangeObserver(Spec::info(), checked(settings)), upsample_rate_(settings.upsample_rate) {
    const RangeRequest& range = settings.range;
    codes_ = range.quant_min ? *range.quant_max - *range.quant_min + 1 : 1 << range.bit_width.value_or(8);
    histogram_ = register_buffer("histogram", zeros<float>(Shape{settings.bins}));
  }

  std::string type_name() const override { return "HistogramObserver"; }
  std::string options_text() const override {
    const std::string rest = RangeObserver::options_text();
    return concat("bins=", histogram_.numel(), rest.empty() ? "" : ", ", rest);
  }
  bool observe_range(float, float) override { return false; }
  void reset() override {
    RangeObserver::reset();
    histogram_.fill_(0);
  }
  /// Takes the range alone; nothing is counted, so nothing is cut off it.
  void restore(const ChannelQParams& q) override {
    RangeObserver::restore(q);
    histogram_.fill_(0);
  }
  ChannelQParams qparams() const override {
    require_ready();
    const auto [min, max] = searched_range();
    return range_qparams(&min, &max, 1);
  }

  /// The range with the least error; StateError before any data.
  std::pair<float, float> searched_range() const {
    require_ready();
    const Histogram h = counted();
    if (h.min == h.max) return {min_val().item(), max_val().item()};
    const BinWindow window = least_loss_window(h, codes_);
    const double width = (h.max - h.min) / h.bins();
    return {window.first == 0 ? min_val().item() : static_cast<float>(h.min + width * window.first),
            window.last == h.bins() - 1 ? max_val().item()
                                        : static_cast<float>(h.min + width * (window.last + 1))};
  }
  const Tensor& histogram() const noexcept { return histogram_; }

 protected:
  void take_in(const Tensor& x, const ops::ChannelRuns&, const std::vector<MinMax>& batch) override {
    if (batch[0].empty()) return;
    Histogram seen = counted(), fresh;
    const bool first = is_memoryless() || state() == ObserverState::kEmpty;
    fresh.min = static_cast<double>(first ? batch[0].min : std::min(batch[0].min, min_val().item()));
    fresh.max = static_cast<double>(first ? batch[0].max : std::max(batch[0].max, max_val().item()));
    fresh.counts.resize(seen.counts.size());
    fresh.count(x.data(), x.numel());
    if (!first) seen.widen(fresh.min, fresh.max, upsample_rate_);
    float* to = histogram_.mutable_data();
    for (std::size_t i = 0; i < fresh.counts.size(); ++i)
      to[i] = static_cast<float>(fresh.counts[i] + (first ? 0 : seen.counts[i]));
  }
  MinMax merged(const MinMax& before, const MinMax& batch) const override {
    MinMax out = before;
    out.merge(batch);
    return out;
  }
  Pointer shallow_copy() const override { return nn::Module::share(new HistogramObserver(*this)); }
  void rebind() override {
    RangeObserver::rebind();
    histogram_ = get_tensor<float>(own_buffers().at("histogram"), where());
  }

 private:
  /// A checkpoint may have brought anything.
  Histogram counted() const {
    Histogram h;
    if (histogram_.shape().rank() != 1 || histogram_.numel() < 2)
      throw ShapeError(where(), concat("histogram has shape ", histogram_.shape(),
                                       ", needs one count for each of two bins or more"));
    h.min = static_cast<double>(min_val().item());
    h.max = static_cast<double>(max_val().item());
    for (float c : histogram_.to_vector()) {
      if (!(c >= 0) || !std::isfinite(c))
        throw QuantizationError(where(), concat("histogram holds ", c, ", a count is 0 or more"));
      h.counts.push_back(static_cast<double>(c));
    }
    return h;
  }

  int codes_ = 256;
  int upsample_rate_;
  Tensor histogram_;
};

MIDTREAD_NAMESPACE_END

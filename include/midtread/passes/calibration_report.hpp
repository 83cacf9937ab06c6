// SPDX-License-Identifier: MIT
// What calibration chose and how well it fits: per fake quantizer the range, the share of values it clips,
// the signal to quantization noise, what the method weighed, and warnings.
//
//   SQNR = 10 log10(sum x^2 / sum (x - fake_quantize(x))^2) dB
#pragma once

#include <midtread/passes/batch_input.hpp>
#include <midtread/passes/calibrate.hpp>
#include <midtread/qat/conv_unit.hpp>
#include <midtread/quant/range_observer.hpp>

#include <ostream>

MIDTREAD_NAMESPACE_BEGIN(passes)

/// One fake quantizer on all data of the report. Per channel: ranges of all channels together, the smallest
/// and the largest scale.
struct QuantizerReport {
  std::string name;
  std::string method;  ///< the observer, or the fake quantizer where that learns its scale
  std::string spec;    ///< "uint8_affine, 0..255"
  float smallest_scale = 0, largest_scale = 0;
  std::int32_t zero_point = 0;          ///< of the first channel
  double range_min = 0, range_max = 0;  ///< what the codes can represent
  double data_min = HUGE_VAL, data_max = -HUGE_VAL;
  std::int64_t values = 0, clipped = 0;           ///< clipped: rounds to a code outside quant_min..quant_max
  double signal = 0, noise = 0;                   ///< sums of squares
  std::vector<quant::RangeCandidate> candidates;  ///< of the observer's last search
  std::vector<std::string> warnings;

  double clip_rate() const {
    return values == 0 ? 0 : static_cast<double>(clipped) / static_cast<double>(values);
  }
  /// In dB; infinite where nothing is lost.
  double sqnr() const { return noise == 0 ? HUGE_VAL : 10.0 * std::log10(signal / noise); }
};

struct CalibrationReport {
  std::vector<QuantizerReport> quantizers;
  std::int64_t batches = 0;

  /// Null where there is none of this name.
  const QuantizerReport* find(const std::string& name) const {
    for (const QuantizerReport& q : quantizers)
      if (q.name == name) return &q;
    return nullptr;
  }
  std::vector<std::string> warnings() const {
    std::vector<std::string> out;
    for (const QuantizerReport& q : quantizers)
      for (const std::string& w : q.warnings) out.push_back(q.name + ": " + w);
    return out;
  }
};

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes::detail)

/// How many of the `n` values from `x` on round to codes outside the range.
inline std::int64_t count_clipped(const float* x, std::int64_t n, float scale, std::int32_t zero_point,
                                  CodeRange range, Rounding rounding) {
  const FpEnvGuard fp_env;
  const float inverse = kernels::reciprocal(scale);
  const CodeRange wider{range.quant_min - 1, range.quant_max + 1};
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t code = kernels::quantize_code(x[i], inverse, zero_point, wider, rounding);
    count += code < range.quant_min || code > range.quant_max;
  }
  return count;
}

/// Adds a tensor to the report of the quantizer it enters.
inline void add_tensor(QuantizerReport& to, const quant::FakeQuantizeBase& quantizer, const Tensor& value) {
  const Tensor x = value.detach().contiguous();
  if (x.numel() == 0) return;
  const Tensor y = quantizer.fake_quantize(x).contiguous(), bent = quantizer.before_rounding(x).contiguous();
  const ChannelQParams q = quantizer.qparams();
  const quant::MinMax seen = quant::parallel_min_max(x.data(), x.numel());
  to.data_min = std::min(to.data_min, static_cast<double>(seen.min));
  to.data_max = std::max(to.data_max, static_cast<double>(seen.max));
  to.values += x.numel();
  const ops::ChannelRuns runs(q.axis < 0 ? Shape{1, x.numel()} : x.shape(), std::max(q.axis, 0), 1, to.name);
  for (std::int64_t run = 0; run < runs.count(); ++run) {
    const std::int64_t channel = runs.channel(run);
    to.clipped += count_clipped(bent.data() + run * runs.length, runs.length, q.scale(channel),
                                q.zero_point(channel), q.range, q.rounding);
  }
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double real = static_cast<double>(x.data()[i]), error = real - static_cast<double>(y.data()[i]);
    to.signal += real * real;
    to.noise += error * error;
  }
}

/// All but the data. Gives false, and a warning, where the quantizer has no usable scale.
inline bool describe(QuantizerReport& to, const quant::FakeQuantizeBase& quantizer) {
  to.method =
      quantizer.type_name() == "FakeQuantize" ? quantizer.observer().type_name() : quantizer.type_name();
  to.spec =
      concat(quantizer.spec().name(), ", ", quantizer.range().quant_min, "..", quantizer.range().quant_max);
  to.candidates = quantizer.observer().candidates();
  try {
    const ChannelQParams q = quantizer.qparams();
    to.smallest_scale = *std::min_element(q.scales.begin(), q.scales.end());
    to.largest_scale = *std::max_element(q.scales.begin(), q.scales.end());
    to.zero_point = q.zero_points[0];
    for (std::size_t c = 0; c < q.scales.size(); ++c) {
      const double scale = static_cast<double>(q.scales[c]);
      to.range_min = std::min(to.range_min, scale * (q.range.quant_min - q.zero_points[c]));
      to.range_max = std::max(to.range_max, scale * (q.range.quant_max - q.zero_points[c]));
    }
    return true;
  } catch (const QuantizationError& error) {
    to.warnings.push_back(error.detail());  // a scale that is not normal, a zero point outside the range
  } catch (const StateError& error) {
    to.warnings.push_back(error.detail());
  }
  return false;
}

inline void warn(QuantizerReport& to, const quant::FakeQuantizeBase& quantizer) {
  if (to.values == 0)
    to.warnings.push_back("saw no data");
  else if (to.data_min == 0 && to.data_max == 0)
    to.warnings.push_back("dead: every value is 0");
  else if (to.clip_rate() > 0.01)
    to.warnings.push_back(concat("clips ", 100 * to.clip_rate(), " % of the values; data ", to.data_min, "..",
                                 to.data_max, ", range ", to.range_min, "..", to.range_max));
  else if (to.data_max - to.data_min < (to.range_max - to.range_min) / 8)
    to.warnings.push_back(concat("the data, ", to.data_min, "..", to.data_max,
                                 ", fills less than an eighth of the range, ", to.range_min, "..",
                                 to.range_max));
  const auto* ranged = dynamic_cast<const quant::RangeObserver*>(&quantizer.observer());
  if (ranged && ranged->settings().is_power_of_two() &&
      to.smallest_scale == quant::fix_position_scale(quant::kMaxFixPosition))
    to.warnings.push_back(
        concat("the scale 2^-", quant::kMaxFixPosition, " is the smallest power of two allowed"));
  if (!quantizer.is_enabled()) to.warnings.push_back("is switched off");
}

class CalibrationReporter {
 public:
  explicit CalibrationReporter(graph::GraphModule& prepared) : prepared_(prepared) {
    for (const auto& node : prepared.nodes())
      if (const auto* unit = dynamic_cast<const qat::Unit*>(node->module.get())) {
        start(unit->activation_post_process(), node->name);
        if (const auto* layer = dynamic_cast<const qat::ConvUnit*>(unit))
          weigh(*layer, node->name + ".weight");
      }
  }

  void add(const Tensors& inputs) {
    const CalibrationScope scope(prepared_, false);
    const NoGradGuard no_grad;
    prepared_.run(inputs, [&](const graph::Node& node, const Tensor& value) {
      const auto* unit = dynamic_cast<const qat::Unit*>(node.module.get());
      if (!unit) return;
      const quant::FakeQuantizeBase& quantizer = unit->activation_post_process();
      const Entry* entry = find(quantizer);
      if (entry && entry->usable) add_tensor(report_.quantizers[entry->place], quantizer, value);
    });
    ++report_.batches;
  }

  CalibrationReport finish() {
    for (const Entry& entry : entries_)
      if (entry.usable) warn(report_.quantizers[entry.place], *entry.quantizer);
    return std::move(report_);
  }

 private:
  struct Entry {
    const quant::FakeQuantizeBase* quantizer;
    std::size_t place;
    bool usable;
  };
  const Entry* find(const quant::FakeQuantizeBase& quantizer) const {
    for (const Entry& entry : entries_)
      if (entry.quantizer == &quantizer) return &entry;
    return nullptr;
  }
  /// Null where this quantizer is in the report already.
  const Entry* start(const quant::FakeQuantizeBase& quantizer, const std::string& name) {
    if (find(quantizer)) return nullptr;
    report_.quantizers.emplace_back();
    report_.quantizers.back().name = name;
    const bool usable = describe(report_.quantizers.back(), quantizer);
    entries_.push_back({&quantizer, report_.quantizers.size() - 1, usable});
    return &entries_.back();
  }
  void weigh(const qat::ConvUnit& layer, const std::string& name) {
    quant::FakeQuantizeBase& quantizer = layer.weight_fake_quant();
    if (find(quantizer)) return;
    const NoGradGuard no_grad;
    const Tensor weight = layer.folded().first;
    if (quantizer.is_memoryless()) quantizer.observe(weight);
    const Entry* entry = start(quantizer, name);
    if (entry->usable) add_tensor(report_.quantizers[entry->place], quantizer, weight);
  }

  graph::GraphModule& prepared_;
  CalibrationReport report_;
  std::vector<Entry> entries_;
};

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes)

/// Compares the ranges of a calibrated or trained model with what a batch of data, computed in float, would
/// need. Changes neither ranges nor switches.
inline CalibrationReport calibration_report(graph::GraphModule& prepared, const Tensor& batch) {
  detail::CalibrationReporter reporter(prepared);
  reporter.add({batch});
  return reporter.finish();
}

/// The same over a range of batches: anything whose elements have `.input` or are tensors. `batches` < 0: all
/// of them. StateError if there was none.
template <class Loader>
CalibrationReport calibration_report(graph::GraphModule& prepared, Loader&& loader, std::int64_t batches) {
  detail::CalibrationReporter reporter(prepared);
  std::int64_t seen = 0;
  if (batches != 0)
    for (const auto& batch : loader) {
      reporter.add({batch_input(batch)});
      if (++seen == batches) break;
    }
  if (seen == 0) throw StateError("calibration_report", "the loader gave no batch; a report needs data");
  return reporter.finish();
}

/// A table, one row per fake quantizer, then the warnings.
inline std::ostream& operator<<(std::ostream& out, const CalibrationReport& report) {
  std::vector<std::vector<std::string>> rows{
      {"quantizer", "method", "codes", "scale", "zero", "range", "data", "clipped %", "SQNR dB"}};
  for (const QuantizerReport& q : report.quantizers) {
    std::string scale = concat(q.smallest_scale), data = "-";
    if (q.largest_scale != q.smallest_scale) scale += concat("..", q.largest_scale);
    if (q.values > 0) data = concat(q.data_min, "..", q.data_max);
    rows.push_back({q.name, q.method, q.spec, scale, std::to_string(q.zero_point),
                    concat(q.range_min, "..", q.range_max), data, concat(100 * q.clip_rate()),
                    concat(q.sqnr())});
  }
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c)
      out << row[c] << (c + 1 == row.size() ? "\n" : std::string(widths[c] - row[c].size() + 2, ' '));
  for (const std::string& warning : report.warnings()) out << "warning: " << warning << '\n';
  return out;
}

MIDTREAD_NAMESPACE_END

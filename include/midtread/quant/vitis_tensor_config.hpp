// SPDX-License-Identifier: MIT
// How one tensor is quantized, in the words of Vitis AI's quantize strategy; which of them go together; and
// the fake quantizer they mean.
//
//   signed and symmetric  codes -2^(b-1) + narrow .. 2^(b-1) - 1, z = 0      else  0 .. 2^b - 1
#pragma once

#include <midtread/quant/registry.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

enum class VitisTarget { kDpu, kCpu, kGpu };
enum class VitisTensor { kWeights, kBias, kActivation, kInput };
enum class VitisMethod { kMaxMin, kPercentile, kEntropy, kMse, kDiffs };

inline const char* to_string(VitisTarget target) {
  return target == VitisTarget::kDpu ? "DPU" : target == VitisTarget::kCpu ? "CPU" : "GPU";
}
inline const char* to_string(VitisTensor tensor) {
  const char* const names[] = {"weights", "bias", "activation", "input"};
  return names[static_cast<int>(tensor)];
}
inline const char* to_string(VitisMethod method) {
  const char* const names[] = {"maxmin", "percentile", "entropy", "mse", "diffs"};
  return names[static_cast<int>(method)];
}

/// One entry of a strategy; the defaults are Vitis AI's.
struct VitisTensorConfig {
  int bit_width = 8;
  VitisMethod method = VitisMethod::kDiffs;
  Rounding round_mode = Rounding::kStdRound;
  bool symmetry = true;
  bool per_channel = false;
  bool is_signed = true;
  bool narrow_range = false;
  ScaleType scale_type = ScaleType::kPowerOfTwo;
  Statistic calib_statistic_method = Statistic::kModal;
  std::optional<double> percentage;

  /// Activations round half up, all else half away from zero.
  static VitisTensorConfig defaults(VitisTensor tensor) {
    VitisTensorConfig out;
    if (tensor == VitisTensor::kActivation) out.round_mode = Rounding::kHalfUp;
    return out;
  }
};

/// Every rule that `config` breaks, one sentence each; none: empty.
inline std::vector<std::string> conflicts(const VitisTensorConfig& config, VitisTensor tensor,
                                          VitisTarget target) {
  std::vector<std::string> out;
  const std::string name = to_string(tensor);
  const auto demand = [&](bool holds, const std::string& field, const std::string& got,
                          const std::string& rest) {
    if (!holds) out.push_back(name + "." + field + ": got " + got + ", " + rest);
  };
  const auto yes_no = [](bool value) { return std::string(value ? "true" : "false"); };
  const bool power = config.scale_type == ScaleType::kPowerOfTwo, weights = tensor == VitisTensor::kWeights;
  const bool collects = tensor == VitisTensor::kActivation || tensor == VitisTensor::kInput;
  const std::string method = to_string(config.method),
                    scale = std::string("scale_type ") + to_string(config.scale_type),
                    statistic = to_string(config.calib_statistic_method);
  const bool max_min = config.method == VitisMethod::kMaxMin, diffs = config.method == VitisMethod::kDiffs;

  const std::string default_note = " (the default)";
  const int most = tensor == VitisTensor::kBias ? 32 : 8;
  demand(config.bit_width >= 2 && config.bit_width <= most, "bit_width", std::to_string(config.bit_width),
         concat("allowed 2..", most));
  demand(!config.per_channel || weights, "per_channel", "true",
         "allowed for weights only: an activation has one scale");
  if (power) {
    demand(max_min || diffs, "method", method, "with " + scale + " allowed maxmin, diffs");
    demand(config.symmetry, "symmetry", "false",
           "with " + scale + " allowed true: a shift has no zero point");
    demand(config.is_signed, "signed", "false", "with " + scale + " allowed true");
    if (collects)
      demand(statistic == "modal", "calib_statistic_method", statistic, "with " + scale + " allowed modal");
  } else {
    demand(!diffs, "method", method + default_note,
           "with " + scale + " allowed maxmin, percentile, mse, entropy");
    demand(!config.per_channel || max_min || diffs, "method", method,
           "with per_channel true and " + scale + " allowed maxmin");
    demand(config.symmetry || max_min || diffs, "symmetry", "false",
           "with method " + method + " allowed true; maxmin allows both");
    if (collects)
      demand(statistic != "modal", "calib_statistic_method", statistic + default_note,
             "with " + scale + " allowed max, mean, median");
  }
  demand(!config.narrow_range || (config.is_signed && config.symmetry), "narrow_range", "true",
         std::string("allowed with signed true and symmetry true, here signed ") + yes_no(config.is_signed) +
             ", symmetry " + yes_no(config.symmetry));
  demand(!config.percentage || config.method == VitisMethod::kPercentile, "percentage",
         config.percentage ? concat(*config.percentage) : "",
         "with method " + method + " not allowed; set it with percentile");
  demand(!config.percentage || (*config.percentage > 0 && *config.percentage <= 100), "percentage",
         config.percentage ? concat(*config.percentage) : "", "allowed above 0, up to 100");
  if (target == VitisTarget::kDpu) {
    demand(power, "scale_type", to_string(config.scale_type), "target_device DPU allows power_of_two");
    demand(!config.per_channel, "per_channel", "true", "target_device DPU allows false");
    demand(!config.narrow_range, "narrow_range", "true", "target_device DPU allows false");
    const Rounding wanted = tensor == VitisTensor::kActivation ? Rounding::kHalfUp : Rounding::kStdRound;
    demand(config.round_mode == wanted, "round_mode", to_string(config.round_mode),
           std::string("target_device DPU allows ") + to_string(wanted));
  }
  return out;
}

/// What the tensors of one layer must agree on besides: the DPU's biases have the width of its activations.
inline std::vector<std::string> conflicts(const VitisTensorConfig& activation, const VitisTensorConfig& bias,
                                          VitisTarget target) {
  if (target != VitisTarget::kDpu || activation.bit_width == bias.bit_width) return {};
  return {concat("activation.bit_width: got ", activation.bit_width, " with bias.bit_width ", bias.bit_width,
                 ", target_device DPU allows equal ones")};
}

/// Throws ConfigError with all conflicts, at `where`.
inline void check(const VitisTensorConfig& config, VitisTensor tensor, VitisTarget target,
                  const std::string& where = "quantize strategy") {
  std::string text;
  for (const std::string& each : conflicts(config, tensor, target)) text += (text.empty() ? "" : "; ") + each;
  if (!text.empty()) throw ConfigError(where, text);
}

/// The fake quantizer of an activation, an input or weights. uint8 affine stands for unsigned and for
/// asymmetric codes: of data without negative values its zero point is 0. Throws ConfigError where rules are
/// broken, UnsupportedError for weights that are not signed and symmetric (the kernels' have no zero point)
/// and for biases (int32, made by convert).
inline FakeQuantizeChoice fake_quantize_choice(const VitisTensorConfig& config, VitisTensor tensor,
                                               VitisTarget target) {
  check(config, tensor, target);
  const bool is_int8 = config.is_signed && config.symmetry;
  if (tensor == VitisTensor::kBias)
    throw UnsupportedError("bias", "has no fake quantizer: convert gives int32 codes of scale s_x * s_w");
  if (tensor == VitisTensor::kWeights && !is_int8)
    throw UnsupportedError("weights",
                           "signed and symmetric ones only: the kernels' weights have no zero point");
  const char* const methods[] = {"max_min", "percentile", "entropy", "mse", "diffs"};
  // Vitis AI searches no better position for the network's inputs.
  const bool whole = config.method == VitisMethod::kDiffs && tensor == VitisTensor::kInput;
  FakeQuantizeChoice out;
  out.name = std::string(whole ? "max_min" : methods[static_cast<int>(config.method)]) +
             (is_int8 ? "/int8_symmetric" : "/uint8_affine") + (config.per_channel ? "_per_channel" : "");
  out.values.insert("bit_width", static_cast<double>(config.bit_width));
  out.values.insert("rounding", std::string(to_string(config.round_mode)));
  out.values.insert("scale_type", std::string(to_string(config.scale_type)));
  if (is_int8) out.values.insert("narrow_range", config.narrow_range);
  if (tensor != VitisTensor::kWeights)
    out.values.insert("statistic", std::string(to_string(config.calib_statistic_method)));
  if (config.percentage) out.values.insert("percentage", *config.percentage);
  return out;
}

MIDTREAD_NAMESPACE_END

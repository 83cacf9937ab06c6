// SPDX-License-Identifier: MIT
// From a real weight and bias to what an int8 convolution needs. QAT units compute it on every eval forward,
// convert once: the same function, so the same integers.
//
//   bs[c] = s_x * s_w[c],  bq[c] = rne(b[c] * (1/bs[c])),  m[c] = bs[c] / s_y
#pragma once

#include <midtread/core/qparams.hpp>
#include <midtread/kernels/choose_qparams.hpp>
#include <midtread/tensor/tensor.hpp>

#include <algorithm>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quantized)
MIDTREAD_EXACT_BEGIN

/// Integer parameters of a convolution or linear layer with O outputs.
struct ConvWeights {
  BasicTensor<std::int8_t> codes;  ///< [O, ...], row-major
  std::vector<float> scales;       ///< [O]
  std::vector<std::int32_t> bias;  ///< [O] bias codes
  std::vector<float> multiplier;   ///< [O]
  int raised = 0;                  ///< channels whose scale was raised to hold the bias
};

/// Per output channel: the quantizer's scale, raised where the bias code would pass 2^30 (DESIGN: bias rule).
/// `bias` may be undefined. Throws ShapeError naming `where` unless there is one scale, or one per channel.
inline std::vector<float> weight_scales(const ChannelQParams& weight, std::int64_t channels,
                                        const midtread::Tensor& bias, float input_scale,
                                        int* raised = nullptr,
                                        const std::string& where = "weight_fake_quant") {
  MIDTREAD_EXACT
  const std::size_t wanted = weight.axis < 0 ? 1 : static_cast<std::size_t>(channels);
  if (weight.scales.size() != wanted || weight.zero_points.size() != wanted)
    throw ShapeError(
        where, concat("the weight has ", channels, " output channels, its quantizer ", weight.scales.size(),
                      " scales and ", weight.zero_points.size(), " zero points"));
  std::vector<float> scales(static_cast<std::size_t>(channels));
  for (std::int64_t c = 0; c < channels; ++c) {
    const float scale = weight.scale(c);
    const float b = bias.defined() ? bias.data()[c] : 0.0f;
    const float used = kernels::raised_weight_scale(scale, b, input_scale);
    if (raised && used != scale) ++*raised;
    scales[static_cast<std::size_t>(c)] = used;
  }
  return scales;
}

/// `weight` is [O, ...] row-major, output channel first (a transposed layer's too); `bias` [O] or undefined.
/// Throws QuantizationError naming `where` if an accumulator could overflow or a multiplier is not a normal
/// float.
inline ConvWeights quantize_conv_weights(const midtread::Tensor& weight, const midtread::Tensor& bias,
                                         const ChannelQParams& qw, const QParams& x, const QParams& y,
                                         const std::string& where) {
  MIDTREAD_EXACT
  if (qw.dtype != DType::kInt8)
    throw QuantizationError(where, concat("weights are ", qw.dtype, ", the kernels take int8"));
  const midtread::Tensor w = weight.contiguous();
  const midtread::Tensor b = bias.defined() ? bias.contiguous() : bias;
  const std::int64_t channels = w.size(0), depth = channels ? w.numel() / channels : 0;
  ConvWeights out;
  out.scales = weight_scales(qw, channels, b, x.scale, &out.raised, where);
  out.codes = BasicTensor<std::int8_t>(w.shape());
  out.bias.resize(static_cast<std::size_t>(channels));
  out.multiplier.resize(static_cast<std::size_t>(channels));
  std::int8_t* codes = out.codes.mutable_data();
  std::int64_t largest = 0;
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto at = static_cast<std::size_t>(c);
    if (qw.zero_point(c) != 0)
      throw QuantizationError(where, concat("weight zero point ", qw.zero_point(c), " in channel ", c,
                                            ", the kernels take 0: use a symmetric spec"));
    const float scale = out.scales[at];
    kernels::quantize(w.data() + c * depth, codes + c * depth, depth, {scale, 0, qw.range, qw.rounding});
    for (std::int64_t i = 0; i < depth; ++i)
      largest = std::max<std::int64_t>(largest, std::abs(int{codes[c * depth + i]}));
    const float bias_scale = x.scale * scale;
    out.bias[at] = b.defined() ? kernels::bias_code(b.data()[c], bias_scale) : 0;
    const float multiplier = bias_scale / y.scale;
    out.multiplier[at] = multiplier;
    if (!(multiplier >= 1.17549435e-38f) || !(multiplier <= 3.402823466e38f))
      throw QuantizationError(where, concat("channel ", c, ": input scale ", x.scale, " * weight scale ",
                                            scale, " / output scale ", y.scale, " = ", multiplier,
                                            " must be a normal float; check the observed ranges"));
  }
  const std::int64_t reach = std::max(x.range.quant_max - x.zero_point, x.zero_point - x.range.quant_min);
  if (largest * depth * reach > (std::int64_t{1} << 30))
    throw QuantizationError(where, concat(depth, " products of up to ", reach, " * ", largest,
                                          " can pass 2^30; split the layer or use fewer bits"));
  return out;
}

MIDTREAD_EXACT_END
MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Which tensor of a network has how many bits, and the quantizer a method gives it.
//
// WwAa: weights have w bits, and what a convolution or linear layer reads has a bits. The first and the last
// layer keep 8 bits for weight and input (1902.08153), and so do tensors that no such layer reads: the
// summands of a residual addition, and the logits.
#pragma once

#include <midtread/midtread.hpp>
#include <midtread/quant/dorefa.hpp>
#include <midtread/quant/lsq_plus.hpp>
#include <midtread/quant/pact.hpp>
#include <midtread/quant/tqt.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace examples {

namespace quant = midtread::quant;
namespace graph = midtread::graph;

struct BitWidths {
  int weight = 8, activation = 8;
  std::string str() const { return midtread::concat("W", weight, "A", activation); }
};

/// "W4A8". Throws ConfigError.
inline BitWidths parse_bit_widths(const std::string& text) {
  const bool fits = text.size() == 4 && text[0] == 'W' && text[2] == 'A' && text[1] >= '2' &&
                    text[1] <= '8' && text[3] >= '2' && text[3] <= '8';
  if (!fits)
    throw midtread::ConfigError(
        "--bits", "got '" + midtread::printable(text) + "', allowed W2A2 to W8A8, as in W4A8,W2A2");
  return {text[1] - '0', text[3] - '0'};
}

/// How one layer is quantized. `positive`: its output is that of a ReLU.
struct LayerBits {
  int weight = 8, activation = 8;
  bool positive = false;
};

template <class Spec>
using Averaged = quant::MovingAverageMinMaxObserver<Spec>;
using Channels = quant::MinMaxObserver<quant::Int8PerChannel>;

template <class ActivationOptions, class WeightOptions>
std::shared_ptr<const quant::AnyQConfig> qconfig_of(const ActivationOptions& activation,
                                                    const WeightOptions& weight) {
  return quant::erase(quant::QConfig(activation, weight));
}

inline std::shared_ptr<const quant::AnyQConfig> fake_quant_qconfig(const LayerBits& bits) {
  return qconfig_of(quant::DefaultActivation::Options().bit_width(bits.activation),
                    quant::DefaultWeight::Options().bit_width(bits.weight));
}
/// Below 8 bits the first step is the paper's 2 mean|v| / sqrt(Qp), at 8 bits the range's; weights of 8 bits
/// keep to theirs, for a step of max|w| / 127 per channel is less than one update of it.
inline std::shared_ptr<const quant::AnyQConfig> lsq_qconfig(const LayerBits& bits) {
  const auto init = [](int b) { return b < 8 ? quant::ScaleInit::kMeanAbs : quant::ScaleInit::kObserver; };
  const auto activation = quant::Lsq<Averaged<quant::UInt8Affine>>::Options()
                              .bit_width(bits.activation)
                              .init(init(bits.activation));
  if (bits.weight == 8) return qconfig_of(activation, quant::DefaultWeight::Options());
  return qconfig_of(activation, quant::Lsq<Channels>::Options()
                                    .bit_width(bits.weight)
                                    .narrow_range(bits.weight > 4)
                                    .init(quant::ScaleInit::kMeanAbs));
}
inline std::shared_ptr<const quant::AnyQConfig> lsq_plus_qconfig(const LayerBits& bits) {
  return qconfig_of(quant::LsqPlus<Averaged<quant::UInt8Affine>>::Options().bit_width(bits.activation),
                    quant::LsqPlus<Channels>::Options().bit_width(bits.weight).narrow_range(bits.weight > 4));
}
/// Thresholds of signed tensors are symmetric; a ReLU's codes start at zero.
inline std::shared_ptr<const quant::AnyQConfig> tqt_qconfig(const LayerBits& bits) {
  auto activation = quant::Tqt<Averaged<quant::Int8Symmetric>>::Options();
  if (bits.positive)
    activation.quant_min(0).quant_max(bits.activation < 8 ? (1 << bits.activation) - 1 : 127);
  else
    activation.bit_width(bits.activation);
  return qconfig_of(activation, quant::Tqt<Channels>::Options().bit_width(bits.weight));
}
/// `Activation` cuts at zero, so that only a ReLU's output can have it; weights are DoReFa's, whose codes end
/// at 7 bits.
template <class Activation>
std::shared_ptr<const quant::AnyQConfig> clipped_qconfig(const LayerBits& bits) {
  const auto with = [&](const auto& activation) {
    return bits.weight < 8
               ? qconfig_of(activation,
                            quant::DoReFaWeight<quant::Int8PerChannel>::Options().bits(bits.weight))
               : qconfig_of(activation, quant::DefaultWeight::Options());
  };
  return bits.positive ? with(typename Activation::Options().bit_width(bits.activation))
                       : with(quant::DefaultActivation::Options().bit_width(bits.activation));
}

/// Not trained: calibrated, then the rounding of the weights is learned (passes/adaround.hpp).
constexpr const char* kAdaRound = "adaround";

struct Method {
  const char* name;
  std::shared_ptr<const quant::AnyQConfig> (*qconfig)(const LayerBits& bits);
};
inline const std::vector<Method>& methods() {
  static const std::vector<Method> all{{"fake_quant", fake_quant_qconfig},
                                       {"lsq", lsq_qconfig},
                                       {"lsq_plus", lsq_plus_qconfig},
                                       {"pact", clipped_qconfig<quant::Pact<Averaged<quant::UInt8Affine>>>},
                                       {"tqt", tqt_qconfig},
                                       {"dorefa", clipped_qconfig<quant::DoReFaActivation>},
                                       {kAdaRound, fake_quant_qconfig}};
  return all;
}
/// Throws ConfigError for an unknown name.
inline const Method& find_method(const std::string& name) {
  std::string known;
  for (const Method& method : methods()) {
    if (method.name == name) return method;
    known += (known.empty() ? "" : ", ") + std::string(method.name);
  }
  throw midtread::ConfigError("--method", "got '" + midtread::printable(name) + "', allowed " + known);
}

/// A model whose input has a quantizer with a name of its own, "quant".
struct StubbedImpl : midtread::nn::Module {
  explicit StubbedImpl(const std::shared_ptr<midtread::nn::Module>& inner)
      : model(register_module("model", inner)) {}
  midtread::Tensor forward(const midtread::Tensor& x) override { return model->forward(quant(x)); }
  midtread::nn::QuantStub quant = register_module("quant", midtread::nn::QuantStub());
  std::shared_ptr<midtread::nn::Module> model;
};
MIDTREAD_MODULE(Stubbed);

/// The qconfig of every layer and operation of `fused`, the trace of a Stubbed.
class BitWidthPlan {
 public:
  BitWidthPlan(const graph::GraphModule& fused, BitWidths bits, bool all_layers)
      : fused_(fused), bits_(bits) {
    for (const auto& node : fused.nodes())
      if (is_layer(*node)) layers_.push_back(node.get());
    if (!all_layers && !layers_.empty()) wide_ = {layers_.front(), layers_.back()};
  }

  quant::QConfigMapping mapping(const Method& method) const {
    quant::QConfigMapping out;
    for (const auto& node : fused_.nodes()) {
      using graph::NodeKind;
      if (node->kind != NodeKind::kModule && node->kind != NodeKind::kFunction) continue;
      LayerBits bits{is_wide(node.get()) ? 8 : bits_.weight, activation_bits(node.get()), is_positive(*node)};
      if (node->name.find('#') == std::string::npos)  // later calls share the first one's
        out.set_module_name(node->name, method.qconfig(bits));
    }
    return out;
  }

 private:
  static bool is_layer(const graph::Node& node) {
    const auto* fused = dynamic_cast<const midtread::nn::FusedImpl*>(node.module.get());
    return node.module && (fused || midtread::qat::as_layer(*node.module));
  }
  static bool is_positive(const graph::Node& node) {
    const auto* fused = dynamic_cast<const midtread::nn::FusedImpl*>(node.module.get());
    if (fused) return fused->activation() != midtread::nn::FusedActivation::kNone;
    return node.operation && midtread::ops::as<midtread::ops::AddRelu>(*node.operation);
  }
  bool is_wide(const graph::Node* node) const {
    return std::find(wide_.begin(), wide_.end(), node) != wide_.end();
  }
  /// The least that a reader asks for; what only moves codes asks for its own readers.
  int activation_bits(const graph::Node* node) const {
    int bits = 8;
    for (const graph::Node* user : fused_.users(node)) {
      if (is_layer(*user))
        bits = std::min(bits, is_wide(user) ? 8 : bits_.activation);
      else if (user->operation &&
               midtread::passes::preserves_codes(*user->operation, node->example_shape.rank()))
        bits = std::min(bits, activation_bits(user));
    }
    return bits;
  }

  const graph::GraphModule& fused_;
  BitWidths bits_;
  std::vector<const graph::Node*> layers_, wide_;
};

}  // namespace examples

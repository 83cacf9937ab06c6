// SPDX-License-Identifier: MIT
// The prepared model in eval mode against the int8 model, node by node: codes that differ, the largest
// difference in steps, and the signal to quantization noise against the real values.
//
//   SQNR = 20 log10(|x| / |x - y|) dB
#pragma once

#include <midtread/core/name_index.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/graph/graph_module.hpp>
#include <midtread/nn/mode_guard.hpp>
#include <midtread/passes/batch_input.hpp>
#include <midtread/quantized/model.hpp>

#include <ostream>

MIDTREAD_NAMESPACE_BEGIN(passes)

/// One node of both models, over all data.
struct NodeAgreement {
  std::string name;
  std::int64_t compared = 0;  ///< codes; real values for float islands
  std::int64_t mismatches = 0;
  std::int64_t max_lsb = 0;      ///< largest difference of codes
  double signal = 0, noise = 0;  ///< sums of squares of the prepared value and of the difference

  /// In dB; infinite where nothing differs.
  double sqnr() const { return noise == 0 ? HUGE_VAL : 10.0 * std::log10(signal / noise); }
};

struct VerifyReport {
  std::vector<NodeAgreement> nodes;
  std::int64_t images = 0;
  std::int64_t compared_codes = 0;
  std::int64_t mismatched_codes = 0;
  std::int64_t mismatched_argmax = 0;   ///< rows of the first output whose largest entry is elsewhere
  std::int64_t mismatched_outputs = 0;  ///< real output values that are not bit-equal

  bool ok() const { return mismatched_codes == 0 && mismatched_argmax == 0 && mismatched_outputs == 0; }
};

inline std::ostream& operator<<(std::ostream& out, const VerifyReport& report) {
  for (const NodeAgreement& node : report.nodes)
    if (node.mismatches > 0)
      out << node.name << ": " << node.mismatches << " of " << node.compared << " differ, by up to "
          << node.max_lsb << " steps, SQNR " << node.sqnr() << " dB\n";
  return out << "codes that differ between the prepared model in eval mode and the int8 model: "
             << report.mismatched_codes << " of " << report.compared_codes << '\n';
}

/// Compares batch after batch.
MIDTREAD_CLASS_ON_USE(ConvertVerifier)
class BasicConvertVerifier {
 public:
  /// `prepared` is run as it is: put it into eval mode, unless another mode is to be compared.
  BasicConvertVerifier(graph::GraphModule& prepared, const quantized::Model& int8)
      : prepared_(prepared), int8_(int8) {}

  void add(const Tensors& inputs) {
    const NoGradGuard no_grad;
    NameIndex place;
    Tensors expected;
    const Tensors outputs = prepared_.run(inputs, [&](const graph::Node& node, const Tensor& value) {
      place.emplace(node.name, expected.size());
      expected.push_back(value);
    });
    int8_.run(inputs, workspace_, [&](const quantized::Model::Step& step, const quantized::Value& value) {
      const auto found = place.find(step.name);
      if (found != place.end()) compare(step.name, expected[found->second], value);
    });
    const quantized::Workspace::Plan& plan = int8_.run(inputs, workspace_);  // as deployed
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Tensor got =
          std::get<Tensor>(plan.values[static_cast<std::size_t>(int8_.outputs()[i])]).contiguous();
      const Tensor want = outputs[i].contiguous();
      for (std::int64_t k = 0; k < want.numel(); ++k)
        report_.mismatched_outputs += want.data()[k] != got.data()[k];
      if (i == 0 && want.rank() == 2) compare_argmax(want, got);
    }
    report_.images += inputs.empty() ? 0 : inputs[0].size(0);
  }
  const VerifyReport& report() const { return report_; }

 private:
  NodeAgreement& entry(const std::string& name) {
    const auto found = index_.find(name);
    if (found != index_.end()) return report_.nodes[found->second];
    index_[name] = report_.nodes.size();
    report_.nodes.push_back({});
    report_.nodes.back().name = name;
    return report_.nodes.back();
  }
  void compare(const std::string& name, const Tensor& want, const quantized::Value& got) {
    if (const auto* codes = std::get_if<quantized::Tensor>(&got)) {
      NodeAgreement& at = entry(name);
      at.compared += codes->numel();
      report_.compared_codes += codes->numel();
      if (!want.codes() ||
          want.codes()->values.shape() != codes->shape()) {  // no codes to compare: all of them count
        at.mismatches += codes->numel();
        report_.mismatched_codes += codes->numel();
        return;
      }
      const BasicTensor<std::uint8_t>& a = want.codes()->values;
      const BasicTensor<std::uint8_t>& b = codes->stored();
      const double scale = static_cast<double>(codes->qparams().scale);
      const std::int32_t zero = codes->stored_zero_point();
      std::int64_t mismatches = 0;
      BasicTensor<std::uint8_t>::for_each_offset_pair(
          a.shape(), a.strides(), b.strides(), [&](std::int64_t i, std::int64_t j) {
            const std::int64_t x = a.data()[i], y = b.data()[j], difference = x > y ? x - y : y - x;
            const double real = static_cast<double>(x - zero) * scale;
            at.signal += real * real;
            if (difference == 0) return;
            ++mismatches;
            at.max_lsb = std::max(at.max_lsb, difference);
            at.noise += static_cast<double>(difference * difference) * scale * scale;
          });
      if (!(want.codes()->qparams == codes->qparams()))
        mismatches = codes->numel();  // equal codes of another meaning
      at.mismatches += mismatches;
      report_.mismatched_codes += mismatches;
    } else {
      const Tensor& real = std::get<Tensor>(got);
      if (real.shape() != want.shape()) return;
      NodeAgreement& at = entry(name);
      Tensor::for_each_offset_pair(
          want.shape(), want.strides(), real.strides(), [&](std::int64_t i, std::int64_t j) {
            const double x = static_cast<double>(want.data()[i]), y = static_cast<double>(real.data()[j]);
            ++at.compared;
            at.mismatches += x != y;
            at.signal += x * x;
            at.noise += (x - y) * (x - y);
          });
    }
  }
  void compare_argmax(const Tensor& want, const Tensor& got) {
    const auto best = [](const float* row, std::int64_t n) { return std::max_element(row, row + n) - row; };
    const std::int64_t columns = want.size(1);
    if (columns == 0) return;
    for (std::int64_t r = 0; r < want.size(0); ++r)
      report_.mismatched_argmax +=
          best(want.data() + r * columns, columns) != best(got.data() + r * columns, columns);
  }

  graph::GraphModule& prepared_;
  const quantized::Model& int8_;
  quantized::Workspace workspace_;
  NameIndex index_;
  VerifyReport report_;
};

/// Compares on one batch, with `prepared` in eval mode for the time of the call.
MIDTREAD_ON_USE VerifyReport verify_convert(graph::GraphModule& prepared, const quantized::Model& int8,
                                            const Tensor& input) {
  const nn::ModeGuard modes(prepared);
  prepared.eval();
  ConvertVerifier verifier(prepared, int8);
  verifier.add({input});
  return verifier.report();
}

/// The same over a range of batches (elements with `.input`, or tensors).
template <class Loader>
VerifyReport verify_convert_on(graph::GraphModule& prepared, const quantized::Model& int8, Loader&& loader) {
  const nn::ModeGuard modes(prepared);
  prepared.eval();
  ConvertVerifier verifier(prepared, int8);
  for (const auto& batch : loader) {
    verifier.add({batch_input(batch)});
  }
  return verifier.report();
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// What a model is made of, as a table: layers, output shapes, parameters, multiply-adds.
#pragma once

#include <midtread/core/columns.hpp>
#include <midtread/core/on_use.hpp>
#include <midtread/nn/module.hpp>
#include <midtread/tensor/factory.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(nn::detail)

/// Notes every module call of one forward.
MIDTREAD_CLASS_ON_USE(SummaryRecorder)
class BasicSummaryRecorder final : public ops::Recorder {
 public:
  struct Row {
    std::string path, type;
    int depth = 0;
    Shape output;
    std::int64_t parameters = 0, multiply_adds = 0;
    bool repeated = false;
  };

  explicit BasicSummaryRecorder(Module& root) {
    for (const auto& item : root.named_modules()) paths_[item.second] = item.first;
  }
  void enter(Module& module) override {
    const bool inside_call = !open_.empty() && open_.back().module == &module;
    open_.push_back({&module, inside_call ? open_.back().row : add_row(module)});
  }
  void leave() override { open_.pop_back(); }
  void function(std::shared_ptr<const ops::Operation>, const Tensors&, const Tensor& output) override {
    produced(output);
  }
  void leaf(Module& module, const Tensors& inputs, const Tensors& outputs) override {
    const bool entered = !open_.empty() && open_.back().module == &module;
    const std::size_t row = entered ? open_.back().row : add_row(module);
    rows[row].output = outputs.at(0).shape();
    rows[row].multiply_adds = multiply_adds(module, inputs.at(0), outputs.at(0));
    activations += outputs[0].numel();
    produced(outputs[0], false);
  }

  std::vector<Row> rows;
  std::int64_t activations = 0;

 private:
  struct Open {
    const Module* module;
    std::size_t row;
  };

  std::size_t add_row(Module& module) {
    Row row;
    const std::string* path = paths_.find(&module);
    row.path = path ? *path : "?";
    row.type = module.type_name();
    row.depth =
        row.path.empty() ? 0 : static_cast<int>(std::count(row.path.begin(), row.path.end(), '.')) + 1;
    row.repeated = !seen_.insert(&module);
    for (const auto& p : module.own_parameters())
      if (p.second.defined() && counted_.insert(p.second.identity())) row.parameters += p.second.numel();
    rows.push_back(row);
    return rows.size() - 1;
  }
  /// The last result inside a module is taken for its output.
  void produced(const Tensor& output, bool count = true) {
    for (const Open& open : open_) rows[open.row].output = output.shape();
    if (count) activations += output.numel();
  }
  /// Every weight is used once per output pixel (a transposed convolution: per input pixel).
  static std::int64_t multiply_adds(const Module& module, const Tensor& input, const Tensor& output) {
    const Tensor* weight = module.own_parameters().find("weight");
    if (!weight || !weight->defined() || weight->rank() < 2) return 0;
    const bool transposed = module.type_name() == "ConvTranspose2d";
    const Tensor& pixels = transposed ? input : output;
    return pixels.numel() / std::max<std::int64_t>(1, weight->size(0)) * weight->numel();
  }

  IdentityMap<std::string> paths_;
  IdentitySet seen_;
  IdentitySet counted_;
  std::vector<Open> open_;
};

/// 61706 as "61,706".
MIDTREAD_ON_USE std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}
MIDTREAD_ON_USE std::string megabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(nn)

/// Runs `module` once on zeros of shape `input`, in eval mode and without history, and tabulates what was
/// called. Modes are restored.
MIDTREAD_ON_USE std::string summary(Module& module, const Shape& input) {
  detail::SummaryRecorder recorder(module);
  const auto modules = module.named_modules();
  std::vector<bool> modes;
  for (const auto& item : modules) modes.push_back(item.second->training());
  struct Restore {
    const decltype(modules)& all;
    const std::vector<bool>& modes;
    ops::Recorder* before;
    ~Restore() {
      ops::recorder() = before;
      for (std::size_t i = 0; i < all.size(); ++i) all[i].second->train(modes[i]);  // parents come first
    }
  } restore{modules, modes, ops::recorder()};
  {
    const NoGradGuard no_grad;
    module.eval();
    Tensor zeros_input(input, channels_last_strides(input));
    zeros_input.fill_(0.0f);
    ops::recorder() = &recorder;
    module.call({zeros_input});
    ops::recorder() = restore.before;
  }

  std::vector<std::array<std::string, 4>> table{
      {"Layer (type)", "Output shape", "Parameters", "Multiply-adds"}};
  std::int64_t parameters = 0, trainable = 0, multiply_adds = 0;
  for (const Tensor& p : module.parameters()) {
    parameters += p.numel();
    if (p.requires_grad()) trainable += p.numel();
  }
  for (const auto& row : recorder.rows) {
    const std::string name =
        row.path.empty() ? row.type : row.path.substr(row.path.rfind('.') + 1) + " (" + row.type + ")";
    multiply_adds += row.multiply_adds;
    table.push_back({std::string(static_cast<std::size_t>(2 * row.depth), ' ') + name,
                     row.output.rank() > 0 ? concat(row.output) : "-",
                     row.repeated         ? "(again)"
                     : row.parameters > 0 ? detail::grouped(row.parameters)
                                          : "-",
                     row.multiply_adds > 0 ? detail::grouped(row.multiply_adds) : "-"});
  }
  std::array<std::size_t, 4> width{};
  for (const auto& line : table)
    for (std::size_t i = 0; i < 4; ++i) width[i] = std::max(width[i], line[i].size());
  std::ostringstream out;
  const std::string rule(width[0] + width[1] + width[2] + width[3] + 6, '-');
  for (std::size_t i = 0; i < table.size(); ++i) {
    out << flush_left(table[i][0], width[0]) << "  " << flush_left(table[i][1], width[1]) << "  "
        << flush_right(table[i][2], width[2]) << "  " << flush_right(table[i][3], width[3]) << '\n';
    if (i == 0) out << rule << '\n';
  }
  const std::int64_t input_bytes = element_count(input) * 4;
  out << rule << "\nParameters: " << detail::grouped(parameters) << " (" << detail::grouped(trainable)
      << " trainable), " << detail::megabytes(parameters * 4)
      << "\nMultiply-adds: " << detail::grouped(multiply_adds)
      << "\nInput: " << detail::megabytes(input_bytes)
      << ", outputs of layers: " << detail::megabytes(recorder.activations * 4) << '\n';
  return out.str();
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// When during training the parts of the quantizers stand still.
//
//   quant::QatSchedule schedule;
//   schedule.disable_observers_after(3).freeze_batch_norm_after(2).freeze_scales_after(8);
//   for (int epoch = 0; epoch < 10; ++epoch) { schedule.step(epoch, model); ... }
#pragma once

#include <midtread/nn/batch_norm.hpp>
#include <midtread/nn/parameter_groups.hpp>
#include <midtread/quant/fake_quantize_base.hpp>

#include <optional>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Epochs count from 0; `..._after(n)`: epoch n is the last one before. After a resume, step() with the epoch
/// to continue at does all that is due. Nothing is switched back, but for fake quantize.
class QatSchedule {
 public:
  /// Ranges stand still. Memoryless quantizers keep following their weights; disable_observer would stop
  /// those too.
  QatSchedule& disable_observers_after(int epoch) {
    return set(observers_, "disable_observers_after", epoch);
  }
  /// Batch norms use their running statistics in train mode too; gamma and beta still learn.
  QatSchedule& freeze_batch_norm_after(int epoch) {
    return set(batch_norm_, "freeze_batch_norm_after", epoch);
  }
  /// Learned scales, offsets and clipping values get no gradient and leave the optimizer's hands.
  QatSchedule& freeze_scales_after(int epoch) { return set(scales_, "freeze_scales_after", epoch); }
  /// Nothing is rounded up to and including this epoch: ranges settle on the float model first.
  QatSchedule& enable_fake_quant_after(int epoch) {
    return set(fake_quant_, "enable_fake_quant_after", epoch);
  }

  /// At the start of an epoch, before its first forward. Gives what it changed: "observers off", "batch norm
  /// frozen", "scales frozen", "fake quant off", "fake quant on". Throws ConfigError on a negative epoch.
  std::vector<std::string> step(int epoch, nn::Module& model) const {
    if (epoch < 0) throw ConfigError("QatSchedule", concat("step: got epoch ", epoch, ", allowed 0 or more"));
    std::vector<std::string> changed;
    const auto due = [&](const std::optional<int>& after) { return after && epoch > *after; };
    if (fake_quant_ && switch_fake_quant(model, due(fake_quant_)))
      changed.push_back(due(fake_quant_) ? "fake quant on" : "fake quant off");
    if (due(observers_) && disable_observers(model)) changed.push_back("observers off");
    if (due(batch_norm_) && freeze_batch_norm(model)) changed.push_back("batch norm frozen");
    if (due(scales_) && freeze_scales(model)) changed.push_back("scales frozen");
    return changed;
  }

 private:
  QatSchedule& set(std::optional<int>& to, const char* name, int epoch) {
    if (epoch < 0) throw ConfigError(name, concat("got epoch ", epoch, ", allowed 0 or more"));
    to = epoch;
    return *this;
  }

  static bool switch_fake_quant(nn::Module& model, bool on) {
    bool changed = false;
    for_each_fake_quantizer(model, [&](FakeQuantizeBase& f) {
      changed = changed || f.is_enabled() != on;
      f.set_fake_quant_enabled(on);
    });
    return changed;
  }
  static bool disable_observers(nn::Module& model) {
    bool changed = false;
    for_each_fake_quantizer(model, [&](FakeQuantizeBase& f) {
      if (f.is_memoryless() || !f.is_observer_enabled()) return;
      f.set_observer_enabled(false);
      changed = true;
    });
    return changed;
  }
  template <class BatchNorm>
  static bool freeze(nn::Module& module) {
    auto* found = dynamic_cast<BatchNorm*>(&module);
    if (!found || found->stats_frozen()) return false;
    found->freeze_stats();
    return true;
  }
  static bool freeze_batch_norm(nn::Module& model) {
    bool changed = false;
    model.apply([&](nn::Module& m) {
      changed = freeze<nn::BatchNorm1dImpl>(m) || freeze<nn::BatchNorm2dImpl>(m) || changed;
    });
    return changed;
  }
  static bool freeze_scales(nn::Module& model) {
    using nn::ParameterTag;
    const Tensors parameters =
        nn::parameters_of(model, {ParameterTag::kScale, ParameterTag::kOffset, ParameterTag::kAlpha});
    for (Tensor p : parameters) {
      p.requires_grad_(false);
      p.set_grad(Tensor());
    }
    return !parameters.empty();
  }

  std::optional<int> observers_, batch_norm_, scales_, fake_quant_;
};

MIDTREAD_NAMESPACE_END

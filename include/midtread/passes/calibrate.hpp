// SPDX-License-Identifier: MIT
// Ranges from data without training: observers on, fake quantize off, everything in eval mode; then all as it
// was.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/graph/graph_module.hpp>
#include <midtread/nn/mode_guard.hpp>
#include <midtread/passes/batch_input.hpp>
#include <midtread/quant/fake_quantize_base.hpp>

#include <vector>

MIDTREAD_NAMESPACE_BEGIN(passes)

/// Sets the switches for the time of a scope: eval mode, nothing rounded, observers on or, for a look only,
/// off.
MIDTREAD_CLASS_ON_USE(CalibrationScope)
class BasicCalibrationScope {
 public:
  explicit BasicCalibrationScope(nn::Module& model, bool observing = true) : modes_(model) {
    for (const auto& item : model.named_modules())
      if (auto* fake_quantize = dynamic_cast<quant::FakeQuantizeBase*>(item.second))
        switches_.push_back(
            {fake_quantize, fake_quantize->is_enabled(), fake_quantize->is_observer_enabled()});
    model.eval();
    for (const Switch& s : switches_) {
      s.fake_quantize->set_fake_quant_enabled(false);
      s.fake_quantize->set_observer_enabled(observing);
      s.fake_quantize->set_calibrating(observing);
    }
  }
  ~BasicCalibrationScope() {
    for (const Switch& s : switches_) {
      s.fake_quantize->set_fake_quant_enabled(s.enabled);
      s.fake_quantize->set_observer_enabled(s.observing);
      s.fake_quantize->set_calibrating(false);
    }
  }
  BasicCalibrationScope(const BasicCalibrationScope&) = delete;
  BasicCalibrationScope& operator=(const BasicCalibrationScope&) = delete;

 private:
  struct Switch {
    quant::FakeQuantizeBase* fake_quantize;
    bool enabled, observing;
  };
  nn::ModeGuard modes_;
  std::vector<Switch> switches_;
};

/// Runs `prepared` on one batch of inputs, observing. Modes and switches are as before when it returns.
MIDTREAD_ON_USE void calibrate(graph::GraphModule& prepared, const Tensor& batch) {
  const CalibrationScope scope(prepared);
  const NoGradGuard no_grad;
  prepared.forward_many({batch});
}

/// The same over a range of batches: anything whose elements have `.input` or are tensors. `batches` < 0: all
/// of them. Returns how many were seen; StateError if there was none.
template <class Loader>
std::int64_t calibrate(graph::GraphModule& prepared, Loader&& loader, std::int64_t batches) {
  const CalibrationScope scope(prepared);
  const NoGradGuard no_grad;
  std::int64_t seen = 0;
  if (batches != 0)
    for (const auto& batch : loader) {
      prepared.forward_many({batch_input(batch)});
      if (++seen == batches) break;
    }
  if (seen == 0) throw StateError("calibrate", "the loader gave no batch; calibration needs data");
  return seen;
}

MIDTREAD_NAMESPACE_END

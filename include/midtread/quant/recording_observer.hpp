// SPDX-License-Identifier: MIT
// An observer that keeps copies of the tensors it sees, for a look at them after calibration.
#pragma once

#include <midtread/quant/placeholder_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Never has scales: qparams() throws UnsupportedError. The copies are no part of the state dict.
template <class SpecType>
class RecordingObserver : public PlaceholderObserver<SpecType> {
 public:
  using Options = ObserverOptions<RecordingObserver>;
  static constexpr const char* kName = "recording";

  explicit RecordingObserver(const ObserverSettings& settings = {})
      : PlaceholderObserver<SpecType>(settings) {}
  std::string type_name() const override { return "RecordingObserver"; }
  void observe(const Tensor& x) override {
    if (x.numel() != 0) recorded_.push_back(x.detach().clone());
  }
  bool observe_range(float, float) override { return false; }
  void reset() override { recorded_.clear(); }
  /// In the order seen.
  const Tensors& recorded() const noexcept { return recorded_; }

 protected:
  nn::Module::Pointer shallow_copy() const override { return std::make_shared<RecordingObserver>(*this); }

 private:
  Tensors recorded_;
};

MIDTREAD_NAMESPACE_END

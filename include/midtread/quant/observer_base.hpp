// SPDX-License-Identifier: MIT
// What observers share: the spec, the code range, their state, and the way to scales and zero points.
#pragma once

#include <midtread/nn/module.hpp>
#include <midtread/quant/code_range.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

enum class ObserverState {
  kEmpty,  ///< has seen no data
  kReady,
  kPoisoned  ///< has seen NaN or infinity; reset() to start again
};

/// A range that an observer weighed: values beyond +-threshold would be clipped. Costs compare within one
/// search.
struct RangeCandidate {
  double threshold = 0;
  double cost = 0;
  bool chosen = false;
};

/// Collects statistics of the tensors it is given; forward returns its input unchanged.
class ObserverBase : public nn::Module {
 public:
  static constexpr bool kAverages = false;  ///< a moving average has it true

  /// Takes in one tensor; an empty one is ignored. Throws NumericError on non-finite data (and is poisoned)
  /// unless told to skip it, ShapeError where the number of channels changed, StateError where poisoned
  /// before.
  virtual void observe(const Tensor& x) = 0;
  /// The same where only the range of a whole tensor is known. False: this observer needs the values.
  virtual bool observe_range(float min, float max) {
    (void)min, (void)max;
    return false;
  }
  /// Scales and zero points of what was seen; per tensor: one element, axis -1. StateError where empty or
  /// poisoned.
  virtual ChannelQParams qparams() const = 0;
  virtual ObserverState state() const = 0;
  /// Forgets all.
  virtual void reset() = 0;
  /// Takes on statistics that stand for these qparams.
  virtual void restore(const ChannelQParams& qparams) = 0;
  /// What the last search compared; empty where the method does not search.
  virtual std::vector<RangeCandidate> candidates() const { return {}; }
  /// The range of the current tensor only.
  virtual bool is_memoryless() const { return false; }
  /// Options for printing: "averaging_constant=0.01".
  virtual std::string options_text() const { return {}; }

  Tensor forward(const Tensor& x) override {
    observe(x);
    return x;
  }
  std::string extra_repr() const override {
    std::string text =
        concat(spec_.name(), ", quant_min=", range_.quant_min, ", quant_max=", range_.quant_max);
    const std::string options = options_text();
    return options.empty() ? text : text + ", " + options;
  }

  const SpecInfo& spec() const noexcept { return spec_; }
  const CodeRange& range() const noexcept { return range_; }
  Rounding rounding() const noexcept { return rounding_; }
  /// Channel axis, -1 per tensor.
  virtual int axis() const { return -1; }
  /// How often a non-finite value was left out (skip_nonfinite).
  std::int64_t skipped_nonfinite() const noexcept { return skipped_; }
  /// The module path, for messages.
  void set_path(const std::string& path) { path_ = path; }
  std::string where() const { return path_.empty() ? type_name() : path_; }

 protected:
  ObserverBase(const SpecInfo& spec, const CodeRange& range, Rounding rounding)
      : spec_(spec), range_(range), rounding_(rounding) {}
  ObserverBase(const ObserverBase&) = default;

  /// Throws StateError unless the state is kReady.
  void require_ready() const {
    const ObserverState now = state();
    if (now == ObserverState::kEmpty)
      throw StateError(where(),
                       "has seen no data, so it has no scale; run calibrate or a training step first");
    if (now == ObserverState::kPoisoned)
      throw StateError(where(), "has seen NaN or infinity; reset() it and give it finite data");
  }
  void count_skipped(std::int64_t count) { skipped_ += count; }

 private:
  SpecInfo spec_;
  CodeRange range_;
  Rounding rounding_;
  std::string path_;
  std::int64_t skipped_ = 0;
};

/// Owns `made` as an ObserverBase: one control block class for all, which compiles faster.
inline std::shared_ptr<ObserverBase> share(ObserverBase* made) { return std::shared_ptr<ObserverBase>(made); }

MIDTREAD_NAMESPACE_END

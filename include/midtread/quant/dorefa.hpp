// SPDX-License-Identifier: MIT
// DoReFa (1606.06160): weights through tanh to odd codes, activations clipped to 0..1.
//
//   weights      t = tanh(w) / max|tanh w|,  q = rne(n (t/2 + 1/2)),  code = 2 q - n,  y = code * s,  s =
//   max|t| / n,
//                n = 2^k - 1: per tensor the paper's formula with s = 1/n; per channel max|t| is the
//                channel's
//   activations  y = rne(n clamp(x, 0, 1)) / n,  dx = dy where 0 <= x <= 1
//
// A batch norm is folded between tanh and rounding. That needs a scale per channel: no code is zero, so with
// one scale the weights of a channel that batch norm made small would grow, its variance with them, and make
// it smaller still.
#pragma once

#include <midtread/ops/learned_step.hpp>
#include <midtread/quant/fake_quantize_base.hpp>
#include <midtread/quant/fixed_qparams_observer.hpp>
#include <midtread/quant/min_max_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

struct DoReFaSettings {
  int bits = 4;
  std::optional<int> axis;
  std::int64_t groups = 1;
};

template <class OwnerType>
class DoReFaOptions {
 public:
  using Owner = OwnerType;

  /// k: weights 2..7, activations 2..8.
  DoReFaOptions& bits(int value) { return settings_.bits = value, *this; }
  DoReFaOptions& bit_width(int value) { return bits(value); }

  /// By name. Throws ConfigError listing the names.
  DoReFaOptions& set(const std::string& name, const OptionValue& value) {
    if (name == "bits" || name == "bit_width") return bits(OptionReader(name, value).integer<int>());
    throw ConfigError(printable(name), "no such option; there is: bits (bit_width)");
  }
  DoReFaOptions for_weight(const WeightChannels& channels) const {
    DoReFaOptions out = *this;
    if (Owner::Spec::kPerChannel) out.settings_.axis = channels.axis;
    if (Owner::Spec::kPerChannel) out.settings_.groups = channels.groups;
    return out;
  }
  operator const DoReFaSettings&() const noexcept { return settings_; }  // NOLINT: options are settings
  const DoReFaSettings& settings() const noexcept { return settings_; }

 private:
  DoReFaSettings settings_;
};

/// What does not depend on the spec.
class DoReFaWeightBase : public FakeQuantizeBase {
 public:
  std::string type_name() const override { return "DoReFaWeight"; }
  bool follows_magnitude() const override { return is_per_channel(); }

  /// t = tanh(w) / T, T = max|tanh w|; dw = dt (1 - tanh^2 w) / T, and T's own part at the largest weight.
  Tensor bent(const Tensor& weight) const override {
    const Tensor w = weight.detach().contiguous();
    const float* from = w.data();
    std::int64_t largest = 0;
    for (std::int64_t i = 0; i < w.numel(); ++i)
      if (std::abs(from[i]) > std::abs(from[largest])) largest = i;
    const double top = w.numel() > 0 ? std::abs(std::tanh(static_cast<double>(from[largest]))) : 0,
                 divisor = top > 0 ? top : 1;
    Tensor t(w.shape());
    float* to = t.mutable_data();
    parallel_for(0, w.numel(), kGrain, [=](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i)
        to[i] = static_cast<float>(std::tanh(static_cast<double>(from[i])) / divisor);
    });
    return autograd::attach(
        "dorefa_tanh", t, Tensors{weight}, [w, top, divisor, largest](const Tensor& gradient) {
          const Tensor dt = gradient.contiguous();
          Tensor dw(w.shape());
          const float *x = w.data(), *g = dt.data();
          float* out = dw.mutable_data();
          std::vector<double> parts(static_cast<std::size_t>((w.numel() + kGrain - 1) / kGrain));
          parallel_for(0, w.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
            double sum = 0;
            for (std::int64_t i = first; i < last; ++i) {
              const double tanh = std::tanh(static_cast<double>(x[i])), each = static_cast<double>(g[i]);
              out[i] = static_cast<float>(each * (1 - tanh * tanh) / divisor);
              sum += each * tanh;
            }
            parts[static_cast<std::size_t>(first / kGrain)] = sum;
          });
          double sum = 0;
          for (const double part : parts) sum += part;
          if (w.numel() > 0)
            out[largest] -=
                static_cast<float>(sum * (1 - top * top) / (divisor * divisor) * (x[largest] < 0 ? -1 : 1));
          return Tensors{dw};
        });
  }

  /// code * s, straight-through. `t` is what bent() gave, folded or not.
  Tensor before_rounding(const Tensor& t) const override {
    const ChannelQParams q = qparams();
    const ops::ChannelRuns runs = ops::detail::channel_runs(t.shape(), q, type_name().c_str());
    const FpEnvGuard fp_env;
    const Tensor x = t.detach().contiguous();
    Tensor y(x.shape());
    const float* from = x.data();
    float* to = y.mutable_data();
    const double n = q.range.quant_max;
    ops::detail::parallel_runs(runs, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t run = first; run < last; ++run) {
        const float scale = q.scale(runs.channel(run));
        for (std::int64_t i = run * runs.length; i < (run + 1) * runs.length; ++i) {
          const double up =
              std::nearbyint((static_cast<double>(from[i]) / static_cast<double>(scale) + n) / 2);
          to[i] = static_cast<float>(2 * (up < 0 ? 0 : up > n ? n : up) - n) * scale;  // NaN stays
        }
      }
    });
    return autograd::attach("dorefa_round", y, Tensors{t}, [](const Tensor& dy) { return Tensors{dy}; });
  }

 protected:
  using FakeQuantizeBase::FakeQuantizeBase;

  /// Throws ConfigError unless bits is 2..7.
  static ObserverSettings observed(const DoReFaSettings& settings) {
    if (settings.bits == 8)
      throw ConfigError("bits",
                        "got 8, allowed 2..7: DoReFa's weights are the odd codes -255..255 of 8 bits, int8 "
                        "holds -127..127; "
                        "use 7, or Lsq for 8 bits");
    if (settings.bits < 2 || settings.bits > 7)
      throw ConfigError("bits", concat("got ", settings.bits, ", allowed 2..7 for DoReFa's weights"));
    ObserverSettings out;
    out.range.quant_max = (1 << settings.bits) - 1;
    out.range.quant_min = -*out.range.quant_max;
    out.memoryless = true;
    out.axis = settings.axis;
    out.groups = settings.groups;
    return out;
  }

 private:
  static constexpr std::int64_t kGrain = 1 << 13;
};

/// Int8Symmetric: the paper's, for layers without batch norm. Int8PerChannel: for all.
template <class SpecType>
class DoReFaWeight : public DoReFaWeightBase {
  static_assert(
      SpecType::kSymmetric && SpecType::kDType == DType::kInt8,
      "DoReFaWeight: its codes are as many below zero as above; use Int8PerChannel or Int8Symmetric");

 public:
  using Spec = SpecType;
  using Options = DoReFaOptions<DoReFaWeight>;
  static constexpr const char* kName = "dorefa";

  /// Throws ConfigError unless bits is 2..7.
  explicit DoReFaWeight(const DoReFaSettings& settings = {})
      : DoReFaWeightBase(quant::share(new MinMaxObserver<Spec>(observed(settings)))) {}

 protected:
  Pointer shallow_copy() const override { return share(new DoReFaWeight(*this)); }
};

/// Constant scale 1/n and zero point 0.
class DoReFaActivation : public FakeQuantizeBase {
 public:
  using Spec = UInt8Affine;
  using Options = DoReFaOptions<DoReFaActivation>;
  static constexpr const char* kName = "dorefa";

  /// Throws ConfigError unless bits is 2..8.
  explicit DoReFaActivation(const DoReFaSettings& settings = {})
      : FakeQuantizeBase(make_observer(settings)) {}
  std::string type_name() const override { return "DoReFaActivation"; }
  Tensor fake_quantize(const Tensor& x) const override {
    ops::LearnedStep step;
    step.band = ops::PassBand::kReal;
    step.inside = {{0.0f, 1.0f}};
    try {
      return ops::learned_step(x, qparams(), std::move(step), where());
    } catch (const NumericError& error) {
      throw NumericError(where(), error.detail());
    }
  }

 protected:
  Pointer shallow_copy() const override { return Pointer(new DoReFaActivation(*this)); }

 private:
  static std::shared_ptr<ObserverBase> make_observer(const DoReFaSettings& settings) {
    if (settings.bits < 2 || settings.bits > 8)
      throw ConfigError("bits", concat("got ", settings.bits, ", allowed 2..8 for DoReFa's activations"));
    FixedQParamsSettings fixed;
    fixed.range.quant_min = 0;
    fixed.range.quant_max = (1 << settings.bits) - 1;
    fixed.scale = 1.0 / *fixed.range.quant_max;
    return std::shared_ptr<ObserverBase>(new FixedQParamsObserver<UInt8Affine>(fixed));
  }
};

MIDTREAD_NAMESPACE_END

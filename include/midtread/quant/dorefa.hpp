// SPDX-License-Identifier: MIT
// DoReFa (1606.06160): weights through tanh to odd codes, activations clipped to 0..1.
//
//   weights      q = rne(n (tanh(w) / (2 max|tanh w|) + 1/2)),  code = 2 q - n,  y = code * s,  n = 2^k - 1
//                paper: s = 1/n; default: s = max|w| / n
//   activations  y = rne(n clamp(x, 0, 1)) / n,  dx = dy where 0 <= x <= 1
#pragma once

#include <midtread/ops/learned_step.hpp>
#include <midtread/quant/fake_quantize_base.hpp>
#include <midtread/quant/fixed_qparams_observer.hpp>
#include <midtread/quant/min_max_observer.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// What the largest weight becomes. kUnit is the paper's 1. kMaxAbs keeps its size, so that batch norm can be folded: with
/// kUnit the folded weights forget gamma / sqrt(var), and the running variance runs away.
enum class DoReFaScale { kMaxAbs, kUnit };

struct DoReFaSettings {
  int bits = 4;
  DoReFaScale scale = DoReFaScale::kMaxAbs;
};

template <class OwnerType>
class DoReFaOptions {
 public:
  using Owner = OwnerType;

  /// k: weights 2..7, activations 2..8.
  DoReFaOptions& bits(int value) { return settings_.bits = value, *this; }
  DoReFaOptions& bit_width(int value) { return bits(value); }
  /// Weights only.
  DoReFaOptions& scale(DoReFaScale value) { return settings_.scale = value, *this; }

  /// By name. Throws ConfigError listing the names.
  DoReFaOptions& set(const std::string& name, const OptionValue& value) {
    const OptionReader read(name, value);
    if (name == "bits" || name == "bit_width") return bits(read.integer<int>());
    if (name == "scale" && (read.text() == "max_abs" || read.text() == "unit"))
      return scale(read.text() == "unit" ? DoReFaScale::kUnit : DoReFaScale::kMaxAbs);
    if (name == "scale") throw ConfigError("scale", concat("got '", printable(read.text()), "', allowed max_abs, unit"));
    throw ConfigError(printable(name), "no such option; there is: bits, scale");
  }
  DoReFaOptions for_weight(const WeightChannels&) const { return *this; }
  operator const DoReFaSettings&() const noexcept { return settings_; }  // NOLINT: options are settings
  const DoReFaSettings& settings() const noexcept { return settings_; }

 private:
  DoReFaSettings settings_;
};

/// One maximum and one scale of the whole tensor, taken on every forward. No code is zero.
class DoReFaWeight : public FakeQuantizeBase {
 public:
  using Spec = Int8Symmetric;
  using Options = DoReFaOptions<DoReFaWeight>;
  static constexpr const char* kName = "dorefa";

  /// Throws ConfigError unless bits is 2..7.
  explicit DoReFaWeight(const DoReFaSettings& settings = {})
      : FakeQuantizeBase(make_observer(settings)), levels_((1 << settings.bits) - 1), scale_kind_(settings.scale) {}
  std::string type_name() const override { return "DoReFaWeight"; }
  bool follows_magnitude() const override { return scale_kind_ == DoReFaScale::kMaxAbs; }

  /// code * s, differentiable: dy (s n / T) (1 - tanh^2 w), T = max|tanh w|, and T's own part at the largest weight.
  Tensor before_rounding(const Tensor& weight) const override {
    const FpEnvGuard fp_env;
    const Tensor w = weight.detach().contiguous();
    const double n = levels_;
    const float scale = tensor_qparams().scale;
    double largest = 0;
    std::int64_t where_largest = 0;
    for (std::int64_t i = 0; i < w.numel(); ++i)
      if (const double size = std::abs(static_cast<double>(w.data()[i])); size > largest) largest = size, where_largest = i;
    const double top = std::tanh(largest), inverse = top > 0 ? 1 / top : 0;
    Tensor y(w.shape());
    const float* from = w.data();
    float* to = y.mutable_data();
    parallel_for(0, w.numel(), kGrain, [=](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const double q = std::nearbyint(n * (std::tanh(static_cast<double>(from[i])) * inverse * 0.5 + 0.5));
        to[i] = static_cast<float>(2 * q - n) * scale;  // NaN stays
      }
    });
    const double factor = static_cast<double>(scale) * n * inverse;
    return autograd::attach("dorefa_weight", y, Tensors{weight}, [w, factor, top, inverse, where_largest](const Tensor& gradient) {
      const Tensor dy = gradient.contiguous();
      Tensor dx(w.shape());
      const float *x = w.data(), *g = dy.data();
      float* out = dx.mutable_data();
      std::vector<double> parts(static_cast<std::size_t>((w.numel() + kGrain - 1) / kGrain));
      parallel_for(0, w.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
        double sum = 0;
        for (std::int64_t i = first; i < last; ++i) {
          const double t = std::tanh(static_cast<double>(x[i])), each = static_cast<double>(g[i]);
          out[i] = static_cast<float>(each * factor * (1 - t * t));
          sum += each * t;
        }
        parts[static_cast<std::size_t>(first / kGrain)] = sum;
      });
      double sum = 0;
      for (const double part : parts) sum += part;
      if (w.numel() > 0)
        out[where_largest] -= static_cast<float>(sum * factor * inverse * (1 - top * top) * (x[where_largest] < 0 ? -1 : 1));
      return Tensors{dx};
    });
  }

 protected:
  Pointer shallow_copy() const override { return Pointer(new DoReFaWeight(*this)); }

 private:
  static constexpr std::int64_t kGrain = 1 << 13;

  static std::shared_ptr<ObserverBase> make_observer(const DoReFaSettings& settings) {
    if (settings.bits == 8)
      throw ConfigError("bits", "got 8, allowed 2..7: DoReFa's weights are the odd codes -255..255 of 8 bits, int8 holds -127..127; "
                                "use 7, or Lsq for 8 bits");
    if (settings.bits < 2 || settings.bits > 7)
      throw ConfigError("bits", concat("got ", settings.bits, ", allowed 2..7 for DoReFa's weights"));
    const std::int32_t n = (1 << settings.bits) - 1;
    if (settings.scale == DoReFaScale::kUnit) {
      FixedQParamsSettings fixed;
      fixed.range.quant_min = -n;
      fixed.range.quant_max = n;
      fixed.scale = 1.0 / n;
      return std::shared_ptr<ObserverBase>(new FixedQParamsObserver<Int8Symmetric>(fixed));
    }
    ObserverSettings observed;
    observed.range.quant_min = -n;
    observed.range.quant_max = n;
    observed.memoryless = true;
    return std::shared_ptr<ObserverBase>(new MinMaxObserver<Int8Symmetric>(observed));
  }

  std::int32_t levels_;
  DoReFaScale scale_kind_;
};

/// Constant scale 1/n and zero point 0.
class DoReFaActivation : public FakeQuantizeBase {
 public:
  using Spec = UInt8Affine;
  using Options = DoReFaOptions<DoReFaActivation>;
  static constexpr const char* kName = "dorefa";

  /// Throws ConfigError unless bits is 2..8.
  explicit DoReFaActivation(const DoReFaSettings& settings = {}) : FakeQuantizeBase(make_observer(settings)) {}
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

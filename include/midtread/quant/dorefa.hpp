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
    const FpEnvGuard fp_env;
    const kernels::RowKernels& loops = kernels::row_kernels();
    const Tensor w = weight.detach().contiguous();
    const float* from = w.data();
    const std::int64_t largest = index_of_largest(from, w.numel());
    float top = 0;
    if (w.numel() > 0) loops.tanh_over(from + largest, &top, 1, 1.0f);
    const float divisor = top != 0 ? std::abs(top) : 1;
    Tensor t(w.shape());
    float* to = t.mutable_data();
    parallel_for(0, w.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
      loops.tanh_over(from + first, to + first, last - first, divisor);
    });
    return autograd::attach("dorefa_tanh", t, Tensors{weight},
                            [t = t.detach(), divisor, largest](const Tensor& gradient) {
                              return Tensors{tanh_gradient(t, gradient.contiguous(), divisor, largest)};
                            });
  }

  /// code * s, straight-through. `t` is what bent() gave, folded or not.
  Tensor before_rounding(const Tensor& t) const override {
    const ChannelQParams q = qparams();
    const ops::ChannelRuns runs = ops::detail::channel_runs(t.shape(), q, type_name().c_str());
    const std::vector<kernels::FakeQuantizeRow> rows = ops::detail::channel_rows(q, type_name().c_str());
    const FpEnvGuard fp_env;
    const Tensor x = t.detach().contiguous();
    Tensor y(x.shape());
    const float* from = x.data();
    float* to = y.mutable_data();
    ops::detail::parallel_runs(runs, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t run = first; run < last; ++run)
        kernels::row_kernels().odd_codes(from + run * runs.length, to + run * runs.length, runs.length,
                                         rows[static_cast<std::size_t>(runs.channel(run))]);
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

  /// The first of the largest |x|; 0 where there is none.
  static std::int64_t index_of_largest(const float* x, std::int64_t n) {
    float largest = -1;
    std::int64_t at = 0;
    for (std::int64_t first = 0; first < n; first += kGrain) {
      const kernels::Range range = kernels::row_kernels().range(x + first, std::min(kGrain, n - first));
      const float size = std::max(std::abs(range.min), std::abs(range.max));
      if (size > largest) largest = size, at = first;
    }
    for (std::int64_t i = at; i < n; ++i)
      if (std::abs(x[i]) == largest) return i;
    return 0;
  }

  /// `t` is tanh(w) / divisor, +-1 at `largest`.
  static Tensor tanh_gradient(const Tensor& t, const Tensor& dt, float divisor, std::int64_t largest) {
    Tensor dw(t.shape());
    if (t.numel() == 0) return dw;
    const float *x = t.data(), *g = dt.data(), square = divisor * divisor, inverse = 1 / divisor;
    float* out = dw.mutable_data();
    std::vector<double> parts(static_cast<std::size_t>((t.numel() + kGrain - 1) / kGrain));
    parallel_for(0, t.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
      double sum = 0;
      for (std::int64_t i = first; i < last; ++i) {
        out[i] = g[i] * ((1 - x[i] * x[i] * square) * inverse);
        sum += static_cast<double>(g[i]) * static_cast<double>(x[i]);
      }
      parts[static_cast<std::size_t>(first / kGrain)] = sum;
    });
    double sum = 0;
    for (const double part : parts) sum += part;
    out[largest] -= static_cast<float>(sum * static_cast<double>(x[largest] * (1 - square) * inverse));
    return dw;
  }
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

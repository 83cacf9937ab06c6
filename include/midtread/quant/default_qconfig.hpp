// SPDX-License-Identifier: MIT
// Ready-made qconfigs: ours, and PyTorch's.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/kernels/engine.hpp>
#include <midtread/quant/fake_quantize.hpp>
#include <midtread/quant/min_max_observer.hpp>
#include <midtread/quant/moving_average_per_channel_min_max_observer.hpp>
#include <midtread/quant/qconfig.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// uint8 affine 0..255, moving average 0.01.
using DefaultActivation = FakeQuantize<MovingAverageMinMaxObserver<UInt8Affine>>;
/// int8 symmetric per channel -127..127, the range of the current weight.
using DefaultWeight = FakeQuantize<MinMaxObserver<Int8PerChannel>>;
using DefaultQConfig = QConfig<DefaultActivation, DefaultWeight>;

/// The default for training. `engine` is "auto", "fbgemm", "qnnpack" or "reference": all the same, since
/// every engine computes exactly. Throws EngineError listing the names.
MIDTREAD_ON_USE std::shared_ptr<const AnyQConfig> get_default_qat_qconfig(
    const std::string& engine = "auto") {
  kernels::parse_engine(engine, "get_default_qat_qconfig");
  return erase(DefaultQConfig{});
}

/// PyTorch's get_default_qat_qconfig(backend, version=0): "fbgemm" and "x86" (activations 0..127), "qnnpack"
/// (one scale per weight) and "onednn"; weights -128..127 with a moving average. Throws ConfigError listing
/// the names.
MIDTREAD_ON_USE std::shared_ptr<const AnyQConfig> pytorch_qat_qconfig(const std::string& backend) {
  using Activation = DefaultActivation;
  using Weight = FakeQuantize<MovingAverageMinMaxObserver<Int8Symmetric>>;
  using ChannelWeight = FakeQuantize<MovingAveragePerChannelMinMaxObserver<Int8PerChannel>>;
  const auto weight = [](auto options) { return options.quant_min(-128).quant_max(127); };
  if (backend == "fbgemm" || backend == "x86")
    return erase(QConfig(Activation::Options().quant_min(0).quant_max(255).reduce_range(true),
                         weight(ChannelWeight::Options())));
  if (backend == "qnnpack") return erase(QConfig(Activation::Options(), weight(Weight::Options())));
  if (backend == "onednn") return erase(QConfig(Activation::Options(), weight(ChannelWeight::Options())));
  throw ConfigError("pytorch_qat_qconfig", concat("unknown backend '", printable(backend),
                                                  "', allowed fbgemm, x86, qnnpack, onednn"));
}

MIDTREAD_NAMESPACE_END

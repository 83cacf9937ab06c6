// SPDX-License-Identifier: MIT
// How a layer is quantized: the fake quantizer of its output and the one of its weight.
//
//   model->qconfig = quant::QConfig<Activation, Weight>{};
//   model->head->qconfig = quant::QConfig(Activation::Options().averaging_constant(0.05), Weight::Options());
#pragma once

#include <midtread/quant/fake_quantize_base.hpp>
#include <midtread/quant/observer_options.hpp>

#include <ostream>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// A QConfig with its types erased: two factories. Makes one of each when it is built, so that bad options
/// throw there.
class AnyQConfig {
 public:
  using Pointer = std::shared_ptr<FakeQuantizeBase>;

  /// activation() and weight(channels) make a quantizer each. Throws ConfigError where the activation is per
  /// channel, or the weight not symmetric int8.
  template <class Activation, class Weight>
  AnyQConfig(Activation activation, Weight weight)
      : factory_(static_cast<const Factory*>(
            new FactoryOf<Activation, Weight>(std::move(activation), std::move(weight)))) {
    check();
  }

  /// The fake quantizer of an output; null: the output stays float.
  Pointer make_activation() const { return factory_->activation(); }
  /// The fake quantizer of a weight. Throws ConfigError where the options name another channel axis.
  Pointer make_weight(int axis = 0, std::int64_t groups = 1) const {
    return factory_->weight({axis, groups});
  }
  const std::string& activation_name() const noexcept { return activation_name_; }
  const std::string& weight_name() const noexcept { return weight_name_; }
  std::string str() const {
    return "QConfig(activation=" + activation_name_ + ", weight=" + weight_name_ + ")";
  }

 private:
  class Factory {
   public:
    virtual ~Factory() = default;
    virtual Pointer activation() const = 0;
    virtual Pointer weight(const WeightChannels& channels) const = 0;
  };
  template <class Activation, class Weight>
  class FactoryOf final : public Factory {
   public:
    FactoryOf(Activation activation, Weight weight)
        : activation_(std::move(activation)), weight_(std::move(weight)) {}
    Pointer activation() const override { return activation_(); }
    Pointer weight(const WeightChannels& channels) const override { return weight_(channels); }

   private:
    Activation activation_;
    Weight weight_;
  };

  void check() {
    const Pointer a = factory_->activation(), w = factory_->weight({});
    if (!w) throw ConfigError("weight", "no fake quantizer; a quantized layer needs int8 weights");
    if (a && a->is_per_channel())
      throw ConfigError("activation", concat("got ", a->spec().name(),
                                             ", an activation has one scale: use a per-tensor spec"));
    if (w->dtype() != DType::kInt8 || !w->is_symmetric())
      throw ConfigError("weight", concat("got ", w->spec().name(),
                                         ", allowed symmetric int8 (the kernels' weights have no "
                                         "zero point)"));
    activation_name_ = a ? a->summary() : "float";
    weight_name_ = w->summary();
  }

  std::shared_ptr<const Factory> factory_;
  std::string activation_name_;
  std::string weight_name_;
};

inline std::ostream& operator<<(std::ostream& out, const AnyQConfig& qconfig) { return out << qconfig.str(); }

/// An Activation that leaves a layer's output in float; its weight is quantized all the same.
struct FloatOutput {
  struct Options {
    using Owner = FloatOutput;
  };
};

/// Fake quantizer types and their options. A weight without `memoryless` among its options keeps no range of
/// earlier values where its observer is a MinMaxObserver.
template <class Activation, class Weight>
class QConfig {
  static constexpr bool kFloatOutput = std::is_same_v<Activation, FloatOutput>;
  static_assert(kFloatOutput || std::is_base_of_v<FakeQuantizeBase, Activation>,
                "QConfig: the first type makes an output's fake quantizer; wrap the observer: "
                "FakeQuantize<Observer<Spec>>");
  static_assert(std::is_base_of_v<FakeQuantizeBase, Weight>,
                "QConfig: the second type makes a weight's fake quantizer; wrap the observer: "
                "FakeQuantize<Observer<Spec>>");
  template <class T>
  static constexpr bool per_channel() {
    if constexpr (std::is_same_v<T, FloatOutput>)
      return false;
    else
      return T::Spec::kPerChannel;
  }
  static_assert(!per_channel<Activation>(),
                "QConfig: an activation has one scale; per-channel specs are for weights");
  static_assert(Weight::Spec::kSymmetric,
                "QConfig: a weight has no zero point; use a symmetric spec (Int8PerChannel)");
  static_assert(Weight::Spec::kDType == DType::kInt8,
                "QConfig: weights are int8; use Int8PerChannel or Int8Symmetric");

 public:
  using ActivationOptions = typename Activation::Options;
  using WeightOptions = typename Weight::Options;

  QConfig() = default;
  QConfig(ActivationOptions activation, WeightOptions weight)
      : activation_(std::move(activation)), weight_(std::move(weight)) {}

  /// Throws ConfigError on option values that do not fit.
  operator AnyQConfig() const {  // NOLINT: the erased form of the same thing
    return AnyQConfig(
        [options = activation_]() -> AnyQConfig::Pointer {
          if constexpr (kFloatOutput)
            return (void)options, nullptr;
          else
            return share(new Activation(options));
        },
        [options = weight_](const WeightChannels& channels) -> AnyQConfig::Pointer {
          return share(new Weight(options.for_weight(channels)));
        });
  }

 private:
  ActivationOptions activation_;
  WeightOptions weight_;
};

template <class ActivationOptions, class WeightOptions>
QConfig(ActivationOptions, WeightOptions)
    -> QConfig<typename ActivationOptions::Owner, typename WeightOptions::Owner>;

inline std::shared_ptr<const AnyQConfig> erase(const AnyQConfig& qconfig) {
  return std::make_shared<const AnyQConfig>(qconfig);
}
/// The erased form, shared. Throws ConfigError on option values that do not fit.
template <class Activation, class Weight>
std::shared_ptr<const AnyQConfig> erase(const QConfig<Activation, Weight>& qconfig) {
  return erase(static_cast<AnyQConfig>(qconfig));
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Fake quantizers by name: how configuration files reach the templates.
//
//   make_fake_quantize("moving_average_min_max/uint8_affine", values)
//   register_fake_quantize<MyFakeQuantize>("mine")
#pragma once

#include <midtread/quant/clip_std_observer.hpp>
#include <midtread/quant/diffs_observer.hpp>
#include <midtread/quant/dorefa.hpp>
#include <midtread/quant/entropy_observer.hpp>
#include <midtread/quant/fake_quantize.hpp>
#include <midtread/quant/fixed_qparams_observer.hpp>
#include <midtread/quant/histogram_observer.hpp>
#include <midtread/quant/kl_observer.hpp>
#include <midtread/quant/lsq_plus.hpp>
#include <midtread/quant/max_min_observer.hpp>
#include <midtread/quant/min_max_observer.hpp>
#include <midtread/quant/moving_average_min_max_observer.hpp>
#include <midtread/quant/moving_average_mse_observer.hpp>
#include <midtread/quant/moving_average_per_channel_min_max_observer.hpp>
#include <midtread/quant/moving_average_percentile_observer.hpp>
#include <midtread/quant/mse_observer.hpp>
#include <midtread/quant/pact.hpp>
#include <midtread/quant/per_channel_min_max_observer.hpp>
#include <midtread/quant/percentile_observer.hpp>
#include <midtread/quant/qconfig.hpp>
#include <midtread/quant/tqt.hpp>

#include <atomic>
#include <cstring>
#include <vector>

namespace midtread_state {
/// A user's fake quantizer. `make` belongs to translation units with the same ABI tag only.
struct FakeQuantizeEntry {
  const char* name;
  const char* abi;
  void (*make)();
  FakeQuantizeEntry* next;
};
inline std::atomic<FakeQuantizeEntry*> fake_quantize_entries{nullptr};
}  // namespace midtread_state

#define MIDTREAD_TEXT_OF_2(tag) #tag
#define MIDTREAD_TEXT_OF_1(tag) MIDTREAD_TEXT_OF_2(tag)

MIDTREAD_NAMESPACE_BEGIN(quant)

/// Makes a fake quantizer from options by name; for a weight where `channels` is not null.
using FakeQuantizeMaker = std::shared_ptr<FakeQuantizeBase> (*)(const OptionValues& values,
                                                                const WeightChannels* channels);

/// `T` has an Options class with set(name, value) and for_weight(channels), and a constructor from it.
template <class T>
std::shared_ptr<FakeQuantizeBase> make_from_options(const OptionValues& values,
                                                    const WeightChannels* channels) {
  typename T::Options options;
  for (const auto& item : values) options.set(item.first, item.second);
  return share(new T(channels ? options.for_weight(*channels) : options));
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(quant::detail)

struct RegistryEntry {
  std::string name;
  FakeQuantizeMaker make;
};
using RegistryEntries = std::vector<RegistryEntry>;

template <template <class> class Observer, class... Specs>
void add_observer(RegistryEntries& to) {
  (to.push_back({std::string(Observer<Specs>::kName) + "/" + Specs::info().name(),
                 &make_from_options<FakeQuantize<Observer<Specs>>>}),
   ...);
}
template <template <class> class Observer>
void add_per_tensor(RegistryEntries& to) {
  add_observer<Observer, UInt8Affine, UInt8Symmetric, Int8Affine, Int8Symmetric>(to);
}
template <template <class> class Observer>
void add_per_channel(RegistryEntries& to) {
  add_observer<Observer, UInt8PerChannelAffine, Int8PerChannel, Int8PerChannelAffine>(to);
}

template <class T>
void add(RegistryEntries& to) {
  to.push_back({std::string(T::kName) + "/" + T::Spec::info().name(), &make_from_options<T>});
}
/// Learned ones, by their method: the first scale is a moving average's, or per channel that of the weight at
/// hand.
template <template <class> class Learned, class... Specs>
void add_learned(RegistryEntries& to) {
  (add<Learned<
       std::conditional_t<Specs::kPerChannel, MinMaxObserver<Specs>, MovingAverageMinMaxObserver<Specs>>>>(
       to),
   ...);
}

/// Those of this library: one line per observer or method.
inline const RegistryEntries& built_in_fake_quantizers() {
  static const RegistryEntries entries = [] {
    RegistryEntries out;
    add_per_tensor<MinMaxObserver>(out), add_per_channel<MinMaxObserver>(out);
    add_per_tensor<MovingAverageMinMaxObserver>(out), add_per_channel<MovingAverageMinMaxObserver>(out);
    add_per_channel<PerChannelMinMaxObserver>(out);
    add_per_channel<MovingAveragePerChannelMinMaxObserver>(out);
    add_per_tensor<FixedQParamsObserver>(out);
    add_per_tensor<HistogramObserver>(out);
    add_per_tensor<MaxMinObserver>(out), add_per_channel<MaxMinObserver>(out);
    add_per_tensor<PercentileObserver>(out), add_per_tensor<MseObserver>(out),
        add_per_tensor<EntropyObserver>(out);
    add_per_tensor<ClipStdObserver>(out), add_per_tensor<KlObserver>(out);
    add_per_tensor<MovingAveragePercentileObserver>(out), add_per_tensor<MovingAverageMseObserver>(out);
    add_observer<DiffsObserver, UInt8Symmetric, Int8Symmetric, Int8PerChannel>(out);
    add_learned<Lsq, UInt8Affine, UInt8Symmetric, Int8Affine, Int8Symmetric, Int8PerChannel>(out);
    add_learned<LsqPlus, UInt8Affine, UInt8Symmetric, Int8Affine, Int8Symmetric, Int8PerChannel>(out);
    add_learned<Pact, UInt8Affine, UInt8Symmetric, Int8Affine, Int8Symmetric, Int8PerChannel>(out);
    add_learned<Tqt, UInt8Symmetric, Int8Symmetric, Int8PerChannel>(out);
    add<DoReFaActivation>(out), add<DoReFaWeight<Int8Symmetric>>(out), add<DoReFaWeight<Int8PerChannel>>(out);
    return out;
  }();
  return entries;
}

inline FakeQuantizeMaker find_fake_quantize(const std::string& name) {
  for (const RegistryEntry& entry : built_in_fake_quantizers())
    if (entry.name == name) return entry.make;
  for (const auto* entry = midtread_state::fake_quantize_entries.load(); entry; entry = entry->next)
    if (entry->name == name && std::strcmp(entry->abi, MIDTREAD_TEXT_OF_1(MIDTREAD_ABI)) == 0)
      return reinterpret_cast<FakeQuantizeMaker>(entry->make);
  return nullptr;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(quant)

/// All names, the library's first.
inline std::vector<std::string> fake_quantize_names() {
  std::vector<std::string> names;
  for (const auto& entry : detail::built_in_fake_quantizers()) names.push_back(entry.name);
  for (const auto* entry = midtread_state::fake_quantize_entries.load(); entry; entry = entry->next)
    if (std::strcmp(entry->abi, MIDTREAD_TEXT_OF_1(MIDTREAD_ABI)) == 0) names.push_back(entry->name);
  return names;
}

/// Makes `T` known under `name`. Again with the same T: nothing. Throws ConfigError where another has the
/// name.
template <class T>
void register_fake_quantize(const std::string& name) {
  static_assert(std::is_base_of_v<FakeQuantizeBase, T>,
                "register_fake_quantize: T must derive from quant::FakeQuantizeBase");
  const FakeQuantizeMaker make = &make_from_options<T>;
  if (name.empty()) throw ConfigError("register_fake_quantize", "got an empty name");
  if (const FakeQuantizeMaker known = detail::find_fake_quantize(name)) {
    if (known == make) return;
    throw ConfigError(printable(name), "this fake quantizer's name is taken; choose another");
  }
  char* text = new char[name.size() + 1];  // kept for the program's life, as the list is
  std::memcpy(text, name.c_str(), name.size() + 1);
  auto& list = midtread_state::fake_quantize_entries;
  auto* entry = new midtread_state::FakeQuantizeEntry{text, MIDTREAD_TEXT_OF_1(MIDTREAD_ABI),
                                                      reinterpret_cast<void (*)()>(make), list.load()};
  while (!list.compare_exchange_weak(entry->next, entry)) {
  }
}

/// The maker of this name. Throws ConfigError listing all names.
inline FakeQuantizeMaker fake_quantize_maker(const std::string& name) {
  if (const FakeQuantizeMaker make = detail::find_fake_quantize(name)) return make;
  std::string known;
  for (const std::string& each : fake_quantize_names()) known += (known.empty() ? "" : ", ") + each;
  throw ConfigError(printable(name), "no fake quantizer of this name; there is: " + known);
}

/// Throws ConfigError on an unknown name, listing all, and on options that do not fit.
inline std::shared_ptr<FakeQuantizeBase> make_fake_quantize(const std::string& name,
                                                            const OptionValues& values = {}) {
  return fake_quantize_maker(name)(values, nullptr);
}

/// A fake quantizer by name with its options.
struct FakeQuantizeChoice {
  std::string name;
  OptionValues values;
};

/// Throws as make_fake_quantize. An activation named "float" leaves the output in float.
inline std::shared_ptr<const AnyQConfig> make_qconfig(const FakeQuantizeChoice& activation,
                                                      const FakeQuantizeChoice& weight) {
  const FakeQuantizeMaker make_activation =
      activation.name == "float" ? nullptr : fake_quantize_maker(activation.name);
  const FakeQuantizeMaker make_weight = fake_quantize_maker(weight.name);
  return std::make_shared<const AnyQConfig>(
      [make_activation, values = activation.values]() -> AnyQConfig::Pointer {
        return make_activation ? make_activation(values, nullptr) : nullptr;
      },
      [make_weight, values = weight.values](const WeightChannels& channels) {
        return make_weight(values, &channels);
      });
}

MIDTREAD_NAMESPACE_END

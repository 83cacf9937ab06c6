// SPDX-License-Identifier: MIT
// Every observer on 2^20 floats, one thread: a first batch and its scales, and a further batch. `copies` is
// the time in plain copies of the same bytes (copy/1M). Labels name the observer.
#include <midtread/quant/placeholder_observer.hpp>
#include <midtread/quant/recording_observer.hpp>

#include <functional>

#include "million.hpp"

namespace {

using namespace midtread;
using Make = std::function<std::shared_ptr<quant::ObserverBase>()>;

void first_batch(benchmark::State& state, const Make& make) {
  set_num_threads(1);
  const auto observer = make();
  bench::run(state, observer->type_name(), [&] {
    observer->reset();
    observer->observe(bench::million());
    if (observer->state() == quant::ObserverState::kReady) benchmark::DoNotOptimize(observer->qparams());
  });
}

void next_batch(benchmark::State& state, const Make& make) {
  set_num_threads(1);
  const auto observer = make();
  observer->observe(bench::million());
  bench::run(state, observer->type_name(), [&] { observer->observe(bench::million()); });
}

void add_first(const std::string& name, const Make& make) {
  benchmark::RegisterBenchmark(("first_batch/" + name).c_str(),
                               [make](benchmark::State& s) { first_batch(s, make); });
}
void add(const std::string& name, const Make& make) {
  add_first(name, make);
  benchmark::RegisterBenchmark(("next_batch/" + name).c_str(),
                               [make](benchmark::State& s) { next_batch(s, make); });
}

/// The observer of a fake quantizer; null where that learns or has a rule of its own.
std::shared_ptr<quant::ObserverBase> observer_of(const std::string& name) {
  const auto fake_quantize = bench::make(name);
  if (fake_quantize->type_name() != "FakeQuantize") return nullptr;
  return std::static_pointer_cast<quant::ObserverBase>(fake_quantize->observer().shared_from_this());
}

const bool registered = [] {
  bench::register_copy();
  for (const std::string& name : quant::fake_quantize_names())
    if (observer_of(name)) add(name, [name] { return observer_of(name); });
  // A further batch would be kept as well, and another, until memory ends.
  add_first("recording/uint8_affine",
            [] { return quant::share(new quant::RecordingObserver<quant::UInt8Affine>); });
  add("placeholder/uint8_affine",
      [] { return quant::share(new quant::PlaceholderObserver<quant::UInt8Affine>); });
  return true;
}();

}  // namespace

// SPDX-License-Identifier: MIT
// Statistics after every batch and the qparams of PyTorch's range observers.
#include <midtread/quant/moving_average_per_channel_min_max_observer.hpp>
#include <midtread/quant/per_channel_min_max_observer.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>
#include <memory>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace observers_test {

using Pointer = std::shared_ptr<quant::RangeObserver>;

template <template <class> class Observer, class... Specs>
Pointer make_with(const quant::SpecInfo& spec, const quant::ObserverSettings& settings) {
  Pointer made;
  ((Specs::info() == spec ? void(made = std::make_shared<Observer<Specs>>(settings)) : void()), ...);
  return made;
}

Pointer make_observer(const golden::Case& c) {
  using namespace quant;
  const std::string dtype = c.attrs.value("dtype", "quint8"),
                    scheme = c.attrs.value("qscheme", "per_tensor_affine");
  const SpecInfo spec{dtype == "qint8" ? mt::DType::kInt8 : mt::DType::kUInt8,
                      scheme.find("symmetric") != std::string::npos,
                      c.op.find("PerChannel") != std::string::npos};
  ObserverSettings settings;
  if (c.attrs.contains("averaging_constant")) settings.averaging_constant = c.attrs.at("averaging_constant");
  if (c.attrs.contains("ch_axis")) settings.axis = c.attrs.at("ch_axis").get<int>();
  if (spec.dtype == mt::DType::kInt8) settings.range = {-128, 127, false};  // PyTorch's default
  if (c.op == "MovingAverageMinMaxObserver")
    return make_with<MovingAverageMinMaxObserver, UInt8Affine, UInt8Symmetric, Int8Affine, Int8Symmetric>(
        spec, settings);
  if (c.op == "MovingAveragePerChannelMinMaxObserver")
    return make_with<MovingAveragePerChannelMinMaxObserver, UInt8PerChannelAffine, Int8PerChannel,
                     Int8PerChannelAffine>(spec, settings);
  if (c.op.rfind("PerChannel", 0) == 0)
    return make_with<PerChannelMinMaxObserver, UInt8PerChannelAffine, Int8PerChannel, Int8PerChannelAffine>(
        spec, settings);
  return make_with<MinMaxObserver, UInt8Affine, UInt8Symmetric, Int8Affine, Int8Symmetric>(spec, settings);
}

// The file allows a relative error of 3e-7; ours agree in every bit.
const golden::Tolerance kEveryBit;

void compare_qparams(const mt::ChannelQParams& q, const golden::Json& expected) {
  const auto n = static_cast<std::int64_t>(q.scales.size());
  EXPECT_EQ(golden::difference(mt::from_vector(q.scales, mt::Shape{n}), golden::tensor(expected.at("scale")),
                               kEveryBit),
            "");
  EXPECT_EQ(golden::difference(mt::from_vector(q.zero_points, mt::Shape{n}),
                               golden::tensor<std::int32_t>(expected.at("zero_point")), kEveryBit),
            "");
}

TEST(GoldenObservers, StatisticsAfterEveryBatch) {
  int cases = 0, batches = 0;
  for (const golden::Case& c : golden::load("observers")) {
    if (!c.inputs.contains("batches") || c.attrs.at("qscheme") == "per_channel_affine_float_qparams")
      continue;
    SCOPED_TRACE(c.id);
    const Pointer observer = make_observer(c);
    ASSERT_NE(observer, nullptr);
    EXPECT_EQ(observer->type_name(), c.op);
    for (std::size_t b = 0; b < c.inputs.at("batches").size(); ++b) {
      const golden::Json& after = c.expected.at("after_batch").at(b);
      if (b == 1) observer->observe(mt::Tensor(mt::Shape{0, 4, 2}));  // ignored
      observer->observe(golden::tensor(c.inputs.at("batches").at(b)));
      EXPECT_EQ(golden::difference(observer->min_val(), golden::tensor(after.at("min_val")), kEveryBit), "")
          << "batch " << b;
      EXPECT_EQ(golden::difference(observer->max_val(), golden::tensor(after.at("max_val")), kEveryBit), "")
          << "batch " << b;
      ++batches;
    }
    compare_qparams(observer->qparams(), c.expected);
    ++cases;
  }
  std::printf("cases=%d batches=%d\n", cases, batches);
  EXPECT_EQ(cases, 16);
  EXPECT_EQ(batches, 48);
}

// PyTorch warns and gives (1, 0) before any data, a NaN or infinite scale after bad data. Ours throw. The
// HistogramObserver's case is run with a MinMaxObserver here; quant/histogram_observer_test.cpp has its own.
TEST(GoldenObservers, EdgeCases) {
  int cases = 0;
  for (const golden::Case& c : golden::load("observers")) {
    if (c.inputs.contains("batches")) continue;
    SCOPED_TRACE(c.id);
    const Pointer observer = make_observer(c);
    ASSERT_NE(observer, nullptr);
    const std::string what = c.op.substr(c.op.find('.') + 1);
    if (what == "never_run") {
      EXPECT_EQ(observer->state(), quant::ObserverState::kEmpty);
      EXPECT_THROW(observer->qparams(), mt::StateError);
    } else if (what == "nan" || what == "inf") {
      EXPECT_THROW(observer->observe(golden::tensor(c.inputs.at("x"))), mt::NumericError);
      EXPECT_EQ(observer->state(), quant::ObserverState::kPoisoned);
      EXPECT_THROW(observer->qparams(), mt::StateError);
    } else {
      observer->observe(golden::tensor(c.inputs.at("x")));
      compare_qparams(observer->qparams(), c.expected);
    }
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 7);
}

}  // namespace observers_test

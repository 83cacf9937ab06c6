// SPDX-License-Identifier: MIT
// The calibration methods on odd data: zeros, constants, non-finite and extreme values; their state through
// checkpoints; the histogram of |x|.
#include <midtread/quant/diffs_observer.hpp>
#include <midtread/quant/entropy_observer.hpp>
#include <midtread/quant/fake_quantize.hpp>
#include <midtread/quant/max_min_observer.hpp>
#include <midtread/quant/mse_observer.hpp>
#include <midtread/quant/percentile_observer.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>
#include <quant/calibration_data.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace calibration_state_test {

using namespace calibration_data;

TEST(AbsHistogram, GrowsByWholeBinsAndThenByPairs) {
  quant::AbsHistogram h(16);
  const float first[] = {0, 0.5f, -1.0f, 16.0f};
  h.add(first, 4, 16.0, 16);
  EXPECT_EQ(h.width, 1);
  EXPECT_EQ(h.bins(), 16);
  EXPECT_EQ(h.counts[0], 2);
  EXPECT_EQ(h.counts[1], 1);
  EXPECT_EQ(h.counts[15], 1);
  const float second[] = {17.5f};
  h.add(second, 1, 17.5, 16);
  EXPECT_EQ(h.bins(), 18);
  EXPECT_EQ(h.counts[17], 1);
  const float third[] = {1000.0f};
  h.add(third, 1, 1000.0, 16);
  EXPECT_EQ(h.width, 16);
  EXPECT_LE(h.bins(), 64);
  EXPECT_GE(h.edge(h.bins()), 1000);
  EXPECT_EQ(h.counts[0], 4);
  EXPECT_EQ(h.counts[1], 1);
  EXPECT_EQ(h.counts[62], 1);
  EXPECT_EQ(h.total(), 6);
  quant::AbsHistogram zeros_first(16);
  const float none[] = {0, 0};
  zeros_first.add(none, 2, 0, 16);
  zeros_first.add(first, 4, 16.0, 16);
  EXPECT_EQ(zeros_first.counts[0], 4);
}

template <class Observer>
void expect_edges() {
  SCOPED_TRACE(Observer::kName);
  Observer zeros;
  zeros.observe(mt::zeros({5}));
  EXPECT_EQ(zeros.qparams().scales[0],
            zeros.settings().is_power_of_two() ? std::ldexp(1.0f, -12) : std::ldexp(1.0f, -18));
  Observer constant;
  constant.observe(mt::full<float>({7}, 5));
  const mt::ChannelQParams q = constant.qparams();
  const float back = mt::kernels::dequantize(
      mt::kernels::quantize_code(5, mt::kernels::reciprocal(q.scales[0]), q.zero_points[0], q.range),
      q.zero_points[0], q.scales[0]);
  EXPECT_NEAR(back, 5, 0.05);
  Observer observer;
  EXPECT_THROW(observer.qparams(), mt::StateError);
  observer.observe(mt::Tensor(mt::Shape{0}));
  EXPECT_EQ(observer.state(), quant::ObserverState::kEmpty);
  observer.observe(data(kNormal, 1));
  EXPECT_THROW(observer.observe(mt::tensor({1.0f, std::nanf("")})), mt::NumericError);
  EXPECT_EQ(observer.state(), quant::ObserverState::kPoisoned);
  EXPECT_THROW(observer.qparams(), mt::StateError);
  observer.reset();
  observer.observe(data(kNormal, 2));
  EXPECT_EQ(observer.qparams().scales, found<Observer>(data(kNormal, 2)).scales);
  Observer skipping(typename Observer::Options().skip_nonfinite(true));
  skipping.observe(joined({data(kNormal, 2), mt::tensor({HUGE_VALF, std::nanf("")})}));
  EXPECT_EQ(skipping.qparams().scales, found<Observer>(data(kNormal, 2)).scales);
  // state: checkpoint, copy, set by hand
  using FakeQuantize = quant::FakeQuantize<Observer>;
  FakeQuantize first, second;
  first.observe(data(kNormal, 3)), first.observe(data(kTail, 4));
  second.load_state_dict(first.state_dict());
  first.observe(data(kUniform, 5)), second.observe(data(kUniform, 5));
  EXPECT_EQ(first.qparams().scales, second.qparams().scales);
  mt::ChannelQParams by_hand = first.qparams();
  by_hand.scales[0] = 0.125f;
  first.set_qparams(by_hand);
  EXPECT_EQ(first.observer().qparams().scales[0], 0.125f);
}

TEST(CalibrationState, EdgesAndState) {
  using quant::Int8Symmetric;
  using quant::UInt8Affine;
  expect_edges<quant::MaxMinObserver<Int8Symmetric>>();
  expect_edges<quant::MaxMinObserver<UInt8Affine>>();
  expect_edges<quant::PercentileObserver<Int8Symmetric>>();
  expect_edges<quant::PercentileObserver<UInt8Affine>>();
  expect_edges<quant::MseObserver<Int8Symmetric>>();
  expect_edges<quant::MseObserver<UInt8Affine>>();
  expect_edges<quant::EntropyObserver<Int8Symmetric>>();
  expect_edges<quant::EntropyObserver<UInt8Affine>>();
  expect_edges<quant::DiffsObserver<Int8Symmetric>>();
  expect_edges<quant::DiffsObserver<quant::UInt8Symmetric>>();
}

// The smallest and the largest floats, and their mixture.
template <class Observer>
void expect_extremes(int& cases) {
  SCOPED_TRACE(Observer::kName);
  for (float size : {1e-45f, 1e-38f, 1e-20f, 1e20f, 3.4028235e38f})
    for (const mt::Tensor& x :
         {mt::tensor({size, 0.0f, -size / 2}), mt::tensor({size, 1.0f, 1e-10f}), mt::tensor({-size})}) {
      Observer observer;
      observer.observe(x);
      observer.observe(mt::tensor({1.0f, size}));
      const mt::ChannelQParams q = observer.qparams();
      EXPECT_NO_THROW(mt::check(mt::QParams{q.scales[0], q.zero_points[0], q.range, q.dtype, q.rounding}, ""))
          << size;
      ++cases;
    }
}

TEST(CalibrationState, ExtremeValues) {
  using quant::Int8Symmetric;
  using quant::UInt8Affine;
  int cases = 0;
  expect_extremes<quant::MaxMinObserver<Int8Symmetric>>(cases);
  expect_extremes<quant::MaxMinObserver<UInt8Affine>>(cases);
  expect_extremes<quant::PercentileObserver<UInt8Affine>>(cases);
  expect_extremes<quant::MseObserver<Int8Symmetric>>(cases);
  expect_extremes<quant::MseObserver<UInt8Affine>>(cases);
  expect_extremes<quant::EntropyObserver<Int8Symmetric>>(cases);
  expect_extremes<quant::EntropyObserver<UInt8Affine>>(cases);
  expect_extremes<quant::DiffsObserver<Int8Symmetric>>(cases);
  std::printf("cases=%d\n", cases);
}

TEST(CalibrationState, DamagedCheckpoints) {
  using Observer = quant::EntropyObserver<quant::Int8Symmetric>;
  Observer observer(Observer::Options().per_batch(false));
  observer.observe(data(kNormal, 1));
  mt::get_tensor<double>(observer.own_buffers().at("histogram_width"), "").fill_(-1);
  expect_error<mt::QuantizationError>([&] { observer.observe(data(kNormal, 1)); },
                                      {"histogram or histogram_width holds"});
  Observer other;
  other.observe(data(kNormal, 1));
  mt::get_tensor<float>(other.own_buffers().at("history_scale"), "").set_data(mt::Tensor(mt::Shape{3}));
  expect_error<mt::ShapeError>([&] { other.qparams(); },
                               {"history_scale has shape [3]", "needs a row of 1 for every batch"});
}

TEST(CalibrationState, LongTrainingKeepsTheLastBatches) {
  using Observer = quant::MaxMinObserver<quant::Int8Symmetric>;
  Observer observer;
  observer.observe(mt::full<float>({2}, 100));
  for (int i = 0; i < Observer::kHistory; ++i) observer.observe(mt::ones({2}));
  EXPECT_EQ(observer.qparams().scales[0], 1.0f / 127);
}

}  // namespace calibration_state_test

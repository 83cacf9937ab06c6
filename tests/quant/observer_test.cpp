// SPDX-License-Identifier: MIT
// Range observers: accumulation, axes, groups, bad data, states and copies.
#include <midtread/quant/moving_average_per_channel_min_max_observer.hpp>
#include <midtread/quant/per_channel_min_max_observer.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>
#include <memory>

namespace mt = midtread;
namespace quant = midtread::quant;
using quant::MinMaxObserver;
using quant::MovingAverageMinMaxObserver;
using quant::ObserverState;

namespace observer_test {

const float kNan = std::nanf("");

TEST(MinMaxObserver, AccumulatesOrForgets) {
  MinMaxObserver<quant::UInt8Affine> all;
  MinMaxObserver<quant::UInt8Affine> current(MinMaxObserver<quant::UInt8Affine>::Options().memoryless(true));
  EXPECT_FALSE(all.is_memoryless());
  EXPECT_TRUE(current.is_memoryless());
  for (auto* o : {&all, &current}) {
    o->observe(mt::tensor({-4.0f, 8.0f}));
    o->observe(mt::tensor({-1.0f, 2.0f, 0.5f}));
  }
  EXPECT_EQ(all.min_val().item(), -4);
  EXPECT_EQ(all.max_val().item(), 8);
  EXPECT_EQ(current.min_val().item(), -1);
  EXPECT_EQ(current.max_val().item(), 2);
  all.observe(mt::Tensor(mt::Shape{0}));
  EXPECT_EQ(all.max_val().item(), 8);
}

TEST(MovingAverageMinMaxObserver, FollowsTheFormula) {
  using Observer = MovingAverageMinMaxObserver<quant::UInt8Affine>;
  int cases = 0;
  for (double c : {0.0, 0.01, 0.5, 1.0}) {
    Observer observer(Observer::Options().averaging_constant(c));
    observer.observe(mt::tensor({-1.0f, 3.0f}));
    observer.observe(mt::tensor({-2.0f, 7.0f}));
    const auto constant = static_cast<float>(c);
    EXPECT_EQ(observer.min_val().item(), -1.0f + constant * -1.0f);
    EXPECT_EQ(observer.max_val().item(), 3.0f + constant * 4.0f);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(PerChannelObserver, EveryAxisAndGroupAgainstPlainIndexing) {
  int cases = 0;
  const mt::Shape shape{6, 4, 3, 2};
  mt::Generator generator(11);
  for (int axis = 0; axis < 4; ++axis)
    for (std::int64_t groups : {1, 2, 3}) {
      if (axis == 0 && groups > 1) continue;
      using Observer = MinMaxObserver<quant::Int8PerChannel>;
      Observer observer(Observer::Options().axis(axis).groups(groups));
      const mt::Tensor x = mt::randn(shape, generator);
      observer.observe(x);
      const auto channels = static_cast<std::size_t>(groups * shape[axis]);
      ASSERT_EQ(observer.min_val().shape(), (mt::Shape{groups * shape[axis]}));
      std::vector<float> min(channels, HUGE_VALF), max(channels, -HUGE_VALF);
      for (std::int64_t a = 0; a < shape[0]; ++a)
        for (std::int64_t b = 0; b < shape[1]; ++b)
          for (std::int64_t c = 0; c < shape[2]; ++c)
            for (std::int64_t d = 0; d < shape[3]; ++d) {
              const std::int64_t position[] = {a, b, c, d};
              const std::int64_t group = groups == 1 ? 0 : a / (shape[0] / groups);
              const auto at = static_cast<std::size_t>(group * shape[axis] + position[axis]);
              min[at] = std::min(min[at], x.at({a, b, c, d}));
              max[at] = std::max(max[at], x.at({a, b, c, d}));
            }
      EXPECT_EQ(observer.min_val().to_vector(), min);
      EXPECT_EQ(observer.max_val().to_vector(), max);
      const mt::ChannelQParams q = observer.qparams();
      EXPECT_EQ(q.axis, axis);
      for (std::size_t c = 0; c < channels; ++c) {
        EXPECT_EQ(q.scales[c], std::max(-min[c], max[c]) / 127.0f);
        EXPECT_EQ(q.zero_points[c], 0);
      }
      Observer other(Observer::Options().axis(axis).groups(groups));
      other.observe(x.channels_last());
      EXPECT_TRUE(mt::identical(observer.min_val(), other.min_val()));
      ++cases;
    }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 10);
}

TEST(PerChannelObserver, RefusesAnotherNumberOfChannels) {
  quant::PerChannelMinMaxObserver<quant::Int8PerChannel> observer;
  observer.observe(mt::ones({3, 4}));
  expect_error<mt::ShapeError>(
      [&] {
        observer.observe(mt::ones({1, 4}));
      },
      {"statistics of 3 channels", "has 1 along axis 0"});
  expect_error<mt::ShapeError>([&] { observer.observe(mt::ones({})); }, {"channel axis 0 of shape []"});
  observer.reset();
  EXPECT_EQ(observer.state(), ObserverState::kEmpty);
  observer.observe(mt::ones({1, 4}));
  EXPECT_EQ(observer.qparams().scales.size(), 1u);
}

TEST(Observer, NonFiniteDataPoisons) {
  int cases = 0;
  for (float bad : {kNan, HUGE_VALF, -HUGE_VALF})
    for (std::int64_t at : {0, 1, 100, 2399}) {
      MovingAverageMinMaxObserver<quant::UInt8Affine> observer;
      observer.set_path("block.conv1.activation_post_process");
      observer.observe(mt::ones({2, 3, 20, 20}));
      mt::Tensor x = mt::zeros({2, 3, 20, 20});
      x.mutable_data()[at] = bad;
      expect_error<mt::NumericError>([&] { observer.observe(x.channels_last()); },
                                     {"block.conv1.activation_post_process", "1 non-finite of 2400 values",
                                      "first at index " + std::to_string(at)});
      EXPECT_EQ(observer.state(), ObserverState::kPoisoned);
      expect_error<mt::StateError>([&] { observer.qparams(); }, {"has seen NaN or infinity", "reset()"});
      expect_error<mt::StateError>([&] { observer.observe(mt::ones({2})); }, {"has seen NaN"});
      observer.reset();
      observer.observe(mt::ones({2}));
      EXPECT_EQ(observer.state(), ObserverState::kReady);
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

TEST(Observer, MemorylessRecoversByItself) {
  using Observer = MinMaxObserver<quant::Int8PerChannel>;
  Observer observer(Observer::Options().memoryless(true));
  expect_error<mt::NumericError>(
      [&] {
        observer.observe(mt::from_vector<float>({1, kNan, kNan, 2}, {2, 2}));
      },
      {"2 non-finite of 4 values, first at index 1"});
  EXPECT_EQ(observer.state(), ObserverState::kPoisoned);
  observer.observe(mt::ones({3, 2}));
  EXPECT_EQ(observer.state(), ObserverState::kReady);
}

TEST(Observer, SkipsAndCountsNonFiniteOnRequest) {
  using Observer = MinMaxObserver<quant::UInt8Affine>;
  Observer observer(Observer::Options().skip_nonfinite(true));
  observer.observe(mt::tensor({1.0f, kNan, -2.0f, HUGE_VALF}));
  EXPECT_EQ(observer.skipped_nonfinite(), 2);
  EXPECT_EQ(observer.min_val().item(), -2);
  EXPECT_EQ(observer.max_val().item(), 1);
  observer.observe(mt::tensor({kNan}));
  EXPECT_EQ(observer.skipped_nonfinite(), 3);
  EXPECT_EQ(observer.min_val().item(), -2);

  using Channels = MinMaxObserver<quant::Int8PerChannel>;
  Channels channels(Channels::Options().skip_nonfinite(true));
  channels.observe(mt::from_vector<float>({kNan, kNan, 1, 2}, {2, 2}));
  EXPECT_EQ(channels.max_val().to_vector(), (std::vector<float>{0, 2}));
  EXPECT_EQ(channels.qparams().scales.at(0), mt::kernels::kQParamsEps);
}

TEST(Observer, RangeInsteadOfATensor) {
  using Observer = MovingAverageMinMaxObserver<quant::UInt8Affine>;
  Observer a, b;
  for (float f : {1.0f, 2.5f}) {
    a.observe(mt::tensor({-f, 0.5f, 3 * f}));
    EXPECT_TRUE(b.observe_range(-f, 3 * f));
  }
  EXPECT_TRUE(mt::identical(a.min_val(), b.min_val()));
  EXPECT_TRUE(mt::identical(a.max_val(), b.max_val()));
  expect_error<mt::NumericError>([&] { b.observe_range(0, kNan); }, {"non-finite range 0..nan"});
  EXPECT_EQ(b.state(), ObserverState::kPoisoned);
  MinMaxObserver<quant::Int8PerChannel> channels;
  EXPECT_FALSE(channels.observe_range(0, 1));
}

TEST(Observer, EmptyHasNoScale) {
  MinMaxObserver<quant::UInt8Affine> observer;
  EXPECT_EQ(observer.state(), ObserverState::kEmpty);
  expect_error<mt::StateError>([&] { observer.qparams(); },
                               {"MinMaxObserver", "has seen no data", "run calibrate"});
  observer.observe(mt::Tensor(mt::Shape{0, 3}));
  EXPECT_EQ(observer.state(), ObserverState::kEmpty);
}

TEST(Observer, ScaleOfExtremeRanges) {
  MinMaxObserver<quant::UInt8Affine> observer;
  const float largest = std::numeric_limits<float>::max();
  observer.observe(mt::tensor({-largest, largest}));
  const mt::ChannelQParams q = observer.qparams();
  EXPECT_TRUE(std::isfinite(q.scales.at(0)));
  EXPECT_NO_THROW(
      mt::check(mt::QParams{q.scales.at(0), q.zero_points.at(0), q.range, q.dtype, q.rounding}, "extreme"));
}

TEST(Observer, CopiesAreIndependentAndStatesTravel) {
  auto observer = std::make_shared<quant::MovingAveragePerChannelMinMaxObserver<quant::Int8PerChannel>>();
  observer->observe(mt::from_vector<float>({1, -2, 3, 4}, {2, 2}));
  mt::nn::Module::CloneMap map;
  const auto copy = std::dynamic_pointer_cast<quant::RangeObserver>(observer->clone(map));
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(copy->type_name(), "MovingAveragePerChannelMinMaxObserver");
  observer->observe(mt::from_vector<float>({100, 0, 0, 0}, {2, 2}));
  EXPECT_EQ(copy->max_val().to_vector(), (std::vector<float>{1, 4}));
  copy->observe(mt::from_vector<float>({2, 2, 4, 4}, {2, 2}));
  EXPECT_NE(copy->max_val().to_vector(), observer->max_val().to_vector());

  auto fresh = std::make_shared<quant::MovingAveragePerChannelMinMaxObserver<quant::Int8PerChannel>>();
  fresh->load_state_dict(observer->state_dict());
  EXPECT_EQ(fresh->state(), ObserverState::kReady);
  EXPECT_EQ(fresh->qparams().scales, observer->qparams().scales);

  MinMaxObserver<quant::UInt8Affine> poisoned, loaded;
  EXPECT_THROW(poisoned.observe(mt::tensor({kNan})), mt::NumericError);
  loaded.load_state_dict(poisoned.state_dict());
  EXPECT_EQ(loaded.state(), ObserverState::kPoisoned);
}

}  // namespace observer_test

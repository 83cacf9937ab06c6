// SPDX-License-Identifier: MIT
// HistogramObserver: its loss against a numerical integral, growth, bad data, state and copies. PyTorch's
// numbers are in golden/histogram_test.cpp.
#include <midtread/ops/elementwise.hpp>
#include <midtread/quant/fake_quantize.hpp>
#include <midtread/quant/histogram_observer.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace histogram_observer_test {

using quant::Histogram;
using quant::HistogramObserver;
using quant::ObserverState;
using Observer = HistogramObserver<quant::UInt8Affine>;

double sum_of(const mt::Tensor& t) {
  double sum = 0;
  for (float v : t.to_vector()) sum += static_cast<double>(v);
  return sum;
}

TEST(Histogram, LossIsTheIntegralOfTheSquaredError) {
  mt::Generator random(3);
  int cases = 0;
  for (const int bins : {8, 32, 50})
    for (const int codes : {4, 16, 255})
      for (int k = 0; k < 6; ++k) {
        Histogram h;
        h.min = random.uniform(-3, 0);
        h.max = h.min + random.uniform(0.5, 4);
        for (int i = 0; i < bins; ++i) h.counts.push_back(static_cast<double>(random.below(100)));
        const int first = static_cast<int>(random.below(bins)),
                  last = first + static_cast<int>(random.below(bins - first));
        const double width = (h.max - h.min) / bins, begin = h.min + width * first,
                     step = width * (last - first + 1) / codes;
        double want = 0;
        const int points = 4000;
        for (int i = 0; i < bins; ++i)
          for (int p = 0; p < points; ++p) {
            const double v = h.min + width * (i + (p + 0.5) / points);
            const double code = std::min(std::max(std::floor((v - begin) / step), 0.0), codes - 1.0);
            const double error = v - (begin + (code + 0.5) * step);
            want += h.counts[static_cast<std::size_t>(i)] * error * error / points;
          }
        EXPECT_NEAR(quant::window_loss(h, {first, last}, codes), want, 1e-4 * want + 1e-9);
        ++cases;
      }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 54);
}

TEST(Histogram, WideningMovesEveryCount) {
  Histogram h;
  h.min = -1, h.max = 1;
  h.counts = {1, 2, 3, 4};
  h.widen(-3, 1, 16);  // bins twice as wide
  EXPECT_EQ(h.counts, (std::vector<double>{0, 0, 3, 7}));
  h.widen(-3, 1, 16);
  EXPECT_EQ(h.counts, (std::vector<double>{0, 0, 3, 7}));
  Histogram one;
  one.min = one.max = 2;
  one.counts = {0, 0, 5, 0};
  one.widen(0, 4, 16);
  EXPECT_EQ(one.counts, (std::vector<double>{0, 0, 5, 0}));
  one.counts = {0, 0, 5, 0};
  one.min = one.max = 0;
  one.widen(0, 4, 16);
  EXPECT_EQ(one.counts, (std::vector<double>{5, 0, 0, 0}));
}

TEST(HistogramObserver, ClipsWhatIsRare) {
  Observer observer(Observer::Options().bit_width(3));
  mt::Generator random(1);
  mt::Tensor x = mt::randn({10000}, random);
  x.mutable_data()[77] = 10;
  observer.observe(x);
  const auto range = observer.searched_range();
  EXPECT_LT(range.second, 5);
  EXPECT_EQ(observer.max_val().item(), 10);
  EXPECT_EQ(sum_of(observer.histogram()), 10000);
  observer.observe(x);
  EXPECT_EQ(sum_of(observer.histogram()), 20000);
  observer.observe(x * 3.0);
  EXPECT_NEAR(sum_of(observer.histogram()), 30000, 0.01);
}

TEST(HistogramObserver, FewerCodesClipMore) {
  mt::Generator random(2);
  const mt::Tensor x = mt::randn({20000}, random);
  float before = 0;
  for (const int bits : {2, 3, 4, 6, 8}) {
    HistogramObserver<quant::Int8Symmetric> observer(
        HistogramObserver<quant::Int8Symmetric>::Options().bit_width(bits));
    observer.observe(x);
    const float width = observer.searched_range().second - observer.searched_range().first;
    EXPECT_GT(width, before) << bits;
    before = width;
  }
  // reduce_range does not change the search, as in PyTorch
  Observer full, reduced(Observer::Options().reduce_range(true));
  full.observe(x), reduced.observe(x);
  EXPECT_EQ(full.searched_range(), reduced.searched_range());
  EXPECT_GT(reduced.qparams().scales[0], 1.9f * full.qparams().scales[0]);
}

TEST(HistogramObserver, EdgeCases) {
  for (float v : {0.0f, 5.0f, -5.0f}) {
    SCOPED_TRACE(v);
    Observer histogram;
    histogram.observe(mt::full<float>({4, 5}, v));
    EXPECT_EQ(histogram.qparams().scales[0], std::max(std::fabs(v) / 255.0f, 1.1920929e-7f));
    EXPECT_EQ(histogram.qparams().zero_points[0], v < 0 ? 255 : 0);
    histogram.observe(mt::full<float>({4, 5}, v + 1));
    EXPECT_EQ(sum_of(histogram.histogram()), 40);
  }
  Observer observer;
  EXPECT_EQ(observer.state(), ObserverState::kEmpty);
  EXPECT_THROW(observer.qparams(), mt::StateError);
  observer.observe(mt::Tensor(mt::Shape{0, 3}));
  EXPECT_EQ(observer.state(), ObserverState::kEmpty);
  observer.observe(mt::tensor({-3e38f, 3e38f}));  // the width overflows float
  EXPECT_TRUE(std::isfinite(observer.qparams().scales[0]));
}

TEST(HistogramObserver, BadData) {
  for (float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    Observer observer;
    observer.observe(mt::tensor({1.0f, 2.0f}));
    EXPECT_THROW(observer.observe(mt::tensor({1.0f, bad})), mt::NumericError);
    EXPECT_EQ(observer.state(), ObserverState::kPoisoned);
    EXPECT_THROW(observer.qparams(), mt::StateError);
    EXPECT_THROW(observer.observe(mt::tensor({1.0f})), mt::StateError);
    observer.reset();
    EXPECT_EQ(sum_of(observer.histogram()), 0);
    observer.observe(mt::tensor({1.0f, 2.0f}));
    EXPECT_EQ(sum_of(observer.histogram()), 2);
    Observer skipping(Observer::Options().skip_nonfinite(true));
    skipping.observe(mt::tensor({1.0f, bad, 3.0f}));
    skipping.observe(mt::tensor({bad}));
    EXPECT_EQ(skipping.skipped_nonfinite(), 2);
    EXPECT_EQ(sum_of(skipping.histogram()), 2);
    EXPECT_EQ(skipping.max_val().item(), 3);
  }
}

TEST(HistogramObserver, MemorylessForgets) {
  Observer observer(Observer::Options().memoryless(true));
  observer.observe(mt::tensor({-4.0f, 4.0f}));
  observer.observe(mt::tensor({0.0f, 1.0f, 0.5f}));
  EXPECT_EQ(sum_of(observer.histogram()), 3);
  EXPECT_EQ(observer.max_val().item(), 1);
}

TEST(HistogramObserver, StateGoesThroughACheckpointAndACopy) {
  using FakeQuantize = quant::FakeQuantize<Observer>;
  mt::Generator random(5);
  FakeQuantize first(FakeQuantize::Options().bins(64)), second(FakeQuantize::Options().bins(64));
  first.observe(mt::randn({500}, random));
  second.load_state_dict(first.state_dict());
  const mt::Tensor more = mt::randn({500}, random) * 2.0;
  first.observe(more), second.observe(more);
  EXPECT_EQ(first.qparams().scales, second.qparams().scales);
  EXPECT_EQ(first.qparams().zero_points, second.qparams().zero_points);

  mt::ChannelQParams by_hand = first.qparams();
  by_hand.scales = {0.037f};
  first.set_qparams(by_hand);
  EXPECT_FLOAT_EQ(first.observer().qparams().scales[0], 0.037f);
  EXPECT_EQ(first.observer().qparams().zero_points, by_hand.zero_points);

  auto& observer = dynamic_cast<Observer&>(second.observer());
  mt::Tensor(observer.histogram()).set({3}, -1.0f);
  expect_error<mt::QuantizationError>([&] { observer.qparams(); }, {"histogram holds -1"});
  mt::Tensor(observer.histogram()).set_data(mt::ones({1}));
  expect_error<mt::ShapeError>([&] { observer.qparams(); }, {"histogram has shape [1]", "two bins or more"});
}

TEST(HistogramObserver, Options) {
  EXPECT_EQ(Observer(Observer::Options().bins(128)).extra_repr(),
            "uint8_affine, quant_min=0, quant_max=255, bins=128");
  expect_error<mt::ConfigError>([] { Observer(Observer::Options().bins(1)); },
                                {"bins", "got 1, allowed 2..65536"});
  expect_error<mt::ConfigError>([] { Observer(Observer::Options().upsample_rate(0)); },
                                {"upsample_rate", "got 0"});
  Observer::Options options;
  options.set("bins", 100.0).set("upsample_rate", 4.0).set("quant_min", 0.0);
  EXPECT_EQ(options.settings().bins, 100);
  EXPECT_EQ(options.settings().upsample_rate, 4);
  expect_error<mt::ConfigError>([&] { options.set("bin", 4.0); },
                                {"no such option", "eps", "bins, upsample_rate"});
}

}  // namespace histogram_observer_test

// SPDX-License-Identifier: MIT
// HAT's calibration observers against plain restatements in double: each batch's clipped range, then the
// average.
#include <midtread/quant/clip_std_observer.hpp>
#include <midtread/quant/fake_quantize.hpp>
#include <midtread/quant/kl_observer.hpp>
#include <midtread/quant/moving_average_mse_observer.hpp>
#include <midtread/quant/moving_average_percentile_observer.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>
#include <quant/calibration_data.hpp>

#include <cstdio>
#include <utility>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace clipped_average_test {

using namespace calibration_data;
using Range = std::pair<double, double>;

Range range_of(const Values& x) {
  return {*std::min_element(x.begin(), x.end()), *std::max_element(x.begin(), x.end())};
}
Range clipped_at(const Range& range, double t) {
  return {std::max(range.first, -t), std::min(range.second, t)};
}
Values counts_of(const Values& x, int bins) {
  Values counts(static_cast<std::size_t>(bins));
  const double width = largest(x) / bins;
  for (double v : x)
    counts[static_cast<std::size_t>(std::min(static_cast<int>(std::fabs(v) / width), bins - 1))] += 1;
  return counts;
}

Range clip_std(const Values& x, double sigmas) {
  double mean = 0, square = 0;
  for (double v : x) mean += v / static_cast<double>(x.size());
  for (double v : x) square += (v - mean) * (v - mean) / static_cast<double>(x.size() - 1);
  const double reach = sigmas * std::sqrt(square);
  const Range range = range_of(x);
  return {std::max(range.first, mean - reach), std::min(range.second, mean + reach)};
}

Range percentile(const Values& x, double percentage, int bins) {
  const Values counts = counts_of(x, bins);
  double sum = 0;
  int i = 0;
  while ((sum += counts[static_cast<std::size_t>(i)]) < percentage / 100 * static_cast<double>(x.size())) ++i;
  return clipped_at(range_of(x), (i + 0.5) * largest(x) / bins);
}

/// Of a symmetric int8 quantizer, -top..top.
Range mse(const Values& x, int stride, double top) {
  const Range range = range_of(x);
  double least = HUGE_VAL, found = 1;
  for (int k = 0; k <= 94; k += stride) {
    const double ratio = 1 - 0.01 * k, s = ratio * largest(x) / top;
    double cost = 0;
    for (double v : x) {
      const double y = s * std::min(std::max(std::nearbyint(v / s), -top), top);
      cost += (v - y) * (v - y);
    }
    if (cost <= least) least = cost, found = ratio;
  }
  return {found * range.first, found * range.second};
}

Range kl(const Values& x, int bins, int stride) {
  const Values counts = counts_of(x, bins);
  Values divergences;
  for (int i = 128; i <= bins; i += stride) {
    Values p(counts.begin(), counts.begin() + i), q(p.size()), level(128), filled(128);
    for (int j = 0; j < i; ++j)
      if (p[static_cast<std::size_t>(j)] > 0) {
        level[static_cast<std::size_t>(j * 128 / i)] += p[static_cast<std::size_t>(j)];
        filled[static_cast<std::size_t>(j * 128 / i)] += 1;
      }
    for (int j = 0; j < i; ++j) {
      const auto at = static_cast<std::size_t>(j), code = static_cast<std::size_t>(j * 128 / i);
      q[at] = (p[at] > 0 ? level[code] / filled[code] : 0) + 1e-10;
    }
    for (int j = i; j < bins; ++j) p.back() += counts[static_cast<std::size_t>(j)];
    double all_p = 0, all_q = 0, sum = 0;
    for (double v : p) all_p += v;
    for (double v : q) all_q += v;
    for (std::size_t j = 0; j < p.size(); ++j)
      if (p[j] > 0) sum += p[j] / all_p * std::log(p[j] / all_p / (q[j] / all_q));
    divergences.push_back(sum);
  }
  double least = HUGE_VAL;
  int found = 0;
  for (int i = 0; i + 9 <= static_cast<int>(divergences.size()); ++i) {
    double sum = 0;
    for (int j = 0; j < 9; ++j) sum += divergences[static_cast<std::size_t>(i + j)];
    if (sum < least) least = sum, found = i;
  }
  return clipped_at(range_of(x), largest(x) / bins * (128 + (found + 4) * stride));
}

/// Three batches of every distribution; `plain` is the range of a batch.
template <class Observer, class Plain>
int expect_ranges(const typename Observer::Options& options, double c, double tolerance, const Plain& plain,
                  int least_clipped = 5) {
  SCOPED_TRACE(Observer::kName);
  int cases = 0, clipped = 0;
  for (int kind = 0; kind < kKinds; ++kind) {
    SCOPED_TRACE(kind);
    Observer observer(options);
    Range want;
    for (unsigned batch = 0; batch < 3; ++batch) {
      const mt::Tensor x = data(kind, 10 * static_cast<unsigned>(kind) + batch);
      observer.observe(x);
      const Range now = plain(values_of(x));
      clipped += now != range_of(values_of(x)) ? 1 : 0;
      want = batch == 0 ? now
                        : Range{want.first + c * (now.first - want.first),
                                want.second + c * (now.second - want.second)};
      const double near = tolerance * std::max(std::fabs(want.first), std::fabs(want.second));
      EXPECT_NEAR(observer.min_val().item(), want.first, near) << "batch " << batch;
      EXPECT_NEAR(observer.max_val().item(), want.second, near) << "batch " << batch;
      ++cases;
    }
    const double reach = std::max(-want.first, want.second);
    const double scale = reach / observer.range().quant_max;
    if (Observer::Spec::kSymmetric) {
      EXPECT_NEAR(observer.qparams().scales.at(0), scale, 2 * tolerance * scale);
    }
  }
  EXPECT_GE(clipped, least_clipped);
  return cases;
}

TEST(ClippedAverage, RangesAsStated) {
  using quant::Int8Symmetric;
  using quant::UInt8Affine;
  int cases = 0;
  using Std = quant::ClipStdObserver<Int8Symmetric>;
  cases += expect_ranges<Std>({}, 0.01, 1e-6, [](const Values& x) { return clip_std(x, 3); });
  cases += expect_ranges<Std>(Std::Options().sigmas(1.5).averaging_constant(0.5), 0.5, 1e-6,
                              [](const Values& x) { return clip_std(x, 1.5); });
  using AffineStd = quant::ClipStdObserver<UInt8Affine>;
  cases += expect_ranges<AffineStd>({}, 0.01, 1e-6, [](const Values& x) { return clip_std(x, 3); });
  using Percentile = quant::MovingAveragePercentileObserver<Int8Symmetric>;
  cases +=
      expect_ranges<Percentile>({}, 0.01, 1e-6, [](const Values& x) { return percentile(x, 99.99, 2048); });
  cases += expect_ranges<Percentile>(Percentile::Options().percentage(95).bins(1000).averaging_constant(1), 1,
                                     1e-6, [](const Values& x) { return percentile(x, 95, 1000); });
  using Mse = quant::MovingAverageMseObserver<Int8Symmetric>;
  cases += expect_ranges<Mse>(
      {}, 0.01, 1e-6, [](const Values& x) { return mse(x, 1, 127); }, 0);
  cases += expect_ranges<Mse>(Mse::Options().stride(7).bit_width(3), 0.01, 1e-6,
                              [](const Values& x) { return mse(x, 7, 3); });
  using Kl = quant::KlObserver<Int8Symmetric>;
  cases += expect_ranges<Kl>({}, 0.01, 1e-6, [](const Values& x) { return kl(x, 512, 1); });
  cases += expect_ranges<Kl>(Kl::Options().bins(1024).stride(4).averaging_constant(0.25), 0.25, 1e-6,
                             [](const Values& x) { return kl(x, 1024, 4); });
  std::printf("cases=%d\n", cases);
}

template <class Observer>
void expect_edges(int& cases) {
  SCOPED_TRACE(Observer::kName);
  Observer zeros, one, constant;
  zeros.observe(mt::zeros({9}));
  EXPECT_EQ(zeros.qparams().scales.at(0), mt::kernels::kQParamsEps);
  one.observe(mt::tensor({3.0f}));
  EXPECT_LE(one.max_val().item(), 3.0f);
  EXPECT_GT(one.max_val().item(), 0.0f);
  EXPECT_NO_THROW(one.qparams());
  constant.observe(mt::full<float>({100}, -2.0f));
  EXPECT_GE(constant.min_val().item(), -2.0f);
  EXPECT_LT(constant.min_val().item(), 0.0f);
  Observer poisoned;
  EXPECT_THROW(poisoned.observe(mt::tensor({1.0f, std::nanf("")})), mt::NumericError);
  EXPECT_EQ(poisoned.state(), quant::ObserverState::kPoisoned);
  Observer skipping(typename Observer::Options().skip_nonfinite(true)), plain;
  skipping.observe(joined({data(kNormal, 2), mt::tensor({HUGE_VALF, std::nanf("")})}));
  plain.observe(data(kNormal, 2));
  EXPECT_EQ(skipping.max_val().item(), plain.max_val().item());
  EXPECT_FALSE(plain.observe_range(0, 1));
  for (float size : {1e-45f, 1e-30f, 1e30f, 3.4028235e38f}) {
    Observer extreme;
    extreme.observe(mt::tensor({size, 0.0f, -size / 2}));
    const mt::ChannelQParams q = extreme.qparams();
    EXPECT_NO_THROW(mt::check(mt::QParams{q.scales[0], q.zero_points[0], q.range, q.dtype, q.rounding}, ""))
        << size;
    ++cases;
  }
  // through a checkpoint
  quant::FakeQuantize<Observer> first, second;
  first.observe(data(kTail, 3));
  second.load_state_dict(first.state_dict());
  first.observe(data(kNormal, 4)), second.observe(data(kNormal, 4));
  EXPECT_EQ(first.qparams().scales, second.qparams().scales);
}

TEST(ClippedAverage, EdgesAndState) {
  int cases = 0;
  expect_edges<quant::ClipStdObserver<quant::Int8Symmetric>>(cases);
  expect_edges<quant::ClipStdObserver<quant::UInt8Affine>>(cases);
  expect_edges<quant::MovingAveragePercentileObserver<quant::Int8Symmetric>>(cases);
  expect_edges<quant::MovingAverageMseObserver<quant::Int8Symmetric>>(cases);
  expect_edges<quant::MovingAverageMseObserver<quant::UInt8Affine>>(cases);
  expect_edges<quant::KlObserver<quant::Int8Symmetric>>(cases);
  expect_edges<quant::KlObserver<quant::UInt8Affine>>(cases);
  std::printf("cases=%d\n", cases);
}

TEST(ClippedAverage, OptionsThatDoNotFit) {
  using Std = quant::ClipStdObserver<quant::Int8Symmetric>;
  using Mse = quant::MovingAverageMseObserver<quant::Int8Symmetric>;
  using Kl = quant::KlObserver<quant::Int8Symmetric>;
  using Percentile = quant::MovingAveragePercentileObserver<quant::Int8Symmetric>;
  int cases = 0;
  const auto refused = [&](const auto& make, std::initializer_list<std::string> words) {
    expect_error<mt::ConfigError>(make, words);
    ++cases;
  };
  refused([] { Std(Std::Options().sigmas(0)); }, {"sigmas", "got 0, allowed above 0"});
  refused([] { Std(Std::Options().sigmas(std::nan(""))); }, {"sigmas"});
  refused([] { Kl(Kl::Options().sigmas(3)); }, {"sigmas", "got 3, but the kl method has no such option"});
  refused([] { Std(Std::Options().bins(512)); }, {"bins", "clip_std"});
  refused([] { Mse(Mse::Options().percentage(99)); }, {"percentage", "the mse method"});
  refused([] { Mse(Mse::Options().stride(95)); }, {"stride", "got 95, allowed 1..94"});
  refused([] { Percentile(Percentile::Options().percentage(0)); },
          {"percentage", "allowed above 0, up to 100"});
  refused([] { Percentile(Percentile::Options().stride(2)); }, {"stride", "percentile"});
  refused([] { Kl(Kl::Options().bins(128)); }, {"bins", "allowed 256..65536"});
  refused([] { Kl(Kl::Options().stride(49)); }, {"stride", "got 49 with 512 bins", "nine candidates"});
  EXPECT_NO_THROW(Kl(Kl::Options().stride(48)));
  refused([] { Kl(Kl::Options().memoryless(true)); }, {"memoryless", "a moving average, which remembers"});
  refused([] { Kl(Kl::Options().averaging_constant(1.5)); }, {"averaging_constant", "got 1.5"});
  Kl::Options options;
  options.set("bins", 1024.0).set("stride", 2.0).set("averaging_constant", 0.5);
  EXPECT_EQ(Kl(options).options_text().substr(0, 22), "averaging_constant=0.5");
  refused([&] { options.set("bin", 1.0); }, {"bin", "no such option", "sigmas, percentage, bins, stride"});
  std::printf("cases=%d\n", cases);
}

}  // namespace clipped_average_test

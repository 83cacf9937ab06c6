// SPDX-License-Identifier: MIT
// Max/min, percentile, MSE, entropy and diffs against plain restatements in double, batch by batch and
// together.
#include <midtread/ops/elementwise.hpp>
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
#include <map>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace calibration_methods_test {

using namespace calibration_data;
using quant::Statistic;

// ---------------------------------------------------------------- restatements

Values counts_of(const Values& x, int bins) {
  Values counts(static_cast<std::size_t>(bins));
  const double most = largest(x);
  for (double v : x)
    counts[static_cast<std::size_t>(std::min(static_cast<int>(std::fabs(v) / most * bins), bins - 1))] += 1;
  return counts;
}

double percentile_threshold(Values x, double percentage, bool lower) {
  const double most = largest(x);
  for (double& v : x) v = std::fabs(v);
  std::sort(x.begin(), x.end());
  // the value at which the percentage is reached lies in the bin sought
  auto rank = static_cast<std::size_t>(std::ceil(percentage / 100 * static_cast<double>(x.size())));
  const double v = x[std::max<std::size_t>(rank, 1) - 1];
  const int bin = std::min(static_cast<int>(v / most * 2048), 2047);
  return most / 2048 * (lower ? bin : bin + 1);
}

/// `codes`: the largest code of |x|.
double mse_threshold(const Values& x, int codes, mt::Rounding rounding) {
  const int bins = 2048;
  const Values counts = counts_of(x, bins);
  const double width = largest(x) / bins;
  double best = HUGE_VAL, found = 0;
  const auto attempt = [&](double t) {
    double cost = 0;
    for (int i = 0; i < bins; ++i) {
      const double c = (i + 0.5) * width, v = c / (t / codes), whole = std::floor(v);
      double code = v - whole > 0.5 || (v - whole == 0.5 && (rounding == mt::Rounding::kHalfUp ||
                                                             rounding == mt::Rounding::kStdRound))
                        ? whole + 1
                        : whole;
      code = std::min(code, static_cast<double>(codes));
      cost += counts[static_cast<std::size_t>(i)] * std::pow(c - code * t / codes, 2);
    }
    if (cost < best) best = cost, found = t;
  };
  for (int i = 1536; i < bins; i += 16) attempt((i + 0.5) * width);
  attempt(bins * width);
  return found;
}

double entropy_threshold(const Values& x, int levels) {
  const int bins = 2048;
  Values counts = counts_of(x, bins);
  counts[0] = counts[1];
  double best = HUGE_VAL, found = 0;
  for (int end = 1536; end <= bins; end += 16) {
    Values p(counts.begin(), counts.begin() + end), q(p.size());
    for (int i = end; i < bins; ++i) p.back() += counts[static_cast<std::size_t>(i)];
    std::map<int, std::vector<std::size_t>> members;
    for (int i = 0; i < end; ++i)
      if (counts[static_cast<std::size_t>(i)] > 0)
        members[i * levels / end].push_back(static_cast<std::size_t>(i));
    for (const auto& level : members) {
      double sum = 0;
      for (std::size_t i : level.second) sum += counts[i];
      for (std::size_t i : level.second) q[i] = sum / static_cast<double>(level.second.size());
    }
    double p_sum = 0, q_sum = 0, divergence = 0;
    for (double v : p) p_sum += v;
    for (double v : q) q_sum += v;
    for (std::size_t i = 0; i < p.size(); ++i)
      if (p[i] > 0)
        divergence += q[i] > 0 ? p[i] / p_sum * std::log(p[i] / p_sum / (q[i] / q_sum)) : HUGE_VAL;
    if (divergence <= best) best = divergence, found = largest(x) / bins * end;
  }
  return found;
}

double diffs_scale(const Values& x, int lo, int hi, mt::Rounding rounding) {
  double min = 0, max = 0;
  for (double v : x) min = std::min(min, v), max = std::max(max, v);
  const double step = std::max(min / (lo - 0.5), max / (hi + 0.5));
  int first = step > 0 ? 60 : 18;
  while (step > 0 && std::ldexp(1.0, -first) < step) --first;
  double best = HUGE_VAL;
  int found = first;
  for (int p = first; p < first + 5; ++p) {
    double cost = 0;
    for (double v : x) {
      const double scaled = std::ldexp(v, p);
      double code = std::nearbyint(scaled);
      if (scaled - std::floor(scaled) == 0.5) {
        if (rounding == mt::Rounding::kHalfUp) code = std::ceil(scaled);
        if (rounding == mt::Rounding::kHalfDown) code = std::trunc(scaled);
        if (rounding == mt::Rounding::kStdRound) code = std::round(scaled);
      }
      code = std::min(std::max(code, static_cast<double>(lo)), static_cast<double>(hi));
      cost += std::pow(v - std::ldexp(code, -p), 2);
    }
    if (cost < best) best = cost, found = p;
  }
  return std::ldexp(1.0, -std::min(found, 12));
}

// ---------------------------------------------------------------- one batch

void expect_scale(const mt::ChannelQParams& got, double want) {
  EXPECT_NEAR(static_cast<double>(got.scales.at(0)), want, 1e-6 * want);
}

TEST(CalibrationMethods, ThresholdsOfSymmetricSpecs) {
  int cases = 0;
  for (int kind = 0; kind < kKinds; ++kind)
    for (unsigned seed = 0; seed < 5; ++seed) {
      SCOPED_TRACE(mt::concat("kind ", kind, " seed ", seed));
      const mt::Tensor x = data(kind, seed);
      const Values v = values_of(x);
      using quant::Int8Symmetric;
      using quant::UInt8Symmetric;
      expect_scale(found<quant::MaxMinObserver<Int8Symmetric>>(x), largest(v) / 127);
      expect_scale(found<quant::PercentileObserver<Int8Symmetric>>(x),
                   percentile_threshold(v, 99.99, false) / 127);
      expect_scale(found<quant::PercentileObserver<Int8Symmetric>>(
                       x, quant::PercentileObserver<Int8Symmetric>::Options().percentage(98)),
                   percentile_threshold(v, 98, false) / 127);
      expect_scale(found<quant::MseObserver<Int8Symmetric>>(x),
                   mse_threshold(v, 127, mt::Rounding::kHalfEven) / 127);
      expect_scale(found<quant::EntropyObserver<Int8Symmetric>>(x), entropy_threshold(v, 128) / 127);
      const auto middle = found<quant::EntropyObserver<UInt8Symmetric>>(x);
      expect_scale(middle, entropy_threshold(v, 128) / 127);
      EXPECT_EQ(middle.zero_points[0], 128);
      for (const int bits : {2, 4, 6}) {
        const int high = (1 << (bits - 1)) - 1;
        using Mse = quant::MseObserver<Int8Symmetric>;
        expect_scale(found<Mse>(x, Mse::Options().bit_width(bits)),
                     mse_threshold(v, high, mt::Rounding::kHalfEven) / high);
        using Entropy = quant::EntropyObserver<Int8Symmetric>;
        expect_scale(found<Entropy>(x, Entropy::Options().bit_width(bits)),
                     entropy_threshold(v, high + 1) / high);
      }
      ++cases;
    }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 35);
}

// Affine: the range is clipped at +-t; of data without negative values the zero point is 0 and the codes go
// to 255.
TEST(CalibrationMethods, ThresholdsOfAffineSpecs) {
  int cases = 0;
  for (int kind = 0; kind < kKinds; ++kind)
    for (unsigned seed = 0; seed < 5; ++seed) {
      SCOPED_TRACE(mt::concat("kind ", kind, " seed ", seed));
      const mt::Tensor x = data(kind, seed);
      const Values v = values_of(x);
      using quant::UInt8Affine;
      const double t = percentile_threshold(v, 99.99, false);
      double min = 0, max = 0;
      for (double each : v) min = std::min(min, each), max = std::max(max, each);
      const auto percentile = found<quant::PercentileObserver<UInt8Affine>>(x);
      const double low = std::max(min, -t), high = std::min(max, t);
      expect_scale(percentile, (high - low) / 255);
      EXPECT_NEAR(percentile.zero_points[0], -low / (high - low) * 255, 0.51);
      expect_scale(found<quant::MaxMinObserver<UInt8Affine>>(x), (max - min) / 255);
      if (kind < kSigned) {
        const auto mse = found<quant::MseObserver<UInt8Affine>>(x),
                   entropy = found<quant::EntropyObserver<UInt8Affine>>(x);
        expect_scale(mse, mse_threshold(v, 255, mt::Rounding::kHalfEven) / 255);
        expect_scale(entropy, entropy_threshold(v, 256) / 255);
        EXPECT_EQ(mse.zero_points[0], 0);
      }
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

TEST(CalibrationMethods, DiffsFindsTheBestPosition) {
  int cases = 0, clipped = 0;
  for (int kind = 0; kind < kKinds; ++kind)
    for (unsigned seed = 0; seed < 6; ++seed)
      for (const mt::Rounding rounding :
           {mt::Rounding::kHalfEven, mt::Rounding::kHalfUp, mt::Rounding::kHalfDown, mt::Rounding::kStdRound})
        for (const int bits : {3, 8})
          for (const bool narrow : {false, true}) {
            const mt::Tensor x = data(kind, seed, 500) * std::exp2(0.7 * seed - 2);
            using Diffs = quant::DiffsObserver<quant::Int8Symmetric>;
            const float scale =
                found<Diffs>(x, Diffs::Options().rounding(rounding).bit_width(bits).narrow_range(narrow))
                    .scales[0];
            const int half = 1 << (bits - 1);
            EXPECT_EQ(static_cast<double>(scale),
                      diffs_scale(values_of(x), narrow ? 1 - half : -half, half - 1, rounding))
                << kind << " " << seed << " " << bits;
            using MaxMin = quant::MaxMinObserver<quant::Int8Symmetric>;
            const float whole = found<MaxMin>(x, MaxMin::Options()
                                                     .scale_type(quant::ScaleType::kPowerOfTwo)
                                                     .bit_width(bits)
                                                     .narrow_range(narrow))
                                    .scales[0];
            EXPECT_LE(scale, whole);
            clipped += scale < whole;
            ++cases;
          }
  std::printf("cases=%d clipped=%d\n", cases, clipped);
  EXPECT_GT(clipped, 50);
}

TEST(CalibrationMethods, DiffsPrefersTheLargerOfEqualScales) {
  // Codes -1, 0, 1: scale 1 loses 1/4 of 1.5 and 1/4 of each 0.5, scale 1/2 loses 1 of 1.5.
  using Diffs = quant::DiffsObserver<quant::Int8Symmetric>;
  Diffs diffs(Diffs::Options().bit_width(2));
  diffs.observe(mt::tensor({1.5f, 0.5f, 0.5f, 0.5f}));
  EXPECT_EQ(diffs.candidates()[0].cost, diffs.candidates()[1].cost);
  EXPECT_EQ(diffs.qparams().scales[0], 1);
}

TEST(CalibrationMethods, PerChannel) {
  const mt::Tensor a = data(kNormal, 1, 300), b = data(kTail, 2, 300) * 0.25, c = data(kRelu, 3, 300) * 9.0;
  mt::Tensor x{mt::Shape{3, 300}};
  for (std::int64_t i = 0; i < 300; ++i) {
    x.mutable_data()[i] = a.data()[i];
    x.mutable_data()[300 + i] = b.data()[i];
    x.mutable_data()[600 + i] = c.data()[i];
  }
  const auto diffs = found<quant::DiffsObserver<quant::Int8PerChannel>>(x);
  const auto max_min = found<quant::MaxMinObserver<quant::Int8PerChannel>>(x);
  ASSERT_EQ(diffs.scales.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const Values v = values_of(i == 0 ? a : i == 1 ? b : c);
    EXPECT_EQ(static_cast<double>(diffs.scales[i]), diffs_scale(v, -127, 127, mt::Rounding::kHalfEven));
    EXPECT_NEAR(static_cast<double>(max_min.scales[i]), largest(v) / 127, 1e-7 * largest(v));
  }
}

// ---------------------------------------------------------------- several batches

TEST(Statistic, OfScalesAndZeroPoints) {
  EXPECT_EQ(quant::statistic_of({3, 1, 2}, Statistic::kMax), 3);
  EXPECT_EQ(quant::statistic_of({3, 1, 2, 2}, Statistic::kMean), 2);
  EXPECT_EQ(quant::statistic_of({5, 1, 2}, Statistic::kMedian), 2);
  EXPECT_EQ(quant::statistic_of({5, 1, 2, 4}, Statistic::kMedian), 3);
  EXPECT_EQ(quant::statistic_of({1, 0.5f, 0.5f, 2}, Statistic::kModal), 0.5f);
  EXPECT_EQ(quant::statistic_of({1, 0.5f, 0.5f, 1, 2}, Statistic::kModal), 1);  // the larger scale
  EXPECT_EQ(quant::most_frequent(std::vector<int>{1, 1, 3, 3, 7}, false), 1);
  for (Statistic s : {Statistic::kMax, Statistic::kMean, Statistic::kMedian, Statistic::kModal})
    EXPECT_EQ(quant::parse_statistic(quant::to_string(s)), s);
  expect_error<mt::ConfigError>([] { quant::parse_statistic("mode"); },
                                {"got 'mode', allowed max, mean, median, modal"});
}

TEST(CalibrationMethods, BatchesBecomeOneScale) {
  using Observer = quant::MaxMinObserver<quant::UInt8Affine>;
  int cases = 0;
  for (Statistic statistic : {Statistic::kMax, Statistic::kMean, Statistic::kMedian}) {
    Observer observer(Observer::Options().statistic(statistic));
    std::vector<float> scales;
    std::vector<std::int32_t> zero_points;
    for (unsigned b = 0; b < 6; ++b) {
      const mt::Tensor x = data(b % 2 ? kNormal : kRelu, b, 200);
      const auto alone = found<Observer>(x);
      scales.push_back(alone.scales[0]);
      zero_points.push_back(alone.zero_points[0]);
      observer.observe(x);
      EXPECT_EQ(observer.qparams().scales[0], quant::statistic_of(scales, statistic));
      ++cases;
    }
    EXPECT_EQ(observer.qparams().zero_points[0], 0);  // of the three rectified batches
  }
  using Diffs = quant::DiffsObserver<quant::Int8Symmetric>;
  Diffs diffs;
  for (float size : {1.0f, 100.0f, 1.0f, 100.0f, 3.0f}) diffs.observe(mt::full<float>({3}, size));
  EXPECT_EQ(diffs.qparams().scales[0],
            found<Diffs>(mt::full<float>({3}, 100)).scales[0]);  // twice as often as 3, larger than 1
  std::printf("cases=%d\n", cases);
}

TEST(CalibrationMethods, MemorylessKnowsTheLastBatchOnly) {
  using Observer = quant::EntropyObserver<quant::Int8Symmetric>;
  for (const bool per_batch : {true, false}) {
    Observer observer(Observer::Options().memoryless(true).per_batch(per_batch));
    for (unsigned b = 0; b < 3; ++b) observer.observe(data(kTail, b));
    EXPECT_EQ(observer.qparams().scales, found<Observer>(data(kTail, 2)).scales);
  }
}

// Where the first batch holds the largest value its bins hold for all: the same as one tensor of everything.
template <class Observer>
void expect_together(typename Observer::Options options) {
  std::vector<mt::Tensor> batches;
  for (unsigned b = 0; b < 4; ++b) batches.push_back(data(kNormal, b) * (b == 0 ? 2.0 : 1.0));
  Observer together(options.per_batch(false));
  for (const mt::Tensor& b : batches) together.observe(b);
  EXPECT_EQ(together.qparams().scales, found<Observer>(joined(batches), options).scales) << Observer::kName;
  // A larger value later: at most a bin's difference.
  batches.push_back(mt::tensor({30.0f, -31.0f}));
  together.observe(batches.back());
  const float want = found<Observer>(joined(batches), options).scales[0];
  EXPECT_NEAR(together.qparams().scales[0] / want, 1, 0.05) << Observer::kName;
}

TEST(CalibrationMethods, AllBatchesTogether) {
  using quant::Int8Symmetric;
  using Percentile = quant::PercentileObserver<Int8Symmetric>;
  expect_together<quant::MaxMinObserver<Int8Symmetric>>({});
  expect_together<Percentile>(Percentile::Options().percentage(99));
  expect_together<quant::MseObserver<Int8Symmetric>>({});
  // The entropy of a histogram with other bins is another: only the first part.
  using Entropy = quant::EntropyObserver<Int8Symmetric>;
  Entropy together(Entropy::Options().per_batch(false));
  together.observe(data(kTail, 1) * 3.0), together.observe(data(kUniform, 2));
  EXPECT_EQ(together.qparams().scales,
            found<Entropy>(joined({data(kTail, 1) * 3.0, data(kUniform, 2)})).scales);
}

TEST(CalibrationMethods, PercentileEdges) {
  using Observer = quant::PercentileObserver<quant::UInt8Affine>;
  const mt::Tensor x = data(kSparse, 1);
  const double most = largest(values_of(x));
  expect_scale(found<Observer>(x, Observer::Options().percentage(100)), most / 255);
  expect_scale(found<Observer>(x, Observer::Options().percentage(50)),
               most / 2048 / 255);  // 95 per cent are 0: one bin
  expect_scale(found<Observer>(x, Observer::Options().percentage(99).lower_edge(true)),
               percentile_threshold(values_of(x), 99, true) / 255);
}

TEST(CalibrationMethods, CandidatesTellTheirCosts) {
  quant::MseObserver<quant::Int8Symmetric> mse;
  mse.observe(data(kNormal, 1));
  EXPECT_EQ(mse.candidates().size(), 33u);
  quant::EntropyObserver<quant::Int8Symmetric> entropy;
  entropy.observe(data(kNormal, 1));
  EXPECT_EQ(entropy.candidates().size(), 33u);
  quant::DiffsObserver<quant::Int8Symmetric> diffs;
  diffs.observe(data(kNormal, 1));
  EXPECT_EQ(diffs.candidates().size(), 5u);
  for (const auto& candidates : {mse.candidates(), entropy.candidates(), diffs.candidates()}) {
    int chosen = 0;
    for (const auto& c : candidates) {
      chosen += c.chosen;
      for (const auto& other : candidates) EXPECT_TRUE(!c.chosen || c.cost <= other.cost);
    }
    EXPECT_EQ(chosen, 1);
  }
}

}  // namespace calibration_methods_test

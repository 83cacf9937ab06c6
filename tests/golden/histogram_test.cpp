// SPDX-License-Identifier: MIT
// PyTorch's HistogramObserver (2.5 and later): range, counts, the range found, scale and zero point.
#include <midtread/quant/histogram_observer.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace histogram_test {

void expect_near(double got, const golden::Json& expected, const golden::Tolerance& t, const char* what) {
  const double want = golden::number<double>(expected);
  EXPECT_LE(std::abs(got - want), t.abs + t.rel * std::abs(want))
      << what << ": got " << got << ", expected " << want;
}

template <class Observer>
bool check(const golden::Case& c) {
  auto options =
      typename Observer::Options().bins(c.attrs.at("bins")).upsample_rate(c.attrs.at("upsample_rate"));
  if (Observer::Spec::kDType == mt::DType::kInt8)
    options.quant_min(-128).quant_max(127);  // PyTorch's default
  Observer observer(options);
  for (const golden::Json& batch : c.inputs.at("batches")) observer.observe(golden::tensor(batch));
  EXPECT_EQ(observer.min_val().item(), golden::number<float>(c.expected.at("min_val")));
  EXPECT_EQ(observer.max_val().item(), golden::number<float>(c.expected.at("max_val")));
  double total = 0;
  for (float count : observer.histogram().to_vector()) total += static_cast<double>(count);
  expect_near(total, c.expected.at("total"), c.tolerance, "total");
  const auto found = observer.searched_range();
  expect_near(found.first, c.expected.at("new_min"), c.tolerance, "new_min");
  expect_near(found.second, c.expected.at("new_max"), c.tolerance, "new_max");
  const mt::ChannelQParams q = observer.qparams();
  expect_near(q.scales.at(0), c.expected.at("scale"), c.tolerance, "scale");
  EXPECT_EQ(q.zero_points.at(0), c.expected.at("zero_point").get<int>());
  if (!c.expected.contains("histogram")) return false;
  EXPECT_EQ(golden::difference(observer.histogram(), golden::tensor(c.expected.at("histogram")), c.tolerance),
            "");
  return true;
}

TEST(GoldenHistogram, MidpointVariant) {
  int cases = 0, histograms = 0;
  for (const golden::Case& c : golden::load("histogram")) {
    if (c.attrs.at("variant") != "midpoint") continue;  // the others document older versions
    SCOPED_TRACE(c.id + " " + c.attrs.at("kind").get<std::string>());
    histograms += c.attrs.at("dtype") == "qint8" ? check<quant::HistogramObserver<quant::Int8Symmetric>>(c)
                                                 : check<quant::HistogramObserver<quant::UInt8Affine>>(c);
    ++cases;
  }
  std::printf("cases=%d histograms=%d\n", cases, histograms);
  EXPECT_EQ(cases, 42);
  EXPECT_EQ(histograms, 14);
}

}  // namespace histogram_test

// SPDX-License-Identifier: MIT
// Scales, zero points and code ranges against PyTorch's observers, bit for bit.
#include <midtread/quant/min_max_observer.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>
#include <memory>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace qparams_test {

quant::SpecInfo spec_of(const golden::Case& c) {
  const std::string dtype = c.attrs.at("dtype"), scheme = c.attrs.value("qscheme", "per_tensor_affine");
  return {dtype == "qint8" ? mt::DType::kInt8 : mt::DType::kUInt8,
          scheme.find("symmetric") != std::string::npos, scheme.find("per_channel") != std::string::npos};
}

std::shared_ptr<quant::RangeObserver> make(const quant::SpecInfo& spec,
                                           const quant::ObserverSettings& settings) {
  using namespace quant;
  if (spec == UInt8Affine::info()) return std::make_shared<MinMaxObserver<UInt8Affine>>(settings);
  if (spec == UInt8Symmetric::info()) return std::make_shared<MinMaxObserver<UInt8Symmetric>>(settings);
  if (spec == Int8Affine::info()) return std::make_shared<MinMaxObserver<Int8Affine>>(settings);
  return std::make_shared<MinMaxObserver<Int8Symmetric>>(settings);
}

TEST(GoldenQParams, ObserverRule) {
  int cases = 0;
  for (const golden::Case& c : golden::load("qparams")) {
    if (c.op != "choose_qparams") continue;
    SCOPED_TRACE(c.id);
    quant::ObserverSettings settings;
    settings.range = {c.attrs.at("quant_min").get<int>(), c.attrs.at("quant_max").get<int>(), false};
    settings.eps = c.attrs.at("eps");
    const auto observer = make(spec_of(c), settings);
    observer->observe(
        mt::tensor({golden::number<float>(c.inputs.at("min")), golden::number<float>(c.inputs.at("max"))}));
    const mt::ChannelQParams q = observer->qparams();
    const golden::Json& expected = c.expected.at("observer");
    EXPECT_EQ(q.scales.at(0), golden::number<float>(expected.at("scale")));
    EXPECT_EQ(q.zero_points.at(0), expected.at("zero_point").get<int>());
    EXPECT_EQ(q.axis, -1);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 208);
}

// PyTorch's observers take a range that the dtype cannot hold (uint8 with -128..127) and fail later; ours say
// so at once. The resolved range and the qparams are compared in these cases too. quint4x2 stands for uint8
// with 0..15; its zero point of the symmetric scheme (0, with which no negative number has a code) is not
// ours.
TEST(GoldenQParams, Ranges) {
  int cases = 0, refused = 0;
  for (const golden::Case& c : golden::load("qparams")) {
    if (c.op != "observer_range") continue;
    SCOPED_TRACE(c.id + " " + c.attrs.dump());
    const quant::SpecInfo spec = spec_of(c);
    const bool four_bits = c.attrs.at("dtype") == "quint4x2";
    quant::ObserverSettings settings;
    settings.range.reduce_range = c.attrs.at("reduce_range");
    if (!c.attrs.at("quant_min").is_null()) {
      settings.range.quant_min = c.attrs.at("quant_min").get<int>();
      settings.range.quant_max = c.attrs.at("quant_max").get<int>();
    } else if (four_bits) {
      settings.range.quant_min = 0;
      settings.range.quant_max = 15;
    } else if (spec.dtype == mt::DType::kInt8) {  // PyTorch's default; ours is -127..127 for symmetric specs
      EXPECT_EQ(spec.default_range(), (spec.symmetric ? mt::CodeRange{-127, 127} : mt::CodeRange{-128, 127}));
      settings.range.quant_min = -128;
      settings.range.quant_max = 127;
    }
    ++cases;
    if (c.expected.contains("error")) {
      EXPECT_THROW(make(spec, settings), mt::ConfigError);
      continue;
    }
    const float min = golden::number<float>(c.inputs.at("min")),
                max = golden::number<float>(c.inputs.at("max"));
    const mt::CodeRange range = quant::resolved_range(spec, settings.range);
    EXPECT_EQ(range.quant_min, c.expected.at("quant_min").get<int>());
    EXPECT_EQ(range.quant_max, c.expected.at("quant_max").get<int>());
    mt::kernels::AffineParams q = mt::kernels::choose_qparams(min, max, spec.symmetric, range, spec.dtype);
    if (spec.symmetric) q.zero_point = quant::symmetric_zero_point(spec, settings.range);
    EXPECT_EQ(q.scale, golden::number<float>(c.expected.at("scale")));
    EXPECT_EQ(q.zero_point, four_bits && spec.symmetric ? 7 : c.expected.at("zero_point").get<int>());

    const int low = spec.dtype == mt::DType::kUInt8 ? 0 : -128,
              high = spec.dtype == mt::DType::kUInt8 ? 255 : 127;
    if (settings.range.quant_min && (*settings.range.quant_min < low || *settings.range.quant_max > high)) {
      EXPECT_THROW(make(spec, settings), mt::ConfigError);
      ++refused;
      continue;
    }
    const auto observer = make(spec, settings);
    observer->observe(mt::tensor({min, max}));
    EXPECT_EQ(observer->range(), range);
    EXPECT_EQ(observer->qparams().scales.at(0), q.scale);
    EXPECT_EQ(observer->qparams().zero_points.at(0), q.zero_point);
  }
  std::printf("cases=%d refused=%d\n", cases, refused);
  EXPECT_EQ(cases, 42);
  EXPECT_EQ(refused, 10);
}

TEST(GoldenQParams, InvalidRanges) {
  int cases = 0;
  for (const golden::Case& c : golden::load("qparams")) {
    if (c.op != "observer_range_invalid") continue;
    SCOPED_TRACE(c.id);
    quant::ObserverSettings settings;
    settings.range = {c.attrs.at("quant_min").get<int>(), c.attrs.at("quant_max").get<int>(), false};
    const bool int8 = c.attrs.value("dtype", "quint8") == "qint8";
    EXPECT_THROW(make({int8 ? mt::DType::kInt8 : mt::DType::kUInt8, false, false}, settings),
                 mt::ConfigError);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 3);
}

}  // namespace qparams_test

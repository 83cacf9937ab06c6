// SPDX-License-Identifier: MIT
// Fake quantize forward and gradient, and integer codes, against PyTorch.
#include <midtread/ops/fake_quantize.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>

namespace mt = midtread;

namespace fake_quantize_test {

mt::QParams qparams_of(const golden::Json& attrs) {
  mt::QParams q;
  q.scale = golden::number<float>(attrs.at("scale"));
  q.zero_point = attrs.at("zero_point").get<int>();
  q.range = {attrs.at("quant_min").get<int>(), attrs.at("quant_max").get<int>()};
  q.dtype = q.range.quant_min < 0 ? mt::DType::kInt8 : mt::DType::kUInt8;
  return q;
}

mt::ChannelQParams channel_qparams_of(const golden::Case& c, mt::CodeRange range) {
  mt::ChannelQParams q;
  q.scales = golden::tensor(c.inputs.at("scale")).to_vector();
  q.zero_points = golden::tensor<std::int32_t>(c.inputs.at("zero_point")).to_vector();
  q.axis = c.attrs.at("axis").get<int>();
  q.range = range;
  q.dtype = range.quant_min < 0 ? mt::DType::kInt8 : mt::DType::kUInt8;
  return q;
}

template <class Apply>
void compare(const golden::Case& c, const Apply& apply) {
  mt::Tensor x = golden::tensor(c.inputs.at("x"));
  x.requires_grad_();
  const mt::Tensor y = apply(x);
  EXPECT_EQ(golden::difference(y, golden::tensor(c.expected.at("y")), c.tolerance), "");
  if (!c.expected.contains("dx")) return;
  y.backward(c.inputs.contains("dy") ? golden::tensor(c.inputs.at("dy")) : mt::ones(x.shape()));
  EXPECT_EQ(golden::difference(x.grad(), golden::tensor(c.expected.at("dx")), c.tolerance), "");
}

TEST(GoldenFakeQuantize, PerTensor) {
  int cases = 0;
  for (const golden::Case& c : golden::load("fake_quantize")) {
    if (!c.attrs.contains("scale") || c.attrs.contains("dtype")) continue;
    SCOPED_TRACE(c.id);
    const mt::QParams q = qparams_of(c.attrs);
    compare(c, [&](const mt::Tensor& x) { return mt::fake_quantize(x, q); });
    // One channel is a tensor.
    const mt::ChannelQParams one{{q.scale}, {q.zero_point}, -1, q.range, q.dtype, q.rounding};
    compare(c, [&](const mt::Tensor& x) { return mt::fake_quantize(x, one); });
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 18);
}

TEST(GoldenFakeQuantize, PerChannel) {
  int cases = 0;
  for (const golden::Case& c : golden::load("fake_quantize")) {
    if (c.op != "fake_quantize_per_channel_affine") continue;
    SCOPED_TRACE(c.id);
    const mt::ChannelQParams q =
        channel_qparams_of(c, {c.attrs.at("quant_min").get<int>(), c.attrs.at("quant_max").get<int>()});
    compare(c, [&](const mt::Tensor& x) { return mt::fake_quantize(x, q); });
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 14);
}

TEST(GoldenFakeQuantize, CodesPerTensor) {
  int cases = 0;
  for (const golden::Case& c : golden::load("fake_quantize")) {
    if (c.op != "quantize_per_tensor") continue;
    SCOPED_TRACE(c.id);
    const mt::Tensor x = golden::tensor(c.inputs.at("x"));
    const std::vector<std::int32_t> expected = golden::tensor<std::int32_t>(c.expected.at("q")).to_vector();
    const std::string dtype = c.attrs.at("dtype");
    const float scale = golden::number<float>(c.attrs.at("scale"));
    const int zero_point = c.attrs.at("zero_point").get<int>();
    mt::Tensor dequantized(x.shape());
    if (dtype == "qint32") {  // no tensor of ours, but the same primitive (all codes lie within +-1000 here)
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const std::int32_t code = mt::kernels::quantize_code(x.data()[i], mt::kernels::reciprocal(scale),
                                                             zero_point, {-1000, 1000});
        EXPECT_EQ(code, expected[i]);
        dequantized.mutable_data()[i] = mt::kernels::dequantize(code, zero_point, scale);
      }
    } else {
      const mt::DType declared = dtype == "qint8" ? mt::DType::kInt8 : mt::DType::kUInt8;
      const mt::CodeRange range =
          declared == mt::DType::kInt8 ? mt::CodeRange{-128, 127} : mt::CodeRange{0, 255};
      dequantized =
          mt::fake_quantize(x, mt::QParams{scale, zero_point, range, declared, mt::Rounding::kHalfEven});
      const mt::Codes& codes = *dequantized.codes();
      for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_EQ(codes.values.data()[i] - mt::storage_shift(declared), expected[i]) << "element " << i;
    }
    EXPECT_EQ(golden::difference(dequantized, golden::tensor(c.expected.at("dq")), c.tolerance), "");
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 6);
}

TEST(GoldenFakeQuantize, CodesPerChannel) {
  int cases = 0;
  for (const golden::Case& c : golden::load("fake_quantize")) {
    if (c.op != "quantize_per_channel") continue;
    SCOPED_TRACE(c.id);
    const mt::Tensor x = golden::tensor(c.inputs.at("x"));
    const mt::ChannelQParams q = channel_qparams_of(c, {-128, 127});
    EXPECT_EQ(golden::difference(mt::quantize_weight(x, q), golden::tensor<std::int8_t>(c.expected.at("q")),
                                 c.tolerance),
              "");
    EXPECT_EQ(golden::difference(mt::fake_quantize(x, q), golden::tensor(c.expected.at("dq")), c.tolerance),
              "");
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 2);
}

}  // namespace fake_quantize_test

// SPDX-License-Identifier: MIT
// Quantized linear and convolution against PyTorch's QNNPACK, whose requantization is ours: equal codes, on
// every engine and instruction set.
#include <midtread/core/fp_env.hpp>
#include <midtread/quantized/conv.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>

namespace mt = midtread;
namespace q8 = midtread::quantized;

namespace qlinear_qconv_test {

std::vector<const mt::kernels::KernelSet*> all_kernel_sets() {
  std::vector<const mt::kernels::KernelSet*> sets;
  for (auto engine :
       {mt::kernels::Engine::kReference, mt::kernels::Engine::kFbgemm, mt::kernels::Engine::kQnnpack})
    for (const mt::kernels::KernelSet& set : mt::kernels::kernel_sets(engine)) sets.push_back(&set);
  return sets;
}

TEST(GoldenQuantizedLayers, EqualsQnnpack) {
  int cases = 0, runs = 0;
  for (const golden::Case& c : golden::load("qlinear_qconv")) {
    if (c.attrs.value("engine", "") != "qnnpack") continue;
    SCOPED_TRACE(c.id);
    const golden::Json &jx = c.inputs.at("x"), &jw = c.inputs.at("w");
    mt::QParams x, y;
    x.scale = golden::number<float>(jx.at("scale"));
    x.zero_point = jx.at("zero_point");
    y.scale = golden::number<float>(c.attrs.at("out_scale"));
    y.zero_point = c.attrs.at("out_zero_point");

    // The real weight that these codes stand for; quantizing it gives them back.
    const auto codes = golden::tensor<std::int8_t>(jw);
    mt::ChannelQParams qw;
    qw.range = {-128, 127};
    if (jw.contains("scales")) {
      for (const golden::Json& s : jw.at("scales")) qw.scales.push_back(golden::number<float>(s));
      qw.axis = 0;
    } else {
      qw.scales = {golden::number<float>(jw.at("scale"))};
    }
    qw.zero_points.assign(qw.scales.size(), 0);
    mt::Tensor weight(codes.shape());
    float* to = weight.mutable_data();
    const std::int64_t inner = codes.numel() / codes.size(0);
    for (std::int64_t i = 0; i < codes.numel(); ++i)
      to[i] = static_cast<float>(codes.data()[i]) * qw.scale(i / inner);

    q8::ConvGeometry g;
    g.out_channels = codes.size(0);
    g.rank = codes.rank();
    if (g.rank == 4) {
      const auto both = [&](const char* name) {
        return std::array<std::int64_t, 2>{c.attrs.at(name).get<std::int64_t>(),
                                           c.attrs.at(name).get<std::int64_t>()};
      };
      g.groups = c.attrs.at("groups");
      g.kernel = {codes.size(2), codes.size(3)};
      g.stride = both("stride");
      g.padding = both("padding");
      g.dilation = both("dilation");
    }
    g.in_channels = codes.size(1) * g.groups;
    const mt::Tensor bias = c.inputs.contains("bias") ? golden::tensor(c.inputs.at("bias")) : mt::Tensor();
    q8::ConvWeights weights = q8::quantize_conv_weights(weight, bias, qw, x, y, c.id);
    EXPECT_TRUE(mt::identical(weights.codes, codes));
    weights.codes = mt::BasicTensor<std::int8_t>(codes.storage(), codes.offset(), g.weight_shape(),
                                                 mt::contiguous_strides(g.weight_shape()));
    const mt::CodeRange clamp{c.attrs.at("relu").get<bool>() ? y.zero_point : 0, 255};
    const q8::Conv conv(g, std::move(weights), x, y, clamp);

    const q8::Value input = q8::Tensor(golden::tensor<std::uint8_t>(jx).channels_last(), x);
    const auto want = golden::tensor<std::uint8_t>(c.expected.at("y"));
    for (const mt::kernels::KernelSet* set : all_kernel_sets()) {
      SCOPED_TRACE(std::string(set->engine_name()) + " " + set->isa_name());
      const mt::FpEnvGuard fp_env;
      const auto bound = conv.bind(*set);
      q8::Value output = q8::Tensor(want.shape(), y);
      q8::Workspace workspace;
      bound->run({&input}, output, workspace);
      EXPECT_EQ(golden::difference(std::get<q8::Tensor>(output).stored().contiguous(), want, {}), "");
      ++runs;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 58);
  std::printf("cases=%d runs=%d\n", cases, runs);
}

}  // namespace qlinear_qconv_test

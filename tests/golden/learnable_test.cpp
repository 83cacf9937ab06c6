// SPDX-License-Identifier: MIT
// Learned scales and zero points against PyTorch, one step and a module's life; PACT against its paper's
// formula.
#include <midtread/quant/lsq.hpp>
#include <midtread/quant/moving_average_min_max_observer.hpp>
#include <midtread/quant/pact.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace learnable_test {

std::string range_text(const golden::Json& attrs) {
  return attrs.at("quant_min").dump() + ".." + attrs.at("quant_max").dump();
}

mt::ChannelQParams qparams_of(const golden::Case& c, bool per_channel) {
  mt::ChannelQParams q;
  q.range = {c.attrs.at("quant_min").get<int>(), c.attrs.at("quant_max").get<int>()};
  q.dtype = q.range.quant_min < 0 ? mt::DType::kInt8 : mt::DType::kUInt8;
  q.axis = per_channel ? c.attrs.at("axis").get<int>() : -1;
  q.scales = golden::tensor(c.inputs.at("scale")).to_vector();
  for (float z : golden::tensor(c.inputs.at("zero_point")).to_vector())
    q.zero_points.push_back(static_cast<int>(std::nearbyint(z)));
  return q;
}

TEST(GoldenLearnable, StepWithScaleAndZeroPoint) {
  int cases = 0;
  for (const golden::Case& c : golden::load("learnable")) {
    const bool per_channel = c.op == "learnable_per_channel";
    if (!per_channel && c.op != "learnable_per_tensor") continue;
    SCOPED_TRACE(c.id + " " + range_text(c.attrs));
    const mt::ChannelQParams q = qparams_of(c, per_channel);
    const double g = c.attrs.at("grad_factor");
    mt::Tensor x = golden::tensor(c.inputs.at("x")), scale = golden::tensor(c.inputs.at("scale")),
               zero_point = golden::tensor(c.inputs.at("zero_point"));
    for (mt::Tensor* t : {&x, &scale, &zero_point}) t->requires_grad_();
    mt::ops::LearnedStep step;
    step.parameters = {{"scale", scale, {}}, {"zero_point", zero_point, {}}};
    for (std::size_t i = 0; i < q.scales.size(); ++i) {
      const double lo = q.range.quant_min - q.zero_points[i], hi = q.range.quant_max - q.zero_points[i];
      const double s = static_cast<double>(q.scales[i]);
      step.inside.emplace_back(static_cast<float>(lo), static_cast<float>(hi));
      step.parameters[0].weights.push_back({g, g * lo, g * hi});
      step.parameters[1].weights.push_back({0, -g * s, -g * s});
    }
    const mt::Tensor y = mt::ops::learned_step(x, q, step, "golden");
    y.backward(golden::tensor(c.inputs.at("dy")));
    EXPECT_EQ(golden::difference(y, golden::tensor(c.expected.at("y")), {}), "");
    EXPECT_EQ(golden::difference(x.grad(), golden::tensor(c.expected.at("dx")), {}), "");
    EXPECT_EQ(golden::difference(scale.grad(), golden::tensor(c.expected.at("dscale")), c.tolerance), "");
    EXPECT_EQ(
        golden::difference(zero_point.grad(), golden::tensor(c.expected.at("dzero_point")), c.tolerance), "");
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 30);
}

template <class Spec>
void live(const golden::Case& c) {
  using Learned = quant::Lsq<quant::MovingAverageMinMaxObserver<Spec>>;
  Learned m(typename Learned::Options()
                .quant_min(c.attrs.at("quant_min").get<int>())
                .quant_max(c.attrs.at("quant_max").get<int>())
                .use_grad_scaling(c.attrs.at("use_grad_scaling").get<bool>()));
  const auto expect = [&](const mt::Tensor& got, const golden::Json& want) {
    EXPECT_EQ(golden::difference(got, golden::tensor(want), c.tolerance), "");
  };
  m.enable_static_estimate();
  expect(m.forward(golden::tensor(c.inputs.at("x1"))), c.expected.at("y1"));
  expect(m.scale(), c.expected.at("after_static").at("scale"));
  expect(m.offset(), c.expected.at("after_static").at("zero_point"));
  m.enable_param_learning();
  mt::Tensor x = golden::tensor(c.inputs.at("x2"));
  x.requires_grad_();
  const mt::Tensor y = m.forward(x);
  y.backward(golden::tensor(c.inputs.at("dy2")));
  expect(y, c.expected.at("y2"));
  expect(x.grad(), c.expected.at("dx2"));
  expect(m.scale().grad(), c.expected.at("dscale"));
  // PyTorch computes a gradient for a symmetric zero point and then sets it to 0 on every forward; here it
  // has none.
  EXPECT_EQ(m.offset().grad().defined(), !Spec::kSymmetric);
  if (!Spec::kSymmetric) expect(m.offset().grad(), c.expected.at("dzero_point"));
  const auto lr = static_cast<float>(c.attrs.at("lr").get<double>());
  for (const mt::Tensor& p : m.parameters())
    if (p.grad().defined()) p.mutable_data()[0] -= lr * p.grad().data()[0];
  expect(m.forward(golden::tensor(c.inputs.at("x2"))), c.expected.at("y3"));
  const mt::QParams q = m.tensor_qparams();
  EXPECT_NEAR(q.scale, golden::tensor(c.expected.at("qparams_scale")).item(), 2e-5);
  EXPECT_EQ(q.zero_point, golden::tensor<std::int32_t>(c.expected.at("qparams_zero_point")).item());
}

TEST(GoldenLearnable, ModuleLife) {
  int cases = 0;
  for (const golden::Case& c : golden::load("learnable")) {
    if (c.op != "learnable_module") continue;
    SCOPED_TRACE(c.id);
    if (c.attrs.at("symmetric").get<bool>())
      live<quant::Int8Symmetric>(c);
    else
      live<quant::UInt8Affine>(c);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 2);
}

// Equal even at x = 0, where the file's formula stops the gradient and ours lets it pass: no case has a zero.
TEST(GoldenLearnable, Pact) {
  using Clipped = quant::Pact<quant::MovingAverageMinMaxObserver<quant::UInt8Affine>>;
  int cases = 0;
  for (const golden::Case& c : golden::load("learnable")) {
    if (c.op != "pact") continue;
    SCOPED_TRACE(c.id);
    Clipped f(
        Clipped::Options().bit_width(c.attrs.at("bits").get<int>()).alpha(c.attrs.at("alpha").get<double>()));
    mt::Tensor x = golden::tensor(c.inputs.at("x"));
    x.requires_grad_();
    const mt::Tensor y = f.forward(x);
    y.backward(golden::tensor(c.inputs.at("dy")));
    EXPECT_EQ(golden::difference(y, golden::tensor(c.expected.at("y")), c.tolerance), "");
    EXPECT_EQ(golden::difference(x.grad(), golden::tensor(c.expected.at("dx")), c.tolerance), "");
    const double want = c.expected.at("dalpha");
    EXPECT_NEAR(f.alpha().grad().item(), want, c.tolerance.abs + c.tolerance.rel * std::abs(want));
    for (float v : x.to_vector()) EXPECT_NE(v, 0.0f);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 6);
}

}  // namespace learnable_test

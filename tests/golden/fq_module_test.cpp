// SPDX-License-Identifier: MIT
// FakeQuantize modules through PyTorch's switches: output, gradient, buffers after every event, and the state
// dict. PyTorch's observers also run in eval mode; these scripts run in training mode, where both agree.
#include <midtread/quant/fake_quantize.hpp>
#include <midtread/quant/fixed_qparams_observer.hpp>
#include <midtread/quant/moving_average_per_channel_min_max_observer.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>
#include <memory>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace fq_module_test {

std::shared_ptr<quant::FakeQuantizeBase> make(const golden::Case& c) {
  using namespace quant;
  const std::string kind = c.op.substr(c.op.find('.') + 1);
  const double constant = c.attrs.at("averaging_constant");
  if (kind == "act" || kind == "act_reduced") {
    using Activation = FakeQuantize<MovingAverageMinMaxObserver<UInt8Affine>>;
    return std::make_shared<Activation>(Activation::Options()
                                            .quant_min(0)
                                            .quant_max(255)
                                            .reduce_range(kind == "act_reduced")
                                            .averaging_constant(constant));
  }
  if (kind == "wt") {
    using Weight = FakeQuantize<MovingAverageMinMaxObserver<Int8Symmetric>>;
    return std::make_shared<Weight>(
        Weight::Options().quant_min(-128).quant_max(127).averaging_constant(constant));
  }
  using Weight = FakeQuantize<MovingAveragePerChannelMinMaxObserver<Int8PerChannel>>;
  return std::make_shared<Weight>(
      Weight::Options().quant_min(-128).quant_max(127).averaging_constant(constant).ch_axis(0));
}

/// The file allows 1e-6; ours agree in every bit.
const golden::Tolerance kExact;

template <class Scalar>
mt::BasicTensor<Scalar> buffer(const quant::FakeQuantizeBase& module, const std::string& name) {
  return mt::get_tensor<Scalar>(module.state_dict().at(name), name);
}

void compare_state(const quant::FakeQuantizeBase& module, const golden::Json& expected) {
  const mt::nn::StateDict state = module.state_dict();
  EXPECT_EQ(state.size(), expected.size());
  for (const auto& item : expected.items()) {
    SCOPED_TRACE(item.key());
    ASSERT_TRUE(state.contains(item.key()));
    state.at(item.key()).visit([&](const auto& t) {
      using Scalar = typename std::decay_t<decltype(t)>::scalar_type;
      EXPECT_EQ(std::string(mt::to_string(t.dtype())), item.value().at("dtype").get<std::string>());
      EXPECT_EQ(golden::difference(t, golden::tensor<Scalar>(item.value()), kExact), "");
    });
  }
}

TEST(GoldenFakeQuantizeModule, Switches) {
  int cases = 0, events = 0;
  for (const golden::Case& c : golden::load("fq_module")) {
    if (c.op.rfind("FakeQuantize.", 0) != 0) continue;
    SCOPED_TRACE(c.id);
    const auto module = make(c);
    EXPECT_EQ(module->range(),
              (mt::CodeRange{c.attrs.at("quant_min").get<int>(), c.attrs.at("quant_max").get<int>()}));
    for (const golden::Json& step : c.expected.at("steps")) {
      const std::string event = step.at("event");
      SCOPED_TRACE("event " + std::to_string(events++) + " " + event);
      if (event == "disable_fake_quant") quant::disable_fake_quant(*module);
      if (event == "enable_fake_quant") quant::enable_fake_quant(*module);
      if (event == "disable_observer") quant::disable_observer(*module);
      if (event == "enable_observer") quant::enable_observer(*module);
      if (event != "forward") continue;
      mt::Tensor x = golden::tensor(step.at("x"));
      x.requires_grad_();
      const mt::Tensor y = module->forward(x);
      y.backward(mt::ones(x.shape()));
      EXPECT_EQ(golden::difference(y, golden::tensor(step.at("y")), kExact), "");
      EXPECT_EQ(golden::difference(x.grad(), golden::tensor(step.at("dx")), kExact), "");
      EXPECT_EQ(golden::difference(buffer<float>(*module, "scale"), golden::tensor(step.at("scale")), kExact),
                "");
      EXPECT_EQ(golden::difference(buffer<std::int32_t>(*module, "zero_point"),
                                   golden::tensor<std::int32_t>(step.at("zero_point")), kExact),
                "");
      EXPECT_EQ(golden::difference(buffer<float>(*module, "activation_post_process.min_val"),
                                   golden::tensor(step.at("min_val")), kExact),
                "");
      EXPECT_EQ(golden::difference(buffer<float>(*module, "activation_post_process.max_val"),
                                   golden::tensor(step.at("max_val")), kExact),
                "");
      const mt::ChannelQParams q = module->observer().qparams();
      EXPECT_EQ(q.scales, golden::tensor(step.at("calc_scale")).to_vector());
      EXPECT_EQ(q.zero_points, golden::tensor<std::int32_t>(step.at("calc_zero_point")).to_vector());
    }
    compare_state(*module, c.expected.at("state_dict"));
    ++cases;
  }
  std::printf("cases=%d events=%d\n", cases, events);
  EXPECT_EQ(cases, 8);
}

TEST(GoldenFakeQuantizeModule, FixedQParams) {
  int cases = 0;
  for (const golden::Case& c : golden::load("fq_module")) {
    if (c.op.rfind("FixedQParamsFakeQuantize.", 0) != 0) continue;
    SCOPED_TRACE(c.id);
    using Fixed = quant::FakeQuantize<quant::FixedQParamsObserver<quant::UInt8Affine>>;
    Fixed module(Fixed::Options()
                     .scale(c.attrs.at("scale").get<double>())
                     .zero_point(c.attrs.at("zero_point").get<int>()));
    const mt::Tensor y = module.forward(golden::tensor(c.inputs.at("x")));
    EXPECT_EQ(golden::difference(y, golden::tensor(c.expected.at("y")), c.tolerance), "");
    compare_state(module, c.expected.at("state_dict"));
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 2);
}

}  // namespace fq_module_test

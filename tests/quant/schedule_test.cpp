// SPDX-License-Identifier: MIT
// The schedule switches each part once, at its epoch, also after a resume; and what stands still stands
// still.
#include <midtread/quant/default_qconfig.hpp>
#include <midtread/quant/lsq.hpp>
#include <midtread/quant/pact.hpp>
#include <midtread/quant/schedule.hpp>

#include <midtread/passes/convert.hpp>
#include <midtread/passes/verify_convert.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>
#include <support/networks.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace schedule_test {

using namespace midtread::test;
using Changes = std::vector<std::string>;

using LearnedWeight = quant::Lsq<quant::MinMaxObserver<quant::Int8PerChannel>>;
using LearnedActivation = quant::Pact<quant::MovingAverageMinMaxObserver<quant::UInt8Affine>>;

Trained network(const quant::QConfigMapping& mapping) { return trained(resnet(), mapping, 1); }
quant::QConfigMapping learned() {
  return quant::QConfigMapping().set_global(quant::QConfig<LearnedActivation, LearnedWeight>{});
}

/// Values of buffers and parameters whose name ends so.
std::vector<float> values(mt::nn::Module& model, const std::string& end) {
  std::vector<float> out;
  for (const auto& item : model.state_dict())
    if (item.first.size() >= end.size() &&
        item.first.compare(item.first.size() - end.size(), end.size(), end) == 0 &&
        item.second.dtype() == mt::DType::kFloat32)
      for (float v : mt::get_tensor<float>(item.second, item.first).to_vector()) out.push_back(v);
  return out;
}

TEST(QatSchedule, EachPartAtItsEpoch) {
  Trained t = network(default_mapping());
  const quant::QatSchedule schedule =
      quant::QatSchedule().disable_observers_after(1).freeze_batch_norm_after(2);
  t.prepared.train();
  EXPECT_EQ(schedule.step(0, t.prepared), Changes());
  EXPECT_EQ(schedule.step(1, t.prepared), Changes());
  std::vector<float> before = values(t.prepared, "activation_post_process.min_val");
  train(t, resnet(), 1);
  EXPECT_NE(values(t.prepared, "activation_post_process.min_val"), before);

  EXPECT_EQ(schedule.step(2, t.prepared), Changes{"observers off"});
  const auto ranges = [&] {
    std::vector<float> out;
    quant::for_each_fake_quantizer(t.prepared, [&](quant::FakeQuantizeBase& f) {
      if (!f.is_memoryless()) out.push_back(f.qparams().scales.at(0));
    });
    return out;
  };
  before = ranges();
  const std::vector<float> weights = values(t.prepared, "weight_fake_quant.scale"),
                           means = values(t.prepared, "running_mean");
  ASSERT_FALSE(before.empty());
  ASSERT_FALSE(weights.empty());
  train(t, resnet(), 1);
  EXPECT_EQ(ranges(), before);
  t.prepared.forward_many(random_inputs(resnet(), 2, 5));
  EXPECT_NE(values(t.prepared, "weight_fake_quant.scale"), weights);  // they follow the weights
  EXPECT_NE(values(t.prepared, "running_mean"), means);

  EXPECT_EQ(schedule.step(3, t.prepared), Changes{"batch norm frozen"});
  const std::vector<float> frozen = values(t.prepared, "running_mean");
  train(t, resnet(), 1);
  EXPECT_EQ(values(t.prepared, "running_mean"), frozen);
  EXPECT_EQ(schedule.step(4, t.prepared), Changes());
}

TEST(QatSchedule, LearnedScalesStandStill) {
  Trained t = network(learned());
  t.prepared.train();
  const quant::QatSchedule schedule = quant::QatSchedule().freeze_scales_after(0);
  using Tag = mt::nn::ParameterTag;
  const mt::Tensors scales = mt::nn::parameters_of(t.prepared, {Tag::kScale, Tag::kOffset, Tag::kAlpha});
  const mt::Tensors weights = mt::nn::parameters_of(t.prepared, {Tag::kWeight});
  const auto all = [](const mt::Tensors& tensors) {
    std::vector<float> out;
    for (const mt::Tensor& p : tensors)
      for (float v : p.to_vector()) out.push_back(v);
    return out;
  };
  ASSERT_FALSE(scales.empty());
  // One optimizer from before, with momentum and decay, which would move what it still holds.
  mt::optim::SGD sgd(t.prepared.parameters(), mt::optim::SGDOptions(0.02).momentum(0.9).weight_decay(0.1));
  const auto step = [&] {
    sgd.zero_grad();
    distance(t.prepared.forward_many(random_inputs(resnet(), 4, 8)), 1).backward();
    sgd.step();
  };
  EXPECT_EQ(schedule.step(0, t.prepared), Changes());
  std::vector<float> before = all(scales);
  step();
  EXPECT_NE(all(scales), before);
  EXPECT_EQ(schedule.step(1, t.prepared), Changes{"scales frozen"});
  before = all(scales);
  const std::vector<float> weights_before = all(weights);
  step(), step();
  EXPECT_EQ(all(scales), before);
  EXPECT_NE(all(weights), weights_before);
  EXPECT_EQ(schedule.step(2, t.prepared), Changes());
  t.prepared.eval();
  const auto int8 = mt::passes::convert(t.prepared);
  mt::passes::ConvertVerifier verifier(t.prepared, int8);
  verifier.add(random_inputs(resnet(), 3, 9));
  EXPECT_TRUE(verifier.report().ok()) << verifier.report();
}

TEST(QatSchedule, ResumeDoesAllThatIsDue) {
  const quant::QatSchedule schedule = quant::QatSchedule()
                                          .enable_fake_quant_after(0)
                                          .disable_observers_after(1)
                                          .freeze_batch_norm_after(2)
                                          .freeze_scales_after(3);
  Trained t = network(learned());
  EXPECT_EQ(schedule.step(9, t.prepared), (Changes{"observers off", "batch norm frozen", "scales frozen"}));
  EXPECT_EQ(schedule.step(9, t.prepared), Changes());
}

TEST(QatSchedule, FakeQuantLater) {
  const quant::QatSchedule schedule = quant::QatSchedule().enable_fake_quant_after(1);
  Trained t = network(default_mapping());
  const auto enabled = [&] {
    int on = 0;
    quant::for_each_fake_quantizer(t.prepared, [&](quant::FakeQuantizeBase& f) { on += f.is_enabled(); });
    return on;
  };
  const int all = enabled();
  EXPECT_EQ(schedule.step(0, t.prepared), Changes{"fake quant off"});
  EXPECT_EQ(enabled(), 0);
  EXPECT_EQ(schedule.step(1, t.prepared), Changes());
  EXPECT_EQ(schedule.step(2, t.prepared), Changes{"fake quant on"});
  EXPECT_EQ(enabled(), all);
  quant::disable_fake_quant(t.prepared);
  EXPECT_EQ(quant::QatSchedule().step(5, t.prepared), Changes());  // an empty schedule touches nothing
  EXPECT_EQ(enabled(), 0);
}

TEST(QatSchedule, NegativeEpochs) {
  quant::QatSchedule schedule;
  Trained t = network(default_mapping());
  expect_error<mt::ConfigError>([&] { schedule.step(-1, t.prepared); },
                                {"QatSchedule", "got epoch -1, allowed 0 or more"});
  expect_error<mt::ConfigError>([&] { schedule.freeze_scales_after(-2); },
                                {"freeze_scales_after", "got epoch -2"});
  expect_error<mt::ConfigError>([&] { schedule.disable_observers_after(-2); }, {"disable_observers_after"});
}

}  // namespace schedule_test

// SPDX-License-Identifier: MIT
// Learning-rate schedules and gradient clipping.
#include <midtread/optim/lr_scheduler.hpp>

#include <midtread/optim/clip_grad.hpp>
#include <midtread/optim/sgd.hpp>
#include <support/random_tensor.hpp>

#include <cmath>
#include <limits>

namespace midtread {
namespace lr_scheduler_test {

using namespace test;
using optim::LRScheduler;
using optim::SGD;

/// The learning rate before each of `steps` steps.
template <class Scheduler>
std::vector<double> rates(Scheduler& scheduler, int steps) {
  std::vector<double> out;
  for (int i = 0; i < steps; ++i) {
    out.push_back(scheduler.last_lr());
    scheduler.step();
  }
  return out;
}
void expect_rates(const std::vector<double>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << "step " << i;
}

TEST(LRScheduler, StepLR) {
  SGD sgd({ones({1}).requires_grad_()}, 0.8);
  optim::StepLR schedule(sgd, 2, 0.5);
  expect_rates(rates(schedule, 6), {0.8, 0.8, 0.4, 0.4, 0.2, 0.2});
}

TEST(LRScheduler, MultiStepLR) {
  SGD sgd({ones({1}).requires_grad_()}, 1.0);
  optim::MultiStepLR schedule(sgd, {1, 4}, 0.1);
  expect_rates(rates(schedule, 6), {1, 0.1, 0.1, 0.1, 0.01, 0.01});
}

// eta_min + (base - eta_min)(1 + cos(pi t / T)) / 2 at quarters; it rises again behind T, as PyTorch's does.
TEST(LRScheduler, CosineAnnealingLR) {
  SGD sgd({ones({1}).requires_grad_()}, 1.0);
  optim::CosineAnnealingLR schedule(sgd, 4, 0.2);
  const double high = 0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2, low = 0.2 + 0.8 * (1 - std::sqrt(0.5)) / 2;
  expect_rates(rates(schedule, 7), {1.0, high, 0.6, low, 0.2, low, 0.6});
}

TEST(LRScheduler, LinearLR) {
  SGD sgd({ones({1}).requires_grad_()}, 0.05);
  optim::LinearLR schedule(sgd, 0.5, 1.0, 4);  // the example of PyTorch's documentation
  expect_rates(rates(schedule, 6), {0.025, 0.03125, 0.0375, 0.04375, 0.05, 0.05});
  SGD other({ones({1}).requires_grad_()}, 1.0);
  optim::LinearWarmup warmup(other, 4);
  expect_rates(rates(warmup, 6), {0, 0.25, 0.5, 0.75, 1, 1});
}

TEST(LRScheduler, SequentialLR) {
  SGD sgd({ones({1}).requires_grad_()}, 1.0);
  optim::SequentialLR schedule(sgd, {optim::linear_schedule(0.0, 1.0, 2), optim::step_schedule(2, 0.5)}, {2});
  expect_rates(rates(schedule, 7), {0, 0.5, 1, 1, 0.5, 0.5, 0.25});
}

TEST(LRScheduler, WarmupCosineLR) {
  SGD sgd({ones({1}).requires_grad_()}, 1.0);
  optim::WarmupCosineLR schedule(sgd, 2, 6, 0.5, 0.2);
  const double high = 0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2, low = 0.2 + 0.8 * (1 - std::sqrt(0.5)) / 2;
  expect_rates(rates(schedule, 9), {0.5, 0.75, 1.0, high, 0.6, low, 0.2, 0.2, 0.2});
  SGD other({ones({1}).requires_grad_()}, 1.0);
  optim::WarmupCosineLR without(other, 0, 2);
  expect_rates(rates(without, 4), {1, 0.5, 0, 0});
}

TEST(LRScheduler, ScalesEveryGroupFromItsOwnStart) {
  SGD sgd({ones({1}).requires_grad_()}, 1.0);
  sgd.add_param_group({ones({1}).requires_grad_()}, 0.1);
  optim::StepLR schedule(sgd, 1, 0.5);
  schedule.step();
  EXPECT_EQ(sgd.lr(0), 0.5);
  EXPECT_EQ(sgd.lr(1), 0.05);
}

TEST(LRScheduler, Resumes) {
  SGD sgd({ones({1}).requires_grad_()}, 1.0), again({ones({1}).requires_grad_()}, 1.0);
  optim::WarmupCosineLR schedule(sgd, 3, 10);
  for (int i = 0; i < 5; ++i) schedule.step();
  optim::WarmupCosineLR resumed(again, 3, 10);
  resumed.set_last_step(schedule.last_step());
  EXPECT_EQ(again.lr(), sgd.lr());
  schedule.step();
  resumed.step();
  EXPECT_EQ(again.lr(), sgd.lr());
  EXPECT_EQ(resumed.last_step(), 6);
}

TEST(LRScheduler, ChecksItsArguments) {
  SGD sgd({ones({1}).requires_grad_()}, 1.0);
  expect_error<ConfigError>([&] { optim::StepLR s(sgd, 0); }, {"step_size is 0"});
  expect_error<ConfigError>([&] { optim::CosineAnnealingLR s(sgd, 0); }, {"T_max is 0"});
  expect_error<ConfigError>([&] { optim::LinearLR s(sgd, 0.5, 1.0, 0); }, {"total_iters is 0"});
  expect_error<ConfigError>([&] { optim::LinearLR s(sgd, 1.5); }, {"start_factor is 1.5"});
  expect_error<ConfigError>([&] { optim::LinearLR s(sgd, 0.5, -1.0); }, {"end_factor is -1"});
  expect_error<ConfigError>([&] { optim::SequentialLR s(sgd, {}, {}); }, {"0 schedules"});
  const auto one = optim::step_schedule(1);
  expect_error<ConfigError>([&] { optim::SequentialLR s(sgd, {one, one, one}, {4, 4}); }, {"must increase"});
  expect_error<ConfigError>([&] { optim::WarmupCosineLR s(sgd, 5, 5); },
                            {"warmup_steps is 5", "total_steps 5"});
  expect_error<ConfigError>([&] { optim::StepLR(sgd, 1).set_last_step(-1); }, {"step -1"});
  EXPECT_EQ(sgd.lr(), 1.0);
}

Tensor with_gradient(const Tensor& gradient) {
  Tensor p = zeros(gradient.shape()).requires_grad_();
  p.set_grad(gradient);
  return p;
}

TEST(ClipGrad, ScalesToTheNorm) {
  const Tensor a = with_gradient(tensor({3.0f})), b = with_gradient(tensor({0.0f, 4.0f})),
               none = zeros({1}).requires_grad_();
  EXPECT_DOUBLE_EQ(optim::clip_grad_norm_(Tensors{a, none, b}, 1.0), 5.0);
  EXPECT_NEAR(a.grad().item(), 0.6, 1e-6);
  EXPECT_NEAR(b.grad().at({1}), 0.8, 1e-6);
  EXPECT_FALSE(none.grad().defined());
  EXPECT_NEAR(optim::clip_grad_norm_(Tensors{a, b}, 100.0), 1.0, 1e-6);
  EXPECT_NEAR(a.grad().item(), 0.6, 1e-6);
}

TEST(ClipGrad, GradientsThatShareStorageAreScaledOnce) {
  const Tensor shared = tensor({3.0f, 4.0f}), a = with_gradient(shared), b = with_gradient(shared);
  optim::clip_grad_norm_(Tensors{a, b}, std::sqrt(50.0) / 2);
  EXPECT_NEAR(a.grad().at({0}), 1.5, 1e-5);
  EXPECT_NEAR(b.grad().at({1}), 2.0, 1e-5);
  EXPECT_EQ(shared.at({0}), 3.0f);
}

TEST(ClipGrad, SumsInDoubleAndInAnyOrder) {
  const Tensor big = with_gradient(full({300000}, 1e-3f));
  EXPECT_NEAR(optim::clip_grad_norm_(Tensors{big}, 1e9), static_cast<double>(1e-3f) * std::sqrt(300000.0),
              1e-9);
  const Tensor huge = with_gradient(full({2}, 3e38f));
  EXPECT_NEAR(optim::clip_grad_norm_(Tensors{huge}, 1.0) / 1e38, 3.0 * std::sqrt(2.0), 1e-5);
  Generator g(1);
  const Tensor x = randn({2, 3, 4, 5}, g);
  const Tensor strided = with_gradient(in_order(x, 2));
  optim::clip_grad_norm_(Tensors{strided}, 1.0);
  double norm = 0;
  for (const float v : strided.grad().to_vector()) norm += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(norm, 1.0, 1e-5);
}

TEST(ClipGrad, NamesAGradientThatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const Tensor a = with_gradient(tensor({30.0f})), b = with_gradient(tensor({1.0f, bad}));
    expect_error<NumericError>(
        [&] {
          optim::clip_grad_norm_(Tensors{a, b}, 1.0);
        },
        {"parameter 1", "[2]", "not finite"});
    EXPECT_EQ(a.grad().item(), 30.0f);
  }
  expect_error<ConfigError>([] { optim::clip_grad_norm_(Tensors{}, -1.0); }, {"max_norm is -1"});
}

TEST(ClipGrad, HoldsValues) {
  const Tensor a = with_gradient(tensor({-3.0f, 0.25f, 3.0f})), none = zeros({1}).requires_grad_();
  optim::clip_grad_value_(Tensors{a, none}, 0.5);
  EXPECT_EQ(a.grad().to_vector(), (std::vector<float>{-0.5f, 0.25f, 0.5f}));
  expect_error<ConfigError>([] { optim::clip_grad_value_(Tensors{}, -1.0); }, {"limit is -1"});
}

}  // namespace lr_scheduler_test
}  // namespace midtread

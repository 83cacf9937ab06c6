// SPDX-License-Identifier: MIT
// Learning rates as functions of the step, PyTorch's names and formulas. A step is what the loop makes it: an
// epoch or a batch.
//
//   optim::WarmupCosineLR schedule(sgd, 500, 10000);   for (...) { sgd.step(); schedule.step(); }
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/optim/optimizer.hpp>

#include <cmath>
#include <functional>
#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(optim)

/// The learning rate at `step` (from 0) of a group that started with `base`.
using Schedule = std::function<double(std::int64_t step, double base)>;

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(optim::detail)

MIDTREAD_ON_USE void check_steps(const char* where, const char* field, std::int64_t value) {
  if (value < 1) throw ConfigError(where, concat(field, " is ", value, ", allowed 1 and up"));
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(optim)

/// base * gamma^floor(step / step_size)
MIDTREAD_ON_USE Schedule step_schedule(std::int64_t step_size, double gamma = 0.1) {
  detail::check_steps("StepLR", "step_size", step_size);
  return [=](std::int64_t step, double base) {
    return base * std::pow(gamma, static_cast<double>(step / step_size));
  };
}
/// base * gamma^(milestones reached)
MIDTREAD_ON_USE Schedule multi_step_schedule(std::vector<std::int64_t> milestones, double gamma = 0.1) {
  return [=, milestones = std::move(milestones)](std::int64_t step, double base) {
    int reached = 0;
    for (const std::int64_t milestone : milestones) reached += step >= milestone ? 1 : 0;
    return base * std::pow(gamma, reached);
  };
}
/// eta_min + (base - eta_min) (1 + cos(pi step / t_max)) / 2; behind t_max it rises again, as in PyTorch.
MIDTREAD_ON_USE Schedule cosine_schedule(std::int64_t t_max, double eta_min = 0.0) {
  detail::check_steps("CosineAnnealingLR", "T_max", t_max);
  return [=](std::int64_t step, double base) {
    const double phase = 3.14159265358979323846 * static_cast<double>(step) / static_cast<double>(t_max);
    return eta_min + (base - eta_min) * (1.0 + std::cos(phase)) / 2.0;
  };
}
/// base times a factor that goes from start_factor to end_factor in total_steps, then stays.
MIDTREAD_ON_USE Schedule linear_schedule(double start_factor, double end_factor, std::int64_t total_steps) {
  detail::check_steps("LinearLR", "total_iters", total_steps);
  if (!(start_factor >= 0.0 && start_factor <= 1.0))
    throw ConfigError("LinearLR", concat("start_factor is ", start_factor, ", allowed 0..1"));
  if (!(end_factor >= 0.0 && end_factor <= 1.0))
    throw ConfigError("LinearLR", concat("end_factor is ", end_factor, ", allowed 0..1"));
  return [=](std::int64_t step, double base) {
    const double done =
        step < total_steps ? static_cast<double>(step) / static_cast<double>(total_steps) : 1.0;
    return base * (start_factor + (end_factor - start_factor) * done);
  };
}
/// schedules[i] from milestones[i - 1] on, each counting its own steps. One milestone less than schedules.
MIDTREAD_ON_USE Schedule sequential_schedule(std::vector<Schedule> schedules,
                                             std::vector<std::int64_t> milestones) {
  if (schedules.empty() || milestones.size() + 1 != schedules.size())
    throw ConfigError("SequentialLR", concat(schedules.size(), " schedules and ", milestones.size(),
                                             " milestones; needs one milestone between each two schedules"));
  for (std::size_t i = 1; i < milestones.size(); ++i)
    if (milestones[i] <= milestones[i - 1]) throw ConfigError("SequentialLR", "milestones must increase");
  return [=, schedules = std::move(schedules), milestones = std::move(milestones)](std::int64_t step,
                                                                                   double base) {
    std::size_t i = 0;
    while (i < milestones.size() && step >= milestones[i]) ++i;
    return schedules[i](i == 0 ? step : step - milestones[i - 1], base);
  };
}
/// A linear rise in warmup_steps, then half a cosine down to eta_min at total_steps, where it stays.
MIDTREAD_ON_USE Schedule warmup_cosine_schedule(std::int64_t warmup_steps, std::int64_t total_steps,
                                                double start_factor = 0.0, double eta_min = 0.0) {
  if (warmup_steps < 0 || total_steps <= warmup_steps)
    throw ConfigError("WarmupCosineLR", concat("warmup_steps is ", warmup_steps, " of total_steps ",
                                               total_steps, ", allowed 0 up to, not including, total_steps"));
  const Schedule cosine = cosine_schedule(total_steps - warmup_steps, eta_min);
  const Schedule fall = [=](std::int64_t step, double base) {
    return cosine(std::min(step, total_steps - warmup_steps), base);
  };
  if (warmup_steps == 0) return fall;
  return sequential_schedule({linear_schedule(start_factor, 1.0, warmup_steps), fall}, {warmup_steps});
}

/// Sets the learning rate of every group of an optimizer, which must outlive it.
class LRScheduler {
 public:
  /// Applies step 0 at once.
  LRScheduler(Optimizer& optimizer, Schedule schedule)
      : optimizer_(optimizer), schedule_(std::move(schedule)) {
    for (std::size_t g = 0; g < optimizer_.group_count(); ++g) base_.push_back(optimizer_.lr(g));
    apply();
  }

  /// Call after optimizer.step().
  void step() {
    ++step_;
    apply();
  }
  /// How many steps were made; what a checkpoint keeps.
  std::int64_t last_step() const noexcept { return step_; }
  /// Continues behind `step` steps: for resuming, with the optimizer's groups as they were at first.
  void set_last_step(std::int64_t step) {
    if (step < 0) throw ConfigError("LRScheduler", concat("step ", step, ", allowed 0 and up"));
    step_ = step;
    apply();
  }
  double last_lr(std::size_t group = 0) const { return optimizer_.lr(group); }

 private:
  void apply() {
    for (std::size_t g = 0; g < base_.size(); ++g) optimizer_.set_lr(g, schedule_(step_, base_[g]));
  }

  Optimizer& optimizer_;
  Schedule schedule_;
  std::vector<double> base_;
  std::int64_t step_ = 0;
};

MIDTREAD_CLASS_ON_USE(StepLR)
class BasicStepLR : public LRScheduler {
 public:
  BasicStepLR(Optimizer& optimizer, std::int64_t step_size, double gamma = 0.1)
      : LRScheduler(optimizer, step_schedule(step_size, gamma)) {}
};
MIDTREAD_CLASS_ON_USE(MultiStepLR)
class BasicMultiStepLR : public LRScheduler {
 public:
  BasicMultiStepLR(Optimizer& optimizer, std::vector<std::int64_t> milestones, double gamma = 0.1)
      : LRScheduler(optimizer, multi_step_schedule(std::move(milestones), gamma)) {}
};
MIDTREAD_CLASS_ON_USE(CosineAnnealingLR)
class BasicCosineAnnealingLR : public LRScheduler {
 public:
  BasicCosineAnnealingLR(Optimizer& optimizer, std::int64_t t_max, double eta_min = 0.0)
      : LRScheduler(optimizer, cosine_schedule(t_max, eta_min)) {}
};
MIDTREAD_CLASS_ON_USE(LinearLR)
class BasicLinearLR : public LRScheduler {
 public:
  explicit BasicLinearLR(Optimizer& optimizer, double start_factor = 1.0 / 3.0, double end_factor = 1.0,
                         std::int64_t total_iters = 5)
      : LRScheduler(optimizer, linear_schedule(start_factor, end_factor, total_iters)) {}
};
/// A linear rise from start_factor times the learning rate to all of it.
MIDTREAD_CLASS_ON_USE(LinearWarmup)
class BasicLinearWarmup : public LRScheduler {
 public:
  BasicLinearWarmup(Optimizer& optimizer, std::int64_t warmup_steps, double start_factor = 0.0)
      : LRScheduler(optimizer, linear_schedule(start_factor, 1.0, warmup_steps)) {}
};
MIDTREAD_CLASS_ON_USE(SequentialLR)
class BasicSequentialLR : public LRScheduler {
 public:
  BasicSequentialLR(Optimizer& optimizer, std::vector<Schedule> schedules,
                    std::vector<std::int64_t> milestones)
      : LRScheduler(optimizer, sequential_schedule(std::move(schedules), std::move(milestones))) {}
};
MIDTREAD_CLASS_ON_USE(WarmupCosineLR)
class BasicWarmupCosineLR : public LRScheduler {
 public:
  BasicWarmupCosineLR(Optimizer& optimizer, std::int64_t warmup_steps, std::int64_t total_steps,
                      double start_factor = 0.0, double eta_min = 0.0)
      : LRScheduler(optimizer, warmup_cosine_schedule(warmup_steps, total_steps, start_factor, eta_min)) {}
};

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
#include <midtread/optim/adam.hpp>

#include <support/random_tensor.hpp>

#include <cmath>
#include <cstdio>

namespace midtread {
namespace adam_test {

using namespace test;
using optim::Adam;
using optim::AdamOptions;
using optim::AdamW;
using optim::AdamWOptions;

// With a constant gradient both corrected moments are constant: every step is lr * g / (|g| + eps).
TEST(Adam, AConstantGradientMovesByTheLearningRate) {
  const Tensor p = tensor({1.0f, -2.0f}).requires_grad_();
  Adam adam({p}, AdamOptions(0.01));
  for (int step = 1; step <= 20; ++step) {
    p.set_grad(tensor({3.0f, -0.5f}));
    adam.step();
    EXPECT_NEAR(p.at({0}), 1.0 - 0.01 * step, 1e-5);
    EXPECT_NEAR(p.at({1}), -2.0 + 0.01 * step, 1e-5);
  }
}

// PyTorch's single-tensor form in double.
template <class Optimizer, class Options>
int check_formula(bool decoupled, std::uint64_t seed) {
  Generator g(seed);
  int cases = 0;
  for (; cases < 50; ++cases) {
    Options options(g.uniform(0.001, 0.1));
    options.betas({g.uniform(0.5, 0.95), g.uniform(0.9, 0.9999)})
        .eps(std::pow(10.0, -2.0 - 6.0 * g.uniform()));
    options.weight_decay(g.below(2) == 0 ? 0.0 : g.uniform(0, 0.1));
    const Tensor p = randn({6}, g).requires_grad_();
    Optimizer optimizer({p}, options);
    std::vector<double> w(6), m(6), v(6);
    for (std::size_t i = 0; i < 6; ++i) w[i] = static_cast<double>(p.data()[i]);
    for (int t = 1; t <= 8; ++t) {
      p.set_grad(randn({6}, g));
      const double b1 = options.betas().first, b2 = options.betas().second;
      for (std::size_t i = 0; i < 6; ++i) {
        double d = static_cast<double>(p.grad().data()[i]);
        if (decoupled)
          w[i] *= 1 - options.lr() * options.weight_decay();
        else
          d += options.weight_decay() * w[i];
        m[i] = b1 * m[i] + (1 - b1) * d;
        v[i] = b2 * v[i] + (1 - b2) * d * d;
        const double step_size = options.lr() / (1 - std::pow(b1, t));
        w[i] -= step_size * m[i] / (std::sqrt(v[i]) / std::sqrt(1 - std::pow(b2, t)) + options.eps());
      }
      optimizer.step();
      for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(p.data()[i], w[i], 5e-5 * (1 + std::abs(w[i])));
    }
  }
  return cases;
}

TEST(Adam, FollowsTheFormula) { std::printf("cases=%d\n", check_formula<Adam, AdamOptions>(false, 1)); }
TEST(AdamW, FollowsTheFormula) { std::printf("cases=%d\n", check_formula<AdamW, AdamWOptions>(true, 2)); }

TEST(AdamW, DecaysByDefault) {
  const Tensor p = tensor({1.0f}).requires_grad_();
  AdamW adam({p});
  EXPECT_EQ(adam.options().weight_decay(), 0.01);
  EXPECT_EQ(adam.lr(), 1e-3);
  p.set_grad(zeros({1}));
  adam.step();
  EXPECT_FLOAT_EQ(p.item(), 1.0f - 1e-5f);
  Adam plain({p});
  EXPECT_EQ(plain.options().weight_decay(), 0.0);
  AdamW chained({p}, AdamWOptions(0.1).weight_decay(0.5).eps(1e-6));
  EXPECT_EQ(chained.options().eps(), 1e-6);
}

TEST(Adam, AStateContinuesBitForBit) {
  Generator g(3);
  const Tensor p = randn({9}, g).requires_grad_();
  Adam adam({p}, 0.01);
  const auto run = [](Adam& optimizer, const Tensor& parameter, Generator from) {
    for (int i = 0; i < 4; ++i) {
      parameter.set_grad(randn({9}, from));
      optimizer.step();
    }
  };
  run(adam, p, Generator(4));
  const Tensor copy = p.clone().requires_grad_();
  Adam resumed({copy}, 0.01);
  resumed.load_state_dict(adam.state_dict());
  run(adam, p, Generator(5));
  run(resumed, copy, Generator(5));
  EXPECT_TRUE(identical(p, copy));
  std::string names;
  for (const auto& item : adam.state_dict()) names += item.first + ' ';
  EXPECT_EQ(names, "param_groups.0.lr state.0.step state.0.exp_avg state.0.exp_avg_sq ");
}

TEST(Adam, BitsDoNotDependOnThreads) {
  Generator g(6);
  const Tensor start = randn({70001}, g), gradient = randn({70001}, g);
  expect_same_on_threads([&] {
    const Tensor p = start.clone().requires_grad_();
    Adam adam({p}, AdamOptions(0.1).weight_decay(0.1));
    p.set_grad(gradient);
    adam.step();
    adam.step();
    return p;
  });
}

TEST(Adam, ChecksItsOptions) {
  const Tensor p = tensor({1.0f}).requires_grad_();
  const auto rejects = [&](const AdamOptions& options, std::initializer_list<std::string> words) {
    expect_error<ConfigError>([&] { Adam adam({p}, options); }, words);
  };
  rejects(-1.0, {"Adam", "lr is -1"});
  rejects(AdamOptions().betas({1.0, 0.9}), {"a beta is 1, allowed 0 up to, not including, 1"});
  rejects(AdamOptions().betas({0.9, -0.1}), {"beta is -0.1"});
  rejects(AdamOptions().eps(-1e-8), {"eps"});
  rejects(AdamOptions().weight_decay(-1), {"weight_decay"});
}

}  // namespace adam_test
}  // namespace midtread

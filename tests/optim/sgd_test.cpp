// SPDX-License-Identifier: MIT
// SGD, and what all optimizers share: groups, states, checks.
#include <midtread/optim/sgd.hpp>

#include <support/random_tensor.hpp>

#include <cstdio>

namespace midtread {
namespace sgd_test {

using namespace test;
using optim::SGD;
using optim::SGDOptions;

Tensor parameter(const std::vector<float>& values) {
  return from_vector(values, {static_cast<std::int64_t>(values.size())}).requires_grad_();
}
void give_gradient(const Tensor& p, Generator& g) { p.set_grad(randn(p.shape(), g)); }

// p = 1, g = 1, lr = 0.1, worked by hand.
TEST(SGD, FirstStepsByHand) {
  const auto after = [](const SGDOptions& options, int steps) {
    const Tensor p = parameter({1.0f});
    SGD sgd({p}, options);
    for (int i = 0; i < steps; ++i) {
      p.set_grad(ones({1}));
      sgd.step();
    }
    return p.item();
  };
  EXPECT_FLOAT_EQ(after(0.1, 1), 0.9f);
  EXPECT_FLOAT_EQ(after(0.1, 2), 0.8f);
  EXPECT_FLOAT_EQ(after(SGDOptions(0.1).weight_decay(0.5), 1), 0.85f);              // d = 1.5
  EXPECT_FLOAT_EQ(after(SGDOptions(0.1).weight_decay(0.5), 2), 0.7075f);            // d = 1.425
  EXPECT_FLOAT_EQ(after(SGDOptions(0.1).momentum(0.9), 2), 0.71f);                  // m = 1, 1.9
  EXPECT_FLOAT_EQ(after(SGDOptions(0.1).momentum(0.9), 3), 0.439f);                 // m = 2.71
  EXPECT_FLOAT_EQ(after(SGDOptions(0.1).momentum(0.9).dampening(0.5), 2), 0.76f);   // m = 1, 1.4
  EXPECT_FLOAT_EQ(after(SGDOptions(0.1).momentum(0.9).nesterov(true), 1), 0.81f);   // 1 + 0.9
  EXPECT_FLOAT_EQ(after(SGDOptions(0.1).momentum(0.9).nesterov(true), 2), 0.539f);  // 1 + 0.9 * 1.9
}

// The same in double, over random gradients and every kind of options.
TEST(SGD, FollowsTheFormula) {
  Generator g(1);
  int cases = 0;
  for (; cases < 100; ++cases) {
    SGDOptions options(g.uniform(0.001, 0.1));
    if (g.below(2) == 0) options.weight_decay(g.uniform(0, 0.1));
    if (g.below(3) != 0) options.momentum(g.uniform(0.1, 0.99));
    if (options.momentum() > 0 && g.below(2) == 0) options.nesterov(true);
    if (!options.nesterov() && g.below(2) == 0) options.dampening(g.uniform());
    const Tensor p = randn({7}, g).requires_grad_();
    SGD sgd({p}, options);
    std::vector<double> w(7), m(7);
    for (std::size_t i = 0; i < 7; ++i) w[i] = static_cast<double>(p.data()[i]);
    for (int step = 0; step < 6; ++step) {
      give_gradient(p, g);
      for (std::size_t i = 0; i < 7; ++i) {
        double d = static_cast<double>(p.grad().data()[i]) + options.weight_decay() * w[i];
        if (options.momentum() > 0) {
          m[i] = step == 0 ? d : options.momentum() * m[i] + (1 - options.dampening()) * d;
          d = options.nesterov() ? d + options.momentum() * m[i] : m[i];
        }
        w[i] -= options.lr() * d;
      }
      sgd.step();
      for (std::size_t i = 0; i < 7; ++i) EXPECT_NEAR(p.data()[i], w[i], 2e-6);
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(SGD, TakesGradientsInAnyMemoryOrder) {
  Generator g(2);
  for (int order = 0; order < 4; ++order) {
    const Tensor p = zeros({2, 3, 4, 5}).requires_grad_(), gradient = randn({2, 3, 4, 5}, g);
    SGD sgd({p}, SGDOptions(1.0).momentum(0.5));
    p.set_grad(in_order(gradient, order));
    sgd.step();
    for (std::int64_t k = 0; k < p.numel(); ++k)
      EXPECT_EQ(p.data()[k], -element(gradient, index_of(p.shape(), k)));
  }
}

TEST(SGD, LargeParametersOnManyThreads) {
  Generator g(3);
  const Tensor start = randn({70001}, g), gradient = randn({70001}, g);
  expect_same_on_threads([&] {
    const Tensor p = start.clone().requires_grad_();
    SGD sgd({p}, SGDOptions(0.1).momentum(0.9).weight_decay(0.01));
    for (int i = 0; i < 3; ++i) {
      p.set_grad(gradient);
      sgd.step();
    }
    return p;
  });
}

TEST(Optimizer, LeavesParametersWithoutAGradientAlone) {
  const Tensor a = parameter({1.0f}), b = parameter({1.0f});
  SGD sgd({a, b}, SGDOptions(0.1).momentum(0.9).weight_decay(0.1));
  b.set_grad(ones({1}));
  const auto version = a.version();
  sgd.step();
  EXPECT_EQ(a.item(), 1.0f);
  EXPECT_EQ(a.version(), version);
  EXPECT_NE(b.item(), 1.0f);
  sgd.zero_grad();
  EXPECT_FALSE(b.grad().defined());
}

TEST(Optimizer, GroupsHaveTheirOwnOptions) {
  const Tensor a = parameter({1.0f}), b = parameter({1.0f});
  SGD sgd({a}, SGDOptions(0.1));
  sgd.add_param_group({b}, SGDOptions(0.5).weight_decay(1.0));
  a.set_grad(ones({1}));
  b.set_grad(ones({1}));
  sgd.step();
  EXPECT_FLOAT_EQ(a.item(), 0.9f);
  EXPECT_FLOAT_EQ(b.item(), 0.0f);
  EXPECT_EQ(sgd.group_count(), 2u);
  EXPECT_EQ(sgd.lr(1), 0.5);
  sgd.set_lr(0, 0.25);
  EXPECT_EQ(sgd.options(0).lr(), 0.25);
  sgd.options(1).weight_decay(0.0);
  sgd.step();
  EXPECT_FLOAT_EQ(b.item(), -0.5f);
  EXPECT_TRUE(sgd.parameters(1)[0].is(b));
}

TEST(Optimizer, AStateContinuesBitForBit) {
  Generator g(4);
  const auto options = SGDOptions(0.1).momentum(0.9).nesterov(true);
  const Tensor a = randn({5}, g).requires_grad_(), b = randn({2, 3}, g).requires_grad_();
  SGD sgd({a, b}, options);
  Generator gradients(5);
  const auto step = [](SGD& optimizer, const Tensors& parameters, Generator& from) {
    for (const Tensor& p : parameters) give_gradient(p, from);
    optimizer.step();
  };
  for (int i = 0; i < 3; ++i) step(sgd, {a, b}, gradients);
  sgd.set_lr(0, 0.05);
  optim::Optimizer::State saved;
  for (const auto& item : sgd.state_dict()) saved.insert(item.first, item.second.clone());
  const Tensor a2 = a.clone().requires_grad_(), b2 = b.clone().requires_grad_();
  SGD resumed({a2, b2}, options);
  resumed.load_state_dict(saved);
  EXPECT_EQ(resumed.lr(), 0.05);
  Generator again = gradients;
  for (int i = 0; i < 3; ++i) step(sgd, {a, b}, gradients);
  for (int i = 0; i < 3; ++i) step(resumed, {a2, b2}, again);
  EXPECT_TRUE(identical(a, a2));
  EXPECT_TRUE(identical(b, b2));
  std::string names;
  for (const auto& item : saved) names += item.first + ' ';
  EXPECT_EQ(names,
            "param_groups.0.lr state.0.step state.0.momentum_buffer state.1.step state.1.momentum_buffer ");
}

TEST(Optimizer, AStateThatDoesNotFitChangesNothing) {
  const Tensor a = parameter({1.0f, 2.0f});
  SGD sgd({a}, SGDOptions(0.1).momentum(0.9));
  a.set_grad(ones({2}));
  sgd.step();
  const auto state = sgd.state_dict();
  const auto rejects = [&](const char* name, const AnyTensor& value,
                           std::initializer_list<std::string> words) {
    auto changed = state;
    changed.assign(name, value);
    expect_error<FormatError>([&] { sgd.load_state_dict(changed); }, words);
    EXPECT_EQ(sgd.lr(), 0.1);
  };
  rejects("param_groups.0.lr", AnyTensor(scalar<float>(0.5f)), {"missing param_groups.0.lr"});
  rejects("state.0.momentum_buffer", AnyTensor(ones({3})), {"state.0.momentum_buffer", "[2]"});
  rejects("state.0.step", AnyTensor(scalar<std::int64_t>(0)), {"step is 0"});
  rejects("state.7.step", AnyTensor(scalar<std::int64_t>(1)), {"1 entries belong to no parameter"});
  auto cut = state;
  cut.erase("param_groups.0.lr");
  expect_error<FormatError>([&] { sgd.load_state_dict(cut); }, {"missing param_groups.0.lr"});
  SGD fresh({a}, 0.3);
  fresh.load_state_dict(state);
  EXPECT_EQ(fresh.lr(), 0.1);
  SGD unused({a}, 0.3);
  fresh.load_state_dict(unused.state_dict());  // of an optimizer that made no step
  EXPECT_EQ(fresh.state_dict().size(), 1u);
}

TEST(Optimizer, AParameterSizedAgainStartsAgain) {
  const Tensor a = parameter({1.0f});
  SGD sgd({a}, SGDOptions(0.1).momentum(0.9));
  a.set_grad(ones({1}));
  sgd.step();
  Tensor handle = a;
  handle.set_data(zeros({3}));
  a.set_grad(ones({3}));
  sgd.step();
  EXPECT_EQ(a.to_vector(), (std::vector<float>{-0.1f, -0.1f, -0.1f}));
}

TEST(Optimizer, ChecksItsParameters) {
  const Tensor a = parameter({1.0f});
  expect_error<ConfigError>([] { SGD sgd({}, 0.1); }, {"no parameters"});
  expect_error<ConfigError>([&] { SGD sgd({a, Tensor()}, 0.1); }, {"parameter 1 of the group is undefined"});
  expect_error<ConfigError>(
      [&] {
        SGD sgd({a, a}, 0.1);
      },
      {"parameter 1 of the group is in the optimizer already"});
  SGD sgd({a}, 0.1);
  expect_error<ConfigError>([&] { sgd.add_param_group({a}, 0.1); }, {"parameter 0", "already"});
  expect_error<ConfigError>([&] { sgd.lr(1); }, {"no group 1"});
  expect_error<ConfigError>([&] { sgd.set_lr(1, 0.1); }, {"no group 1"});
  const Tensor result = autograd::attach("op", ones({1}), {a}, [](const Tensor& dy) { return Tensors{dy}; });
  expect_error<ConfigError>([&] { SGD other({result}, 0.1); }, {"result of an operation"});
  expect_error<ConfigError>([&] { SGD other({in_order(ones({3, 2}), 2)}, 0.1); }, {"strided view"});
  a.set_grad(ones({2}));
  expect_error<ShapeError>([&] { sgd.step(); }, {"parameter 0", "[1]", "[2]"});
}

TEST(SGD, ChecksItsOptions) {
  const Tensor a = parameter({1.0f});
  const auto rejects = [&](const SGDOptions& options, std::initializer_list<std::string> words) {
    expect_error<ConfigError>([&] { SGD sgd({a}, options); }, words);
  };
  rejects(-0.1, {"SGD", "lr is -0.1"});
  rejects(std::nan(""), {"lr is nan"});
  rejects(SGDOptions(0.1).momentum(-1), {"momentum is -1"});
  rejects(SGDOptions(0.1).weight_decay(-1), {"weight_decay is -1"});
  rejects(SGDOptions(0.1).momentum(0.9).dampening(2), {"dampening is 2"});
  rejects(SGDOptions(0.1).nesterov(true), {"nesterov needs momentum"});
  rejects(SGDOptions(0.1).nesterov(true).momentum(0.9).dampening(0.1), {"nesterov needs momentum"});
}

}  // namespace sgd_test
}  // namespace midtread

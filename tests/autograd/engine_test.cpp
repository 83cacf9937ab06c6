// SPDX-License-Identifier: MIT
// The backward pass: sums, deep graphs, memory, and what it refuses.
#include <midtread/autograd/engine.hpp>

#include <midtread/ops/elementwise.hpp>
#include <support/random_tensor.hpp>

#include <pthread.h>
#include <memory>

namespace midtread {
namespace engine_test {

using namespace test;

Tensor leaf(std::initializer_list<float> values) { return tensor(values).requires_grad_(); }

/// y = x with a backward that holds `token`.
Tensor holding(const Tensor& x, const std::shared_ptr<int>& token) {
  return autograd::attach("hold", x.detach(), {x}, [token](const Tensor& dy) { return Tensors{dy}; });
}

TEST(Backward, SumsOverAllPaths) {
  const Tensor x = leaf({3.0f});
  const Tensor y = x * x, z = y * x + y + x;  // x^3 + x^2 + x
  z.backward();
  EXPECT_EQ(x.grad().item(), 3 * 9 + 2 * 3 + 1);
}

TEST(Backward, AddsToGradientsOfEarlierCalls) {
  const Tensor x = leaf({3.0f});
  (x * 2).backward();
  const Tensor first = x.grad();
  (x * 5).backward();
  EXPECT_EQ(x.grad().item(), 7.0f);
  EXPECT_EQ(first.item(), 2.0f);
}

TEST(Backward, StartsWithTheGradientGiven) {
  const Tensor x = leaf({1.0f, 2.0f});
  (x * x).backward(tensor({10.0f, 100.0f}));
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{20, 400}));
  expect_error<ShapeError>([&] { (x * x).backward(); }, {"backward", "not one element"});
  expect_error<ShapeError>([&] { (x * x).backward(ones({3})); }, {"[3]", "[2]"});
}

TEST(Backward, StopsWhereItMust) {
  const Tensor x = leaf({1.0f}), fixed = tensor({2.0f});
  ((x * 3).detach() * x).backward();
  EXPECT_EQ(x.grad().item(), 3.0f);
  EXPECT_FALSE((fixed * fixed).requires_grad());
  expect_error<StateError>([&] { (fixed * fixed).backward(); }, {"no history"});
  expect_error<StateError>([&] { x.backward(); }, {"no history"});
  Tensor result = x * 2;
  expect_error<StateError>([&] { result.requires_grad_(false); }, {"only a leaf can stop"});
  EXPECT_FALSE(x.clone().requires_grad());
}

TEST(Backward, ASecondTimeIsAnErrorUnlessTheGraphIsKept) {
  const Tensor x = leaf({3.0f}), y = x * x;
  y.backward({}, true);
  y.backward({}, true);
  EXPECT_EQ(x.grad().item(), 12.0f);
  y.backward();
  expect_error<StateError>([&] { y.backward(); }, {"mul", "already", "forward again"});
  EXPECT_EQ(x.grad().item(), 18.0f);
}

TEST(Backward, RecordsNothingItself) {
  const Tensor x = leaf({3.0f});
  bool enabled = true;
  autograd::attach("look", x.detach(), {x}, [&](const Tensor& dy) {
    enabled = grad_enabled();
    return Tensors{dy};
  }).backward();
  EXPECT_FALSE(enabled);
  EXPECT_TRUE(grad_enabled());
  EXPECT_FALSE(x.grad().requires_grad());
}

TEST(Backward, AnUndefinedInputOrGradientIsPassedOver) {
  const Tensor x = leaf({3.0f});
  const Tensor y = autograd::attach("op", x.detach(), {x, Tensor(), x}, [](const Tensor& dy) {
    return Tensors{dy, Tensor(), Tensor()};
  });
  y.backward();
  EXPECT_EQ(x.grad().item(), 1.0f);
}

TEST(Backward, NamesAnOperationThatGivesTheWrongGradients) {
  const Tensor x = leaf({3.0f});
  const auto wrong = [&](const Tensors& gradients) {
    return autograd::attach("broken", x.detach(), {x}, [gradients](const Tensor&) { return gradients; });
  };
  expect_error<StateError>([&] { wrong({}).backward(); }, {"broken", "0 gradients for 1 inputs"});
  expect_error<ShapeError>([&] { wrong({ones({2})}).backward(); }, {"[2]", "leaf of shape [1]"});
  const Tensor twice = x * 2;
  const Tensor y = autograd::attach("broken", ones({1}), {twice, twice}, [](const Tensor&) {
    return Tensors{ones({1}), ones({2})};
  });
  expect_error<ShapeError>([&] { y.backward(); }, {"[1]", "[2]", "meet"});
}

TEST(GradMode, NothingIsRecordedUnderANoGradGuard) {
  const Tensor x = leaf({3.0f});
  {
    const NoGradGuard off;
    EXPECT_FALSE((x * x).requires_grad());
    {
      const EnableGradGuard on;
      EXPECT_TRUE((x * x).requires_grad());
      const NoGradGuard off_again;
      EXPECT_FALSE((x * x).requires_grad());
    }
    EXPECT_FALSE((x * x).requires_grad());
  }
  EXPECT_TRUE((x * x).requires_grad());
}

TEST(Memory, AGraphGoesWithItsResult) {
  const auto token = std::make_shared<int>(0);
  const Tensor x = leaf({1.0f});
  {
    const Tensor y = holding(holding(x, token) + 1, token) * 2;
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Memory, BackwardGivesSavedValuesBack) {
  const auto token = std::make_shared<int>(0);
  const Tensor x = leaf({1.0f}), y = holding(holding(x, token), token);
  y.backward({}, true);
  EXPECT_EQ(token.use_count(), 3);
  y.backward();
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Memory, AnErrorInBackwardLeaksNothing) {
  const auto token = std::make_shared<int>(0);
  const Tensor x = leaf({1.0f});
  {
    const Tensor y =
        autograd::attach("broken", holding(x, token), {holding(x, token)},
                         [](const Tensor&) -> Tensors { throw NumericError("broken", "on purpose"); });
    EXPECT_THROW(y.backward(), NumericError);
    EXPECT_TRUE(grad_enabled());
  }
  EXPECT_EQ(token.use_count(), 1);
}

/// Runs `body` on a thread with a stack of 256 KiB.
void on_a_small_stack(void (*body)()) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    reinterpret_cast<void (*)()>(argument)();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, reinterpret_cast<void*>(body)), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

constexpr int kDepth = 1000000;

TEST(DeepGraph, AMillionOperationsAndBack) {
  on_a_small_stack([] {
    const Tensor x = tensor({1.0f}).requires_grad_();
    Tensor y = x;
    for (int i = 0; i < kDepth; ++i) y = y + 1.0;
    y.backward();
    EXPECT_EQ(x.grad().item(), 1.0f);
    EXPECT_EQ(y.item(), 1.0f + kDepth);
  });
}

TEST(DeepGraph, GoesWithoutABackward) {
  on_a_small_stack([] {
    const Tensor x = tensor({1.0f}).requires_grad_();
    Tensor y = x;
    for (int i = 0; i < kDepth; ++i) y = y + 1.0;
  });
}

TEST(DeepGraph, GoesWhereSavedValuesHoldTheHistory) {
  on_a_small_stack([] {
    const Tensor x = tensor({1.0f}).requires_grad_();
    Tensor y = x;
    for (int i = 0; i < kDepth / 4; ++i)
      y = autograd::attach("keep", y.detach(), {y}, [y](const Tensor& dy) { return Tensors{dy}; });
  });
}

TEST(DeepGraph, AWideDiamondIsWalkedOnce) {
  const Tensor x = leaf({1.0f});
  Tensor y = x;
  for (int i = 0; i < 100; ++i) y = (y + y) * 0.5;  // 2^100 paths
  y.backward();
  EXPECT_EQ(x.grad().item(), 1.0f);
}

}  // namespace engine_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
// The int8 model: engines, threads, workspaces, memory, summaries and what it refuses.
#include <midtread/passes/convert.hpp>

#include <gtest/gtest.h>

#include <support/exactness.hpp>
#include <support/random_tensor.hpp>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

namespace {
std::atomic<long> allocations{0};
}  // namespace

// Not inlined: GCC would warn of memory from malloc given to delete.
MIDTREAD_NOINLINE void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size ? size : 1)) return p;
  throw std::bad_alloc();
}
MIDTREAD_NOINLINE void* operator new[](std::size_t size) { return ::operator new(size); }
MIDTREAD_NOINLINE void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size ? size : 1);
}
MIDTREAD_NOINLINE void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
  return ::operator new(size, tag);
}
MIDTREAD_NOINLINE void* operator new(std::size_t size, std::align_val_t alignment) {
  ++allocations;
  const auto a = static_cast<std::size_t>(alignment);
  if (void* p = std::aligned_alloc(a, (size + a - 1) / a * a)) return p;
  throw std::bad_alloc();
}
MIDTREAD_NOINLINE void operator delete(void* p) noexcept { std::free(p); }
MIDTREAD_NOINLINE void operator delete(void* p, std::size_t) noexcept { std::free(p); }
MIDTREAD_NOINLINE void operator delete[](void* p) noexcept { std::free(p); }
MIDTREAD_NOINLINE void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
MIDTREAD_NOINLINE void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
MIDTREAD_NOINLINE void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace mt = midtread;
namespace q8 = midtread::quantized;
using namespace midtread::test;

namespace model_test {

q8::Model converted(const Network& network) {
  return mt::passes::convert(trained(network, default_mapping(), 1).prepared);
}

TEST(Model, EveryEngineGivesTheSameBits) {
  int cases = 0;
  for (const Network& network : all_networks()) {
    SCOPED_TRACE(network.name);
    q8::Model int8 = converted(network);
    const mt::Tensors x = random_inputs(network, 5, 3), want = int8.forward_many(x);
    for (const char* engine : {"reference", "fbgemm", "qnnpack", "auto"}) {
      int8.set_engine(engine);
      EXPECT_TRUE(std::string(engine) == "auto" || int8.engine() == engine);
      const mt::Tensors got = int8.forward_many(x);
      for (std::size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(mt::identical(got[i], want[i])) << engine;
      ++cases;
    }
  }
  q8::Model int8 = converted(linear_bn());
  EXPECT_THROW(int8.set_engine("onednn"), mt::EngineError);
  std::printf("cases=%d\n", cases);
}

TEST(Model, TheGlobalFlagDoesNotTouchIt) {
  const q8::Model int8 = converted(linear_bn());
  const std::string engine = int8.engine(), isa = int8.isa();
  mt::kernels::set_engine("reference");
  int8(random_inputs(linear_bn(), 2, 1)[0]);
  EXPECT_EQ(int8.engine(), engine);
  EXPECT_EQ(int8.isa(), isa);
  EXPECT_EQ(converted(linear_bn()).engine(), "reference");
  mt::kernels::set_engine("auto");
}

TEST(Model, FourThreadsRunOneModel) {
  int cases = 0;
  for (const Network& network : {resnet(), float_layer(), squeeze_excite(true), movers(), transposed()}) {
    SCOPED_TRACE(network.name);
    const q8::Model int8 = converted(network);
    std::vector<mt::Tensors> inputs, want;
    for (int i = 0; i < 8; ++i) {
      inputs.push_back(random_inputs(network, 1 + i % 3, static_cast<std::uint64_t>(i)));
      want.push_back(int8.forward_many(inputs.back()));
    }
    std::atomic<int> wrong{0}, runs{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < 24; ++i) {
          const std::size_t at = (i * (t + 1) + t) % inputs.size();
          const mt::Tensors got = int8.forward_many(inputs[at]);
          for (std::size_t k = 0; k < got.size(); ++k) wrong += !mt::identical(got[k], want[at][k]);
          ++runs;
        }
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong.load(), 0);
    cases += runs.load();
  }
  std::printf("cases=%d\n", cases);
}

// Not those with float islands: their operations make their own tensors.
TEST(Model, RunsWithoutAllocation) {
  int cases = 0;
  for (const Network& network : all_networks()) {
    q8::Model int8 = converted(network);
    if (int8.input_count() != 1 || !int8.float_islands().empty()) continue;
    for (const mt::kernels::KernelSet* set : all_kernel_sets()) {
      SCOPED_TRACE(network.name + " " + set->engine_name() + " " + set->isa_name());
      int8.bind(*set);
      const mt::Tensor small = random_inputs(network, 1, 1)[0], large = random_inputs(network, 4, 1)[0];
      q8::Workspace workspace;
      for (int i = 0; i < 2; ++i) {
        int8.run(small, workspace);
        int8.run(large, workspace);
      }
      const long before = allocations.load();
      const float* result = int8.run(large, workspace).data();
      int8.run(small, workspace);
      const long after = allocations.load();
      EXPECT_EQ(after - before, 0);
      EXPECT_EQ(int8.run(large, workspace).data(), result);
      EXPECT_TRUE(mt::identical(int8.run(large, workspace), int8(large)));
      ++cases;
    }
  }
  EXPECT_GT(cases, 20);
  std::printf("cases=%d\n", cases);
}

// Values share bytes where they are not alive together; the visitor's results must not depend on it.
TEST(Model, WorkspacesHoldManyShapesAndModels) {
  const q8::Model a = converted(resnet()), b = converted(resnet());
  q8::Workspace shared;
  int cases = 0;
  for (int round = 0; round < 2; ++round)
    for (std::int64_t batch = 1; batch <= 12; ++batch) {
      const mt::Tensor x = random_inputs(resnet(), batch, static_cast<std::uint64_t>(batch))[0];
      EXPECT_TRUE(mt::identical(a.run(x, shared), a(x)));
      EXPECT_TRUE(mt::identical(b.run(x, shared), b(x)));
      // Another memory order of the same input.
      EXPECT_TRUE(mt::identical(a(x.channels_last()), a(x)));
      EXPECT_TRUE(mt::identical(a(in_order(x, 2)), a(x)));
      ++cases;
    }
  shared.clear();
  const mt::Tensor x = random_inputs(resnet(), 2, 1)[0];
  EXPECT_TRUE(mt::identical(a.run(x, shared), a(x)));
  std::printf("cases=%d\n", cases);
}

TEST(Model, CopiesAreIndependent) {
  const q8::Model a = converted(resnet());
  q8::Model b = a;
  b.set_engine("reference");
  EXPECT_EQ(b.engine(), "reference");
  EXPECT_EQ(b.isa(), "portable");
  EXPECT_NE(a.engine(), "reference");
  const mt::Tensor x = random_inputs(resnet(), 3, 1)[0];
  EXPECT_TRUE(mt::identical(a(x), b(x)));
}

TEST(Model, Refuses) {
  const q8::Model int8 = converted(cnn_max_pool());
  expect_error<mt::ShapeError>([&] { int8(mt::ones(mt::Shape{2, 4, 9, 9})); }, {"conv1", "[2, 4, 9, 9]"});
  expect_error<mt::ShapeError>([&] { int8(mt::ones(mt::Shape{2, 3, 1, 1})); }, {});
  expect_error<mt::ShapeError>([&] { int8(mt::ones(mt::Shape{3})); }, {});
  expect_error<mt::ShapeError>(
      [&] {
        int8(mt::Tensors{mt::ones(mt::Shape{1, 3, 9, 9}), mt::ones(mt::Shape{1})});
      },
      {"takes 1 inputs, got 2"});
  const q8::Model unpadded = converted(float_layer());
  expect_error<mt::ShapeError>(
      [&] {
        unpadded(mt::ones(mt::Shape{1, 3, 2, 2}));
      },
      {"c1", "[1, 3, 2, 2] is too small for kernel 3x3"});
  mt::Tensor x = mt::ones(mt::Shape{1, 3, 9, 9});
  x.set({0, 1, 2, 3}, NAN);
  expect_error<mt::NumericError>([&] { int8(x); }, {"input_0", "1 non-finite"});
  x.set({0, 1, 2, 3}, -INFINITY);
  expect_error<mt::NumericError>([&] { int8(x); }, {"input_0"});
  x.set({0, 1, 2, 3}, 3e38f);
  EXPECT_NO_THROW(int8(x));
  expect_error<mt::StateError>([&] { int8(mt::Tensor()); }, {"undefined"});
}

TEST(Model, SummaryNamesStepsShapesAndKernels) {
  const q8::Model int8 = converted(float_layer());
  const std::string text = int8.summary(mt::Shape{2, 3, 6, 6});
  for (const char* part : {"int8 model, engine ", "c1", "conv2d", "[2, 4, 4, 4]", "(float)", "dequantize",
                           "float islands: ", "multiply-accumulates"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  // Weights and, per channel, bias and multiplier.
  const q8::Model fc = converted(linear_bn());
  EXPECT_EQ(fc.parameter_bytes(), 12 * 16 + 16 * 16 + 16 * 5 + 8 * (16 + 16 + 5));
  EXPECT_NE(
      fc.summary(mt::Shape{1, 12}).find(std::to_string(12 * 16 + 16 * 16 + 16 * 5) + " multiply-accumulates"),
      std::string::npos)
      << fc.summary(mt::Shape{1, 12});
}

}  // namespace model_test

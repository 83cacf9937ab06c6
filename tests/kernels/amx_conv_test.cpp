// SPDX-License-Identifier: MIT
// Shapes that fill tiles, on emulated tiles (and the CPU's own), against the portable kernels: every operand
// between guard pages.
#include <data/expect_error.hpp>

#include "kernel_tester.hpp"

#if MIDTREAD_AMX

namespace amx_conv_test {

using namespace kernel_tester;
using namespace midtread::kernels;
using midtread::Rounding;

/// The emulated table, and the hardware's where there is one.
std::vector<const KernelSet*> amx_sets() {
  std::vector<const KernelSet*> sets;
  if (amx_twin() != nullptr) sets.push_back(amx_twin());
  for (const KernelSet& set : kernel_sets(Engine::kFbgemm))
    if (set.isa() == Isa::kAmx) sets.push_back(&set);
  return sets;
}

class AmxTester {
 public:
  std::int64_t cases = 0;

  void check(const Conv2dShape& s, unsigned seed) {
    Operands make(seed);
    const bool extreme = make.below(3) == 0, at_start = make.below(2) == 0;
    const auto x = make.activations(static_cast<std::size_t>(s.batch * s.in_pixels() * s.in_channels),
                                    extreme ? static_cast<int>(make.below(5)) : 0);
    const auto w = make.weights(static_cast<std::size_t>(s.weight_count()),
                                extreme ? static_cast<int>(make.below(Operands::kWeightPatterns)) : 0);
    const auto bias = make.biases(static_cast<std::size_t>(s.out_channels));
    const auto scale = make.multipliers(static_cast<std::size_t>(s.out_channels), s.depth());
    const auto outputs = static_cast<std::size_t>(s.batch * s.out_pixels() * s.out_channels);
    const int x_zero = static_cast<int>(make.below(256)), zero = static_cast<int>(make.below(256));
    Epilogue e;
    e.zero_point = zero;
    e.lo = make.below(2) ? 0 : zero;
    e.hi = make.below(2) ? 255 : std::max(zero, 190);
    e.rounding = static_cast<Rounding>(make.below(3) ? 0 : make.below(4));
    e.bias = make.below(4) ? bias_.place(bias, at_start) : nullptr;
    e.multiplier = scale_.place(scale, at_start);
    e.tail = make.below(2) ? &kTail : nullptr;

    const std::uint8_t* px = x_.place(x, at_start);
    std::vector<std::uint8_t> codes(outputs);
    std::vector<std::int32_t> acc(outputs);
    const KernelSet& portable = kernel_sets(Engine::kReference).back();
    const PackedWeights plain = pack_weights(portable.conv(s), s, w.data());
    run_conv(plain, s, px, x_zero, e, codes.data(), scratch_);
    accumulate_conv(plain, s, px, x_zero, acc.data(), scratch_);
    for (const KernelSet* set : amx_sets()) {
      const PackedWeights packed = pack_weights(set->conv(s), s, w_.place(w, at_start));
      auto* py = y_.place<std::uint8_t>(outputs, at_start, 0xEE);
      run_conv(packed, s, px, x_zero, e, py, scratch_);
      ASSERT_EQ(std::memcmp(py, codes.data(), outputs), 0) << describe(packed, s);
      ASSERT_TRUE(y_.canary_intact()) << describe(packed, s);
      auto* pa = y_.place<std::int32_t>(outputs, at_start, 0xEE);
      accumulate_conv(packed, s, px, x_zero, pa, scratch_);
      ASSERT_EQ(std::memcmp(pa, acc.data(), outputs * 4), 0) << describe(packed, s);
      ASSERT_TRUE(y_.canary_intact()) << describe(packed, s);
      ++cases;
    }
  }

 private:
  static std::string describe(const PackedWeights& w, const Conv2dShape& s) {
    return midtread::concat(w.kernel->label, ": [", s.batch, ", ", s.in_channels, ", ", s.in_height, ", ",
                            s.in_width, "] -> ", s.out_channels, " groups ", s.groups, " kernel ",
                            s.kernel_height, "x", s.kernel_width, " stride ", s.stride_height, "x",
                            s.stride_width, " pad ", s.pad_height, "x", s.pad_width, " dilation ",
                            s.dilation_height, "x", s.dilation_width);
  }

  GuardedArena x_{8 << 20}, w_{4 << 20}, bias_{1 << 14}, scale_{1 << 14}, y_{8 << 20};
  Scratch scratch_;
};

/// Gives `s` its output; false where there is none.
bool sized(Conv2dShape& s) {
  s.out_height =
      conv_output_size(s.in_height, s.kernel_height, s.stride_height, s.pad_height, s.dilation_height);
  s.out_width = conv_output_size(s.in_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width);
  return s.out_height > 0 && s.out_width > 0;
}

TEST(AmxConv, RandomShapesEqualThePortableKernels) {
  AmxTester tester;
  Operands pick(17);
  int wanted = 400;
  for (unsigned seed = 0; wanted > 0; ++seed) {
    Conv2dShape s;
    s.groups = pick.below(4) == 0 ? 2 + pick.below(2) : 1;
    draw_geometry(pick, s);
    s.in_channels = s.groups * pick.log_uniform(8, 80);
    s.out_channels = s.groups * pick.log_uniform(1, 130);
    if (!sized(s) || !fbgemm::amx::suits_tiles(s)) continue;
    tester.check(s, seed);
    if (HasFatalFailure()) return;
    --wanted;
  }
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(AmxConv, ShapesOfUsualNetworksEqualThePortableKernels) {
  AmxTester tester;
  unsigned seed = 0;
  struct Case {
    std::int64_t batch, in, size, out, kernel, stride, pad;
  };
  for (const Case& c :
       {Case{1, 64, 56, 64, 3, 1, 1}, Case{1, 128, 28, 128, 3, 1, 1}, Case{2, 256, 14, 64, 3, 1, 1},
        Case{2, 320, 7, 96, 3, 1, 1}, Case{1, 64, 56, 80, 3, 2, 1}, Case{1, 96, 14, 300, 1, 1, 0},
        Case{3, 64, 15, 40, 1, 2, 0}, Case{1, 16, 32, 16, 3, 1, 1}, Case{1, 3, 40, 24, 7, 2, 3},
        Case{1, 48, 9, 20, 1, 1, 3}, Case{2, 24, 30, 40, 5, 3, 2}}) {
    Conv2dShape s;
    s.batch = c.batch;
    s.in_channels = c.in;
    s.in_height = s.in_width = c.size;
    s.out_channels = c.out;
    s.kernel_height = s.kernel_width = c.kernel;
    s.stride_height = s.stride_width = c.stride;
    s.pad_height = s.pad_width = c.pad;
    ASSERT_TRUE(sized(s));
    tester.check(s, ++seed);
    if (HasFatalFailure()) return;
  }
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

// Few columns against many codes and the reverse: each order of the blocks, and rows that end at the end of
// the tensor.
TEST(AmxConv, ProductsInEveryOrderEqualThePortableKernels) {
  AmxTester tester;
  unsigned seed = 40;
  for (std::int64_t rows : {8, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 97, 130})
    for (std::int64_t columns : {1, 16, 40, 48, 64, 112, 300})
      for (std::int64_t depth : {16, 60, 64, 65, 200})
        tester.check(linear_shape(rows, depth, columns), ++seed);
  tester.check(linear_shape(200, 4608, 33), ++seed);
  tester.check(linear_shape(70, 4100, 300), ++seed);
  tester.check(linear_shape(4000, 17, 5), ++seed);
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(AmxConv, TheNumberOfThreadsDoesNotChangeTheCodes) {
  const int threads = midtread::num_threads();
  AmxTester tester;
  Conv2dShape grouped;
  grouped.in_channels = 96;
  grouped.out_channels = 90;
  grouped.groups = 3;
  grouped.in_height = grouped.in_width = 13;
  grouped.kernel_height = grouped.kernel_width = 3;
  ASSERT_TRUE(sized(grouped));
  for (int count : {1, 2, 3, 7}) {
    midtread::set_num_threads(count);
    tester.check(grouped, 1);
    tester.check(linear_shape(300, 100, 200), 2);
    tester.check(linear_shape(20, 333, 700), 3);
    tester.check(linear_shape(3, 333, 700), 4);
  }
  midtread::set_num_threads(threads);
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(AmxConv, RefusesRowsThatAreTooLong) {
  const std::vector<std::int8_t> w((std::size_t{1} << 15) * 3, 1);
  const std::uint8_t x = 0;
  std::uint8_t y = 0;
  const float multiplier = 1e-3f;
  Conv2dShape s;
  s.in_channels = 1 << 15;
  s.in_width = 1 << 16;
  s.kernel_width = 3;
  ASSERT_TRUE(sized(s));
  for (const KernelSet* set : amx_sets()) {
    const PackedWeights packed = pack_weights(*(*set)->conv, s, w.data());
    Scratch scratch;
    Epilogue e;
    e.multiplier = &multiplier;
    expect_error<midtread::UnsupportedError>([&] { run_conv(packed, s, &x, 0, e, &y, scratch); },
                                             {"one row of output needs", "input codes, allowed 2^30"});
  }
}

}  // namespace amx_conv_test

#endif

// SPDX-License-Identifier: MIT
// Convolutions, depthwise and transposed ones against an int64 oracle, on every instruction set.
#include <data/expect_error.hpp>

#include "kernel_tester.hpp"

namespace conv_test {

using namespace kernel_tester;
using midtread::Rounding;
using midtread::kernels::conv_output_size;
using midtread::kernels::conv_transpose_output_size;
using midtread::kernels::Epilogue;
using midtread::kernels::Scratch;

/// acc[n, oy, ox, o]: a convolution gathers, a transposed one scatters.
std::vector<std::int64_t> oracle_accumulators(const Conv2dShape& s, bool transposed,
                                              const std::vector<std::uint8_t>& x, int zero_point,
                                              const std::vector<std::int8_t>& w) {
  std::vector<std::int64_t> acc(static_cast<std::size_t>(s.batch * s.out_pixels() * s.out_channels));
  const std::int64_t ig = s.in_channels / s.groups, og = s.out_channels / s.groups;
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t y = 0; y < (transposed ? s.in_height : s.out_height); ++y)
      for (std::int64_t z = 0; z < (transposed ? s.in_width : s.out_width); ++z)
        for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
          for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
            const std::int64_t v = y * s.stride_height - s.pad_height + ky * s.dilation_height;
            const std::int64_t u = z * s.stride_width - s.pad_width + kx * s.dilation_width;
            const std::int64_t iy = transposed ? y : v, ix = transposed ? z : u;
            const std::int64_t oy = transposed ? v : y, ox = transposed ? u : z;
            if (iy < 0 || ix < 0 || oy < 0 || ox < 0 || iy >= s.in_height || ix >= s.in_width ||
                oy >= s.out_height || ox >= s.out_width)
              continue;
            for (std::int64_t g = 0; g < s.groups; ++g)
              for (std::int64_t o = 0; o < og; ++o)
                for (std::int64_t i = 0; i < ig; ++i) {
                  const std::int64_t at = transposed ? (g * ig + i) * og + o : (g * og + o) * ig + i;
                  const std::int64_t code = x[static_cast<std::size_t>(
                      ((n * s.in_height + iy) * s.in_width + ix) * s.in_channels + g * ig + i)];
                  acc[static_cast<std::size_t>(((n * s.out_height + oy) * s.out_width + ox) * s.out_channels +
                                               g * og + o)] +=
                      (code - zero_point) *
                      std::int64_t{
                          w[static_cast<std::size_t>((at * s.kernel_height + ky) * s.kernel_width + kx)]};
                }
          }
  return acc;
}

class ConvTester {
 public:
  ConvTester()
      : x_(4 << 20), w_(1 << 20), bias_(1 << 14), scale_(1 << 14), y_(8 << 20), sets_(sets_under_test()) {}

  std::int64_t cases = 0;

  void check(const Conv2dShape& s, bool transposed, unsigned seed) {
    Operands make(seed);
    const bool extreme = make.below(3) == 0, at_start = make.below(2) == 0;
    const auto x = make.activations(static_cast<std::size_t>(s.batch * s.in_pixels() * s.in_channels),
                                    extreme ? static_cast<int>(make.below(5)) : 0);
    const auto w = make.weights(static_cast<std::size_t>(s.weight_count()),
                                extreme ? static_cast<int>(make.below(Operands::kWeightPatterns)) : 5);
    const int zero_points[3] = {0, 255, static_cast<int>(make.below(256))};
    const int x_zero_point = zero_points[make.below(3)], zero_point = zero_points[make.below(3)];
    const int lo = make.below(2) ? 0 : zero_point,
              policy = make.below(3) ? 0 : static_cast<int>(make.below(4));
    const bool has_bias = make.below(4) != 0, has_tail = make.below(2) != 0;
    const auto bias = make.biases(static_cast<std::size_t>(s.out_channels));
    const auto scale = make.multipliers(static_cast<std::size_t>(s.out_channels), s.depth());
    const auto sums = oracle_accumulators(s, transposed, x, x_zero_point, w);
    std::vector<std::int32_t> acc(sums.begin(), sums.end());
    std::vector<std::uint8_t> y(sums.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const std::size_t c = i % static_cast<std::size_t>(s.out_channels);
      y[i] = oracle_requantize(sums[i] + (has_bias ? bias[c] : 0), scale[c], zero_point, lo, 255, policy);
      if (has_tail) y[i] = follow(y[i]);
    }
    for (const KernelSet* set : sets_) {
      const auto& kernel = transposed ? *(*set)->conv_transpose : set->conv(s);
      const auto packed = midtread::kernels::pack_weights(kernel, s, w_.place(w, at_start));
      const Epilogue epilogue{has_bias ? bias_.place(bias, at_start) : nullptr,
                              scale_.place(scale, at_start),
                              zero_point,
                              lo,
                              255,
                              static_cast<Rounding>(policy),
                              has_tail ? &kTail : nullptr};
      const std::uint8_t* px = x_.place(x, at_start);
      auto* py = y_.place<std::uint8_t>(y.size(), at_start, 0xEE);
      midtread::kernels::run_conv(packed, s, px, x_zero_point, epilogue, py, scratch_);
      ASSERT_EQ(std::memcmp(py, y.data(), y.size()), 0) << describe(kernel.label, s);
      ASSERT_TRUE(y_.canary_intact()) << describe(kernel.label, s);
      auto* pa = y_.place<std::int32_t>(acc.size(), at_start, 0xEE);
      midtread::kernels::accumulate_conv(packed, s, px, x_zero_point, pa, scratch_);
      ASSERT_EQ(std::memcmp(pa, acc.data(), acc.size() * 4), 0) << describe(kernel.label, s);
      ASSERT_TRUE(y_.canary_intact()) << describe(kernel.label, s);
      ++cases;
    }
  }

 private:
  static std::string describe(const char* label, const Conv2dShape& s) {
    return midtread::concat(label, ": [", s.batch, ", ", s.in_channels, ", ", s.in_height, ", ", s.in_width,
                            "] -> ", s.out_channels, " groups ", s.groups, " kernel ", s.kernel_height, "x",
                            s.kernel_width, " stride ", s.stride_height, "x", s.stride_width, " pad ",
                            s.pad_height, "x", s.pad_width, " dilation ", s.dilation_height, "x",
                            s.dilation_width);
  }

  GuardedArena x_, w_, bias_, scale_, y_;
  Scratch scratch_;
  std::vector<const KernelSet*> sets_;
};

/// A square window with the output it gives. `extra`: output padding of a transposed convolution.
Conv2dShape square(std::int64_t batch, std::int64_t in, std::int64_t size, std::int64_t out,
                   std::int64_t kernel, std::int64_t stride, std::int64_t pad, std::int64_t groups = 1,
                   std::int64_t dilation = 1, bool transposed = false, std::int64_t extra = 0) {
  Conv2dShape s;
  s.batch = batch;
  s.in_channels = in;
  s.in_height = s.in_width = size;
  s.out_channels = out;
  s.kernel_height = s.kernel_width = kernel;
  s.stride_height = s.stride_width = stride;
  s.pad_height = s.pad_width = pad;
  s.dilation_height = s.dilation_width = dilation;
  s.groups = groups;
  s.out_height = s.out_width = transposed
                                   ? conv_transpose_output_size(size, kernel, stride, pad, dilation, extra)
                                   : conv_output_size(size, kernel, stride, pad, dilation);
  return s;
}

TEST(Conv, ShapesOfUsualNetworksEqualTheOracle) {
  ConvTester tester;
  unsigned seed = 0;
  for (const Conv2dShape& s : {square(2, 3, 32, 16, 3, 1, 1),      square(1, 16, 32, 16, 3, 1, 1),
                               square(1, 16, 32, 32, 3, 2, 1),     square(2, 16, 17, 32, 1, 2, 0),
                               square(1, 64, 8, 64, 3, 1, 1),      square(1, 3, 57, 24, 7, 2, 3),
                               square(1, 32, 14, 33, 1, 1, 0),     square(1, 24, 9, 40, 1, 1, 1),
                               square(1, 40, 67, 20, 3, 1, 1),     square(1, 48, 80, 16, 3, 1, 1),
                               square(1, 64, 7, 128, 3, 1, 1, 32), square(1, 24, 12, 36, 3, 1, 2, 4, 2),
                               square(1, 5, 9, 7, 5, 3, 4),        square(3, 1, 28, 6, 5, 1, 2),
                               square(1, 130, 5, 100, 3, 1, 1),    square(1, 128, 9, 128, 3, 1, 1, 32),
                               square(2, 8, 11, 8, 3, 2, 1, 2),    square(1, 72, 7, 72, 5, 1, 2, 18, 2),
                               square(1, 16, 6, 16, 1, 2, 0, 4),   square(1, 34, 9, 34, 3, 1, 1, 17),
                               square(2, 40, 14, 40, 3, 2, 1, 5),  square(1, 24, 8, 24, 2, 3, 1, 3, 2),
                               square(1, 6, 7, 6, 3, 1, 1, 3),     square(1, 32, 21, 32, 3, 2, 2, 1, 2),
                               square(1, 16, 51, 20, 5, 3, 2),     square(1, 4, 100, 17, 3, 2, 1),
                               square(2, 33, 14, 50, 3, 1, 1),     square(1, 80, 5, 30, 3, 1, 1),
                               square(1, 64, 14, 40, 3, 1, 1),     square(2, 16, 7, 20, 3, 1, 1),
                               square(1, 24, 10, 16, 5, 1, 2),     square(1, 32, 28, 16, 3, 1, 1),
                               square(2, 8, 5, 16, 3, 1, 2),       square(1, 40, 3, 50, 5, 1, 2),
                               square(1, 64, 30, 48, 3, 1, 1)})
    tester.check(s, false, ++seed);
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(Conv, DepthwiseShapesEqualTheOracle) {
  ConvTester tester;
  unsigned seed = 100;
  for (std::int64_t c : {2, 3, 15, 16, 17, 32, 40, 65})
    for (std::int64_t kernel : {1, 2, 3, 5})
      for (std::int64_t stride : {1, 2})
        for (std::int64_t dilation : {1, 2})
          tester.check(square(2, c, 11, c, kernel, stride, kernel / 2, c, dilation), false, ++seed);
  for (std::int64_t c : {2, 4, 8, 32, 96}) tester.check(square(1, c, 70, c, 3, 1, 1, c), false, ++seed);
  tester.check(square(1, 200, 31, 200, 3, 2, 1, 200), false, ++seed);
  for (std::int64_t size : {1, 4, 7, 8, 14, 20, 37})
    for (std::int64_t stride : {1, 2, 3})
      tester.check(square(1, 24, size, 24, 3, stride, 1, 24), false, ++seed);
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

/// `wanted` shapes: `draw` chooses channels and what else of the geometry matters.
template <class Draw>
void check_drawn(Operands pick, int wanted, unsigned seed, const Draw& draw) {
  ConvTester tester;
  while (wanted > 0) {
    Conv2dShape s;
    draw_geometry(pick, s);
    draw(pick, s);
    s.out_height =
        conv_output_size(s.in_height, s.kernel_height, s.stride_height, s.pad_height, s.dilation_height);
    s.out_width = conv_output_size(s.in_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width);
    if (s.out_height < 1 || s.out_width < 1) continue;
    tester.check(s, false, ++seed);
    if (testing::Test::HasFatalFailure()) return;
    --wanted;
  }
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

// Windows of three columns, which kernels may keep in registers; channels that fill them and others.
TEST(Conv, DepthwiseColumnsEqualTheOracle) {
  check_drawn(Operands(8), 350, 400, [](Operands& pick, Conv2dShape& s) {
    s.in_channels = s.out_channels = s.groups =
        pick.below(3) == 0 ? 1 + pick.below(170) : 16 * (1 + pick.below(11));
    if (pick.below(2) == 0) s.kernel_height = 3;
    s.kernel_width = 3;
    s.stride_width = 1 + pick.below(2);
    s.dilation_width = 1;
  });
}

TEST(Conv, SmallGroupsEqualTheOracle) {
  check_drawn(Operands(9), 200, 600, [](Operands& pick, Conv2dShape& s) {
    s.groups = 2 + pick.below(20);
    s.in_channels = s.out_channels =
        s.groups * (pick.below(4) == 0 ? 2 << pick.below(4) : 4 << pick.below(2));
    if (pick.below(2) == 0) s.dilation_height = 1;
  });
}

TEST(Conv, TransposedShapesEqualTheOracle) {
  ConvTester tester;
  unsigned seed = 200;
  for (std::int64_t kernel : {1, 2, 3, 4, 5})
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t pad = 0; pad <= kernel / 2; ++pad)
        for (std::int64_t extra = 0; extra < stride; ++extra)
          for (std::int64_t dilation : {1, 2, 3}) {
            const Conv2dShape s = square(2, 6, 5, 18, kernel, stride, pad, 2, dilation, true, extra);
            if (s.out_height > 0) tester.check(s, true, ++seed);
          }
  tester.check(square(1, 32, 12, 40, 4, 2, 1, 1, 1, true), true, ++seed);
  tester.check(square(1, 7, 9, 3, 3, 2, 1, 1, 1, true, 1), true, ++seed);
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(Conv, RandomShapesEqualTheOracle) {
  ConvTester tester;
  Operands pick(7);
  int wanted = 1500;
  for (unsigned seed = 1000; wanted > 0; ++seed) {
    const bool transposed = pick.below(4) == 0;
    Conv2dShape s;
    s.groups = pick.below(3) == 0 ? 1 + pick.below(5) : 1;
    draw_geometry(pick, s);
    s.in_channels = s.groups * pick.log_uniform(1, 20);
    s.out_channels = s.groups * pick.log_uniform(1, 40);
    if (pick.below(5) == 0) s.in_channels = s.out_channels = s.groups = 1 + pick.below(40);
    const auto output = [&](std::int64_t in, std::int64_t k, std::int64_t stride, std::int64_t pad,
                            std::int64_t d) {
      return transposed ? conv_transpose_output_size(in, k, stride, pad, d, pick.below(stride))
                        : conv_output_size(in, k, stride, pad, d);
    };
    s.out_height = output(s.in_height, s.kernel_height, s.stride_height, s.pad_height, s.dilation_height);
    s.out_width = output(s.in_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width);
    if (s.out_height < 1 || s.out_width < 1) continue;
    tester.check(s, transposed, seed);
    if (HasFatalFailure()) return;
    --wanted;
  }
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(Conv, TheNumberOfThreadsDoesNotChangeTheCodes) {
  const int threads = midtread::num_threads();
  ConvTester tester;
  for (int count : {1, 2, 3, 7}) {
    midtread::set_num_threads(count);
    unsigned seed = 300;
    for (const Conv2dShape& s : {square(1, 64, 14, 200, 3, 1, 1), square(5, 16, 9, 32, 3, 2, 1),
                                 square(1, 160, 21, 160, 3, 1, 1, 160), square(1, 272, 14, 272, 3, 1, 1, 272),
                                 square(1, 32, 70, 32, 3, 1, 1, 32), square(2, 64, 9, 64, 3, 1, 1, 16),
                                 square(1, 40, 17, 72, 1, 2, 0)})
      tester.check(s, false, ++seed);
    tester.check(square(1, 20, 12, 40, 4, 2, 1, 1, 1, true), true, ++seed);
  }
  midtread::set_num_threads(threads);
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(Conv, RefusesWhatDoesNotFit) {
  namespace k = midtread::kernels;
  const k::KernelSet& set = k::select_kernels(k::Engine::kReference, "");
  const std::vector<std::int8_t> w(64 * 9, 1);
  Conv2dShape s = square(1, 4, 8, 8, 3, 1, 1);
  Conv2dShape odd = s;
  odd.out_height = 9;
  expect_error<midtread::ShapeError>([&] { k::pack_weights(*set->conv, odd, w.data()); },
                                     {"out_height is 9, the sizes give 8"});
  odd = s;
  odd.groups = 3;
  EXPECT_THROW(k::pack_weights(*set->conv, odd, w.data()), midtread::ShapeError);
  odd = s;
  odd.stride_width = 0;
  EXPECT_THROW(k::pack_weights(*set->conv, odd, w.data()), midtread::ShapeError);
  const Conv2dShape plain = square(1, 4, 8, 8, 3, 2, 1);
  expect_error<midtread::ShapeError>([&] { k::pack_weights(*set->conv_transpose, plain, w.data()); },
                                     {"out_height is 4, the sizes give 15..16"});

  s = square(1, 4, 8, 8, 3, 1, 1);
  const auto packed = k::pack_weights(*set->conv, s, w.data());
  const std::vector<std::uint8_t> x(4 * 64);
  std::vector<std::uint8_t> y(8 * 64);
  const std::vector<float> scale(8, 0.01f);
  Scratch scratch;
  Epilogue e;
  e.multiplier = scale.data();
  EXPECT_NO_THROW(k::run_conv(packed, s, x.data(), 0, e, y.data(), scratch));
  EXPECT_THROW(k::run_conv(packed, s, x.data(), 256, e, y.data(), scratch), midtread::QuantizationError);
  EXPECT_THROW(k::run_conv(packed, s, x.data(), -1, e, y.data(), scratch), midtread::QuantizationError);
  e.hi = 256;
  EXPECT_THROW(k::run_conv(packed, s, x.data(), 0, e, y.data(), scratch), midtread::QuantizationError);
  e.hi = 255;
  EXPECT_THROW(k::run_conv({}, s, x.data(), 0, e, y.data(), scratch), midtread::StateError);
  Conv2dShape other = square(1, 4, 8, 8, 1, 1, 0);
  expect_error<midtread::ShapeError>([&] { k::run_conv(packed, other, x.data(), 0, e, y.data(), scratch); },
                                     {"differs from the one its weights were packed for"});
}

// One row of 2^16 pixels by 2^15 channels does not fit a kernel's 32-bit offsets. Nothing is read before that
// is known.
TEST(Conv, RefusesRowsThatAreTooLong) {
  namespace k = midtread::kernels;
  const std::vector<std::int8_t> w((std::size_t{1} << 15) * 3, 1);
  const std::uint8_t x = 0;
  std::uint8_t y = 0;
  const float multiplier = 1e-3f;
  int cases = 0;
  for (const k::KernelSet& set : k::kernel_sets(k::Engine::kFbgemm)) {
    if (std::string(set.isa_name()) == "portable") continue;  // it has no rows of its own
    for (const bool transposed : {false, true}) {
      Conv2dShape s;
      s.in_channels = 1 << 15;
      s.out_channels = 1;
      s.in_width = 1 << 16;
      s.kernel_width = 3;
      s.in_height = s.out_height = 1;
      s.out_width = transposed ? s.in_width + 2 : s.in_width - 2;
      const auto packed = k::pack_weights(transposed ? *set->conv_transpose : *set->conv, s, w.data());
      Scratch scratch;
      Epilogue e;
      e.multiplier = &multiplier;
      expect_error<midtread::UnsupportedError>([&] { k::run_conv(packed, s, &x, 0, e, &y, scratch); },
                                               {"one row of output needs", "input codes, allowed 2^30"});
      ++cases;
    }
  }
  std::printf("cases=%d\n", cases);
}

}  // namespace conv_test

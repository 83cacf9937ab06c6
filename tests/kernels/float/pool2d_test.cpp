// SPDX-License-Identifier: MIT
#include <midtread/kernels/float/pool2d.hpp>

#include "kernel_sets.hpp"

namespace midtread {
namespace {

/// Pooling adds in one order in every set: the bits are equal.
TEST(FloatPool2d, EverySetGivesTheSameBits) {
  Generator g(1);
  int cases = 0;
  for (int i = 0; i < 200;) {
    kernels::Pool2dShape s;
    s.batch = 1 + g.below(2), s.channels = 1 + g.below(40), s.in_height = 1 + g.below(9),
    s.in_width = 1 + g.below(20);
    s.kernel_height = 1 + g.below(4), s.kernel_width = 1 + g.below(4);
    s.stride_height = 1 + g.below(3), s.stride_width = 1 + g.below(3);
    s.pad_height = g.below(s.kernel_height / 2 + 1), s.pad_width = g.below(s.kernel_width / 2 + 1);
    s.count_include_pad = g.below(2) == 0;
    const bool ceil_mode = g.below(2) == 0;
    s.out_height =
        kernels::pool_output_size(s.in_height, s.kernel_height, s.stride_height, s.pad_height, 1, ceil_mode);
    s.out_width =
        kernels::pool_output_size(s.in_width, s.kernel_width, s.stride_width, s.pad_width, 1, ceil_mode);
    if (s.out_height < 1 || s.out_width < 1) continue;
    ++i;
    const std::int64_t x_size = s.batch * s.in_height * s.in_width * s.channels;
    const std::int64_t y_size = s.batch * s.out_height * s.out_width * s.channels;
    const GuardedArray x(x_size, g), dy(y_size, g);
    std::vector<std::vector<float>> results;
    for (const auto* set : kernel_sets()) {
      const GuardedArray y(y_size), average(y_size), dx(x_size), dx_average(x_size),
          tap_memory((y_size + 1) / 2);
      auto* tap = reinterpret_cast<std::uint16_t*>(tap_memory.data()) + y_size % 2;
      kernels::floating::max_pool2d_forward(s, x.data(), y.data(), tap, *set);
      kernels::floating::average_pool2d_forward(s, x.data(), average.data(), *set);
      kernels::floating::pool2d_backward(s, dy.data(), tap, dx.data(), *set);
      kernels::floating::pool2d_backward<float>(s, dy.data(), nullptr, dx_average.data(), *set);
      std::vector<float> all(y.data(), y.data() + y_size);
      all.insert(all.end(), average.data(), average.data() + y_size);
      all.insert(all.end(), dx.data(), dx.data() + x_size);
      all.insert(all.end(), dx_average.data(), dx_average.data() + x_size);
      results.push_back(all);
      EXPECT_EQ(results.front(), results.back()) << set->isa;
      ++cases;
    }
  }
  std::printf("cases=%d\n", cases);
}

}  // namespace
}  // namespace midtread

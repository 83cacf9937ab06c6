// SPDX-License-Identifier: MIT
#include <midtread/kernels/float/batch_norm.hpp>

#include "kernel_sets.hpp"

namespace midtread {
namespace {

TEST(FloatBatchNorm, EverySetEqualsPlainLoopsInDouble) {
  Generator g(1);
  int cases = 0;
  for (int i = 0; i < 60; ++i) {
    const std::int64_t rows = 1 + g.below(3000), channels = 1 + g.below(70), count = rows * channels;
    const GuardedArray x(count, g), dy(count, g), centre(channels, g), factor(channels, g),
        slope(channels, g), offset(channels, g);
    const auto size = static_cast<std::size_t>(channels);
    std::vector<double> mean(size), variance(size), sum(size), product(size);
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto at = static_cast<std::size_t>(c);
      for (std::int64_t r = 0; r < rows; ++r)
        mean[at] += static_cast<double>(x.data()[r * channels + c]) / static_cast<double>(rows);
      for (std::int64_t r = 0; r < rows; ++r) {
        const double d = static_cast<double>(x.data()[r * channels + c]),
                     v = static_cast<double>(dy.data()[r * channels + c]);
        variance[at] += (d - mean[at]) * (d - mean[at]) / static_cast<double>(rows);
        sum[at] += v;
        product[at] += v * (d - static_cast<double>(centre.data()[c]));
      }
    }
    for (const auto* set : kernel_sets()) {
      std::vector<double> m(size), v(size), s(size), p(size);
      kernels::floating::batch_statistics(rows, channels, x.data(), m.data(), v.data(), *set);
      kernels::floating::batch_norm_sums(rows, channels, x.data(), centre.data(), dy.data(), s.data(),
                                         p.data(), *set);
      const GuardedArray total(channels), y(count), dx(count);
      kernels::floating::channel_sum(rows, channels, dy.data(), total.data(), *set);
      kernels::floating::normalize(rows, channels, x.data(), centre.data(), factor.data(), offset.data(),
                                   y.data(), *set);
      kernels::floating::batch_norm_input_gradient(rows, channels, x.data(), centre.data(), dy.data(),
                                                   factor.data(), slope.data(), offset.data(), dx.data(),
                                                   *set);
      const double scale = static_cast<double>(rows) * 2e-6;
      for (std::size_t c = 0; c < size; ++c) {
        EXPECT_NEAR(m[c], mean[c], 1e-5);
        EXPECT_NEAR(v[c], variance[c], 1e-5);
        EXPECT_NEAR(s[c], sum[c], scale);
        EXPECT_NEAR(p[c], product[c], scale);
        EXPECT_NEAR(static_cast<double>(total.data()[c]), sum[c], scale);
      }
      double worst = 0;
      for (std::int64_t j = 0; j < count; ++j) {
        const std::int64_t c = j % channels;
        const float d = x.data()[j] - centre.data()[c];
        worst = std::max(
            worst, std::abs(static_cast<double>(y.data()[j] - (d * factor.data()[c] + offset.data()[c]))));
        worst = std::max(
            worst, std::abs(static_cast<double>(dx.data()[j] - (dy.data()[j] * factor.data()[c] -
                                                                d * slope.data()[c] - offset.data()[c]))));
      }
      EXPECT_LT(worst, 2e-6) << set->isa;
      ++cases;
    }
  }
  std::printf("cases=%d\n", cases);
}

}  // namespace
}  // namespace midtread

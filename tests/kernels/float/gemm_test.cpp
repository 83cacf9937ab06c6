// SPDX-License-Identifier: MIT
#include <midtread/kernels/float/gemm.hpp>

#include "kernel_sets.hpp"

namespace midtread {
namespace {

TEST(FloatGemm, EverySetEqualsPlainLoopsInDouble) {
  Generator g(1);
  int cases = 0;
  for (int i = 0; i < 200; ++i) {
    const std::int64_t m = 1 + g.below(i % 10 == 0 ? 400 : 40), n = 1 + g.below(i % 10 == 1 ? 400 : 70),
                       k = g.below(i % 10 == 2 ? 2000 : 80);
    const GuardedArray a(m * k, g), at(k * m, g), b(k * n, g), bt(n * k, g), bias(n, g);
    std::vector<double> nn(static_cast<std::size_t>(m * n)), nt(nn), tn(nn), nn_abs(nn), nt_abs(nn),
        tn_abs(nn);
    for (std::int64_t r = 0; r < m; ++r)
      for (std::int64_t c = 0; c < n; ++c) {
        const auto index = static_cast<std::size_t>(r * n + c);
        nn[index] = nt[index] = static_cast<double>(bias.data()[c]);
        nn_abs[index] = nt_abs[index] = std::abs(nn[index]);
        for (std::int64_t p = 0; p < k; ++p) {
          const auto add = [&](std::vector<double>& value, std::vector<double>& size, float u, float v) {
            value[index] += static_cast<double>(u) * static_cast<double>(v);
            size[index] += std::abs(static_cast<double>(u) * static_cast<double>(v));
          };
          add(nn, nn_abs, a.data()[r * k + p], b.data()[p * n + c]);
          add(nt, nt_abs, a.data()[r * k + p], bt.data()[c * k + p]);
          add(tn, tn_abs, at.data()[p * m + r], b.data()[p * n + c]);
        }
      }
    for (const auto* set : kernel_sets()) {
      const GuardedArray c(m * n);
      kernels::floating::gemm(m, n, k, a.data(), b.data(), bias.data(), c.data(), *set);
      EXPECT_LT(difference(c.data(), nn.data(), nn_abs.data(), m * n), 1e-5)
          << set->isa << " " << m << " " << n << " " << k;
      kernels::floating::gemm_nt(m, n, k, a.data(), bt.data(), bias.data(), c.data(), *set);
      EXPECT_LT(difference(c.data(), nt.data(), nt_abs.data(), m * n), 1e-5)
          << set->isa << " " << m << " " << n << " " << k;
      kernels::floating::gemm_tn(m, n, k, at.data(), b.data(), c.data(), *set);
      EXPECT_LT(difference(c.data(), tn.data(), tn_abs.data(), m * n), 1e-5)
          << set->isa << " " << m << " " << n << " " << k;
      ++cases;
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(FloatGemm, SameBitsForAnyNumberOfThreads) {
  Generator g(2);
  const int before = num_threads();
  int cases = 0;
  for (const auto* set : kernel_sets())
    for (const std::int64_t m : {1, 64, 700})
      for (const std::int64_t n : {10, 300}) {
        const std::int64_t k = 500;
        const GuardedArray a(m * k, g), b(k * n, g);
        std::vector<std::vector<float>> results;
        for (const int threads : {1, 2, 5}) {
          set_num_threads(threads);
          std::vector<float> out(static_cast<std::size_t>(2 * m * n));
          kernels::floating::gemm<float>(m, n, k, a.data(), b.data(), nullptr, out.data(), *set);
          kernels::floating::gemm_tn<float>(m, n, k, a.data(), b.data(), out.data() + m * n, *set);
          results.push_back(out);
        }
        EXPECT_EQ(results[0], results[1]);
        EXPECT_EQ(results[0], results[2]);
        ++cases;
      }
  set_num_threads(before);
  std::printf("cases=%d\n", cases);
}

}  // namespace
}  // namespace midtread

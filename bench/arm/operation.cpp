// SPDX-License-Identifier: MIT
// operation ISA REPEATS BATCH IN SIZE OUT KERNEL STRIDE GROUPS: runs one int8 convolution (a matrix product
// where SIZE is 1) with packed weights and requantization; prints its multiply-accumulates.
#include <midtread/kernels/dispatch.hpp>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace k = midtread::kernels;

int main(int argc, char** argv) try {
  if (argc != 10) return 2;
  std::int64_t n[10];
  for (int i = 2; i < 10; ++i) n[i] = std::atoll(argv[i]);
  k::Conv2dShape s;
  s.batch = n[3];
  s.in_channels = n[4];
  s.in_height = s.in_width = n[5];
  s.out_channels = n[6];
  s.kernel_height = s.kernel_width = n[7];
  s.stride_height = s.stride_width = n[8];
  s.pad_height = s.pad_width = n[7] / 2;
  s.groups = n[9];
  s.out_height = s.out_width = k::conv_output_size(n[5], n[7], n[8], n[7] / 2, 1);

  midtread::set_num_threads(1);
  const k::KernelSet& set = k::select_kernels(k::Engine::kQnnpack, argv[1]);
  const std::vector<std::int8_t> weights(static_cast<std::size_t>(s.weight_count()), 3);
  const std::vector<std::uint8_t> x(static_cast<std::size_t>(s.batch * s.in_pixels() * s.in_channels), 77);
  const std::vector<std::int32_t> bias(static_cast<std::size_t>(s.out_channels), 100);
  const std::vector<float> multiplier(static_cast<std::size_t>(s.out_channels), 1e-3f);
  std::vector<std::uint8_t> y(static_cast<std::size_t>(s.batch * s.out_pixels() * s.out_channels));
  const k::PackedWeights packed = k::pack_weights(set.conv(s), s, weights.data());
  const k::Epilogue epilogue{bias.data(), multiplier.data(), 10, 0, 255, midtread::Rounding::kHalfEven};
  k::Scratch scratch;
  for (std::int64_t i = 0; i < n[2]; ++i) k::run_conv(packed, s, x.data(), 128, epilogue, y.data(), scratch);
  std::printf("%lld\n", static_cast<long long>(s.multiply_accumulates()));
} catch (const midtread::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 4;
}

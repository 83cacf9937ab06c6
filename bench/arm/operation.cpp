// SPDX-License-Identifier: MIT
// operation OP ISA REPEATS BATCH IN SIZE OUT KERNEL STRIDE GROUPS: runs one int8 operation on [BATCH, SIZE,
// SIZE, IN] and prints its work: multiply-accumulates of conv (a matrix product where SIZE is 1), codes read
// of average and max, codes written of the others.
#include <midtread/kernels/dispatch.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace k = midtread::kernels;

namespace {

k::Conv2dShape conv_shape(const std::int64_t* n) {
  k::Conv2dShape s;
  s.batch = n[0];
  s.in_channels = n[1];
  s.in_height = s.in_width = n[2];
  s.out_channels = n[3];
  s.kernel_height = s.kernel_width = n[4];
  s.stride_height = s.stride_width = n[5];
  s.pad_height = s.pad_width = n[4] / 2;
  s.groups = n[6];
  s.out_height = s.out_width = k::conv_output_size(n[2], n[4], n[5], n[4] / 2, 1);
  return s;
}

k::Pool2dShape pool_shape(const k::Conv2dShape& c) {
  k::Pool2dShape s;
  s.batch = c.batch;
  s.channels = c.in_channels;
  s.in_height = s.in_width = c.in_height;
  s.kernel_height = s.kernel_width = c.kernel_height;
  s.stride_height = s.stride_width = c.stride_height;
  s.pad_height = s.pad_width = c.kernel_height == c.in_height ? 0 : c.pad_height;
  s.out_height = s.out_width =
      k::conv_output_size(s.in_height, s.kernel_height, s.stride_height, s.pad_height, 1);
  return s;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 11) return 2;
  const std::string op = argv[1];
  const int repeats = std::atoi(argv[3]);
  std::int64_t n[7];
  for (int i = 0; i < 7; ++i) n[i] = std::atoll(argv[4 + i]);
  const k::Conv2dShape s = conv_shape(n);
  const k::Pool2dShape pool = pool_shape(s);

  midtread::set_num_threads(1);
  const k::KernelSet& set = k::select_kernels(k::Engine::kQnnpack, argv[2]);
  const std::int64_t inputs = s.batch * s.in_pixels() * s.in_channels;
  const std::int64_t outputs = std::max(s.batch * s.out_pixels() * s.out_channels, inputs);
  const std::vector<std::uint8_t> x(static_cast<std::size_t>(inputs), 77), table(256, 5);
  std::vector<float> real(static_cast<std::size_t>(inputs), 0.3f);
  std::vector<std::uint8_t> y(static_cast<std::size_t>(outputs));
  k::Scratch scratch;
  const k::AffineParams qa{0.25f, 2}, qb{0.5f, 1};
  const k::QuantizeParams out{0.7f, 3, {0, 255}, midtread::Rounding::kHalfEven};

  long long work = inputs;
  if (op == "conv") {
    const std::vector<std::int8_t> weights(static_cast<std::size_t>(s.weight_count()), 3);
    const std::vector<std::int32_t> bias(static_cast<std::size_t>(s.out_channels), 100);
    const std::vector<float> multiplier(static_cast<std::size_t>(s.out_channels), 1e-3f);
    const k::PackedWeights packed = k::pack_weights(set.conv(s), s, weights.data());
    const k::Epilogue epilogue{bias.data(), multiplier.data(), 10, 0, 255, midtread::Rounding::kHalfEven};
    for (int i = 0; i < repeats; ++i) k::run_conv(packed, s, x.data(), 128, epilogue, y.data(), scratch);
    work = s.multiply_accumulates();
  } else if (op == "average" || op == "max") {
    const bool max = op == "max";
    for (int i = 0; i < repeats; ++i)
      if (max)
        set->max_pool->run(pool, x.data(), y.data());
      else
        set->average_pool->run(pool, x.data(), 3, y.data(), scratch);
    work =
        s.batch * pool.out_height * pool.out_width * pool.channels * pool.kernel_height * pool.kernel_width;
  } else if (op == "add" || op == "mul") {
    const k::BinaryKernel& kernel = op == "add" ? *set->add : *set->mul;
    for (int i = 0; i < repeats; ++i)
      kernel.run(k::elementwise(inputs), x.data(), qa, x.data(), qb, out, y.data());
  } else if (op == "lookup") {
    for (int i = 0; i < repeats; ++i) set->lookup->run(table.data(), x.data(), y.data(), inputs);
  } else if (op == "quantize") {
    for (int i = 0; i < repeats; ++i) set->quantize->run(real.data(), y.data(), inputs, out);
  } else if (op == "dequantize") {
    for (int i = 0; i < repeats; ++i) set->dequantize->run(x.data(), real.data(), inputs, qa);
  } else {
    return 2;
  }
  std::printf("%lld\n", work);
} catch (const midtread::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 4;
}

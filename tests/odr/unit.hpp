// SPDX-License-Identifier: MIT
// What both translation units do. Each instantiates the same templates and inline functions under its own
// flags.
#pragma once

#include <midtread/midtread.hpp>

#include <cstdint>
#include <vector>

namespace {

// An error thrown and caught, with its place.
inline bool errors_work() {
  try {
    throw midtread::ShapeError("unit", midtread::concat("got ", 1, ", allowed ", 2));
  } catch (const midtread::Error& error) {
    return error.where() == "unit";
  }
}

// Quantizes, runs an int8 linear layer through the dispatch, and hashes the codes (FNV-1a).
inline std::uint64_t int8_hash() {
  namespace kernels = midtread::kernels;
  constexpr std::int64_t rows = 37, in = 67, out = 21;
  const kernels::KernelSet& set = kernels::select_kernels();
  std::vector<float> x(rows * in), multiplier(out);
  std::vector<std::uint8_t> codes(rows * in), y(rows * out);
  std::vector<std::int8_t> weight(out * in);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 101) * 0.037f - 1.3f;
  for (std::size_t i = 0; i < weight.size(); ++i)
    weight[i] = static_cast<std::int8_t>(static_cast<int>(i * 7 % 255) - 127);
  for (std::size_t i = 0; i < multiplier.size(); ++i)
    multiplier[i] = 0.0013f + 0.0001f * static_cast<float>(i);

  kernels::QuantizeParams params;
  params.scale = 0.0117f;
  params.zero_point = 113;
  set->quantize->run(x.data(), codes.data(), rows * in, params);

  kernels::Epilogue epilogue;
  epilogue.multiplier = multiplier.data();
  epilogue.zero_point = 128;
  const kernels::Conv2dShape shape = kernels::linear_shape(rows, in, out);
  const kernels::PackedWeights packed = kernels::pack_weights(set.conv(shape), shape, weight.data());
  kernels::Scratch scratch;
  kernels::run_conv(packed, shape, codes.data(), params.zero_point, epilogue, y.data(), scratch);

  std::uint64_t hash = 14695981039346656037u;
  for (const std::uint8_t code : y) hash = (hash ^ code) * 1099511628211u;
  return hash;
}

}  // namespace

// SPDX-License-Identifier: MIT
// What a convolution call carries to its pieces, and the entries of a ConvKernel made from one function that
// takes it.
#pragma once

#include <midtread/kernels/code_tail.hpp>
#include <midtread/kernels/kernel_table.hpp>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// Operands of a call: codes through an epilogue, or accumulators.
struct ConvCall {
  const std::uint8_t* x;
  std::int32_t x_zero_point;
  const Epilogue* epilogue;
  std::uint8_t* codes;
  std::int32_t* acc;

  /// The epilogue where its rounding has no vector form.
  const Epilogue* general() const {
    return epilogue != nullptr && epilogue->rounding != Rounding::kHalfEven ? epilogue : nullptr;
  }
  /// The tail, after all channels of `count` pixels from `first` on.
  void finish(const Conv2dShape& s, std::int64_t first, std::int64_t count) const {
    if (epilogue != nullptr && epilogue->tail != nullptr)
      epilogue->tail->run(*epilogue->tail, codes, first * s.out_channels, count * s.out_channels);
  }
  /// The tail, where no piece of work has all channels.
  void finish(const Conv2dShape& s) const {
    if (epilogue != nullptr && epilogue->tail != nullptr)
      run_tail(*epilogue->tail, codes, s.batch * s.out_pixels() * s.out_channels);
  }
};

using RunConvCall = void (*)(const PackedWeights&, const Conv2dShape&, const ConvCall&, Scratch&);

template <RunConvCall kRun>
void run_call(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
              std::int32_t x_zero_point, const Epilogue& e, std::uint8_t* y, Scratch& scratch) {
  kRun(weights, s, {x, x_zero_point, &e, y, nullptr}, scratch);
}

template <RunConvCall kRun>
void accumulate_call(const PackedWeights& weights, const Conv2dShape& s, const std::uint8_t* x,
                     std::int32_t x_zero_point, std::int32_t* acc, Scratch& scratch) {
  kRun(weights, s, {x, x_zero_point, nullptr, nullptr, acc}, scratch);
}

/// `finishes`: kRun calls finish for every pixel.
template <RunConvCall kRun>
constexpr ConvKernel conv_kernel(const char* label, bool transposed,
                                 Storage (*pack)(const Conv2dShape&, const std::int8_t*),
                                 bool finishes = false) {
  return {label, transposed, pack, run_call<kRun>, accumulate_call<kRun>, finishes};
}

MIDTREAD_NAMESPACE_END

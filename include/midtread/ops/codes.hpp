// SPDX-License-Identifier: MIT
// Integer codes that travel with a real tensor through operations that keep its scale and zero point.
//
//   value == (q - z) * scale, bit for bit, before and after
#pragma once

#include <midtread/kernels/affine.hpp>
#include <midtread/ops/layout.hpp>

#include <memory>
#include <type_traits>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Gives `y` the codes transform(codes of x), in y's memory order and with x's qparams; nothing if x carries
/// none.
template <class S, class Transform>
void move_codes(const BasicTensor<S>& x, const BasicTensor<S>& y, const Transform& transform) {
  if constexpr (std::is_same_v<S, float>) {
    if (const auto codes = x.codes())
      y.set_codes(std::make_shared<const Codes>(
          Codes{with_strides(transform(codes->values), y.strides()), codes->qparams}));
  } else {
    (void)x, (void)y, (void)transform;
  }
}

/// A real tensor that carries `codes`: (q - z) * scale.
inline Tensor tensor_of_codes(std::shared_ptr<const Codes> codes) {
  const FpEnvGuard fp_env;
  const BasicTensor<std::uint8_t> q = dense(codes->values);
  Tensor out(q.shape(), dense_strides(q));
  const kernels::AffineParams params = kernels::engine_params(codes->qparams).affine();
  float* to = out.mutable_data();
  const std::uint8_t* from = q.data();
  parallel_for(0, out.numel(), kGrain, [=](std::int64_t first, std::int64_t last) {
    kernels::dequantize(from + first, to + first, last - first, params);
  });
  if (codes->values.has_strides(out.strides()))
    out.set_codes(std::move(codes));
  else
    out.set_codes(std::make_shared<const Codes>(Codes{q, codes->qparams}));
  return out;
}

/// Codes held to [low, high], two stored codes.
inline BasicTensor<std::uint8_t> clamp_codes(const BasicTensor<std::uint8_t>& q, std::int32_t low,
                                             std::int32_t high) {
  const BasicTensor<std::uint8_t> in = dense(q);
  BasicTensor<std::uint8_t> out(q.shape(), dense_strides(q));
  std::uint8_t* to = out.mutable_data();
  const std::uint8_t* from = in.data();
  const auto lo = static_cast<std::uint8_t>(low), hi = static_cast<std::uint8_t>(high);
  parallel_for(0, out.numel(), 4 * kGrain, [=](std::int64_t first, std::int64_t last) {
    std::uint8_t* MIDTREAD_RESTRICT y = to;
    const std::uint8_t* MIDTREAD_RESTRICT x = from;
    for (std::int64_t i = first; i < last; ++i) {
      const std::uint8_t raised = x[i] < lo ? lo : x[i];
      y[i] = raised > hi ? hi : raised;
    }
  });
  return out;
}

MIDTREAD_NAMESPACE_END

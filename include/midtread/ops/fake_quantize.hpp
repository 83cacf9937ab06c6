// SPDX-License-Identifier: MIT
// Quantize and dequantize in one pass, with the straight-through gradient (1308.3432).
//
//   q = clamp(rne(x * (1/s)), lo - z, hi - z) + z      y = (q - z) * s
//   dx = dy where lo <= rne(x * (1/s)) + z <= hi, else 0
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/kernels/fake_quantize/dispatch.hpp>
#include <midtread/ops/channel_runs.hpp>
#include <midtread/ops/record.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops::detail)
using kernels::FakeQuantizeRow;

inline FakeQuantizeRow row_of(float scale, std::int32_t zero_point, CodeRange range, DType dtype,
                              Rounding rounding) {
  return {scale, zero_point, range, zero_point + storage_shift(dtype), rounding};
}

[[noreturn]] inline void throw_nan(const Tensor& x, const char* where) {
  std::int64_t index = 0, first = -1, count = 0;
  Tensor::for_each_offset(x.shape(), x.strides(), [&](std::int64_t at) {
    if (x.data()[at] != x.data()[at]) {
      if (first < 0) first = index;
      ++count;
    }
    ++index;
  });
  throw NumericError(
      where, concat(count, " NaN of ", x.numel(), " values, first at index ", first,
                    "; NaN has no code: lower the learning rate or look for the operation that made it"));
}

/// `t` in the memory order `strides`.
inline Tensor in_order(const Tensor& t, const Shape& strides) {
  return t.has_strides(strides) ? t : Tensor(t.shape(), strides).copy_(t);
}

inline constexpr std::int64_t kFakeQuantizeGrain = 1 << 15;

/// Calls body(first_run, last_run) over all runs, some 2^15 elements at a time.
template <class Body>
void parallel_runs(const ChannelRuns& runs, const Body& body) {
  parallel_for(0, runs.count(), kFakeQuantizeGrain / std::max<std::int64_t>(runs.length, 1) + 1, body);
}

/// One row of parameters per channel, after a check that they fit the shape.
inline std::vector<FakeQuantizeRow> channel_rows(const ChannelQParams& q, const char* where) {
  std::vector<FakeQuantizeRow> rows;
  const std::string name(where);
  if (q.scales.size() != q.zero_points.size())
    throw ShapeError(where, concat(q.scales.size(), " scales and ", q.zero_points.size(), " zero points"));
  rows.reserve(q.scales.size());
  for (std::size_t c = 0; c < q.scales.size(); ++c) {
    try {
      check(QParams{q.scales[c], q.zero_points[c], q.range, q.dtype, q.rounding}, name);
    } catch (const QuantizationError& error) {
      throw QuantizationError(name, concat("channel ", c, ": ", error.detail()));
    }
    rows.push_back(row_of(q.scales[c], q.zero_points[c], q.range, q.dtype, q.rounding));
  }
  return rows;
}

/// The runs of `shape` for these qparams. Throws ShapeError unless there are 1, or size(axis) times a
/// divisor, scales.
inline ChannelRuns channel_runs(const Shape& shape, const ChannelQParams& q, const char* where) {
  const auto channels = static_cast<std::int64_t>(q.scales.size());
  if (q.axis < 0) {
    if (channels != 1)
      throw ShapeError(where, concat("per tensor means one scale, got ", channels, "; set the channel axis"));
    return ChannelRuns(Shape{1, element_count(shape)}, 0, 1, where);
  }
  const ChannelRuns plain(shape, q.axis, 1, where);
  if (plain.size == 0) return plain;
  if (channels == 0 || channels % plain.size != 0)
    throw ShapeError(
        where, concat(channels, " scales for ", plain.size, " channels along axis ", q.axis, " of ", shape));
  return ChannelRuns(shape, q.axis, channels / plain.size, where);
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// One scale and zero point. The result has x's memory order and carries the codes.
struct FakeQuantizePerTensor {
  static constexpr const char* kName = "fake_quantize";
  QParams qparams;

  std::string attributes() const {
    return concat(qparams.dtype, " ", qparams.range.quant_min, "..", qparams.range.quant_max, ", scale ",
                  qparams.scale, ", zero_point ", qparams.zero_point);
  }

  Tensor operator()(const Tensor& input) const {
    check(qparams, kName);
    const FpEnvGuard fp_env;
    const Tensor x = input.is_dense() ? input.detach() : input.contiguous();
    const Shape strides =
        x.is_channels_last() ? channels_last_strides(x.shape()) : contiguous_strides(x.shape());
    const detail::FakeQuantizeRow row =
        detail::row_of(qparams.scale, qparams.zero_point, qparams.range, qparams.dtype, qparams.rounding);
    const kernels::RowKernels& loops = kernels::row_kernels();
    Tensor y(x.shape(), strides);
    BasicTensor<std::uint8_t> codes(x.shape(), strides);
    const float* from = x.data();
    float* to = y.mutable_data();
    std::uint8_t* code = codes.mutable_data();
    std::atomic<bool> nan{false};
    parallel_for(0, x.numel(), detail::kFakeQuantizeGrain, [&](std::int64_t first, std::int64_t last) {
      if (loops.fake_quantize(from + first, to + first, code + first, last - first, row))
        nan.store(true, std::memory_order_relaxed);
    });
    if (nan) detail::throw_nan(x, kName);
    y.set_codes(std::make_shared<const Codes>(Codes{codes, qparams}));
    return autograd::attach(kName, y, Tensors{input}, [x, row, strides](const Tensor& gradient) -> Tensors {
      const Tensor dy = detail::in_order(gradient, strides);
      Tensor dx(x.shape(), strides);
      const float *px = x.data(), *pdy = dy.data();
      float* pdx = dx.mutable_data();
      parallel_for(0, x.numel(), detail::kFakeQuantizeGrain, [&](std::int64_t first, std::int64_t last) {
        kernels::row_kernels().straight_through(px + first, pdy + first, pdx + first, last - first, row);
      });
      return {dx};
    });
  }
};

/// One scale and zero point per channel: weights. Row-major result without codes.
struct FakeQuantizePerChannel {
  static constexpr const char* kName = "fake_quantize_per_channel";
  ChannelQParams qparams;

  std::string attributes() const {
    return concat(qparams.dtype, " ", qparams.range.quant_min, "..", qparams.range.quant_max, ", ",
                  qparams.scales.size(), " scales, axis ", qparams.axis);
  }

  Tensor operator()(const Tensor& input) const {
    const FpEnvGuard fp_env;
    const ChannelRuns runs = detail::channel_runs(input.shape(), qparams, kName);
    const auto rows =
        std::make_shared<const std::vector<detail::FakeQuantizeRow>>(detail::channel_rows(qparams, kName));
    const Tensor x = input.contiguous().detach();
    Tensor y(x.shape());
    const float* from = x.data();
    float* to = y.mutable_data();
    std::atomic<bool> nan{false};
    const kernels::RowKernels& loops = kernels::row_kernels();
    detail::parallel_runs(runs, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t run = first; run < last; ++run) {
        const auto& row = (*rows)[static_cast<std::size_t>(runs.channel(run))];
        if (loops.fake_quantize(from + run * runs.length, to + run * runs.length, nullptr, runs.length, row))
          nan.store(true, std::memory_order_relaxed);
      }
    });
    if (nan) detail::throw_nan(x, kName);
    return autograd::attach(kName, y, Tensors{input}, [x, rows, runs](const Tensor& gradient) -> Tensors {
      const Tensor dy = gradient.contiguous();
      Tensor dx(x.shape());
      const float *px = x.data(), *pdy = dy.data();
      float* pdx = dx.mutable_data();
      detail::parallel_runs(runs, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t run = first; run < last; ++run) {
          const std::int64_t at = run * runs.length;
          kernels::row_kernels().straight_through(px + at, pdy + at, pdx + at, runs.length,
                                                  (*rows)[static_cast<std::size_t>(runs.channel(run))]);
        }
      });
      return {dx};
    });
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// (q - z) * s with one scale; carries its codes; x's memory order. QuantizationError on bad qparams,
/// NumericError on NaN (infinities saturate).
inline Tensor fake_quantize(const Tensor& x, const QParams& qparams) {
  return ops::record(ops::FakeQuantizePerTensor{qparams}, x);
}

/// The same with one scale per channel along qparams.axis, for weights: row-major, no codes. Where there are
/// g times size(axis) scales, they belong to g groups along dimension 0 (transposed convolution). ShapeError
/// where they do not fit.
inline Tensor fake_quantize(const Tensor& x, const ChannelQParams& qparams) {
  return ops::record(ops::FakeQuantizePerChannel{qparams}, x);
}

/// The row-major int8 codes of a weight, equal to what fake_quantize trains with. Throws as fake_quantize,
/// and DTypeError unless the qparams are int8.
inline BasicTensor<std::int8_t> quantize_weight(const Tensor& weight, const ChannelQParams& qparams) {
  static constexpr const char* where = "quantize_weight";
  if (qparams.dtype != DType::kInt8)
    throw DTypeError(where, concat("qparams are ", qparams.dtype, ", weights are int8"));
  const FpEnvGuard fp_env;
  const ops::ChannelRuns runs = ops::detail::channel_runs(weight.shape(), qparams, where);
  ops::detail::channel_rows(qparams, where);
  const Tensor w = weight.contiguous();
  const float* from = w.data();
  for (std::int64_t i = 0; i < w.numel(); ++i)
    if (from[i] != from[i]) ops::detail::throw_nan(w, where);
  BasicTensor<std::int8_t> codes(w.shape());
  std::int8_t* to = codes.mutable_data();
  for (std::int64_t run = 0; run < runs.count(); ++run) {
    const std::int64_t c = runs.channel(run);
    kernels::quantize(from + run * runs.length, to + run * runs.length, runs.length,
                      {qparams.scale(c), qparams.zero_point(c), qparams.range, qparams.rounding});
  }
  return codes;
}

MIDTREAD_ROOT_NAMESPACE_END

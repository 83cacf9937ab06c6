// SPDX-License-Identifier: MIT
// Fake quantize with parameters that are learned: LSQ (1902.08153), LSQ+ (2004.09576), TQT (1903.08066), PACT
// (1805.06085).
//
//   y = (q - z) * s as fake_quantize,  dx = dy inside, else 0
//   dp = a * sum_inside dy * (y - x) / s  +  b * sum_below dy  +  c * sum_above dy      for each parameter p
//
// The methods differ in a, b, c and in what lies inside. Sums are float64 and in an order that does not
// depend on the thread count.
#pragma once

#include <midtread/ops/fake_quantize.hpp>

#include <utility>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// What decides whether an element lies inside: its rounded code (STE, PyTorch), x / s before rounding (LSQ's
/// paper), or x itself (PACT).
enum class PassBand { kCode, kRatio, kReal };

/// a, b, c of one channel.
struct StepWeights {
  double inside = 0, below = 0, above = 0;
};

struct StepParameter {
  const char* name;
  Tensor value;                      ///< float32, one element per channel
  std::vector<StepWeights> weights;  ///< as many
};

/// How gradients pass. Inside means low <= u <= high, with u of `band`; one pair per channel, less zero point
/// where u is a code or a ratio.
struct LearnedStep {
  PassBand band = PassBand::kCode;
  std::vector<std::pair<float, float>> inside;
  std::vector<StepParameter> parameters;
};

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops::detail)
using kernels::StepSums;

/// One row's, in units of x times its factor.
inline kernels::StepBand step_band(PassBand band, std::pair<float, float> inside, float inverse,
                                   Rounding rounding) {
  if (band == PassBand::kCode)
    return {inverse, kernels::first_rounding_to(inside.first, rounding),
            kernels::last_rounding_to(inside.second, rounding)};
  return {band == PassBand::kRatio ? inverse : 1.0f, inside.first, inside.second};
}

/// dx into `dx`, and the sums per channel. All three tensors have the same memory order.
inline std::vector<StepSums> learned_step_gradient(const Tensor& x, const Tensor& dy, const Tensor& dx,
                                                   const ChannelRuns& runs,
                                                   const std::vector<FakeQuantizeRow>& rows,
                                                   const LearnedStep& step, Rounding rounding) {
  std::vector<StepSums> sums(rows.size());
  if (x.numel() == 0) return sums;
  const std::int64_t piece = std::min(runs.length, kFakeQuantizeGrain),
                     per_run = (runs.length + piece - 1) / piece;
  std::vector<StepSums> parts(static_cast<std::size_t>(runs.count() * per_run));
  const float *px = x.data(), *pdy = dy.data();
  float* pdx = dx.mutable_data();
  const kernels::RowKernels& loops = kernels::row_kernels();
  parallel_for(
      0, runs.count() * per_run, kFakeQuantizeGrain / piece, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t part = first; part < last; ++part) {
          const std::int64_t run = part / per_run, start = part % per_run * piece,
                             at = run * runs.length + start;
          const auto c = static_cast<std::size_t>(runs.channel(run));
          parts[static_cast<std::size_t>(part)] =
              loops.learned_step(px + at, pdy + at, pdx + at, std::min(piece, runs.length - start), rows[c],
                                 step_band(step.band, step.inside[c], rows[c].inverse, rounding));
        }
      });
  for (std::int64_t part = 0; part < runs.count() * per_run; ++part) {
    StepSums& sum = sums[static_cast<std::size_t>(runs.channel(part / per_run))];
    const StepSums& add = parts[static_cast<std::size_t>(part)];
    sum.inside += add.inside;
    sum.below += add.below;
    sum.above += add.above;
  }
  return sums;
}

/// Throws NumericError where a gradient is not finite: one step with it and the scale is gone.
inline Tensor step_parameter_gradient(const StepParameter& p, const std::vector<StepSums>& sums,
                                      const std::string& where) {
  Tensor out(p.value.shape());
  float* to = out.mutable_data();
  for (std::size_t c = 0; c < sums.size(); ++c) {
    const StepWeights& w = p.weights[c];
    // A weight of 0 leaves its sum out, even an infinite one.
    const double value = (w.inside == 0 ? 0 : w.inside * sums[c].inside) +
                         (w.below == 0 ? 0 : w.below * sums[c].below) +
                         (w.above == 0 ? 0 : w.above * sums[c].above);
    to[c] = static_cast<float>(value);
    if (!std::isfinite(to[c]))
      throw NumericError(
          where, concat("the gradient of ", p.name,
                        sums.size() > 1 ? concat(" of channel ", c) : std::string(), " is ", value,
                        "; lower the learning rate, clip gradients, or look for the operation that made it"));
  }
  return out;
}

MIDTREAD_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(ops)

/// (q - z) * s as fake_quantize(input, q), with gradients for input and parameters. Throws as fake_quantize,
/// and ShapeError where `step` does not have one entry per channel; backward throws NumericError naming
/// `where`.
inline Tensor learned_step(const Tensor& input, const ChannelQParams& q, LearnedStep step,
                           const std::string& where) {
  static constexpr const char* kName = "learned_step";
  const std::size_t channels = q.scales.size();
  bool fits = step.inside.size() == channels;
  for (const StepParameter& p : step.parameters)
    fits = fits && p.weights.size() == channels && p.value.numel() == static_cast<std::int64_t>(channels) &&
           p.value.is_contiguous();
  if (!fits)
    throw ShapeError(where,
                     concat("a learned parameter has not one value for each of ", channels, " scales"));
  const Tensor value = input.detach();
  const Tensor y =
      q.axis < 0 ? FakeQuantizePerTensor{{q.scale(0), q.zero_point(0), q.range, q.dtype, q.rounding}}(value)
                 : FakeQuantizePerChannel{q}(value);
  Tensors inputs{input};
  for (const StepParameter& p : step.parameters) inputs.push_back(p.value);
  if (!autograd::needs_grad(inputs)) return y;
  for (StepParameter& p : step.parameters) p.value = p.value.detach();  // the node's edges hold the leaves
  const Tensor x = detail::in_order(value, y.strides());
  const ChannelRuns runs = detail::channel_runs(x.shape(), q, kName);
  const std::vector<detail::FakeQuantizeRow> rows = detail::channel_rows(q, kName);
  return autograd::attach(
      kName, y, inputs,
      [x, runs, rows, step = std::move(step), rounding = q.rounding, where](const Tensor& gradient) {
        Tensors out{Tensor(x.shape(), x.strides())};
        const auto sums = detail::learned_step_gradient(x, detail::in_order(gradient, x.strides()), out[0],
                                                        runs, rows, step, rounding);
        for (const StepParameter& p : step.parameters)
          out.push_back(detail::step_parameter_gradient(p, sums, where));
        return out;
      });
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// Losses. Functions, not operations of a graph: they end a training step and are not recorded by a tracer.
//
//   cross_entropy  l_n = -sum_k t_k log softmax(x_n)_k
//                  t = (1 - e) [k = label] + e / C,  e = label smoothing
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/ops/layout.hpp>

#include <cmath>
#include <vector>

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// What becomes of the losses of a batch.
enum class Reduction { kMean, kSum, kNone };

MIDTREAD_ROOT_NAMESPACE_END

MIDTREAD_NAMESPACE_BEGIN(detail)

/// Labels [N] for logits [N, C]: ShapeError on sizes, NumericError naming the first label outside 0..C-1.
template <class S>
void check_labels(const BasicTensor<S>& logits, const BasicTensor<std::int64_t>& labels, const char* where) {
  if (logits.rank() != 2 || labels.rank() != 1 || logits.size(0) != labels.size(0))
    throw ShapeError(where, concat("got logits ", logits.shape(), " and labels ", labels.shape(),
                                   ", allowed [N, C] and [N]"));
  if (logits.numel() == 0) throw ShapeError(where, concat("logits ", logits.shape(), " are empty"));
  const std::int64_t classes = logits.size(1), step = labels.strides()[0];
  for (std::int64_t n = 0; n < labels.size(0); ++n) {
    const std::int64_t label = labels.data()[n * step];
    if (label < 0 || label >= classes)
      throw NumericError(where, concat("label ", label, " at index ", n, ", allowed 0..", classes - 1));
  }
}

/// Per-example losses [N] reduced; `gradient(weights)` gives d/dx of sum(weights * losses), weights [N].
template <class S, class Gradient>
BasicTensor<S> reduced_loss(const char* name, const BasicTensor<S>& x, const std::vector<double>& losses,
                            std::int64_t mean_over, const Shape& shape, Reduction reduction,
                            const Gradient& gradient) {
  const double factor = reduction == Reduction::kMean ? 1.0 / static_cast<double>(mean_over) : 1.0;
  const bool each = reduction == Reduction::kNone;
  BasicTensor<S> y(each ? shape : Shape{});
  S* to = y.mutable_data();
  double total = 0;
  for (std::size_t n = 0; n < losses.size(); ++n) {
    if (each) to[n] = static_cast<S>(losses[n]);
    total += losses[n];
  }
  if (!each) *to = static_cast<S>(total * factor);
  return autograd::attach(name, std::move(y), {x}, [=, count = losses.size()](const BasicTensor<S>& dy) {
    const BasicTensor<S> seed = dy.contiguous();
    std::vector<S> weights(count);
    for (std::size_t n = 0; n < count; ++n)
      weights[n] = each ? seed.data()[n] : static_cast<S>(*seed.data() * static_cast<S>(factor));
    return std::vector<BasicTensor<S>>{gradient(weights)};
  });
}

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

/// Softmax cross entropy of logits [N, C] with labels [N] in 0..C-1, as PyTorch's.
/// Throws ShapeError on sizes, NumericError on a label out of range, ConfigError on a smoothing outside 0..1.
template <class S>
BasicTensor<S> cross_entropy(const BasicTensor<S>& logits, const BasicTensor<std::int64_t>& labels,
                             double label_smoothing = 0.0, Reduction reduction = Reduction::kMean) {
  detail::check_labels(logits, labels, "cross_entropy");
  if (!(label_smoothing >= 0.0 && label_smoothing <= 1.0))
    throw ConfigError("cross_entropy", concat("label_smoothing is ", label_smoothing, ", allowed 0..1"));
  const BasicTensor<S> x = logits.contiguous().detach();
  const BasicTensor<std::int64_t> target = labels.contiguous();
  const std::int64_t batch = x.size(0), classes = x.size(1);
  const double share = label_smoothing / static_cast<double>(classes), own = 1.0 - label_smoothing;
  BasicTensor<S> probability(x.shape());
  S* to = probability.mutable_data();
  std::vector<double> losses(static_cast<std::size_t>(batch));
  for (std::int64_t n = 0; n < batch; ++n) {
    const S* row = x.data() + n * classes;
    S* p = to + n * classes;
    S largest = row[0];
    for (std::int64_t k = 1; k < classes; ++k) largest = row[k] > largest ? row[k] : largest;
    double sum = 0, logit_sum = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      p[k] = std::exp(row[k] - largest);
      sum += static_cast<double>(p[k]);
      logit_sum += static_cast<double>(row[k] - largest);
    }
    const double log_sum = std::log(sum), inverse = 1.0 / sum;
    for (std::int64_t k = 0; k < classes; ++k) p[k] = static_cast<S>(static_cast<double>(p[k]) * inverse);
    double loss = own * (log_sum - static_cast<double>(row[target.data()[n]] - largest));
    if (share > 0.0) loss += share * (static_cast<double>(classes) * log_sum - logit_sum);
    losses[static_cast<std::size_t>(n)] = loss;
  }
  const auto gradient = [=](const std::vector<S>& weights) {
    BasicTensor<S> dx(probability.shape());
    S* out = dx.mutable_data();
    const S* p = probability.data();
    for (std::int64_t n = 0; n < batch; ++n) {
      const S weight = weights[static_cast<std::size_t>(n)];
      for (std::int64_t k = 0; k < classes; ++k) {
        const S wanted = static_cast<S>(share) + (k == target.data()[n] ? static_cast<S>(own) : S(0));
        out[n * classes + k] = weight * (p[n * classes + k] - wanted);
      }
    }
    return dx;
  };
  return detail::reduced_loss("cross_entropy", logits, losses, batch, labels.shape(), reduction, gradient);
}

/// -x[n, label_n] of log probabilities [N, C].
template <class S>
BasicTensor<S> nll_loss(const BasicTensor<S>& log_probabilities, const BasicTensor<std::int64_t>& labels,
                        Reduction reduction = Reduction::kMean) {
  detail::check_labels(log_probabilities, labels, "nll_loss");
  const BasicTensor<S> x = log_probabilities.contiguous();
  const BasicTensor<std::int64_t> target = labels.contiguous();
  const std::int64_t batch = x.size(0), classes = x.size(1);
  std::vector<double> losses(static_cast<std::size_t>(batch));
  for (std::int64_t n = 0; n < batch; ++n)
    losses[static_cast<std::size_t>(n)] = -static_cast<double>(x.data()[n * classes + target.data()[n]]);
  const auto gradient = [=, shape = x.shape()](const std::vector<S>& weights) {
    BasicTensor<S> dx(shape);
    dx.fill_(S(0));
    S* out = dx.mutable_data();
    for (std::int64_t n = 0; n < batch; ++n)
      out[n * classes + target.data()[n]] = -weights[static_cast<std::size_t>(n)];
    return dx;
  };
  return detail::reduced_loss("nll_loss", log_probabilities, losses, batch, labels.shape(), reduction,
                              gradient);
}

/// (x - target)^2, shapes equal. The target's gradient is not computed.
template <class S>
BasicTensor<S> mse_loss(const BasicTensor<S>& input, const BasicTensor<S>& target,
                        Reduction reduction = Reduction::kMean) {
  if (input.shape() != target.shape())
    throw ShapeError("mse_loss", concat("got input ", input.shape(), " and target ", target.shape(),
                                        ", they must be equal"));
  if (input.numel() == 0) throw ShapeError("mse_loss", concat("input ", input.shape(), " is empty"));
  const BasicTensor<S> x = input.contiguous().detach(), t = target.contiguous().detach();
  std::vector<double> losses(static_cast<std::size_t>(x.numel()));
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const double error = static_cast<double>(x.data()[i]) - static_cast<double>(t.data()[i]);
    losses[i] = error * error;
  }
  const auto gradient = [=](const std::vector<S>& weights) {
    BasicTensor<S> dx(x.shape());
    S* out = dx.mutable_data();
    for (std::size_t i = 0; i < weights.size(); ++i) out[i] = S(2) * weights[i] * (x.data()[i] - t.data()[i]);
    return dx;
  };
  return detail::reduced_loss("mse_loss", input, losses, x.numel(), x.shape(), reduction, gradient);
}

MIDTREAD_ROOT_NAMESPACE_END

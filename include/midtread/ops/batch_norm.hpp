// SPDX-License-Identifier: MIT
// Batch normalisation (1502.03167):  y = gamma * (x - mean) / sqrt(var + eps) + beta
#pragma once

#include <midtread/autograd/engine.hpp>
#include <midtread/kernels/float/batch_norm.hpp>
#include <midtread/ops/record.hpp>
#include <midtread/tensor/factory.hpp>

MIDTREAD_NAMESPACE_BEGIN(ops)

/// Inputs x [N, C], [N, C, L] or [N, C, H, W] and gamma, beta, running_mean, running_var, each [C] or
/// undefined. Training: statistics of the batch (biased variance), and the running buffers move towards them
/// in place by `momentum` (unbiased variance). Else, where there are running statistics, those. Throws
/// ShapeError.
struct BatchNorm {
  static constexpr const char* kName = "batch_norm";
  double eps = 1e-5;
  double momentum = 0.1;
  bool training = false;

  std::string attributes() const { return concat("eps ", eps, ", momentum ", momentum); }

  template <class S>
  BasicTensor<S> operator()(const BasicTensor<S>& x, const BasicTensor<S>& gamma, const BasicTensor<S>& beta,
                            const BasicTensor<S>& running_mean, const BasicTensor<S>& running_var) const {
    if (x.rank() < 2 || x.rank() > 4)
      throw ShapeError(kName,
                       concat("input has shape ", x.shape(), ", needs [N, C], [N, C, L] or [N, C, H, W]"));
    const std::int64_t channels = x.size(1), rows = channels > 0 ? x.numel() / channels : 0;
    check(gamma, channels, "weight");
    check(beta, channels, "bias");
    check(running_mean, channels, "running_mean");
    check(running_var, channels, "running_var");
    if (running_mean.defined() != running_var.defined())
      throw ShapeError(kName, "running_mean and running_var must both be given or both be undefined");
    const bool from_batch = training || !running_mean.defined();
    if (from_batch && rows < 2)
      throw ShapeError(kName, concat("input ", x.shape(), " has ", rows,
                                     " values per channel, batch statistics need at least 2"));

    const auto size = static_cast<std::size_t>(channels);
    std::vector<double> mean(size), variance(size);
    const BasicTensor<S> input = x.channels_last();
    if (from_batch) {
      kernels::floating::batch_statistics(rows, channels, input.data(), mean.data(), variance.data());
      if (training && running_mean.defined()) update(running_mean, running_var, mean, variance, rows);
    } else {
      mean = as_double(running_mean, 0.0, size);
      variance = as_double(running_var, 0.0, size);
    }

    const std::vector<double> g = as_double(gamma, 1.0, size), b = as_double(beta, 0.0, size);
    std::vector<double> inverse(size), rest(size);
    std::vector<S> centre(size), factor(size), shift(size);
    for (std::size_t c = 0; c < size; ++c) {
      inverse[c] = 1.0 / std::sqrt(variance[c] + eps);
      centre[c] = static_cast<S>(mean[c]);
      factor[c] = static_cast<S>(g[c] * inverse[c]);
      rest[c] = mean[c] - static_cast<double>(centre[c]);  // lost by rounding: counts where the mean is large
      shift[c] = static_cast<S>(b[c] - rest[c] * g[c] * inverse[c]);
    }
    BasicTensor<S> y = empty_channels_last<S>(x.shape());
    kernels::floating::normalize(rows, channels, input.data(), centre.data(), factor.data(), shift.data(),
                                 y.mutable_data());

    const bool need_x = x.requires_grad();
    const bool need_gamma = gamma.defined() && gamma.requires_grad(),
               need_beta = beta.defined() && beta.requires_grad();
    if (!grad_enabled() || !(need_x || need_gamma || need_beta)) return y;
    const bool save_x = need_gamma || (need_x && from_batch);
    const BasicTensor<S> saved = save_x ? input.detach() : BasicTensor<S>();
    return autograd::attach(
        kName, y, {x, gamma, beta, running_mean, running_var}, [=](const BasicTensor<S>& dy) {
          const BasicTensor<S> gradient = dy.channels_last();
          std::vector<double> sum_dy(size), sum_dy_x(size);
          if (save_x || need_beta) {
            const S* values = save_x ? saved.data() : gradient.data();  // sum_dy alone is used in that case
            kernels::floating::batch_norm_sums(rows, channels, values, centre.data(), gradient.data(),
                                               sum_dy.data(), sum_dy_x.data());
            for (std::size_t c = 0; c < size; ++c) sum_dy_x[c] -= rest[c] * sum_dy[c];
          }
          std::vector<BasicTensor<S>> gradients(5);
          if (need_x) {
            gradients[0] = empty_channels_last<S>(dy.shape());
            S* dx = gradients[0].mutable_data();
            std::vector<S> slope(size, S(0)), offset(size, S(0));
            if (from_batch) {
              for (std::size_t c = 0; c < size; ++c) {
                const double scale = g[c] * inverse[c] / static_cast<double>(rows);
                const double along_x = scale * inverse[c] * inverse[c] * sum_dy_x[c];
                slope[c] = static_cast<S>(along_x);
                offset[c] = static_cast<S>(scale * sum_dy[c] - rest[c] * along_x);
              }
              kernels::floating::batch_norm_input_gradient(rows, channels, saved.data(), centre.data(),
                                                           gradient.data(), factor.data(), slope.data(),
                                                           offset.data(), dx);
            } else {
              kernels::floating::normalize(rows, channels, gradient.data(), slope.data(), factor.data(),
                                           offset.data(), dx);
            }
          }
          if (need_gamma)
            gradients[1] = per_channel<S>(size, [&](std::size_t c) { return sum_dy_x[c] * inverse[c]; });
          if (need_beta) gradients[2] = per_channel<S>(size, [&](std::size_t c) { return sum_dy[c]; });
          return gradients;
        });
  }

 private:
  template <class S>
  static void check(const BasicTensor<S>& t, std::int64_t channels, const char* what) {
    if (t.defined() && t.shape() != Shape{channels})
      throw ShapeError(kName,
                       concat(what, " has shape ", t.shape(), ", the input has ", channels, " channels"));
  }
  template <class S>
  static std::vector<double> as_double(const BasicTensor<S>& t, double otherwise, std::size_t size) {
    if (!t.defined()) return std::vector<double>(size, otherwise);
    const std::vector<S> values = t.to_vector();
    return std::vector<double>(values.begin(), values.end());
  }
  template <class S, class Value>
  static BasicTensor<S> per_channel(std::size_t size, const Value& value) {
    BasicTensor<S> out(Shape{static_cast<std::int64_t>(size)});
    S* to = out.mutable_data();
    for (std::size_t c = 0; c < size; ++c) to[c] = static_cast<S>(value(c));
    return out;
  }
  template <class S>
  void update(const BasicTensor<S>& running_mean, const BasicTensor<S>& running_var,
              const std::vector<double>& mean, const std::vector<double>& variance, std::int64_t rows) const {
    const double unbiased = static_cast<double>(rows) / static_cast<double>(rows - 1);
    const auto move = [&](const BasicTensor<S>& running, const std::vector<double>& to, double correction) {
      S* values = running.mutable_data();
      const std::int64_t step = running.strides()[0];
      for (std::size_t c = 0; c < to.size(); ++c) {
        S& value = values[static_cast<std::int64_t>(c) * step];
        value = static_cast<S>((1.0 - momentum) * static_cast<double>(value) + momentum * to[c] * correction);
      }
    };
    move(running_mean, mean, 1.0);
    move(running_var, variance, unbiased);
  }
};

MIDTREAD_NAMESPACE_END

MIDTREAD_ROOT_NAMESPACE_BEGIN

template <class S>
BasicTensor<S> batch_norm(const BasicTensor<S>& x, const BasicTensor<S>& gamma, const BasicTensor<S>& beta,
                          const BasicTensor<S>& running_mean, const BasicTensor<S>& running_var,
                          const ops::BatchNorm& parameters = {}) {
  return ops::record(parameters, x, gamma, beta, running_mean, running_var);
}

MIDTREAD_ROOT_NAMESPACE_END

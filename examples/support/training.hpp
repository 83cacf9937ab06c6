// SPDX-License-Identifier: MIT
// The training loop of the examples, and the share of right answers.
#pragma once

#include "progress.hpp"

#include <midtread/data/data_loader.hpp>
#include <midtread/midtread.hpp>
#include <midtread/nn/parameter_groups.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace examples {

namespace mt = midtread;
using Clock = std::chrono::steady_clock;

inline double milliseconds(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

/// Correct predictions among `logits` [N, classes].
inline std::int64_t correct(const mt::Tensor& logits, const mt::BasicTensor<std::int64_t>& target) {
  const mt::BasicTensor<std::int64_t> best = mt::argmax(logits, 1);
  std::int64_t hits = 0;
  for (std::int64_t i = 0; i < target.numel(); ++i) hits += best.data()[i] == target.data()[i];
  return hits;
}

struct Evaluation {
  double accuracy = 0;  ///< percent
  double image_ms = 0;  ///< median over batches
};

/// `model` is anything that maps a batch to logits, in eval mode.
template <class Model>
Evaluation evaluate(Model&& model, mt::data::DataLoader test) {
  const mt::NoGradGuard no_grad;
  std::int64_t hits = 0, images = 0;
  std::vector<double> times;
  for (const auto& batch : test) {
    const auto start = Clock::now();
    const mt::Tensor logits = model(batch.input);
    times.push_back(milliseconds(start) / static_cast<double>(batch.input.size(0)));
    hits += correct(logits, batch.target);
    images += batch.target.numel();
  }
  return {images ? 100.0 * static_cast<double>(hits) / static_cast<double>(images) : 0, median(times)};
}

struct TrainingOptions {
  std::string phase;  ///< for the progress line
  std::int64_t epochs = 1;
  double lr = 0.05;
  std::int64_t warmup = 0;  ///< steps, a quarter of all at most
  double weight_decay = 1e-4;
  std::function<void(std::int64_t epoch)> on_epoch = {};
};

/// SGD with momentum 0.9, warm-up and cosine; learned scales without weight decay. Returns the median step in
/// ms.
inline double train(mt::nn::Module& model, mt::data::DataLoader data, const TrainingOptions& o) {
  using Tag = mt::nn::ParameterTag;
  const auto sgd_options = mt::optim::SGDOptions(o.lr).momentum(0.9);
  mt::optim::SGD sgd(mt::nn::parameters_of(model, {Tag::kWeight, Tag::kBias, Tag::kBatchNorm}),
                     mt::optim::SGDOptions(sgd_options).weight_decay(o.weight_decay));
  const mt::Tensors scales = mt::nn::parameters_of(model, {Tag::kScale, Tag::kOffset, Tag::kAlpha});
  if (!scales.empty()) sgd.add_param_group(scales, sgd_options);
  const std::int64_t steps = data.size(), all = std::max<std::int64_t>(1, o.epochs * steps);
  mt::optim::WarmupCosineLR schedule(sgd, std::min(o.warmup, all / 4), all);
  std::vector<double> times;
  for (std::int64_t epoch = 0; epoch < o.epochs; ++epoch) {
    model.train();
    if (o.on_epoch) o.on_epoch(epoch);
    Progress progress(mt::concat(o.phase, " epoch ", epoch + 1, "/", o.epochs), steps);
    double loss_sum = 0;
    std::int64_t seen = 0;
    for (const auto& batch : data) {
      const auto start = Clock::now();
      sgd.zero_grad();
      const mt::Tensor loss = mt::cross_entropy(model.forward(batch.input), batch.target);
      loss.backward();
      sgd.step();
      schedule.step();
      times.push_back(milliseconds(start));
      loss_sum += static_cast<double>(loss.item());
      char text[64];
      std::snprintf(text, sizeof text, "loss %.4f", loss_sum / static_cast<double>(++seen));
      progress.update(seen, text);
    }
    progress.finish();
  }
  return median(times);
}

}  // namespace examples

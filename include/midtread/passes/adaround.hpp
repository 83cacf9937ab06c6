// SPDX-License-Identifier: MIT
// AdaRound (2004.10568): learns per weight whether to round it up or down, layer by layer, on calibration
// data.
//
//   q(w) = clamp(floor(w / s) + h(v), lo, hi),   h(v) = clamp(1.2 sigmoid(v) - 0.1, 0, 1)
//   min over v   E(v) / E(nearest) + lambda mean(1 - |2 h(v) - 1|^beta),   E = |f(conv(x, s q(w))) -
//   f(conv(x0, w))|^2
//
// x is the input in the quantized network, x0 in the float one, f the fused activation. The paper's loss is
// not divided: its lambda depends on the scale of the data.
#pragma once

#include <midtread/core/random.hpp>
#include <midtread/ops/elementwise.hpp>
#include <midtread/ops/reduce.hpp>
#include <midtread/passes/calibrate.hpp>
#include <midtread/qat/conv_unit.hpp>

#include <cmath>
#include <ostream>

MIDTREAD_NAMESPACE_BEGIN(passes)

/// Defaults: the best of a search on small networks. Rate and lambda count in the units above.
struct AdaRoundOptions {
  MIDTREAD_OPTION(std::int64_t, steps) = 600;  ///< per layer
  MIDTREAD_OPTION(std::int64_t, batch_size) = 32;
  MIDTREAD_OPTION(double, lr) = 0.1;  ///< of Adam
  MIDTREAD_OPTION(double, lambda) = 30;
  MIDTREAD_OPTION(double, warm_up) = 0.2;    ///< the share of the steps that go without the regulariser
  MIDTREAD_OPTION(double, first_beta) = 20;  ///< falls linearly to last_beta
  MIDTREAD_OPTION(double, last_beta) = 2;
  MIDTREAD_OPTION(std::uint64_t, seed) = 0;  ///< of the batches

 public:
  /// Throws ConfigError naming the field.
  void check() const {
    const auto require = [](bool fits, const char* name, auto got, const char* allowed) {
      if (!fits) throw ConfigError("adaround", concat(name, " is ", got, ", allowed ", allowed));
    };
    require(steps_ >= 1, "steps", steps_, "1 or more");
    require(batch_size_ >= 1, "batch_size", batch_size_, "1 or more");
    require(lr_ > 0 && std::isfinite(lr_), "lr", lr_, "a positive number");
    require(lambda_ >= 0 && std::isfinite(lambda_), "lambda", lambda_, "0 or more");
    require(warm_up_ >= 0 && warm_up_ <= 1, "warm_up", warm_up_, "0..1");
    require(last_beta_ > 1 && first_beta_ >= last_beta_ && std::isfinite(first_beta_), "last_beta",
            last_beta_, "above 1 and not above first_beta");
  }
};

/// One layer's mean squared error against the float network on all images.
struct AdaRoundLayer {
  std::string name;
  double nearest_error = 0;  ///< every weight rounded to the nearest code
  double learned_error = 0;  ///< never above nearest_error: where learning did not help nothing is changed
  std::int64_t weights = 0;
  std::int64_t changed = 0;  ///< weights that do not have their nearest code
};
using AdaRoundReport = std::vector<AdaRoundLayer>;

inline std::ostream& operator<<(std::ostream& out, const AdaRoundLayer& layer) {
  return out << layer.name << ": error " << layer.nearest_error << " -> " << layer.learned_error << ", "
             << layer.changed << " of " << layer.weights << " weights rounded to the other side";
}

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes::detail)

/// The rounding of one layer's weights. Weights are [O, ...], output channel first, with the batch norm
/// folded in.
class LearnedRounding {
 public:
  LearnedRounding(const Tensor& weight, const std::vector<float>& scales, CodeRange range)
      : shape_(weight.shape()), range_(range), size_(static_cast<std::size_t>(weight.numel())) {
    const std::size_t inner = scales.empty() ? 1 : std::max<std::size_t>(1, size_ / scales.size());
    for (std::size_t i = 0; i < size_; ++i) {
      const auto s = static_cast<double>(scales[i / inner]),
                 ratio = static_cast<double>(weight.data()[i]) / s, low = std::floor(ratio);
      scale_.push_back(s);
      floor_.push_back(low);
      nearest_.push_back(clamped(std::nearbyint(ratio)));
      const double sigmoid = (ratio - low + kStretch) / (1 + 2 * kStretch);
      v_.push_back(std::log(sigmoid / (1 - sigmoid)));
    }
    first_.assign(size_, 0);
    second_.assign(size_, 0);
  }

  Tensor nearest() const {
    return weights([&](std::size_t i) { return nearest_[i]; });
  }
  Tensor soft() const {
    return weights([&](std::size_t i) { return clamped(floor_[i] + h(i)); });
  }
  Tensor hard() const {
    return weights([&](std::size_t i) { return code(i); });
  }
  std::int64_t changed() const {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < size_; ++i) count += code(i) != nearest_[i];
    return count;
  }

  /// One step of Adam (1412.6980) from the gradient of the error to soft(); beta = 0: no regulariser.
  void step(const Tensor& gradient, double lr, double lambda, double beta) {
    ++steps_;
    const double correct1 = 1 - std::pow(0.9, steps_), correct2 = 1 - std::pow(0.999, steps_);
    for (std::size_t i = 0; i < size_; ++i) {
      const double sigmoid = 1 / (1 + std::exp(-v_[i])), stretched = h(i), x = floor_[i] + stretched;
      if (!(stretched > 0 && stretched < 1)) continue;  // decided
      double dh = x >= range_.quant_min && x <= range_.quant_max
                      ? scale_[i] * static_cast<double>(gradient.data()[i])
                      : 0;
      if (beta > 0) {
        const double distance = 2 * stretched - 1;
        dh -= lambda * 2 * beta * std::copysign(std::pow(std::abs(distance), beta - 1), distance);
      }
      const double dv = dh * (1 + 2 * kStretch) * sigmoid * (1 - sigmoid);
      first_[i] = 0.9 * first_[i] + 0.1 * dv;
      second_[i] = 0.999 * second_[i] + 0.001 * dv * dv;
      v_[i] -= lr * (first_[i] / correct1) / (std::sqrt(second_[i] / correct2) + 1e-8);
    }
  }

 private:
  static constexpr double kStretch = 0.1;

  double clamped(double code) const {
    return std::min<double>(std::max<double>(code, range_.quant_min), range_.quant_max);
  }
  double h(std::size_t i) const {
    return std::min(1.0, std::max(0.0, (1 + 2 * kStretch) / (1 + std::exp(-v_[i])) - kStretch));
  }
  double code(std::size_t i) const { return clamped(floor_[i] + (h(i) >= 0.5 ? 1 : 0)); }
  template <class Code>
  Tensor weights(const Code& code_of) const {
    Tensor out(shape_);
    for (std::size_t i = 0; i < size_; ++i)
      out.mutable_data()[i] = static_cast<float>(code_of(i) * scale_[i]);
    return out;
  }

  Shape shape_;
  CodeRange range_;
  std::size_t size_;
  std::vector<double> scale_, floor_, nearest_, v_, first_, second_;
  double steps_ = 0;
};

/// The value that enters the node `name`.
inline Tensor input_of(graph::GraphModule& model, const std::string& name, const Tensor& images) {
  const NoGradGuard no_grad;
  const graph::Node* from = model.find(name)->inputs[0];
  Tensor out;
  model.run({images}, [&](const graph::Node& node, const Tensor& value) {
    if (&node == from) out = value;
  });
  return out;
}

/// Rows of dense tensors [N, ...].
inline Tensor rows(const Tensor& from, const std::vector<std::int64_t>& indices) {
  std::vector<std::int64_t> sizes(from.shape().begin(), from.shape().end());
  sizes[0] = static_cast<std::int64_t>(indices.size());
  Tensor out{Shape(sizes)};
  const std::int64_t length = from.numel() / std::max<std::int64_t>(1, from.size(0));
  float* to = out.mutable_data();
  for (const std::int64_t i : indices)
    to = std::copy(from.data() + i * length, from.data() + (i + 1) * length, to);
  return out;
}

inline double mean_square(const Tensor& a, const Tensor& b) {
  const Tensor x = a.contiguous(), y = b.contiguous();
  double sum = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double d = static_cast<double>(x.data()[i]) - static_cast<double>(y.data()[i]);
    sum += d * d;
  }
  return sum / static_cast<double>(std::max<std::int64_t>(1, x.numel()));
}

/// Learns the rounding of one unit. `x`: its input in the quantized network; `target`: its output in the
/// float one.
inline AdaRoundLayer round_layer(const qat::ConvUnit& unit, const Tensor& x, const Tensor& target,
                                 const AdaRoundOptions& o) {
  const auto [w, b] = [&] {
    const NoGradGuard no_grad;
    auto folded = unit.folded();
    return std::pair<Tensor, Tensor>{
        folded.first.detach().contiguous(),
        folded.second.defined() ? folded.second.detach().contiguous() : Tensor()};
  }();
  const ChannelQParams q = unit.weight_fake_quant().qparams();
  LearnedRounding rounding(w, quantized::weight_scales(q, w.size(0), b, x.codes()->qparams.scale), q.range);
  const auto output = [&, bias = b](const Tensor& input, const Tensor& weight) {
    return nn::apply_activation(unit.activation(), unit.layer().run(input, weight, bias));
  };
  const auto error = [&](const Tensor& weight) {
    const NoGradGuard no_grad;
    return mean_square(output(x, weight), target);
  };
  AdaRoundLayer report{unit.path(), error(rounding.nearest()), 0, w.numel(), 0};
  if (!(report.nearest_error > 0)) return report;

  Tensor plain = x.contiguous().clone();
  const Tensor wanted = target.contiguous();
  const double weigh = 1 / report.nearest_error, lambda = o.lambda() / static_cast<double>(w.numel());
  Generator generator(o.seed());
  std::vector<std::int64_t> indices(static_cast<std::size_t>(std::min(o.batch_size(), plain.size(0))));
  const double begin = o.warm_up() * static_cast<double>(o.steps());
  for (std::int64_t step = 0; step < o.steps(); ++step) {
    for (std::int64_t& i : indices) i = generator.below(plain.size(0));
    Tensor soft = rounding.soft();
    soft.requires_grad_();
    const Tensor difference = output(rows(plain, indices), soft) - rows(wanted, indices);
    (mean(difference * difference) * weigh).backward();
    const double at = static_cast<double>(step),
                 left = (static_cast<double>(o.steps()) - at) / (static_cast<double>(o.steps()) - begin);
    const double beta = at < begin ? 0 : o.last_beta() + (o.first_beta() - o.last_beta()) * left;
    rounding.step(soft.grad().contiguous(), o.lr(), lambda, beta);
  }

  Tensor best = rounding.hard();
  report.learned_error = error(best);
  report.changed = rounding.changed();
  if (report.learned_error > report.nearest_error) {
    best = rounding.nearest();
    report.learned_error = report.nearest_error;
    report.changed = 0;
  }
  unit.set_folded_weight(best);
  return report;
}

MIDTREAD_NAMESPACE_END
MIDTREAD_NAMESPACE_BEGIN(passes)

/// A copy of `prepared`, in eval mode, whose convolutions and linear layers have weights that lie on the
/// codes learned for them; their scales stand still. `prepared` has been calibrated or trained; `images` is
/// one batch of inputs [N, ...], some hundreds. Throws ConfigError on options, ShapeError without images,
/// StateError before calibration, UnsupportedError for weights that are bent before rounding (DoReFa).
inline graph::GraphModule adaround(const graph::GraphModule& prepared, const Tensor& images,
                                   const AdaRoundOptions& options = {}, AdaRoundReport* report = nullptr) {
  options.check();
  if (images.rank() < 2 || images.size(0) == 0)
    throw ShapeError("adaround", concat("got ", images.shape(), ", there is no image in it; needs [N, ...]"));
  const FpEnvGuard fp_env;
  graph::GraphModule original = prepared.clone(), out = prepared.clone();
  out.eval();
  const CalibrationScope float_network(original, false);
  if (report) report->clear();
  std::vector<const void*> done;  // a module that is called twice has one weight
  for (const auto& node : out.nodes()) {
    const auto* unit = dynamic_cast<const qat::ConvUnit*>(node->module.get());
    if (!unit || std::find(done.begin(), done.end(), unit->layer_module().get()) != done.end()) continue;
    done.push_back(unit->layer_module().get());
    quant::FakeQuantizeBase& weight = unit->weight_fake_quant();
    const auto* in_float = dynamic_cast<const qat::ConvUnit*>(original.find(node->name)->module.get());
    const Tensor probe = unit->layer_module()->own_parameters().at("weight");
    if (!weight.bent(probe).is(probe))
      throw UnsupportedError(
          node->name,
          weight.type_name() + " bends weights before it rounds them; adaround takes those that only round");
    const Tensor x = detail::input_of(out, node->name, images);
    if (!x.codes()) continue;
    weight.set_observer_enabled(false);
    const Tensor x0 = detail::input_of(original, node->name, images);
    const Tensor target = [&] {
      const NoGradGuard no_grad;
      const auto folded = in_float->folded();
      return nn::apply_activation(unit->activation(), unit->layer().run(x0, folded.first, folded.second));
    }();
    const AdaRoundLayer layer = detail::round_layer(*unit, x, target, options);
    if (report) report->push_back(layer);
  }
  return out;
}

MIDTREAD_NAMESPACE_END

// SPDX-License-Identifier: MIT
// A third opinion: what every node of a prepared graph in eval mode must give, in plain loops over row-major
// arrays, from the float parameters and the fake quantizers' scales. Uses no function of the library's
// kernels.
//
//   acc = sum (q - z) w,  y = clamp(rne(float(acc + bq) m), lo - z_y, hi - z_y) + z_y
#pragma once

#include <midtread/passes/prepare_qat.hpp>
#include <midtread/quant/dorefa.hpp>

#include <support/sim_value.hpp>

#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace midtread::test {

class Simulation {
 public:
  explicit Simulation(const graph::GraphModule& prepared) : prepared_(prepared) {}

  /// Every node's value. The fake quantizers must hold the scales in force (run the eval forward once
  /// before).
  const std::map<std::string, SimValue>& run(const Tensors& inputs) {
    values_.clear();
    std::size_t next = 0;
    for (const auto& node : prepared_.nodes()) {
      if (node->kind == graph::NodeKind::kOutput) continue;
      if (node->kind == graph::NodeKind::kInput)
        values_[node->name] = real_value(inputs.at(next++));
      else if (node->kind == graph::NodeKind::kParameter)
        values_[node->name] = real_value(node->parameter.get<float>());
      else
        values_[node->name] = compute(*node);
    }
    return values_;
  }
  int integer_nodes() const { return integer_nodes_; }

 private:
  using Dims = std::vector<std::int64_t>;

  static float round_as(float x, Rounding rounding) {
    switch (rounding) {
      case Rounding::kHalfUp: return static_cast<float>(std::floor(static_cast<double>(x) + 0.5));
      case Rounding::kHalfDown:
        return static_cast<float>(std::copysign(std::ceil(std::fabs(static_cast<double>(x)) - 0.5), x) + 0.0);
      case Rounding::kStdRound: return std::round(x);
      case Rounding::kHalfEven: break;
    }
    return std::nearbyint(x);
  }
  static int to_code(float x, const QParams& q, int lo, int hi) {
    const float low = static_cast<float>(lo - q.zero_point), high = static_cast<float>(hi - q.zero_point);
    const float held = x > low ? (x < high ? x : high) : low;
    return static_cast<int>(round_as(held, q.rounding)) + q.zero_point;
  }
  static int quantize(float x, const QParams& q) {
    return to_code(single(x * single(1.0f / q.scale)), q, q.range.quant_min, q.range.quant_max);
  }
  static float dequantize(int code, const QParams& q) {
    return single(static_cast<float>(code - q.zero_point) * q.scale);
  }

  static SimValue real_value(const Tensor& x) {
    SimValue v;
    v.shape = x.shape();
    v.real = x.to_vector();
    return v;
  }
  static SimValue code_value(const Shape& shape, std::vector<int> codes, const QParams& q) {
    SimValue v;
    v.shape = shape;
    v.q = q;
    v.is_quantized = true;
    v.codes = std::move(codes);
    for (int c : v.codes) v.real.push_back(dequantize(c, q));
    return v;
  }
  static SimValue quantized(const SimValue& x, const QParams& q) {
    std::vector<int> codes;
    for (float v : x.real) codes.push_back(quantize(v, q));
    return code_value(x.shape, std::move(codes), q);
  }

  SimValue compute(const graph::Node& node) {
    std::vector<SimValue> in;
    for (const graph::Node* input : node.inputs) in.push_back(input ? values_.at(input->name) : SimValue{});
    if (const auto* unit = dynamic_cast<const qat::Unit*>(node.module.get())) {
      ++integer_nodes_;
      const QParams y = unit->activation_post_process().tensor_qparams();
      if (const auto* conv = dynamic_cast<const qat::ConvUnit*>(unit)) return convolve(*conv, in[0], y);
      if (const auto* op = dynamic_cast<const qat::OperationUnit*>(unit))
        return elementwise(op->operation(), in, y);
      return quantized(in[0], y);
    }
    if (node.operation && !node.stays_float && !in.empty() && in[0].is_quantized) {
      ++integer_nodes_;
      return move(*node.operation, in[0]);
    }
    return float_node(node, in);
  }

  /// Float islands are not part of the contract: the library's own operation on these values.
  static SimValue float_node(const graph::Node& node, const std::vector<SimValue>& in) {
    const NoGradGuard no_grad;
    Tensors inputs;
    for (const SimValue& v : in)
      inputs.push_back(v.shape.rank() == 0 && v.real.empty() ? Tensor()
                                                             : from_vector(v.real, v.shape).channels_last());
    return real_value(node.module ? node.module->forward_many(inputs).at(0)
                                  : node.operation->run(inputs, false));
  }

  // ---- convolution and linear layers

  static bool is_dorefa(const qat::ConvUnit& unit) {
    return dynamic_cast<const quant::DoReFaWeightBase*>(&unit.weight_fake_quant()) != nullptr;
  }
  static void dorefa_tanh(std::vector<float>& w) {
    double top = 0;
    for (float v : w) top = std::max(top, std::abs(std::tanh(static_cast<double>(v))));
    for (float& v : w) v = static_cast<float>(top > 0 ? std::tanh(static_cast<double>(v)) / top : 0);
  }
  static void dorefa_codes(std::vector<float>& w, const ChannelQParams& q, std::size_t depth) {
    const double n = q.range.quant_max;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const float s = q.axis < 0 ? q.scales[0] : q.scales[i / depth];
      const double up = std::nearbyint((static_cast<double>(w[i]) / static_cast<double>(s) + n) / 2);
      w[i] = single(static_cast<float>(2 * std::min(std::max(up, 0.0), n) - n) * s);
    }
  }

  SimValue convolve(const qat::ConvUnit& unit, const SimValue& x, const QParams& y) {
    const auto& g = unit.layer().geometry;
    auto [w, b] = folded(unit);
    const std::int64_t groups = g.groups, out = g.out_channels, in_group = g.in_channels / groups,
                       out_group = out / groups;
    const std::int64_t kh = g.kernel[0], kw = g.kernel[1], depth = in_group * kh * kw;
    const ChannelQParams qw = unit.weight_fake_quant().qparams();
    if (is_dorefa(unit)) dorefa_codes(w, qw, static_cast<std::size_t>(depth));

    std::vector<int> weight(w.size());
    std::vector<std::int64_t> bias(b.size());
    std::vector<float> multiplier(b.size());
    for (std::int64_t o = 0; o < out; ++o) {
      const auto at = static_cast<std::size_t>(o);
      float scale = qw.axis < 0 ? qw.scales[0] : qw.scales[at];
      float bias_scale = single(x.q.scale * scale);
      if (std::abs(b[at]) > single(1073741824.0f * bias_scale)) {
        scale = std::max(scale, single(std::abs(b[at]) / single(1073741824.0f * x.q.scale)));
        bias_scale = single(x.q.scale * scale);
      }
      const QParams q{scale, 0, qw.range, DType::kInt8, qw.rounding};
      for (std::int64_t i = 0; i < depth; ++i) {
        const auto k = static_cast<std::size_t>(o * depth + i);
        weight[k] = quantize(w[k], q);
      }
      const float held =
          std::min(std::max(single(b[at] * single(1.0f / bias_scale)), -1073741824.0f), 1073741760.0f);
      bias[at] = static_cast<std::int64_t>(std::nearbyint(held));
      multiplier[at] = single(bias_scale / y.scale);
    }

    const bool flat = g.rank == 2, line = g.rank == 3;
    const std::int64_t n = x.shape[0], ih = flat || line ? 1 : x.shape[2],
                       iw = flat   ? 1
                            : line ? x.shape[2]
                                   : x.shape[3];
    const auto size = [&](std::int64_t in, std::size_t a) {
      const std::int64_t reach = g.dilation[a] * (g.kernel[a] - 1) + 1;
      return g.transposed ? (in - 1) * g.stride[a] - 2 * g.padding[a] + reach + g.output_padding[a]
                          : (in + 2 * g.padding[a] - reach) / g.stride[a] + 1;
    };
    const std::int64_t oh = size(ih, 0), ow = size(iw, 1);
    int lo = y.range.quant_min, hi = y.range.quant_max;
    const std::string type = unit.type_name();
    const auto ends_with = [&](const std::string& tail) {
      return type.size() >= tail.size() && type.compare(type.size() - tail.size(), tail.size(), tail) == 0;
    };
    if (ends_with("ReLU") || ends_with("ReLU6")) lo = y.zero_point;
    if (ends_with("ReLU6")) hi = quantize(6.0f, y);

    std::vector<std::int64_t> acc(static_cast<std::size_t>(n * out * oh * ow), 0);
    // Every pair of an input and an output position that a tap joins: pos_out = stride * pos_in + dilation *
    // k - padding for a transposed convolution, pos_in = stride * pos_out + dilation * k - padding otherwise.
    for (std::int64_t b0 = 0; b0 < n; ++b0)
      for (std::int64_t o = 0; o < out; ++o)
        for (std::int64_t i = 0; i < in_group; ++i) {
          const std::int64_t channel = o / out_group * in_group + i;
          for (std::int64_t ky = 0; ky < kh; ++ky)
            for (std::int64_t kx = 0; kx < kw; ++kx) {
              const std::int64_t tap =
                  weight[static_cast<std::size_t>(((o * in_group + i) * kh + ky) * kw + kx)];
              const std::int64_t rows = g.transposed ? ih : oh, columns = g.transposed ? iw : ow;
              for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < columns; ++c) {
                  const std::int64_t other_r = r * g.stride[0] + ky * g.dilation[0] - g.padding[0];
                  const std::int64_t other_c = c * g.stride[1] + kx * g.dilation[1] - g.padding[1];
                  const std::int64_t yr = g.transposed ? other_r : r, yc = g.transposed ? other_c : c;
                  const std::int64_t xr = g.transposed ? r : other_r, xc = g.transposed ? c : other_c;
                  if (yr < 0 || yr >= oh || yc < 0 || yc >= ow || xr < 0 || xr >= ih || xc < 0 || xc >= iw)
                    continue;
                  const int code =
                      x.codes[static_cast<std::size_t>(((b0 * g.in_channels + channel) * ih + xr) * iw + xc)];
                  acc[static_cast<std::size_t>(((b0 * out + o) * oh + yr) * ow + yc)] +=
                      (code - x.q.zero_point) * tap;
                }
            }
        }
    std::vector<int> codes(acc.size());
    for (std::size_t k = 0; k < acc.size(); ++k) {
      const auto o = static_cast<std::size_t>(static_cast<std::int64_t>(k) / (oh * ow) % out);
      codes[k] = to_code(single(static_cast<float>(acc[k] + bias[o]) * multiplier[o]), y, lo, hi);
    }
    const Shape shape = flat ? Shape{n, out} : line ? Shape{n, out, ow} : Shape{n, out, oh, ow};
    return code_value(shape, std::move(codes), y);
  }

  /// Weight, output channel first, and bias, with the batch norm folded in.
  static std::pair<std::vector<float>, std::vector<float>> folded(const qat::ConvUnit& unit) {
    const auto& g = unit.layer().geometry;
    const std::int64_t out = g.out_channels, in_group = g.in_channels / g.groups, out_group = out / g.groups,
                       taps = g.kernel[0] * g.kernel[1];
    std::shared_ptr<nn::Module> layer = unit.layer_module();
    const std::vector<float> stored = layer->own_parameters().at("weight").to_vector();
    const Tensor* given = layer->own_parameters().find("bias");
    std::vector<float> b = given && given->defined()
                               ? given->to_vector()
                               : std::vector<float>(static_cast<std::size_t>(out), 0.0f);
    std::vector<float> w(stored.size());
    for (std::int64_t o = 0; o < out; ++o)
      for (std::int64_t i = 0; i < in_group; ++i)
        for (std::int64_t t = 0; t < taps; ++t) {
          const std::int64_t group = o / out_group;
          const std::int64_t from = g.transposed
                                        ? ((group * in_group + i) * out_group + o % out_group) * taps + t
                                        : (o * in_group + i) * taps + t;
          w[static_cast<std::size_t>((o * in_group + i) * taps + t)] = stored[static_cast<std::size_t>(from)];
        }
    if (is_dorefa(unit)) dorefa_tanh(w);
    if (unit.bn()) {
      qat::visit_batch_norm(*unit.bn(), [&](auto& bn) {
        const auto eps = static_cast<float>(bn.options.eps());
        for (std::int64_t o = 0; o < out; ++o) {
          const auto at = static_cast<std::size_t>(o);
          const float deviation = single(std::sqrt(single(bn.running_var.data()[o] + eps)));
          const float s = single(bn.weight.data()[o] / deviation);
          const bool vanishes = std::abs(s) < 1e-12f;
          for (std::int64_t i = 0; i < in_group * taps; ++i) {
            float& value = w[static_cast<std::size_t>(o * in_group * taps + i)];
            value = vanishes ? 0.0f : single(value * s);
          }
          const float centred = single(b[at] - bn.running_mean.data()[o]);
          b[at] = vanishes ? bn.bias.data()[o] : single(single(centred * s) + bn.bias.data()[o]);
        }
      });
    }
    return {w, b};
  }

  // ---- operations with their own output scale

  static Dims strides_of(const Shape& shape, const Shape& to) {
    Dims strides(static_cast<std::size_t>(to.rank()), 0);
    std::int64_t step = 1;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      if (shape[i] != 1) strides[static_cast<std::size_t>(i + to.rank() - shape.rank())] = step;
      step *= shape[i];
    }
    return strides;
  }
  /// Calls visit(index of the output, its coordinates).
  template <class Visit>
  static void for_each(const Shape& shape, const Visit& visit) {
    Dims at(static_cast<std::size_t>(shape.rank()), 0);
    std::int64_t count = 1;
    for (std::int64_t d : shape) count *= d;
    for (std::int64_t k = 0; k < count; ++k) {
      visit(static_cast<std::size_t>(k), at);
      for (int d = shape.rank() - 1; d >= 0 && ++at[static_cast<std::size_t>(d)] == shape[d]; --d)
        at[static_cast<std::size_t>(d)] = 0;
    }
  }
  static std::size_t dot(const Dims& a, const Dims& b) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return static_cast<std::size_t>(sum);
  }

  SimValue elementwise(const ops::Operation& op, const std::vector<SimValue>& in, const QParams& y) {
    if (const auto* cat = ops::as<ops::Cat>(op)) return joined(in, cat->dim, y);
    if (ops::as<ops::Add>(op) || ops::as<ops::AddRelu>(op) || ops::as<ops::Mul>(op)) {
      const bool relu = ops::as<ops::AddRelu>(op) != nullptr, product = ops::as<ops::Mul>(op) != nullptr;
      Dims dims;
      const int rank = std::max(in[0].shape.rank(), in[1].shape.rank());
      for (int i = 0; i < rank; ++i) {
        const int a = i - (rank - in[0].shape.rank()), b = i - (rank - in[1].shape.rank());
        const std::int64_t da = a < 0 ? 1 : in[0].shape[a], db = b < 0 ? 1 : in[1].shape[b];
        dims.push_back(da == 1 ? db : da);
      }
      const Shape shape(dims);
      const Dims sa = strides_of(in[0].shape, shape), sb = strides_of(in[1].shape, shape);
      std::vector<int> codes;
      for_each(shape, [&](std::size_t, const Dims& at) {
        const float u = in[0].real[dot(at, sa)], v = in[1].real[dot(at, sb)];
        const int code = quantize(single(product ? u * v : u + v), y);
        codes.push_back(relu ? std::max(code, y.zero_point) : code);
      });
      return code_value(shape, std::move(codes), y);
    }
    std::vector<int> codes;
    for (float v : in[0].real) codes.push_back(quantize(function(op, v), y));
    return code_value(in[0].shape, std::move(codes), y);
  }

  static float function(const ops::Operation& op, float x) {
    const std::string name = op.name();
    const auto hard = [](float v) { return v < 0.0f ? 0.0f : v > 6.0f ? 6.0f : v; };
    if (name == "hardswish") return single(single(x * hard(single(x + 3.0f))) / 6.0f);
    if (name == "hardsigmoid") return single(hard(single(x + 3.0f)) / 6.0f);
    if (name == "sigmoid") return single(1.0f / single(1.0f + std::exp(-x)));
    if (name == "tanh") return std::tanh(x);
    if (name == "silu") return single(x / single(1.0f + std::exp(-x)));
    if (name == "gelu")
      return single(x * single(0.5f * single(1.0f + std::erf(single(x * 0.70710678118654752440f)))));
    if (name == "exp") return std::exp(x);
    if (name == "sqrt") return std::sqrt(x);
    if (name == "abs") return std::abs(x);
    if (const auto* o = ops::as<ops::Pow>(op)) return std::pow(x, static_cast<float>(o->exponent));
    if (const auto* o = ops::as<ops::Elu>(op))
      return x > 0 ? x : single(static_cast<float>(o->alpha) * std::expm1(x));
    if (const auto* o = ops::as<ops::LeakyRelu>(op))
      return x > 0 ? x : single(x * static_cast<float>(o->slope));
    if (const auto* o = ops::as<ops::AddScalar>(op)) return single(x + static_cast<float>(o->constant));
    if (const auto* o = ops::as<ops::MulScalar>(op)) return single(x * static_cast<float>(o->constant));
    throw StateError(name, "the simulation does not know this function");
  }

  static SimValue joined(const std::vector<SimValue>& in, int dim, const QParams& y) {
    const int along = dim < 0 ? dim + in[0].shape.rank() : dim;
    Shape shape = in[0].shape;
    shape[along] = 0;
    for (const SimValue& v : in) shape[along] += v.shape[along];
    std::vector<int> codes;
    for_each(shape, [&](std::size_t, Dims at) {
      std::size_t from = 0;
      auto& place = at[static_cast<std::size_t>(along)];
      for (; place >= in[from].shape[along]; ++from) place -= in[from].shape[along];
      codes.push_back(quantize(in[from].real[dot(at, plain_strides(in[from].shape))], y));
    });
    return code_value(shape, std::move(codes), y);
  }
  static Dims plain_strides(const Shape& shape) {
    Dims strides(static_cast<std::size_t>(shape.rank()));
    std::int64_t step = 1;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      strides[static_cast<std::size_t>(i)] = step;
      step *= shape[i];
    }
    return strides;
  }

  // ---- operations on codes

  SimValue move(const ops::Operation& op, const SimValue& x) {
    const QParams q = x.q;
    const auto held = [&](int lo, int hi) {
      std::vector<int> codes = x.codes;
      for (int& c : codes) c = std::min(std::max(c, lo), hi);
      return code_value(x.shape, std::move(codes), q);
    };
    if (ops::as<ops::Dropout>(op)) return x;
    if (ops::as<ops::Relu>(op)) return held(q.zero_point, q.range.quant_max);
    if (ops::as<ops::Relu6>(op)) return held(q.zero_point, quantize(6.0f, q));
    if (const auto* o = ops::as<ops::Clamp>(op))
      return held(quantize(static_cast<float>(o->min), q), quantize(static_cast<float>(o->max), q));
    if (const auto* o = ops::as<ops::MaxPool2d>(op))
      return pooled(x, true, o->kernel, strided(o->stride, o->kernel), o->padding, o->dilation, o->ceil_mode,
                    true);
    if (const auto* o = ops::as<ops::AvgPool2d>(op))
      return pooled(x, false, o->kernel, strided(o->stride, o->kernel), o->padding, {1, 1}, o->ceil_mode,
                    o->count_include_pad);
    if (const auto* o = ops::as<ops::AdaptiveAvgPool2d>(op)) return adaptive(x, o->output[0], o->output[1]);
    if (const auto* o = ops::as<ops::Mean>(op)) {
      SimValue y = adaptive(x, 1, 1);
      if (!o->keepdim) y.shape = Shape{x.shape[0], x.shape[1]};
      return y;
    }
    return rearranged(op, x);
  }
  static std::array<std::int64_t, 2> strided(const std::array<std::int64_t, 2>& stride,
                                             const std::array<std::int64_t, 2>& kernel) {
    return {stride[0] ? stride[0] : kernel[0], stride[1] ? stride[1] : kernel[1]};
  }

  /// rne(sum / n), exact: twice the remainder against n.
  static int mean_code(std::int64_t sum, std::int64_t n) {
    std::int64_t floor = sum / n, rest = sum % n;
    if (rest < 0) floor -= 1, rest += n;
    if (2 * rest > n || (2 * rest == n && floor % 2 != 0)) ++floor;
    return static_cast<int>(floor);
  }

  static SimValue pooled(const SimValue& x, bool maximum, std::array<std::int64_t, 2> k,
                         std::array<std::int64_t, 2> s, std::array<std::int64_t, 2> p,
                         std::array<std::int64_t, 2> d, bool ceil_mode, bool include_pad) {
    const auto size = [&](std::int64_t in, std::size_t a) {
      const std::int64_t reach = in + 2 * p[a] - d[a] * (k[a] - 1) - 1;
      std::int64_t out = (ceil_mode ? (reach + s[a] - 1) / s[a] : reach / s[a]) + 1;
      if (ceil_mode && (out - 1) * s[a] >= in + p[a]) --out;
      return out;
    };
    const std::int64_t h = x.shape[2], w = x.shape[3];
    const Shape shape{x.shape[0], x.shape[1], size(h, 0), size(w, 1)};
    std::vector<int> codes;
    for_each(shape, [&](std::size_t, const Dims& at) {
      const std::int64_t top = at[2] * s[0] - p[0], left = at[3] * s[1] - p[1];
      std::int64_t sum = 0, count = 0;
      int largest = x.q.range.quant_min;
      for (std::int64_t r = 0; r < k[0]; ++r)
        for (std::int64_t c = 0; c < k[1]; ++c) {
          const std::int64_t y0 = top + r * d[0], x0 = left + c * d[1];
          const bool inside = y0 >= 0 && y0 < h && x0 >= 0 && x0 < w;
          if (inside || (include_pad && y0 < h + p[0] && x0 < w + p[1])) ++count;
          if (!inside) continue;
          const int code =
              x.codes[static_cast<std::size_t>(((at[0] * x.shape[1] + at[1]) * h + y0) * w + x0)];
          largest = std::max(largest, code);
          sum += code - x.q.zero_point;
        }
      codes.push_back(maximum ? largest : mean_code(sum, count) + x.q.zero_point);
    });
    return code_value(shape, std::move(codes), x.q);
  }
  static SimValue adaptive(const SimValue& x, std::int64_t oh, std::int64_t ow) {
    const std::int64_t h = x.shape[2], w = x.shape[3];
    const Shape shape{x.shape[0], x.shape[1], oh, ow};
    std::vector<int> codes;
    for_each(shape, [&](std::size_t, const Dims& at) {
      const std::int64_t top = at[2] * h / oh, bottom = ((at[2] + 1) * h + oh - 1) / oh;
      const std::int64_t left = at[3] * w / ow, right = ((at[3] + 1) * w + ow - 1) / ow;
      std::int64_t sum = 0;
      for (std::int64_t r = top; r < bottom; ++r)
        for (std::int64_t c = left; c < right; ++c)
          sum += x.codes[static_cast<std::size_t>(((at[0] * x.shape[1] + at[1]) * h + r) * w + c)] -
                 x.q.zero_point;
      codes.push_back(mean_code(sum, (bottom - top) * (right - left)) + x.q.zero_point);
    });
    return code_value(shape, std::move(codes), x.q);
  }

  static SimValue rearranged(const ops::Operation& op, const SimValue& x) {
    const int rank = x.shape.rank();
    const auto wrap = [rank](std::int64_t d) { return static_cast<int>(d < 0 ? d + rank : d); };
    const Dims strides = plain_strides(x.shape);
    const auto view = [&](const Shape& shape, const auto& source) {
      std::vector<int> codes;
      for_each(shape, [&](std::size_t, const Dims& at) {
        const std::int64_t from = source(at);
        codes.push_back(from < 0 ? x.q.zero_point : x.codes[static_cast<std::size_t>(from)]);
      });
      return code_value(shape, std::move(codes), x.q);
    };
    if (const auto* o = ops::as<ops::Permute>(op)) {
      Shape shape = x.shape;
      for (int i = 0; i < rank; ++i) shape[i] = x.shape[wrap(o->dims[static_cast<std::size_t>(i)])];
      return view(shape, [&](const Dims& at) {
        std::int64_t from = 0;
        for (int i = 0; i < rank; ++i)
          from += at[static_cast<std::size_t>(i)] *
                  strides[static_cast<std::size_t>(wrap(o->dims[static_cast<std::size_t>(i)]))];
        return from;
      });
    }
    if (const auto* o = ops::as<ops::Transpose>(op)) {
      Shape shape = x.shape;
      std::swap(shape[wrap(o->dim0)], shape[wrap(o->dim1)]);
      return view(shape, [&](Dims at) {
        std::swap(at[static_cast<std::size_t>(wrap(o->dim0))], at[static_cast<std::size_t>(wrap(o->dim1))]);
        return static_cast<std::int64_t>(dot(at, strides));
      });
    }
    if (const auto* o = ops::as<ops::Slice>(op)) {
      const int dim = wrap(o->dim);
      const std::int64_t size = x.shape[dim];
      const auto place = [size](std::int64_t i) {
        return std::min(std::max<std::int64_t>(i < 0 ? i + size : i, 0), size);
      };
      Shape shape = x.shape;
      shape[dim] = 0;
      for (std::int64_t i = place(o->start); i < place(o->stop); i += o->step) ++shape[dim];
      return view(shape, [&](Dims at) {
        at[static_cast<std::size_t>(dim)] = place(o->start) + at[static_cast<std::size_t>(dim)] * o->step;
        return static_cast<std::int64_t>(dot(at, strides));
      });
    }
    if (const auto* o = ops::as<ops::Pad2d>(op)) {
      const Shape shape{x.shape[0], x.shape[1], x.shape[2] + o->top + o->bottom,
                        x.shape[3] + o->left + o->right};
      return view(shape, [&](Dims at) -> std::int64_t {
        at[2] -= o->top;
        at[3] -= o->left;
        if (at[2] < 0 || at[2] >= x.shape[2] || at[3] < 0 || at[3] >= x.shape[3]) return -1;
        return static_cast<std::int64_t>(dot(at, strides));
      });
    }
    if (const auto* o = ops::as<ops::UpsampleNearest2d>(op)) {
      const Shape shape{x.shape[0], x.shape[1], x.shape[2] * o->scale_height, x.shape[3] * o->scale_width};
      return view(shape, [&](Dims at) {
        at[2] /= o->scale_height;
        at[3] /= o->scale_width;
        return static_cast<std::int64_t>(dot(at, strides));
      });
    }
    // Row-major order does not change.
    Shape shape;
    std::int64_t count = 1, known = 1;
    for (std::int64_t d : x.shape) count *= d;
    if (const auto* o = ops::as<ops::Reshape>(op)) {
      for (std::size_t i = 0; i < o->dims.size(); ++i) {
        shape.push_back(o->dims[i] == 0 ? x.shape[static_cast<int>(i)] : o->dims[i]);
        if (o->dims[i] != -1) known *= shape[static_cast<int>(i)];
      }
      for (int i = 0; i < shape.rank(); ++i)
        if (shape[i] == -1) shape[i] = known ? count / known : 0;
    } else if (const auto* f = ops::as<ops::Flatten>(op)) {
      for (int i = 0; i < rank; ++i) {
        if (i > wrap(f->start) && i <= wrap(f->end))
          shape[shape.rank() - 1] *= x.shape[i];
        else
          shape.push_back(x.shape[i]);
      }
    } else if (const auto* s = ops::as<ops::Squeeze>(op)) {
      for (int i = 0; i < rank; ++i)
        if (i != wrap(s->dim)) shape.push_back(x.shape[i]);
    } else if (const auto* u = ops::as<ops::Unsqueeze>(op)) {
      const int dim = u->dim < 0 ? u->dim + rank + 1 : u->dim;
      for (int i = 0; i <= rank; ++i) shape.push_back(i < dim ? x.shape[i] : i == dim ? 1 : x.shape[i - 1]);
    } else {
      throw StateError(op.name(), "the simulation does not know this operation");
    }
    return code_value(shape, x.codes, x.q);
  }

  const graph::GraphModule& prepared_;
  std::map<std::string, SimValue> values_;
  int integer_nodes_ = 0;
};

}  // namespace midtread::test

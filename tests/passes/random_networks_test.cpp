// SPDX-License-Identifier: MIT
// Random graphs of random operations with random qconfigs: prepared, converted and simulated codes agree.
#include <midtread/graph/print.hpp>

#include <support/exactness.hpp>

namespace mt = midtread;
namespace F = midtread::nn::functional;
namespace quant = midtread::quant;
using namespace midtread::test;

namespace random_networks_test {

using Step = std::function<void(mt::Tensors&)>;

/// Grows a network on [N, C, H, W] values, all of which stay available.
class Grower {
 public:
  Grower(Net& net, std::uint64_t seed) : net_(net), g_(seed) {
    shapes_.push_back({pick(1, 5), pick(3, 9), pick(3, 9)});
  }
  const mt::Shape& input() const { return shapes_[0]; }

  void grow(int count) {
    while (!convolution(0)) {
    }
    while (count > 0) count -= add() ? 1 : 0;
  }
  Net::Body body() const {
    const std::vector<Step> steps = steps_;
    std::vector<std::size_t> outputs{shapes_.size() - 1};
    mt::Generator g(7);
    for (int i = 0; i < 2; ++i)
      outputs.push_back(static_cast<std::size_t>(g.below(static_cast<std::int64_t>(shapes_.size()))));
    return [steps, outputs](const mt::Tensors& in) {
      mt::Tensors values = in, out;
      for (const Step& step : steps) step(values);
      for (std::size_t i : outputs) out.push_back(values[i]);
      return out;
    };
  }

 private:
  std::int64_t pick(std::int64_t low, std::int64_t high) { return low + g_.below(high - low + 1); }
  bool coin() { return g_.below(2) == 1; }
  std::string name(const char* kind) { return kind + std::to_string(++names_); }
  template <class Make>
  bool push(const mt::Shape& shape, std::size_t from, Make make) {
    if (shape[1] < 1 || shape[2] < 1 || shape[0] * shape[1] * shape[2] > 4000) return false;
    steps_.push_back([from, make](mt::Tensors& values) { values.push_back(make(values[from])); });
    shapes_.push_back(shape);
    return true;
  }

  bool add() {
    // Mostly what came last, so that chains form.
    const std::size_t from =
        coin() ? shapes_.size() - 1
               : static_cast<std::size_t>(g_.below(static_cast<std::int64_t>(shapes_.size())));
    const mt::Shape s = shapes_[from];
    const std::int64_t c = s[0], h = s[1], w = s[2];
    switch (g_.below(20)) {
      case 0:
      case 1:
      case 2: return convolution(from);
      case 3: {
        const std::int64_t groups = c % 2 == 0 && coin() ? 2 : 1, out = groups * pick(1, 3);
        const auto stride = pick(1, 2), padding = pick(0, 1);
        const nn_options o = nn_options(c, out, {pick(1, 3), pick(1, 3)})
                                 .stride(stride)
                                 .padding(padding)
                                 .groups(groups)
                                 .bias(coin());
        const auto up = net_.add(name("up"), mt::nn::ConvTranspose2d(o));
        const auto bn =
            coin() ? net_.add(name("bn"), mt::nn::BatchNorm2d(out)) : mt::nn::BatchNorm2d(nullptr);
        const auto size = [&](std::int64_t in, std::size_t a) {
          return (in - 1) * stride - 2 * padding + o.kernel_size()[a];
        };
        return push({out, size(h, 0), size(w, 1)}, from,
                    [up, bn](const mt::Tensor& x) { return bn ? bn(up(x)) : up(x); });
      }
      case 4: return push(s, from, [](const mt::Tensor& x) { return F::relu(x); });
      case 5: return push(s, from, [](const mt::Tensor& x) { return F::relu6(x); });
      case 6:
        return push(s, from, [a = g_.uniform(-1, 0), b = g_.uniform(0, 1)](const mt::Tensor& x) {
          return F::clamp(x, a, b);
        });
      case 7: return activation(from);
      case 8: {
        const std::int64_t k = pick(1, 3), p = pick(0, k / 2), st = pick(1, 2);
        const bool ceil = coin();
        const auto size = [&](std::int64_t in) {
          return mt::kernels::pool_output_size(in, k, st, p, 1, ceil);
        };
        return push({c, size(h), size(w)}, from,
                    [=](const mt::Tensor& x) { return F::max_pool2d(x, k, st, p, 1, ceil); });
      }
      case 9: {
        const std::int64_t k = pick(2, 3), p = pick(0, k / 2), st = pick(1, 3);
        const bool ceil = coin(), pad = coin();
        const auto size = [&](std::int64_t in) {
          return mt::kernels::pool_output_size(in, k, st, p, 1, ceil);
        };
        return push({c, size(h), size(w)}, from,
                    [=](const mt::Tensor& x) { return F::avg_pool2d(x, k, st, p, ceil, pad); });
      }
      case 10: {
        const std::int64_t a = pick(1, 3), b = pick(1, 3);
        return push({c, a, b}, from, [=](const mt::Tensor& x) { return F::adaptive_avg_pool2d(x, {a, b}); });
      }
      case 11: return push({c, 1, 1}, from, [](const mt::Tensor& x) { return F::mean(x, {2, 3}, true); });
      case 12: {
        const std::array<std::int64_t, 4> p{pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)};
        return push({c, h + p[2] + p[3], w + p[0] + p[1]}, from,
                    [=](const mt::Tensor& x) { return F::pad(x, p); });
      }
      case 13: {
        const std::int64_t a = pick(1, 2), b = pick(1, 2);
        return push({c, h * a, w * b}, from, [=](const mt::Tensor& x) { return F::upsample(x, {a, b}); });
      }
      case 14: {
        const int dim = static_cast<int>(pick(1, 3));
        const std::int64_t size = s[dim - 1], first = pick(0, size - 1), step = pick(1, 2);
        mt::Shape out = s;
        out[dim - 1] = (size - first + step - 1) / step;
        return push(out, from, [=](const mt::Tensor& x) { return F::slice(x, dim, first, size, step); });
      }
      case 15: {
        const int a = static_cast<int>(pick(1, 3)), b = static_cast<int>(pick(1, 3));
        mt::Shape out = s;
        std::swap(out[a - 1], out[b - 1]);
        return push(out, from, [=](const mt::Tensor& x) { return F::transpose(x, a, b); });
      }
      case 16:
        return push({h, c, w}, from, [=](const mt::Tensor& x) { return F::reshape(x, {-1, h, c, w}); });
      default: return binary(from);
    }
  }

  using nn_options = mt::nn::ConvTranspose2dOptions;

  bool convolution(std::size_t from) {
    const mt::Shape s = shapes_[from];
    const std::int64_t c = s[0];
    const bool depthwise = c > 1 && coin();
    const std::int64_t out = depthwise ? c * pick(1, 2) : pick(1, 9);
    const mt::nn::Pair kernel{pick(1, 3), pick(1, 3)}, stride{pick(1, 2), pick(1, 2)},
        padding{pick(0, 1), pick(0, 2)}, dilation{1, pick(1, 2)};
    const auto size = [&](std::int64_t in, std::size_t a) {
      const std::int64_t reach = in + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1;
      return reach < 0 ? 0 : reach / stride[a] + 1;
    };
    if (size(s[1], 0) < 1 || size(s[2], 1) < 1) return false;
    const auto layer = net_.add(name("conv"), mt::nn::Conv2d(conv(c, out, kernel)
                                                                 .stride(stride)
                                                                 .padding(padding)
                                                                 .dilation(dilation)
                                                                 .groups(depthwise ? c : 1)
                                                                 .bias(coin())));
    const auto bn = coin() ? net_.add(name("bn"), mt::nn::BatchNorm2d(out)) : mt::nn::BatchNorm2d(nullptr);
    const std::int64_t act = pick(0, 2);
    return push({out, size(s[1], 0), size(s[2], 1)}, from, [=](const mt::Tensor& x) {
      mt::Tensor y = layer(x);
      if (bn) y = bn(y);
      return act == 0 ? y : act == 1 ? F::relu(y) : F::relu6(y);
    });
  }

  bool activation(std::size_t from) {
    const mt::Shape s = shapes_[from];
    const double k = g_.uniform(-2, 2);
    switch (g_.below(10)) {
      case 0: return push(s, from, [](const mt::Tensor& x) { return F::hardswish(x); });
      case 1: return push(s, from, [](const mt::Tensor& x) { return F::sigmoid(x); });
      case 2: return push(s, from, [](const mt::Tensor& x) { return F::tanh(x); });
      case 3: return push(s, from, [](const mt::Tensor& x) { return F::silu(x); });
      case 4: return push(s, from, [](const mt::Tensor& x) { return F::gelu(x); });
      case 5: return push(s, from, [](const mt::Tensor& x) { return F::leaky_relu(x, 0.1); });
      case 6: return push(s, from, [k](const mt::Tensor& x) { return x + k; });
      case 7: return push(s, from, [k](const mt::Tensor& x) { return x * k; });
      case 8: return push(s, from, [](const mt::Tensor& x) { return F::softmax(x, 1); });
      default: return push(s, from, [](const mt::Tensor& x) { return F::hardsigmoid(x); });
    }
  }

  /// add, add + relu, mul, sub or cat with another value whose shape fits.
  bool binary(std::size_t from) {
    const mt::Shape s = shapes_[from];
    const std::int64_t kind = g_.below(5);
    for (std::size_t tries = 0; tries < 6; ++tries) {
      const auto other = static_cast<std::size_t>(g_.below(static_cast<std::int64_t>(shapes_.size())));
      const mt::Shape o = shapes_[other];
      if (kind == 4) {
        if (o[1] != s[1] || o[2] != s[2]) continue;
        steps_.push_back([=](mt::Tensors& v) { v.push_back(F::cat(mt::Tensors{v[from], v[other]}, 1)); });
        shapes_.push_back({s[0] + o[0], s[1], s[2]});
        return true;
      }
      bool fits = true;
      mt::Shape out = s;
      for (int i = 0; i < 3; ++i) {
        fits = fits && (o[i] == s[i] || o[i] == 1 || s[i] == 1);
        out[i] = std::max(o[i], s[i]);
      }
      if (!fits) continue;
      steps_.push_back([=](mt::Tensors& v) {
        const mt::Tensor &a = v[from], &b = v[other];
        v.push_back(kind == 0 ? a + b : kind == 1 ? F::relu(a + b) : kind == 2 ? a * b : b - a);
      });
      shapes_.push_back(out);
      return true;
    }
    return false;
  }

  Net& net_;
  mt::Generator g_;
  std::vector<mt::Shape> shapes_;
  std::vector<Step> steps_;
  int names_ = 0;
};

Network random_network(std::uint64_t seed) {
  Network n;
  n.name = "random_" + std::to_string(seed);
  Net sample;
  n.inputs = {Grower(sample, seed).input()};
  n.make = [seed] {
    auto net = std::make_shared<Net>();
    Grower grower(*net, seed);
    grower.grow(14);
    net->body = grower.body();
    return std::static_pointer_cast<mt::nn::Module>(net);
  };
  return n;
}

std::shared_ptr<const quant::AnyQConfig> qconfig(std::uint64_t seed) {
  using Signed = quant::FakeQuantize<quant::MovingAverageMinMaxObserver<quant::Int8Affine>>;
  using Tensorwise = quant::FakeQuantize<quant::MinMaxObserver<quant::Int8Symmetric>>;
  using Activation = quant::DefaultActivation;
  using Weight = quant::DefaultWeight;
  switch (seed % 5) {
    case 0: return quant::erase(quant::QConfig<Signed, Weight>{});
    case 1:
      return quant::erase(
          quant::QConfig(Activation::Options().quant_min(0).quant_max(31).rounding(mt::Rounding::kHalfUp),
                         Weight::Options()));
    case 2: return quant::erase(quant::QConfig<Activation, Tensorwise>{});
    default: return quant::erase(quant::DefaultQConfig{});
  }
}

TEST(RandomNetworks, AllNodesAgree) {
  const char* count = std::getenv("MIDTREAD_RANDOM_NETWORKS");
  const std::uint64_t first = count ? 1000 : 0, last = count ? 1000 + std::strtoull(count, nullptr, 10) : 60;
  Tally tally;
  for (std::uint64_t seed = first; seed < last; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(network.name);
    Trained t;
    try {
      t = trained(network, quant::QConfigMapping().set_global(qconfig(seed)), 2);
    } catch (const mt::ConfigError& error) {  // nothing but float operations
      EXPECT_NE(std::string(error.what()).find("nothing to quantize"), std::string::npos) << error.what();
      continue;
    }
    EXPECT_TRUE(t.finite);
    expect_exact(t.prepared, network, {2}, tally);
    if (testing::Test::HasFailure()) {
      std::printf("%s", mt::graph::to_text(t.prepared).c_str());
      break;
    }
  }
  EXPECT_TRUE(count || tally.models > 50);
  tally.print();
}

}  // namespace random_networks_test

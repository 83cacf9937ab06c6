// SPDX-License-Identifier: MIT
// Small networks, one for each thing a network may do, and their training for a few steps on random data.
#pragma once

#include <midtread/nn/activation.hpp>
#include <midtread/nn/batch_norm.hpp>
#include <midtread/nn/conv1d.hpp>
#include <midtread/nn/conv2d.hpp>
#include <midtread/nn/conv_transpose2d.hpp>
#include <midtread/nn/dropout.hpp>
#include <midtread/nn/flatten.hpp>
#include <midtread/nn/functional.hpp>
#include <midtread/nn/linear.hpp>
#include <midtread/nn/pad.hpp>
#include <midtread/nn/pool2d.hpp>
#include <midtread/nn/quant_stub.hpp>
#include <midtread/nn/sequential.hpp>
#include <midtread/nn/upsample.hpp>
#include <midtread/optim/sgd.hpp>
#include <midtread/passes/prepare_qat.hpp>

#include <functional>
#include <string>
#include <vector>

namespace midtread::test {

namespace F = midtread::nn::functional;

/// A module with a lambda for its forward and named children.
class Net : public nn::Module {
 public:
  using Body = std::function<Tensors(const Tensors&)>;
  template <class Child>
  Child add(const std::string& name, Child child) {
    return register_module(name, std::move(child));
  }
  Tensor forward(const Tensor& x) override { return forward_many({x}).at(0); }
  Tensors forward_many(const Tensors& inputs) override { return body(inputs); }
  std::string type_name() const override { return "Net"; }
  Body body;
};

struct Network {
  friend void PrintTo(const Network& network, std::ostream* out) { *out << network.name; }
  std::string name;
  std::function<std::shared_ptr<nn::Module>()> make;
  std::vector<Shape> inputs;  ///< without the batch dimension
};

inline Shape with_batch(std::int64_t batch, const Shape& rest) {
  Shape shape{batch};
  for (std::int64_t d : rest) shape.push_back(d);
  return shape;
}
inline Tensors random_inputs(const Network& network, std::int64_t batch, std::uint64_t seed) {
  Generator g(seed);
  Tensors out;
  for (const Shape& rest : network.inputs) out.push_back(randn(with_batch(batch, rest), g));
  return out;
}

/// What the lambda gets: the network, to add children to. It returns the forward.
template <class Build>
Network network(const std::string& name, std::vector<Shape> inputs, Build build) {
  return {name,
          [build] {
            auto net = std::make_shared<Net>();
            net->body = build(*net);
            return std::static_pointer_cast<nn::Module>(net);
          },
          std::move(inputs)};
}

inline nn::Conv2dOptions conv(std::int64_t in, std::int64_t out, const nn::Pair& kernel) {
  return {in, out, kernel};
}

/// Scatters gamma, beta and running statistics, as after a long training.
inline void scatter(nn::Module& model, std::uint64_t seed) {
  Generator g(seed);
  model.apply([&](nn::Module& m) {
    qat::visit_batch_norm(m, [&](auto& bn) {
      if (!bn.running_mean.defined()) return;
      for (std::int64_t c = 0; c < bn.options.num_features(); ++c) {
        bn.running_mean.mutable_data()[c] = static_cast<float>(0.3 * g.normal());
        bn.running_var.mutable_data()[c] = static_cast<float>(g.uniform(0.3, 2.0));
        if (!bn.weight.defined()) continue;
        bn.weight.mutable_data()[c] *= static_cast<float>(g.uniform(0.4, 1.6));
        bn.bias.mutable_data()[c] += static_cast<float>(0.3 * g.normal());
      }
    });
  });
}

inline Network cnn_max_pool() {
  return network("cnn_max_pool", {{3, 9, 9}}, [](Net& n) {
    auto conv1 = n.add("conv1", nn::Conv2d(conv(3, 8, 3).padding(1)));
    auto bn1 = n.add("bn1", nn::BatchNorm2d(8));
    auto pool = n.add("pool", nn::MaxPool2d(nn::MaxPool2dOptions(3).stride(2).padding(1)));
    auto conv2 = n.add("conv2", nn::Conv2d(conv(8, 12, {3, 2}).bias(false)));
    auto fc = n.add("fc", nn::Linear(12 * 3 * 4, 10));
    return [=](const Tensors& in) -> Tensors {
      const Tensor y = pool(F::relu(bn1(conv1(in[0]))));
      return {fc(F::flatten(F::relu(conv2(y))))};
    };
  });
}

inline Network resnet() {
  return network("resnet", {{3, 10, 10}}, [](Net& n) {
    auto stem = n.add("stem", nn::Conv2d(conv(3, 8, 3).padding(1).bias(false)));
    auto bn = n.add("bn", nn::BatchNorm2d(8));
    auto one = n.add("conv1", nn::Conv2d(conv(8, 16, 3).stride(2).padding(1).bias(false)));
    auto bn1 = n.add("bn1", nn::BatchNorm2d(16));
    auto two = n.add("conv2", nn::Conv2d(conv(16, 16, 3).padding(1).bias(false)));
    auto bn2 = n.add("bn2", nn::BatchNorm2d(16));
    auto down = n.add("down", nn::Conv2d(conv(8, 16, 1).stride(2).bias(false)));
    auto bn3 = n.add("bn3", nn::BatchNorm2d(16));
    auto three = n.add("conv3", nn::Conv2d(conv(16, 16, 3).padding(1).bias(false)));
    auto bn4 = n.add("bn4", nn::BatchNorm2d(16));
    auto fc = n.add("fc", nn::Linear(16, 10));
    return [=](const Tensors& in) -> Tensors {
      const Tensor x = F::relu(bn(stem(in[0])));
      const Tensor y = F::relu(bn2(two(F::relu(bn1(one(x))))) + bn3(down(x)));
      const Tensor z = F::relu(y + bn4(three(y)));
      return {fc(F::flatten(F::adaptive_avg_pool2d(z, 1)))};
    };
  });
}

inline Network depthwise() {
  return network("depthwise", {{3, 11, 9}}, [](Net& n) {
    auto stem = n.add("stem", nn::Conv2d(conv(3, 10, 3).stride(2)));
    auto dw = n.add("dw", nn::Conv2d(conv(10, 10, 3).padding(1).groups(10).bias(false)));
    auto bn1 = n.add("bn1", nn::BatchNorm2d(10));
    auto pw = n.add("pw", nn::Conv2d(conv(10, 20, 1).bias(false)));
    auto bn2 = n.add("bn2", nn::BatchNorm2d(20));
    auto multiplier = n.add("multiplier", nn::Conv2d(conv(20, 40, 3).padding(2).dilation(2).groups(20)));
    auto grouped = n.add("grouped", nn::Conv2d(conv(40, 12, 1).groups(4)));
    auto fc = n.add("fc", nn::Linear(12, 7));
    return [=](const Tensors& in) -> Tensors {
      const Tensor x = F::relu6(bn1(dw(F::relu6(stem(in[0] * 9.0)))));
      const Tensor y = F::relu6(bn2(pw(x)));
      return {fc(F::mean(F::relu(grouped(multiplier(y))), {2, 3}))};
    };
  });
}

inline Network average_pools() {
  return network("average_pools", {{4, 11, 13}}, [](Net& n) {
    auto c1 = n.add("c1", nn::Conv2d(conv(4, 6, 1)));
    auto c2 = n.add("c2", nn::Conv2d(conv(6, 5, 2)));
    auto c3 = n.add("c3", nn::Conv2d(conv(5, 4, 1)));
    return [=](const Tensors& in) -> Tensors {
      Tensor x = F::avg_pool2d(c1(in[0]), 2, 2, 0, true);
      x = F::avg_pool2d(x, 3, 2, 1, false, false);
      x = F::avg_pool2d(c2(x), {2, 3}, 1, {1, 1}, true, true);
      x = F::avg_pool2d(c3(x), 2, 2, 1, true, false);
      return {F::adaptive_avg_pool2d(x, {2, 1}), F::mean(x, {2, 3}, true), F::mean(x, {-1, -2})};
    };
  });
}

inline Network pool_then_activation() {
  return network("pool_then_activation", {{3, 8, 8}}, [](Net& n) {
    auto c1 = n.add("c1", nn::Conv2d(conv(3, 6, 3).padding(1)));
    auto c2 = n.add("c2", nn::Conv2d(conv(6, 6, 3).padding(1)));
    auto c3 = n.add("c3", nn::Conv2d(conv(6, 4, 1)));
    return [=](const Tensors& in) -> Tensors {
      Tensor x = F::relu6(F::max_pool2d(c1(in[0]) * 8.0, 2));
      x = F::relu(F::max_pool2d(c2(x), {2, 2}, 1, 1));
      x = F::clamp(F::max_pool2d(c3(x), 3, 2, 1, 1, true), -0.35, 0.27);
      return {F::relu(x)};
    };
  });
}

inline Network squeeze_excite(bool hard) {
  return network(hard ? "squeeze_excite_hard" : "squeeze_excite", {{3, 7, 7}}, [hard](Net& n) {
    auto stem = n.add("stem", nn::Conv2d(conv(3, 12, 3)));
    auto bn = n.add("bn", nn::BatchNorm2d(12));
    auto squeeze = n.add("squeeze", nn::Conv2d(conv(12, 4, 1)));
    auto expand = n.add("expand", nn::Conv2d(conv(4, 12, 1)));
    auto last = n.add("last", nn::Conv2d(conv(12, 5, 1)));
    return [=](const Tensors& in) -> Tensors {
      const Tensor x = F::hardswish(bn(stem(in[0])));
      const Tensor s = expand(F::relu(squeeze(F::adaptive_avg_pool2d(x, 1))));
      return {last(x * (hard ? F::hardsigmoid(s) : F::sigmoid(s)))};
    };
  });
}

inline Network shared_modules() {
  return network("shared_modules", {{6, 6, 6}}, [](Net& n) {
    auto c = n.add("conv", nn::Conv2d(conv(6, 6, 3).padding(1)));
    auto bn = n.add("bn", nn::BatchNorm2d(6));
    auto fc = n.add("fc", nn::Linear(6, 6));
    auto act = n.add("act", nn::ReLU());
    return [=](const Tensors& in) -> Tensors {
      const Tensor x = act(bn(c(in[0])));
      const Tensor y = act(bn(c(x)));
      const Tensor z = F::mean(y, {2, 3});
      return {fc(act(fc(z)))};
    };
  });
}

inline Network unequal_adds() {
  return network("unequal_adds", {{3, 6, 6}}, [](Net& n) {
    auto a = n.add("a", nn::Conv2d(conv(3, 5, 1)));
    auto b = n.add("b", nn::Conv2d(conv(3, 5, 1)));
    auto c = n.add("c", nn::Conv2d(conv(5, 5, 1)));
    return [=](const Tensors& in) -> Tensors {
      const Tensor large = a(in[0]) * 200.0, small = b(in[0]) * 0.004;
      const Tensor both = large + small;
      return {c(F::relu(small + both) * small), small + F::mean(large, {2, 3}, true)};
    };
  });
}

inline Network cat_of_ranges() {
  return network("cat_of_ranges", {{3, 6, 5}}, [](Net& n) {
    auto a = n.add("a", nn::Conv2d(conv(3, 5, 1)));
    auto b = n.add("b", nn::Conv2d(conv(3, 3, 3).padding(1)));
    auto c = n.add("c", nn::Conv2d(conv(11, 4, 1)));
    return [=](const Tensors& in) -> Tensors {
      const Tensor wide = a(in[0]) * 30.0, narrow = F::relu(b(in[0]));
      const Tensor x = c(F::cat(Tensors{wide, narrow, in[0]}, 1));
      return {F::cat(Tensors{x, x, F::relu(x)}, -1), F::cat(Tensors{F::flatten(x), F::flatten(narrow)}, 1),
              F::cat(Tensors{x, F::relu6(x)}, 2)};
    };
  });
}

inline Network dead_channels() {
  return network("dead_channels", {{3, 6, 6}}, [](Net& n) {
    auto c1 = n.add("c1", nn::Conv2d(conv(3, 6, 3)));
    auto bn1 = n.add("bn1", nn::BatchNorm2d(6));
    auto c2 = n.add("c2", nn::Conv2d(conv(6, 6, 3)));
    auto bn2 = n.add("bn2", nn::BatchNorm2d(6));
    const float factors[] = {0.0f, 1e-14f, -1e-13f, 1e-11f, 1e-6f, -1.0f};
    for (std::int64_t i = 0; i < 6; ++i) {
      bn1->weight.set({i}, factors[i]);
      bn2->weight.set({i}, factors[i]);
      bn1->bias.set({i}, 0.1f * static_cast<float>(i));
    }
    return [=](const Tensors& in) -> Tensors { return {bn2(c2(F::relu(bn1(c1(in[0])))))}; };
  });
}

inline Network transposed() {
  return network("transposed", {{4, 5, 4}}, [](Net& n) {
    auto up1 = n.add(
        "up1", nn::ConvTranspose2d(
                   nn::ConvTranspose2dOptions(4, 8, 3).stride(2).padding(1).output_padding(1).groups(2)));
    auto bn1 = n.add("bn1", nn::BatchNorm2d(8));
    auto up2 = n.add(
        "up2", nn::ConvTranspose2d(
                   nn::ConvTranspose2dOptions(8, 6, {2, 4}).stride({2, 1}).dilation({1, 2}).bias(false)));
    auto c = n.add("conv", nn::Conv2d(conv(6, 3, 3)));
    auto up3 =
        n.add("up3",
              nn::ConvTranspose2d(nn::ConvTranspose2dOptions(3, 3, 2).stride(3).groups(3).output_padding(2)));
    return [=](const Tensors& in) -> Tensors { return {up3(c(F::relu6(up2(F::relu(bn1(up1(in[0])))))))}; };
  });
}

inline Network conv1d_net() {
  return network("conv1d", {{4, 21}}, [](Net& n) {
    auto c1 = n.add("c1", nn::Conv1d(nn::Conv1dOptions(4, 8, 5).padding(2).stride(2)));
    auto bn1 = n.add("bn1", nn::BatchNorm1d(8));
    auto c2 = n.add("c2", nn::Conv1d(nn::Conv1dOptions(8, 8, 3).dilation(2).groups(8).bias(false)));
    auto bn2 = n.add("bn2", nn::BatchNorm1d(8));
    auto c3 = n.add("c3", nn::Conv1d(nn::Conv1dOptions(8, 6, 3).groups(2)));
    auto fc = n.add("fc", nn::Linear(6 * 5, 4));
    return [=](const Tensors& in) -> Tensors {
      return {fc(F::flatten(F::relu(c3(bn2(c2(F::relu(bn1(c1(in[0])))))))))};
    };
  });
}

inline Network linear_bn() {
  return network("linear_bn", {{12}}, [](Net& n) {
    auto l1 = n.add("l1", nn::Linear(12, 16));
    auto bn1 = n.add("bn1", nn::BatchNorm1d(16));
    auto l2 = n.add("l2", nn::Linear(nn::LinearOptions(16, 16).bias(false)));
    auto bn2 = n.add("bn2", nn::BatchNorm1d(16));
    auto l3 = n.add("l3", nn::Linear(16, 5));
    return [=](const Tensors& in) -> Tensors { return {l3(bn2(l2(F::relu(bn1(l1(in[0]))))))}; };
  });
}

inline Network standing_activations() {
  return network("standing_activations", {{3, 5, 5}}, [](Net& n) {
    std::vector<nn::Conv2d> convs;
    for (int i = 0; i < 13; ++i)
      convs.push_back(n.add("c" + std::to_string(i), nn::Conv2d(conv(i == 0 ? 3 : 4, 4, 1))));
    return [=](const Tensors& in) -> Tensors {
      Tensor x = F::hardswish(convs[0](in[0] * 3.0));
      x = F::gelu(convs[1](x));
      x = F::silu(convs[2](x));
      x = F::elu(convs[3](x), 0.7);
      x = F::leaky_relu(convs[4](x), 0.2);
      x = F::tanh(convs[5](x));
      x = F::sigmoid(convs[6](x));
      x = F::hardsigmoid(convs[7](x));
      x = convs[8](x) + 0.37;
      x = convs[9](x) * -1.7;
      x = 1.0 - convs[10](x);
      x = F::exp(convs[11](x));
      x = F::abs(-x);
      return {F::sqrt(F::pow(convs[12](x), 2.0) + 0.5) / 3.0};
    };
  });
}

inline Network movers() {
  return network("movers", {{4, 6, 8}}, [](Net& n) {
    auto c1 = n.add("c1", nn::Conv2d(conv(4, 6, 3)));
    auto c2 = n.add("c2", nn::Conv2d(conv(6, 4, 3)));
    auto c3 = n.add("c3", nn::Conv2d(conv(8, 4, 1)));
    auto pad = n.add("pad", nn::ZeroPad2d(nn::PadWidths(1, 2, 0, 3)));
    auto up = n.add("up", nn::Upsample(nn::Pair(2, 3)));
    auto fc = n.add("fc", nn::Linear(12, 5));
    return [=](const Tensors& in) -> Tensors {
      Tensor x = up(pad(c1(in[0])));                          // [N, 6, 14, 27]
      x = F::slice(F::slice(c2(x), 2, 1, 9), 3, -23, -1, 3);  // [N, 4, 8, 8]
      x = c3(F::transpose(x, 1, 2));                          // [N, 4, 4, 8]
      const Tensor y = F::permute(x, {0, 3, -2, 1});          // [N, 8, 4, 4]
      const Tensor z = c3(y);                                 // [N, 4, 4, 4]
      const Tensor r = F::reshape(z, {-1, 8, 2, 4});
      const Tensor s =
          F::squeeze(F::unsqueeze(F::reshape(F::slice(c3(r), 1, 1), {-1, 6, 4}), 2), 2);  // [N, 6, 4]
      return {fc(F::flatten(F::slice(s, 1, 0, 3))), F::flatten(y, 0, 1), x};
    };
  });
}

inline Network dropout() {
  return network("dropout", {{8}}, [](Net& n) {
    auto l1 = n.add("l1", nn::Linear(8, 16));
    auto drop = n.add("drop", nn::Dropout(0.3));
    auto l2 = n.add("l2", nn::Linear(16, 16));
    auto l3 = n.add("l3", nn::Linear(16, 3));
    return [=](const Tensors& in) -> Tensors {
      return {drop(l3(F::dropout(l2(drop(F::relu(l1(in[0])))), 0.2)))};
    };
  });
}

inline Network float_island() {
  return network("float_island", {{10}}, [](Net& n) {
    auto l1 = n.add("l1", nn::Linear(10, 8));
    auto l2 = n.add("l2", nn::Linear(8, 8));
    auto bn = n.add("bn", nn::BatchNorm1d(8));
    auto l3 = n.add("l3", nn::Linear(8, 4));
    return [=](const Tensors& in) -> Tensors {
      const Tensor x = bn(F::relu(l1(in[0])));
      const Tensor y = l2(F::softmax(x, 1)) - x;
      return {l3(y / (F::exp(F::reshape(F::reshape(y, {-1, 2, 4}), {-1, 8})) + 1.0))};
    };
  });
}

inline Network float_layer() {
  return network("float_layer", {{3, 6, 6}}, [](Net& n) {
    auto c1 = n.add("c1", nn::Conv2d(conv(3, 4, 3)));
    auto bn1 = n.add("bn1", nn::BatchNorm2d(4));
    auto c2 = n.add("c2", nn::Conv2d(conv(4, 4, 3).padding(1)));
    auto bn2 = n.add("bn2", nn::BatchNorm2d(4));
    auto c3 = n.add("c3", nn::Conv2d(conv(4, 4, 1)));
    auto pool = n.add("pool", nn::AvgPool2d(nn::AvgPool2dOptions(3).stride(1)));
    c2->qconfig = nullptr;
    pool->qconfig = nullptr;  // a float average of codes is not the average on codes
    return
        [=](const Tensors& in) -> Tensors { return {c3(F::relu(bn2(c2(pool(F::relu(bn1(c1(in[0]))))))))}; };
  });
}

inline Network stubs() {
  return network("stubs", {{3, 6, 6}}, [](Net& n) {
    auto quant = n.add("quant", nn::QuantStub());
    auto dequant = n.add("dequant", nn::DeQuantStub());
    auto c1 = n.add("c1", nn::Conv2d(conv(3, 4, 1)));
    auto c2 = n.add("c2", nn::Conv2d(conv(3, 4, 1)));
    auto ff = n.add("ff", nn::FloatFunctional());
    auto ff2 = n.add("ff2", nn::FloatFunctional());
    return [=](const Tensors& in) -> Tensors {
      const Tensor x = quant(in[0]);
      const Tensor a = ff->add_relu(c1(x), c2(x));
      const Tensor b = ff->mul(a, ff2->add_scalar(a, 0.25));
      return {dequant(ff2->cat({a, b, ff2->mul_scalar(ff->add(a, b), 3.0)}, 1))};
    };
  });
}

inline Network two_in_two_out() {
  return network("two_in_two_out", {{3, 6, 6}, {5}}, [](Net& n) {
    auto c = n.add("conv", nn::Conv2d(conv(3, 4, 3)));
    auto fc = n.add("fc", nn::Linear(5, 4));
    auto head = n.add("head", nn::Linear(4, 2));
    return [=](const Tensors& in) -> Tensors {
      const Tensor image = F::relu(c(in[0]));
      const Tensor gate = fc(in[1]);
      const Tensor y = image * F::unsqueeze(F::unsqueeze(gate, 2), -1);
      return {head(F::mean(y, {2, 3})), y, in[1]};
    };
  });
}

/// Parameters read by operations: at the root, in a module without children, and one that is a layer's too.
inline Network free_parameters() {
  return network("free_parameters", {{4, 5, 5}}, [](Net& n) {
    Generator g(3);
    auto c = n.add("conv", nn::Conv2d(conv(4, 4, 1)));
    const Tensor scale = n.register_parameter("scale", rand(Shape{1, 4, 1, 1}, g));
    const Tensor bias = n.register_buffer("bias", randn(Shape{4, 1, 1}, g));
    auto gain = std::make_shared<Net>();
    const Tensor own = gain->register_parameter("gain", rand(Shape{1}, g));
    gain->body = [own](const Tensors& in) -> Tensors { return {in[0] * own}; };
    n.add("layer_scale", gain);
    auto embed = n.add("embed", nn::Linear(4, 4));
    const Tensor functional = n.register_parameter("kernel", randn(Shape{4, 4, 1, 1}, g));
    return [=](const Tensors& in) -> Tensors {
      const Tensor x = gain->call({c(in[0]) * scale + bias})[0];
      const Tensor y = embed(F::mean(F::conv2d(x, functional), {2, 3}));
      return {F::linear(y, embed->weight), y};
    };
  });
}

inline std::vector<Network> all_networks() {
  return {cnn_max_pool(),
          resnet(),
          depthwise(),
          average_pools(),
          pool_then_activation(),
          squeeze_excite(true),
          squeeze_excite(false),
          shared_modules(),
          unequal_adds(),
          cat_of_ranges(),
          dead_channels(),
          transposed(),
          conv1d_net(),
          linear_bn(),
          standing_activations(),
          movers(),
          dropout(),
          float_island(),
          float_layer(),
          stubs(),
          two_in_two_out(),
          free_parameters()};
}

/// A model, its fused graph and what prepare_qat made of it.
struct Trained {
  std::shared_ptr<nn::Module> model;
  graph::GraphModule prepared;
  bool finite = true;  ///< all gradients of all steps
  int gradients = 0;   ///< parameters that got one
};

inline bool all_finite(const Tensor& x) {
  bool finite = true;
  Tensor::for_each_offset(x.shape(), x.strides(),
                          [&](std::int64_t at) { finite = finite && std::isfinite(x.data()[at]); });
  return finite;
}

/// Squared distance of all outputs to noise.
inline Tensor distance(const Tensors& outputs, std::uint64_t seed) {
  Generator g(seed);
  Tensor loss;
  for (const Tensor& y : outputs) {
    const Tensor d = y - randn(y.shape(), g);
    const Tensor each = mean(d * d);
    loss = loss.defined() ? loss + each : each;
  }
  return loss;
}

inline void train(Trained& t, const Network& network, int steps, double rate = 0.02, std::int64_t batch = 8) {
  optim::SGD sgd(t.prepared.parameters(), rate);
  for (int step = 0; step < steps; ++step) {
    const auto seed = static_cast<std::uint64_t>(1000 + step);
    sgd.zero_grad();
    const Tensor loss = distance(t.prepared.forward_many(random_inputs(network, batch, seed)), seed);
    if (!loss.requires_grad()) continue;  // a random network whose outputs depend on no parameter
    loss.backward();
    for (const Tensor& p : t.prepared.parameters()) {
      if (!p.grad().defined()) continue;
      ++t.gradients;
      t.finite = t.finite && all_finite(p.grad());
    }
    sgd.step();
  }
}

inline Trained trained(const Network& network, const quant::QConfigMapping& mapping, int steps = 5) {
  manual_seed(7);
  Trained t;
  t.model = network.make();
  scatter(*t.model, 11);
  t.prepared =
      passes::prepare_qat(passes::fuse_modules(graph::trace(t.model, random_inputs(network, 2, 1))), mapping);
  train(t, network, steps);
  return t;
}
inline quant::QConfigMapping default_mapping() {
  return quant::QConfigMapping().set_global(quant::DefaultQConfig{});
}
inline Trained trained(const Network& network) { return trained(network, default_mapping()); }

}  // namespace midtread::test

// SPDX-License-Identifier: MIT
// LSQ and LSQ+: gradients against the papers' formulas in double, first scales, phases, options and refusals.
#include <midtread/nn/parameter_groups.hpp>
#include <midtread/quant/histogram_observer.hpp>
#include <midtread/quant/lsq_plus.hpp>
#include <midtread/quant/percentile_observer.hpp>
#include <midtread/quant/min_max_observer.hpp>
#include <midtread/quant/moving_average_min_max_observer.hpp>
#include <midtread/quant/qconfig.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;
using quant::Boundary;
using quant::ScaleInit;

namespace lsq_test {

using Average = quant::MovingAverageMinMaxObserver<quant::UInt8Affine>;
using Channels = quant::MinMaxObserver<quant::Int8PerChannel>;
using Whole = quant::MinMaxObserver<quant::Int8Symmetric>;
using Activation = quant::Lsq<Average>;
using Weight = quant::Lsq<Channels>;
using PlusActivation = quant::LsqPlus<Average>;
using PlusWeight = quant::LsqPlus<Channels>;

struct Gradients {
  double scale = 0, offset = 0;
  std::vector<double> x;
};

/// LSQ (plus: LSQ+) of one channel in double. `ratio` = x / s is computed in float as the quantizer does, so
/// that ties fall the same way.
Gradients reference(const std::vector<float>& x, const std::vector<float>& dy, float scale, int z,
                    mt::CodeRange range, Boundary boundary, double g, bool plus) {
  Gradients out;
  const double s = static_cast<double>(scale), lo = range.quant_min, hi = range.quant_max;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float ratio = x[i] * (1.0f / scale);
    const double v = static_cast<double>(ratio) + z, rounded = std::nearbyint(static_cast<double>(ratio)) + z,
                 d = static_cast<double>(dy[i]);
    const bool below = boundary == Boundary::kRounded ? rounded < lo : v <= lo,
               above = boundary == Boundary::kRounded ? rounded > hi : v >= hi;
    out.x.push_back(below || above ? 0 : d);
    out.scale += g * d *
                 (below   ? (plus ? lo : lo - z)
                  : above ? (plus ? hi : hi - z)
                          : rounded - (static_cast<double>(x[i]) / s + z));
    out.offset += g * d * (below || above ? (plus ? 1 : -s) : 0);
  }
  return out;
}

TEST(Lsq, GradientsPerTensor) {
  int cases = 0;
  mt::Generator g(1);
  for (int bits : {2, 3, 4, 8})
    for (bool plus : {false, true})
      for (Boundary boundary : {Boundary::kRounded, Boundary::kExact})
        for (int scaling : {0, 1, 2}) {
          SCOPED_TRACE(mt::concat("bits ", bits, " plus ", plus, " boundary ", static_cast<int>(boundary),
                                  " scaling ", scaling));
          const double levels = (1 << bits) - 1, s = 2.5 / levels, z = std::floor(levels / 3);
          const auto options = [&](auto o) {
            return o.bit_width(bits)
                .boundary(boundary)
                .use_grad_scaling(scaling > 0)
                .batch_in_grad_scale(scaling == 1)
                .scale(s);
          };
          const auto run = [&](auto& f, const mt::Tensor& offset) {
            mt::Tensor x = mt::randn({6, 5, 4}, g);
            x.set({0, 0, 0}, static_cast<float>(s * (levels - z)));  // on the upper end
            x.set({0, 0, 1}, static_cast<float>(-s * z));
            x.requires_grad_();
            const mt::Tensor dy = mt::randn(x.shape(), g), y = f.forward(x);
            y.backward(dy);
            const double n = scaling == 1 ? 120 : 20, factor = scaling == 0 ? 1 : 1 / std::sqrt(n * levels);
            const mt::QParams q = f.tensor_qparams();
            EXPECT_EQ(q.zero_point, static_cast<int>(z));
            EXPECT_TRUE(mt::identical(y, mt::fake_quantize(x.detach(), q)));
            const Gradients want = reference(x.to_vector(), dy.to_vector(), q.scale, q.zero_point, q.range,
                                             boundary, factor, plus);
            for (std::size_t i = 0; i < want.x.size(); ++i)
              EXPECT_EQ(static_cast<double>(x.grad().data()[i]), want.x[i]) << i;
            EXPECT_NEAR(f.scale().grad().item(), want.scale, 1e-4 * factor * levels);
            EXPECT_NEAR(offset.grad().item(), want.offset, 1e-5 * factor * (plus ? 1 : s) * 120);
          };
          if (plus) {
            PlusActivation f(options(PlusActivation::Options()).offset(-z * s));
            run(f, f.offset());
          } else {
            Activation f(options(Activation::Options()).zero_point(z));
            run(f, f.offset());
          }
          ++cases;
        }
  std::printf("cases=%d\n", cases);
}

TEST(Lsq, GradientsPerChannel) {
  int cases = 0;
  mt::Generator g(2);
  for (int bits : {2, 3, 4, 8})
    for (int axis : {0, 1}) {
      Weight f(Weight::Options().bit_width(bits).axis(axis));
      mt::Tensor w = mt::randn({5, 4, 3, 3}, g);
      w.requires_grad_();
      f.forward(w);
      for (std::int64_t c = 0; c < f.scale().numel(); ++c)
        f.scale().mutable_data()[c] *= 0.6f;  // so that something is clipped
      const mt::Tensor dy = mt::randn(w.shape(), g);
      f.forward(w).backward(dy);
      const std::int64_t channels = w.size(axis), inner = axis == 0 ? 36 : 9;
      ASSERT_EQ(f.scale().numel(), channels);
      const double factor = 1 / std::sqrt(180.0 * ((1 << (bits - 1)) - 1));  // the whole tensor counts
      for (std::int64_t c = 0; c < channels; ++c) {
        std::vector<float> x, d;
        for (std::int64_t i = 0; i < w.numel(); ++i)
          if (i / inner % channels == c) x.push_back(w.data()[i]), d.push_back(dy.data()[i]);
        const Gradients want =
            reference(x, d, f.scale().data()[c], 0, f.range(), Boundary::kRounded, factor, false);
        EXPECT_NEAR(f.scale().grad().data()[c], want.scale, 1e-4 * factor * 128);
        EXPECT_GT(std::abs(want.scale), 0);
      }
      EXPECT_FALSE(f.offset().grad().defined());
      ++cases;
    }
  std::printf("cases=%d\n", cases);
}

TEST(Lsq, FirstScales) {
  mt::Generator g(4);
  const mt::Tensor w = mt::randn({3, 50}, g);
  int cases = 0;
  for (ScaleInit init : {ScaleInit::kObserver, ScaleInit::kMeanAbs, ScaleInit::kThreeSigma})
    for (int bits : {2, 4, 8}) {
      Weight f(Weight::Options().bit_width(bits).init(init));
      f.observe(w);
      for (std::int64_t c = 0; c < 3; ++c) {
        double sum = 0, absolute = 0, square = 0, largest = 0;
        for (std::int64_t i = 0; i < 50; ++i) {
          const double v = static_cast<double>(w.data()[c * 50 + i]);
          sum += v, absolute += std::abs(v), square += v * v, largest = std::max(largest, std::abs(v));
        }
        const double mean = sum / 50, top = (1 << (bits - 1)) - 1,
                     deviation = std::sqrt(square / 50 - mean * mean);
        const double want = init == ScaleInit::kObserver ? largest / top
                            : init == ScaleInit::kMeanAbs
                                ? 2 * absolute / 50 / std::sqrt(top)
                                : std::max(std::abs(mean - 3 * deviation), std::abs(mean + 3 * deviation)) /
                                      (1 << (bits - 1));
        EXPECT_NEAR(f.qparams().scales[static_cast<std::size_t>(c)], want, 1e-6 * want);
      }
      ++cases;
    }
  PlusWeight plus;
  plus.observe(w);
  Weight three(Weight::Options().init(ScaleInit::kThreeSigma));
  three.observe(w);
  EXPECT_EQ(plus.qparams().scales, three.qparams().scales);
  // LSQ+ on an activation: s = (max - min) / (p - n), o = min - n s.
  PlusActivation a(PlusActivation::Options().bit_width(4));
  a.observe(mt::tensor({-0.5f, 1.0f}));
  EXPECT_FLOAT_EQ(a.scale().item(), 0.1f);
  EXPECT_FLOAT_EQ(a.offset().item(), -0.5f);
  EXPECT_EQ(a.tensor_qparams().zero_point, 5);
  std::printf("cases=%d\n", cases);
}

TEST(Lsq, TheFirstBatchGivesTheScaleThenItIsLearned) {
  Activation f;
  mt::Tensor x = mt::tensor({-1.0f, 3.0f, 0.3f});
  EXPECT_TRUE(f.is_static() && f.is_observing());
  f.forward(x.requires_grad_()).backward(mt::ones({3}));
  EXPECT_FALSE(f.is_static() || f.is_observing());
  const float first = f.scale().item();
  EXPECT_FLOAT_EQ(first, 4.0f / 255);
  EXPECT_TRUE(f.scale().grad().defined());
  f.forward(mt::tensor({-100.0f, 100.0f}));  // not observed any more
  EXPECT_EQ(f.scale().item(), first);
  f.scale().mutable_data()[0] *= 1.5f;
  EXPECT_EQ(f.tensor_qparams().scale, first * 1.5f);
  // calibrate before training: all its batches count; after training began: nothing.
  Activation c;
  c.eval();
  c.set_calibrating(true);
  c.observe(mt::tensor({0.0f, 1.0f}));
  c.observe(mt::tensor({0.0f, 3.0f}));
  EXPECT_FLOAT_EQ(c.tensor_qparams().scale, 1.02f / 255);
  c.set_calibrating(false);
  c.train();
  c.observe(mt::tensor({0.0f, 50.0f}));
  c.eval();
  c.set_calibrating(true);
  c.observe(mt::tensor({0.0f, 50.0f}));
  EXPECT_FLOAT_EQ(c.tensor_qparams().scale, 1.02f / 255);
}

TEST(Lsq, PyTorchsPhases) {
  Activation f;
  expect_error<mt::StateError>([&] { f.enable_param_learning(); }, {"has seen no data"});
  f.enable_static_estimate();
  mt::Tensor x = mt::tensor({0.0f, 1.0f});
  x.requires_grad_();
  f.forward(x).backward(mt::ones({2}));
  EXPECT_FALSE(f.scale().grad().defined());
  f.forward(mt::tensor({0.0f, 2.0f}));
  EXPECT_FLOAT_EQ(f.tensor_qparams().scale, 1.01f / 255);
  f.enable_static_observation();
  EXPECT_FALSE(f.is_enabled());
  f.forward(mt::tensor({0.0f, 1.01f}));
  EXPECT_FLOAT_EQ(f.tensor_qparams().scale, 1.01f / 255);
  f.enable_param_learning();
  EXPECT_TRUE(f.is_enabled() && f.is_learning());
  EXPECT_FALSE(f.is_observer_enabled() || f.is_static());
  f.forward(x).backward(mt::ones({2}));
  EXPECT_TRUE(f.scale().grad().defined());
  // Reaches whole trees, and others stay as they are.
  mt::nn::Module tree;
  const auto learned = tree.register_module("a", std::make_shared<Activation>());
  quant::enable_static_estimate(tree);
  EXPECT_FALSE(learned->is_learning());
  learned->observe(x.detach());
  quant::enable_param_learning(tree);
  EXPECT_TRUE(learned->is_learning());
  quant::enable_static_observation(tree);
  EXPECT_FALSE(learned->is_enabled());
}

TEST(Lsq, GivenScalesAreKept) {
  Activation f(Activation::Options().scale(0.25).zero_point(3));
  f.forward(mt::tensor({-100.0f, 100.0f}));
  EXPECT_EQ(f.tensor_qparams(),
            (mt::QParams{0.25f, 3, {0, 255}, mt::DType::kUInt8, mt::Rounding::kHalfEven}));
  PlusActivation p(PlusActivation::Options().scale(0.25).offset(-0.75));
  EXPECT_EQ(p.tensor_qparams(), f.tensor_qparams());
  p.set_qparams(f.qparams());
  EXPECT_EQ(p.offset().item(), -0.75f);
  Weight w(Weight::Options().scale(0.5));
  w.set_channels(3);
  EXPECT_EQ(w.qparams().scales, (std::vector<float>{0.5f, 0.5f, 0.5f}));
  w.forward(mt::ones({3, 2}));
  EXPECT_EQ(w.qparams().scales, (std::vector<float>{0.5f, 0.5f, 0.5f}));
}

TEST(Lsq, ZeroPointsStayCodes) {
  int cases = 0;
  for (float z : {-1e9f, -0.4f, 3.5f, 4.5f, 254.7f, 1e20f}) {
    Activation f(Activation::Options().scale(0.1).zero_point(7));
    f.offset().fill_(z);
    const int want = static_cast<int>(std::nearbyint(std::min(std::max(z, 0.0f), 255.0f)));
    EXPECT_EQ(f.tensor_qparams().zero_point, want);
    f.forward(mt::ones({2}));
    EXPECT_EQ(f.offset().item(), std::min(std::max(z, 0.0f), 255.0f));  // so that it can come back
    PlusActivation p(PlusActivation::Options().scale(0.1).offset(0));
    p.offset().fill_(-z * 0.1f);
    EXPECT_EQ(p.tensor_qparams().zero_point,
              std::nearbyint(std::min(std::max(z * 0.1f * (1.0f / 0.1f), 0.0f), 255.0f)));
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Lsq, TheScaleHasAFloor) {
  for (float bad : {0.0f, -1.0f, 1e-30f}) {
    Activation f(Activation::Options().scale(0.1).eps(0.001));
    f.scale().fill_(bad);
    EXPECT_EQ(f.tensor_qparams().scale, 0.001f);
    f.forward(mt::ones({2}));
    EXPECT_EQ(f.scale().item(), 0.001f);
  }
  Activation f(Activation::Options().scale(0.1));
  f.set_path("conv.activation_post_process");
  for (float bad : {std::nanf(""), HUGE_VALF}) {
    f.scale().fill_(bad);
    expect_error<mt::NumericError>([&] { f.forward(mt::ones({2})); },
                                   {"conv.activation_post_process", "its learned scale is"});
    expect_error<mt::NumericError>([&] { f.tensor_qparams(); }, {"its learned scale is"});
  }
  f.scale().fill_(0.1f);
  f.offset().fill_(std::nanf(""));
  expect_error<mt::NumericError>([&] { f.forward(mt::ones({2})); }, {"its learned zero_point is nan"});
  f.offset().fill_(0.0f);
  expect_error<mt::NumericError>(
      [&] {
        f.forward(mt::ones({2})).backward(mt::tensor({std::nanf(""), 0.0f}));
      },
      {"conv.activation_post_process", "the gradient of scale is nan"});
  expect_error<mt::NumericError>([&] { f.forward(mt::tensor({std::nanf("")})); },
                                 {"conv.activation_post_process", "1 NaN of 1"});
}

TEST(Lsq, ParametersBuffersTagsAndCopies) {
  const auto f = std::make_shared<Activation>();
  std::string keys;
  for (const auto& item : f->state_dict()) keys += item.first + " ";
  EXPECT_EQ(keys,
            "scale zero_point fake_quant_enabled observer_enabled static_enabled learning_enabled "
            "activation_post_process.eps activation_post_process.min_val activation_post_process.max_val ");
  const auto tags = [](mt::nn::Module& m) {
    std::string text;
    for (const auto& group : mt::nn::parameter_groups(m))
      for (const std::string& name : group.names)
        text += std::string(to_string(group.tag)) + ":" + name + " ";
    return text;
  };
  EXPECT_EQ(tags(*f), "scale:scale offset:zero_point ");
  PlusActivation plus;
  EXPECT_EQ(tags(plus), "scale:scale offset:offset ");
  Weight w;
  EXPECT_EQ(tags(w), "scale:scale ");  // a symmetric zero point does not learn

  f->forward(mt::tensor({-1.0f, 1.0f}));
  mt::nn::Module::CloneMap map;
  const auto copy = std::dynamic_pointer_cast<Activation>(f->clone(map));
  copy->scale().fill_(9.0f);
  EXPECT_EQ(copy->tensor_qparams().scale, 9.0f);
  EXPECT_NE(f->tensor_qparams().scale, 9.0f);
  EXPECT_TRUE(copy->scale().requires_grad());
  Activation loaded;
  loaded.load_state_dict(f->state_dict());
  EXPECT_EQ(loaded.tensor_qparams(), f->tensor_qparams());
  EXPECT_FALSE(loaded.is_static());

  w.forward(mt::ones({4, 2}));
  Weight sized(Weight::Options().channels(4));
  sized.load_state_dict(w.state_dict());
  EXPECT_EQ(sized.qparams().scales, w.qparams().scales);
  EXPECT_EQ(w.summary().substr(0, 22), "Lsq(MinMaxObserver, in");
  EXPECT_EQ(f->extra_repr(), "uint8_affine, 0..255, scale=0.00784314, zero_point=127, learned");
}

TEST(Lsq, DamagedCheckpointsAreRefused) {
  int cases = 0;
  const auto damaged = [&](const std::string& key, const mt::AnyTensor& value) {
    Activation f(Activation::Options().scale(0.1));
    mt::nn::StateDict state;
    for (const auto& item : f.state_dict()) state.insert(item.first, item.second);
    state.at(key) = value;
    EXPECT_THROW(
        {
          f.load_state_dict(state);
          f.forward(mt::ones({2}));
        },
        mt::Error)
        << key;
    ++cases;
  };
  damaged("scale", mt::AnyTensor(mt::full<float>({1}, std::nanf(""))));
  damaged("scale", mt::AnyTensor(mt::full<float>({1}, HUGE_VALF)));
  damaged("scale", mt::AnyTensor(mt::ones({2})));
  damaged("zero_point", mt::AnyTensor(mt::full<float>({1}, std::nanf(""))));
  damaged("zero_point", mt::AnyTensor(mt::full<std::int32_t>({1}, 1)));
  damaged("static_enabled", mt::AnyTensor(mt::BasicTensor<std::uint8_t>(mt::Shape{0})));
  damaged("learning_enabled", mt::AnyTensor(mt::BasicTensor<std::uint8_t>(mt::Shape{2})));
  std::printf("cases=%d\n", cases);
}

TEST(Lsq, OptionsOfItsObserver) {
  using Histogram = quant::HistogramObserver<quant::UInt8Affine>;
  using Learned = quant::Lsq<Histogram>;
  Learned f(Learned::Options().bit_width(4).observer_option("bins", 64.0));
  EXPECT_EQ(dynamic_cast<const Histogram&>(f.observer()).histogram().numel(), 64);
  EXPECT_EQ(f.observer().range(), (mt::CodeRange{0, 15}));
  f.train();
  const mt::Tensor x = mt::randn({500});
  f.forward(x);
  Histogram alone(Histogram::Options().bit_width(4).bins(64));
  alone.observe(x);
  EXPECT_EQ(f.qparams().scales, alone.qparams().scales);
  Learned::Options options;
  options.set("bins", 128.0).set("upsample_rate", 8.0).set("scale", 0.5).set("bit_width", 3.0);
  EXPECT_EQ(dynamic_cast<const Histogram&>(Learned(options).observer()).histogram().numel(), 128);
  using Clipped = quant::LsqPlus<quant::PercentileObserver<quant::UInt8Affine>>;
  EXPECT_NO_THROW(Clipped(Clipped::Options().observer_option("percentage", 99.0)));
  int cases = 0;
  const auto refused = [&](const auto& body, std::initializer_list<std::string> words) {
    expect_error<mt::ConfigError>(body, words);
    ++cases;
  };
  refused([&] { Learned(Learned::Options().observer_option("bins", 1.0)); }, {"bins", "got 1, allowed 2..65536"});
  refused([&] { options.set("bins", true); }, {"bins", "allowed a number"});
  refused([&] { options.set("percentage", 99.0); }, {"percentage", "no such option", "upsample_rate"});
  refused([&] { Weight::Options().set("bins", 64.0); }, {"bins", "no such option", "use_grad_scaling"});
  refused([&] { Clipped(Clipped::Options().observer_option("percentage", 101.0)); }, {"percentage", "up to 100"});
  std::printf("cases=%d\n", cases);
}

TEST(Lsq, OptionsThatDoNotFit) {
  int cases = 0;
  const auto refused = [&](auto options, std::initializer_list<std::string> words) {
    using Owner = typename decltype(options)::Owner;
    expect_error<mt::ConfigError>([&] { Owner f(options); }, words);
    ++cases;
  };
  refused(Activation::Options().scale(0), {"scale", "allowed a positive number"});
  refused(Activation::Options().scale(-1), {"scale", "got -1"});
  refused(Activation::Options().scale(std::nan("")), {"scale", "got nan"});
  refused(Activation::Options().zero_point(3), {"zero_point", "set without a scale"});
  refused(Activation::Options().scale(1).zero_point(256), {"zero_point", "allowed 0..255"});
  refused(Weight::Options().scale(1).zero_point(2), {"zero_point", "a symmetric spec has 0"});
  refused(Activation::Options().channels(3), {"channels", "has one scale"});
  refused(Weight::Options().channels(0), {"channels", "allowed 1 or more"});
  refused(quant::Lsq<Whole>::Options().scale_type(quant::ScaleType::kPowerOfTwo), {"scale_type", "use Tqt"});
  refused(Activation::Options().quant_min(3).quant_max(9), {"zero needs a code"});
  Activation::Options options;
  options.set("boundary", std::string("exact"))
      .set("use_grad_scaling", false)
      .set("scale", 0.5)
      .set("zero_point", 4.0);
  EXPECT_EQ(options.settings().boundary, Boundary::kExact);
  EXPECT_EQ(Activation(options).tensor_qparams().zero_point, 4);
  options.set("init", std::string("mean_abs"));
  EXPECT_EQ(options.settings().init, ScaleInit::kMeanAbs);
  expect_error<mt::ConfigError>([&] { options.set("boundary", std::string("round")); },
                                {"boundary", "allowed rounded, exact"});
  expect_error<mt::ConfigError>([&] { options.set("init", std::string("max")); },
                                {"init", "allowed observer, mean_abs, three_sigma"});
  expect_error<mt::ConfigError>([&] { options.set("alpha", 1.0); }, {"alpha", "use_grad_scaling"});
  std::printf("cases=%d\n", cases);
}

TEST(Lsq, ComposesWithQConfig) {
  const quant::AnyQConfig q =
      quant::QConfig(Activation::Options().bit_width(4), Weight::Options().bit_width(4));
  EXPECT_EQ(q.make_activation()->range(), (mt::CodeRange{0, 15}));
  const auto transposed = q.make_weight(1, 2);
  transposed->forward(mt::randn({4, 3, 2, 2}));
  EXPECT_EQ(transposed->qparams().scales.size(), 6u);
  EXPECT_FALSE(transposed->is_memoryless());
  EXPECT_EQ(q.make_weight()->range(), (mt::CodeRange{-7, 7}));
}

}  // namespace lsq_test

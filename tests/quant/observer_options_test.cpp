// SPDX-License-Identifier: MIT
// Option values are checked when an observer is made: the field, what was got, what is allowed.
#include <midtread/quant/fixed_qparams_observer.hpp>
#include <midtread/quant/moving_average_min_max_observer.hpp>
#include <midtread/quant/per_channel_min_max_observer.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cmath>
#include <cstdio>

namespace mt = midtread;
namespace quant = midtread::quant;
using mt::ConfigError;
using quant::MinMaxObserver;
using quant::MovingAverageMinMaxObserver;

namespace observer_options_test {

using Observer = MinMaxObserver<quant::UInt8Affine>;

TEST(Spec, DefaultsAndNames) {
  EXPECT_EQ(quant::UInt8Affine::info().default_range(), (mt::CodeRange{0, 255}));
  EXPECT_EQ(quant::UInt8Symmetric::info().default_range(), (mt::CodeRange{0, 255}));
  EXPECT_EQ(quant::Int8Affine::info().default_range(), (mt::CodeRange{-128, 127}));
  EXPECT_EQ(quant::Int8Symmetric::info().default_range(), (mt::CodeRange{-127, 127}));
  EXPECT_EQ(quant::Int8PerChannel::info().default_range(), (mt::CodeRange{-127, 127}));
  EXPECT_EQ(quant::Int8PerChannelAffine::info().default_range(), (mt::CodeRange{-128, 127}));
  EXPECT_EQ(quant::Int8PerChannel::info().name(), "int8_symmetric_per_channel");
  EXPECT_EQ(quant::UInt8Affine::info().name(), "uint8_affine");
}

TEST(ObserverOptions, Ranges) {
  const auto with = [](int lo, int hi) {
    return [=] { Observer(Observer::Options().quant_min(lo).quant_max(hi)); };
  };
  expect_error<ConfigError>(with(1, 255),
                            {"quant_min", "got quant_min 1, quant_max 255", "zero needs a code"});
  expect_error<ConfigError>(with(0, 0), {"allowed quant_min < quant_max"});
  expect_error<ConfigError>(with(0, 256), {"allowed within 0..255 of uint8"});
  expect_error<ConfigError>(with(-1, 254), {"allowed within 0..255 of uint8"});
  expect_error<ConfigError>([] { Observer(Observer::Options().quant_min(0)); },
                            {"quant_max", "set both or none"});
  expect_error<ConfigError>([] { Observer(Observer::Options().quant_max(15)); },
                            {"quant_min", "set both or none"});
  using Weight = MinMaxObserver<quant::Int8Symmetric>;
  expect_error<ConfigError>([] { Weight(Weight::Options().quant_min(-200).quant_max(100)); },
                            {"allowed within -128..127 of int8"});
  using Symmetric = MinMaxObserver<quant::UInt8Symmetric>;
  expect_error<ConfigError>([] { Symmetric(Symmetric::Options().reduce_range(true)); },
                            {"reduce_range", "symmetric uint8"});
  expect_error<ConfigError>(
      [] { Observer(Observer::Options().quant_min(0).quant_max(1).reduce_range(true)); },
      {"leaves the codes 0..0"});
  EXPECT_EQ(Weight(Weight::Options().reduce_range(true)).range(), (mt::CodeRange{-64, 63}));
  EXPECT_EQ(Observer(Observer::Options().reduce_range(true)).range(), (mt::CodeRange{0, 127}));
  for (int bits = 2; bits <= 8; ++bits) EXPECT_NO_THROW(with(0, (1 << bits) - 1)());
}

TEST(ObserverOptions, Constants) {
  for (double c : {-0.01, 1.01, std::nan(""), HUGE_VAL})
    expect_error<ConfigError>([=] { Observer(Observer::Options().averaging_constant(c)); },
                              {"averaging_constant", "allowed 0..1"});
  using Average = MovingAverageMinMaxObserver<quant::UInt8Affine>;
  for (double c : {0.0, 1.0}) EXPECT_NO_THROW(Average(Average::Options().averaging_constant(c)));
  for (double eps : {0.0, -1.0, 1e-39, 2.0, std::nan("")})
    expect_error<ConfigError>([=] { Observer(Observer::Options().eps(eps)); }, {"eps", "smallest scale"});
  expect_error<ConfigError>([] { Observer(Observer::Options().axis(0)); },
                            {"axis", "uint8_affine has one scale"});
  using Channels = quant::PerChannelMinMaxObserver<quant::Int8PerChannel>;
  expect_error<ConfigError>([] { Channels(Channels::Options().ch_axis(-1)); },
                            {"axis", "got -1, allowed 0..7"});
  expect_error<ConfigError>([] { Channels(Channels::Options().ch_axis(8)); }, {"axis", "got 8"});
  expect_error<ConfigError>([] { Channels(Channels::Options().groups(0)); }, {"groups", "got 0"});
  expect_error<ConfigError>([] { Average(Average::Options().memoryless(true)); },
                            {"memoryless", "use MinMaxObserver"});
  EXPECT_NO_THROW(Average(Average::Options().memoryless(false)));
}

TEST(ObserverOptions, ByName) {
  quant::OptionValues values;
  values.insert("quant_min", -8.0);
  values.insert("quant_max", 7.0);
  values.insert("averaging_constant", 0.25);
  values.insert("eps", 0.001);
  values.insert("rounding", std::string("half_up"));
  values.insert("skip_nonfinite", true);
  values.insert("memoryless", false);
  values.insert("reduce_range", false);
  values.insert("ch_axis", 1.0);
  using Average = MovingAverageMinMaxObserver<quant::Int8PerChannel>;
  Average::Options options;
  for (const auto& item : values) options.set(item.first, item.second);
  const quant::ObserverSettings& s = options.settings();
  EXPECT_EQ(s.range.quant_min, -8);
  EXPECT_EQ(s.range.quant_max, 7);
  EXPECT_EQ(s.averaging_constant, 0.25);
  EXPECT_EQ(s.eps, 0.001);
  EXPECT_EQ(s.rounding, mt::Rounding::kHalfUp);
  EXPECT_TRUE(s.skip_nonfinite);
  EXPECT_EQ(s.memoryless, false);
  EXPECT_EQ(s.axis, 1);
  EXPECT_EQ(Average(options).extra_repr(),
            "int8_symmetric_per_channel, quant_min=-8, quant_max=7, averaging_constant=0.25, axis=1, "
            "rounding=half_up, skip_nonfinite");

  Observer::Options plain;
  expect_error<ConfigError>([&] { plain.set("quant_mni", 1.0); },
                            {"quant_mni", "no such option", "averaging_constant"});
  expect_error<ConfigError>([&] { plain.set("quant_min", true); }, {"quant_min", "allowed a number"});
  expect_error<ConfigError>([&] { plain.set("quant_min", 0.5); },
                            {"quant_min", "got 0.5, allowed an integer"});
  expect_error<ConfigError>([&] { plain.set("quant_min", 1e300); }, {"allowed an integer"});
  expect_error<ConfigError>([&] { plain.set("quant_min", std::nan("")); }, {"allowed an integer"});
  expect_error<ConfigError>([&] { plain.set("memoryless", 1.0); }, {"memoryless", "allowed true or false"});
  expect_error<ConfigError>([&] { plain.set("rounding", 1.0); }, {"rounding", "allowed a string"});
  expect_error<ConfigError>([&] { plain.set("rounding", std::string("up")); },
                            {"got 'up', allowed half_even, half_up"});
}

TEST(FixedQParams, Options) {
  using Fixed = quant::FixedQParamsObserver<quant::UInt8Affine>;
  const Fixed tanh(Fixed::Options().scale(2.0 / 256).zero_point(128));
  EXPECT_EQ(tanh.qparams().scales, std::vector<float>{2.0f / 256});
  EXPECT_EQ(tanh.qparams().zero_points, std::vector<std::int32_t>{128});
  EXPECT_EQ(tanh.state(), quant::ObserverState::kReady);
  EXPECT_EQ(tanh.extra_repr(), "uint8_affine, quant_min=0, quant_max=255, scale=0.0078125, zero_point=128");
  expect_error<mt::QuantizationError>([] { Fixed(Fixed::Options().scale(0)); }, {"scale 0"});
  expect_error<mt::QuantizationError>([] { Fixed(Fixed::Options().scale(1e39)); }, {"scale inf"});
  expect_error<mt::QuantizationError>([] { Fixed(Fixed::Options().zero_point(256)); }, {"zero point 256"});
  expect_error<ConfigError>([] { Fixed(Fixed::Options().quant_min(0)); }, {"set both or none"});
  using Symmetric = quant::FixedQParamsObserver<quant::Int8Symmetric>;
  expect_error<ConfigError>([] { Symmetric(Symmetric::Options().zero_point(3)); },
                            {"zero_point", "symmetric spec allowed 0"});
  Fixed::Options options;
  options.set("scale", 0.5)
      .set("zero_point", 7.0)
      .set("quant_min", 0.0)
      .set("quant_max", 15.0)
      .set("rounding", std::string("half_even"));
  EXPECT_EQ(Fixed(options).qparams().zero_points.at(0), 7);
  expect_error<ConfigError>([&] { options.set("eps", 1.0); }, {"eps", "no such option"});
}

}  // namespace observer_options_test

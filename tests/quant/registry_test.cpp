// SPDX-License-Identifier: MIT
// Fake quantizers by name.
#include <midtread/quant/registry.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <set>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace registry_test {

TEST(Registry, EveryNameMakesWhatItSays) {
  int cases = 0;
  std::set<std::string> seen;
  for (const std::string& name : quant::fake_quantize_names()) {
    if (name.find('/') == std::string::npos) continue;  // a user's
    SCOPED_TRACE(name);
    EXPECT_TRUE(seen.insert(name).second);
    quant::OptionValues values;
    if (name == "fixed_qparams/uint8_symmetric") values.insert("zero_point", 128.0);
    const auto made = quant::make_fake_quantize(name, values);
    EXPECT_EQ(name.substr(name.find('/') + 1), made->spec().name());
    const bool plain = made->type_name() == "FakeQuantize";
    std::string type = plain ? made->observer().type_name() : made->type_name(),
                method = name.substr(0, name.find('/'));
    std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
    method.erase(std::remove(method.begin(), method.end(), '_'), method.end());
    if (plain) method += "observer";
    if (method == "dorefa") method += made->dtype() == mt::DType::kInt8 ? "weight" : "activation";
    EXPECT_EQ(type, method);
    ++cases;
  }
  std::printf("cases=%d\n", cases);
  EXPECT_EQ(cases, 87);
}

TEST(Registry, OptionsReachTheQuantizer) {
  quant::OptionValues values;
  values.insert("quant_min", 0.0);
  values.insert("quant_max", 15.0);
  EXPECT_EQ(quant::make_fake_quantize("min_max/uint8_affine", values)->range(), (mt::CodeRange{0, 15}));
  values.insert("bits", 4.0);
  expect_error<mt::ConfigError>([&] { quant::make_fake_quantize("min_max/uint8_affine", values); },
                                {"bits", "no such option"});
  expect_error<mt::ConfigError>([] { quant::make_fake_quantize("minmax"); },
                                {"minmax", "no fake quantizer of this name", "min_max/uint8_affine"});
}

TEST(Registry, LearnedQuantizersForTheirPlace) {
  const auto qconfig = quant::make_qconfig({"lsq/uint8_affine", {}}, {"lsq/int8_symmetric_per_channel", {}});
  const auto weight = qconfig->make_weight(1, 2);
  weight->forward(mt::ones({4, 3, 2, 2}));
  EXPECT_EQ(weight->qparams().scales.size(), 6u);
  quant::OptionValues values;
  values.insert("alpha", 3.0);
  values.insert("bit_width", 4.0);
  EXPECT_EQ(quant::make_fake_quantize("pact/uint8_affine", values)->tensor_qparams().scale, 3.0f / 15);
  EXPECT_NO_THROW(quant::make_qconfig({"dorefa/uint8_affine", {}}, {"dorefa/int8_symmetric", {}}));
  expect_error<mt::ConfigError>([] { quant::make_fake_quantize("tqt/uint8_affine"); },
                                {"tqt/uint8_affine", "no fake quantizer of this name"});
}

/// A user's own: a wider observer's range, here by nothing more than a name.
class Mine : public quant::FakeQuantize<quant::MinMaxObserver<quant::UInt8Affine>> {
 public:
  using Options = quant::ObserverOptions<Mine>;
  explicit Mine(const quant::ObserverSettings& settings = {}) : FakeQuantize(settings) {}
  std::string type_name() const override { return "Mine"; }
};

TEST(Registry, UsersAddTheirs) {
  quant::register_fake_quantize<Mine>("mine");
  quant::register_fake_quantize<Mine>("mine");  // again: nothing
  const std::vector<std::string> names = quant::fake_quantize_names();
  EXPECT_EQ(std::count(names.begin(), names.end(), "mine"), 1);
  EXPECT_EQ(quant::make_fake_quantize("mine")->type_name(), "Mine");
  using Other = quant::FakeQuantize<quant::MinMaxObserver<quant::Int8Affine>>;
  expect_error<mt::ConfigError>([] { quant::register_fake_quantize<Other>("mine"); },
                                {"mine", "name is taken"});
  expect_error<mt::ConfigError>([] { quant::register_fake_quantize<Mine>("min_max/uint8_affine"); },
                                {"name is taken"});
  expect_error<mt::ConfigError>([] { quant::register_fake_quantize<Mine>(""); }, {"got an empty name"});
  const auto q = quant::make_qconfig({"mine", {}}, {"min_max/int8_symmetric_per_channel", {}});
  EXPECT_EQ(q->make_activation()->type_name(), "Mine");
}

TEST(Registry, QConfigsByName) {
  quant::OptionValues slow;
  slow.insert("averaging_constant", 0.001);
  const auto q = quant::make_qconfig({"moving_average_min_max/uint8_affine", slow},
                                     {"min_max/int8_symmetric_per_channel", {}});
  EXPECT_NE(q->activation_name().find("averaging_constant=0.001"), std::string::npos);
  EXPECT_TRUE(q->make_weight()->is_memoryless());
  EXPECT_FALSE(q->make_activation()->is_memoryless());
  const auto transposed = q->make_weight(1, 2);
  transposed->forward(mt::ones({2, 3, 1, 1}));
  EXPECT_EQ(transposed->qparams().scales.size(), 6u);
  EXPECT_EQ(quant::make_qconfig({"float", {}}, {"min_max/int8_symmetric", {}})->make_activation(), nullptr);
  expect_error<mt::ConfigError>(
      [] {
        quant::make_qconfig({"min_max/uint8_affine", {}}, {"float", {}});
      },
      {"float", "no fake quantizer"});
  expect_error<mt::ConfigError>(
      [] {
        quant::make_qconfig({"min_max/uint8_affine", {}}, {"min_max/int8_affine", {}});
      },
      {"weight", "allowed symmetric int8"});
}

}  // namespace registry_test

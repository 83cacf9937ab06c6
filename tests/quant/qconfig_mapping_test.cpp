// SPDX-License-Identifier: MIT
// Precedence: global < type < path, the longest path first.
#include <midtread/quant/default_qconfig.hpp>
#include <midtread/quant/qconfig_mapping.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace qconfig_mapping_test {

TEST(QConfigMapping, Precedence) {
  using Activation = quant::DefaultActivation;
  using Weight = quant::DefaultWeight;
  const auto linear = quant::get_default_qat_qconfig(), conv = quant::pytorch_qat_qconfig("qnnpack");
  const quant::QConfigMapping mapping = quant::QConfigMapping{}
                                            .set_global(quant::QConfig<Activation, Weight>{})
                                            .set_object_type("Linear", linear)
                                            .set_object_type("ReLU", nullptr)
                                            .set_module_name("block", nullptr)
                                            .set_module_name("block.conv2", conv);
  EXPECT_NE(mapping.resolve("stem", "Conv2d").value(), nullptr);
  EXPECT_EQ(mapping.resolve("head", "Linear").value(), linear);
  EXPECT_EQ(mapping.resolve("relu", "ReLU").value(), nullptr);
  EXPECT_EQ(mapping.resolve("block", "Block").value(), nullptr);
  EXPECT_EQ(mapping.resolve("block.fc", "Linear").value(),
            nullptr);  // a path, even a parent's, wins over a type
  EXPECT_EQ(mapping.resolve("block.conv2", "Conv2d").value(), conv);
  EXPECT_EQ(mapping.resolve("block.conv2#2", "Conv2d").value(), conv);
  EXPECT_EQ(mapping.resolve("block.conv2.inner", "Linear").value(), conv);
  EXPECT_EQ(mapping.resolve("blocks.fc", "Linear").value(), linear);  // not below "block"
  EXPECT_EQ(mapping.module_names().size(), 2u);
  EXPECT_EQ(mapping.object_types().size(), 2u);
  EXPECT_TRUE(mapping.global().is_set());
}

TEST(QConfigMapping, SaysNothingWhereNothingIsSet) {
  quant::QConfigMapping mapping;
  EXPECT_TRUE(mapping.empty());
  EXPECT_FALSE(mapping.resolve("a.b", "Conv2d").has_value());
  EXPECT_FALSE(mapping.resolve("", "").has_value());
  mapping.set_global(nullptr);
  EXPECT_FALSE(mapping.empty());
  ASSERT_TRUE(mapping.resolve("a.b", "Conv2d").has_value());
  EXPECT_EQ(mapping.resolve("a.b", "Conv2d").value(), nullptr);
}

TEST(QConfigMapping, ASecondSettingReplacesTheFirst) {
  const auto q = quant::get_default_qat_qconfig();
  quant::QConfigMapping mapping;
  mapping.set_module_name("a", nullptr).set_module_name("a", q);
  EXPECT_EQ(mapping.resolve("a", "").value(), q);
  EXPECT_EQ(mapping.module_names().size(), 1u);
}

TEST(QConfigMapping, Refuses) {
  quant::QConfigMapping mapping;
  expect_error<mt::ConfigError>([&] { mapping.set_module_name("", nullptr); },
                                {"set_module_name", "got an empty name"});
  expect_error<mt::ConfigError>([&] { mapping.set_object_type("", nullptr); },
                                {"set_object_type", "got an empty name"});
  using Activation = quant::DefaultActivation;
  const quant::QConfig bad(Activation::Options().averaging_constant(2), quant::DefaultWeight::Options());
  expect_error<mt::ConfigError>([&] { mapping.set_module_name("a", bad); }, {"averaging_constant"});
  EXPECT_TRUE(mapping.empty());
}

}  // namespace qconfig_mapping_test

// SPDX-License-Identifier: MIT
// Every bit width, signedness, scheme, rounding and scale type, and every calibration method: the codes of
// the prepared model, of the int8 model on every engine and instruction set, and of the simulation are the
// same.
#include <midtread/passes/calibrate.hpp>
#include <midtread/quant/registry.hpp>

#include <support/exactness.hpp>

namespace mt = midtread;
namespace quant = midtread::quant;

namespace quantizer_matrix_test {

using namespace midtread::test;

std::shared_ptr<const quant::AnyQConfig> qconfig(const std::string& activation,
                                                 const quant::OptionValues& activation_options,
                                                 const std::string& weight,
                                                 const quant::OptionValues& weight_options) {
  return quant::make_qconfig({activation, activation_options}, {weight, weight_options});
}

bool is_power_of_two(float scale) {
  int exponent = 0;
  return std::frexp(scale, &exponent) == 0.5f;
}

const char* const kRoundings[] = {"half_even", "half_up", "half_down", "std_round"};

class BitWidths : public testing::TestWithParam<int> {};

TEST_P(BitWidths, EverySchemeRoundingAndScaleType) {
  Tally tally;
  std::int64_t powers = 0;
  for (const std::string spec : {"uint8_affine", "uint8_symmetric", "int8_affine", "int8_symmetric"})
    for (const std::string scale_type : {"float", "power_of_two"})
      for (const char* rounding : kRoundings) {
        if (scale_type == "power_of_two" && spec.find("affine") != std::string::npos) continue;
        SCOPED_TRACE(spec + " " + scale_type + " " + rounding);
        quant::OptionValues activation, weight;
        for (quant::OptionValues* values : {&activation, &weight}) {
          values->insert("bit_width", static_cast<double>(GetParam()));
          values->insert("rounding", std::string(rounding));
          values->insert("scale_type", scale_type);
        }
        const bool full =
            spec == "int8_symmetric";  // half of the cases with -2^(b-1), per channel and per tensor
        weight.insert("narrow_range", !full);
        const auto q =
            qconfig("moving_average_min_max/" + spec, activation,
                    full ? "min_max/int8_symmetric" : "min_max/int8_symmetric_per_channel", weight);
        for (const Network& network : {resnet(), average_pools()}) {
          SCOPED_TRACE(network.name);
          Trained t = trained(network, quant::QConfigMapping().set_global(q), 2);
          EXPECT_TRUE(t.finite);
          expect_exact(t.prepared, network, {3}, tally);
          quant::for_each_fake_quantizer(t.prepared, [&](quant::FakeQuantizeBase& f) {
            const int codes = f.range().quant_max - f.range().quant_min + 1, all = 1 << GetParam();
            EXPECT_TRUE(codes == all ||
                        (codes == all - 1 && f.dtype() == mt::DType::kInt8 && f.is_symmetric()))
                << f.where();
            if (scale_type == "float") return;
            for (float scale : f.qparams().scales) {
              EXPECT_TRUE(is_power_of_two(scale)) << f.where() << " " << scale;
              ++powers;
            }
          });
        }
      }
  tally.print();
  EXPECT_GT(powers, 0);
}

INSTANTIATE_TEST_SUITE_P(Bits, BitWidths, testing::Range(2, 9),
                         [](const auto& which) { return std::to_string(which.param); });

TEST(ReducedRange, EveryBitWidth) {
  Tally tally;
  for (int bits = 2; bits <= 8; ++bits)
    for (const std::string spec : {"uint8_affine", "int8_affine", "int8_symmetric"}) {
      SCOPED_TRACE(mt::concat(spec, " ", bits));
      quant::OptionValues values, weight;
      for (quant::OptionValues* each : {&values, &weight}) {
        each->insert("bit_width", static_cast<double>(bits));
        each->insert("reduce_range", true);
      }
      Trained t =
          trained(resnet(),
                  quant::QConfigMapping().set_global(qconfig("moving_average_min_max/" + spec, values,
                                                             "min_max/int8_symmetric_per_channel", weight)),
                  1);
      expect_exact(t.prepared, resnet(), {3}, tally);
    }
  tally.print();
}

/// Options that make a method do its work on little data.
quant::OptionValues method_options(const std::string& method, bool together) {
  quant::OptionValues values;
  if (method.find("percentile") != std::string::npos) values.insert("percentage", 99.0);
  const bool per_batch =
      method == "percentile" || method == "mse" || method == "entropy" || method == "max_min";
  if (per_batch && together) values.insert("per_batch", false);
  return values;
}

class Methods : public testing::TestWithParam<std::string> {};

TEST_P(Methods, CalibratedThenTrained) {
  Tally tally;
  const std::string method = GetParam();
  for (const std::string spec : {"uint8_affine", "int8_affine", "uint8_symmetric", "int8_symmetric"}) {
    if (method == "diffs" && spec.find("affine") != std::string::npos) continue;
    for (const bool together : {false, true}) {
      SCOPED_TRACE(method + "/" + spec + (together ? " together" : ""));
      const std::string weight =
          method == "diffs" || method == "max_min" ? "/int8_symmetric_per_channel" : "/int8_symmetric";
      const auto q = qconfig(method + "/" + spec, method_options(method, together), method + weight, {});
      for (const Network& network : {resnet(), squeeze_excite(true), cat_of_ranges()}) {
        SCOPED_TRACE(network.name);
        mt::manual_seed(7);
        Trained t;
        t.model = network.make();
        t.prepared = mt::passes::prepare_qat(
            mt::passes::fuse_modules(mt::graph::trace(t.model, random_inputs(network, 2, 1))),
            quant::QConfigMapping().set_global(q));
        for (std::uint64_t seed : {1u, 2u, 3u})
          mt::passes::calibrate(t.prepared, random_inputs(network, 4, seed)[0]);
        expect_exact(t.prepared, network, {3}, tally);
        quant::disable_observer(t.prepared);
        t.prepared.train();
        train(t, network, 1);
        EXPECT_TRUE(t.finite);
        expect_exact(t.prepared, network, {3}, tally);
      }
    }
  }
  tally.print();
}

INSTANTIATE_TEST_SUITE_P(All, Methods,
                         testing::Values("histogram", "max_min", "percentile", "mse", "entropy", "diffs",
                                         "clip_std", "kl", "moving_average_percentile", "moving_average_mse"),
                         [](const auto& which) { return which.param; });

}  // namespace quantizer_matrix_test

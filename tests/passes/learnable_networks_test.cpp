// SPDX-License-Identifier: MIT
// Learned quantizers at 2, 3, 4 and 8 bits, as activations and as weights: after some training the codes of
// the prepared model, the int8 model and the simulation are equal, and what is learned has moved.
#include <support/exactness.hpp>

#include <midtread/nn/parameter_groups.hpp>
#include <midtread/quant/default_qconfig.hpp>
#include <midtread/quant/dorefa.hpp>
#include <midtread/quant/lsq_plus.hpp>
#include <midtread/quant/pact.hpp>
#include <midtread/quant/tqt.hpp>

namespace mt = midtread;
namespace quant = midtread::quant;
using namespace midtread::test;

namespace learnable_networks_test {

using Average = quant::MovingAverageMinMaxObserver<quant::UInt8Affine>;
using SignedAverage = quant::MovingAverageMinMaxObserver<quant::Int8Symmetric>;
using Channels = quant::MinMaxObserver<quant::Int8PerChannel>;
using DoReFa = quant::DoReFaWeight<quant::Int8PerChannel>;
using Whole = quant::MinMaxObserver<quant::Int8Symmetric>;

/// One quantizer at some number of bits, in the place of an activation's or a weight's.
struct Quantizers {
  friend void PrintTo(const Quantizers& choice, std::ostream* out) { *out << choice.name; }
  std::string name;
  std::function<std::shared_ptr<const quant::AnyQConfig>(int bits)> make;
  bool learns = true;
  int most_bits = 8;
};

template <class A>
Quantizers activation(const std::string& name, typename A::Options options, bool learns = true) {
  return {name,
          [options](int bits) mutable {
            return quant::erase(quant::QConfig(options.bit_width(bits), quant::DefaultWeight::Options()));
          },
          learns};
}
template <class W>
Quantizers weight(const std::string& name, typename W::Options options, bool learns = true,
                  int most_bits = 8) {
  return {name,
          [options](int bits) mutable {
            return quant::erase(quant::QConfig(quant::DefaultActivation::Options(), options.bit_width(bits)));
          },
          learns, most_bits};
}
template <class A, class W>
Quantizers both(const std::string& name, typename A::Options a, typename W::Options w, int most_bits = 8) {
  return {
      name,
      [a, w](int bits) mutable { return quant::erase(quant::QConfig(a.bit_width(bits), w.bit_width(bits))); },
      true, most_bits};
}

std::vector<Quantizers> all_quantizers() {
  using quant::Boundary, quant::ScaleInit;
  using LsqA = quant::Lsq<Average>;
  using LsqW = quant::Lsq<Channels>;
  using PlusA = quant::LsqPlus<Average>;
  using PlusW = quant::LsqPlus<Channels>;
  using PactA = quant::Pact<Average>;
  using PactW = quant::Pact<Channels>;
  using TqtA = quant::Tqt<SignedAverage>;
  using TqtW = quant::Tqt<Whole>;
  return {
      activation<LsqA>("lsq_activation", {}),
      activation<quant::Lsq<SignedAverage>>("lsq_signed_activation",
                                            quant::Lsq<SignedAverage>::Options().narrow_range(false)),
      weight<LsqW>("lsq_weight", LsqW::Options().boundary(Boundary::kExact).init(ScaleInit::kMeanAbs)),
      weight<quant::Lsq<Whole>>("lsq_weight_per_tensor", {}),
      activation<PlusA>("lsq_plus_activation", {}),
      weight<PlusW>("lsq_plus_weight", PlusW::Options().narrow_range(false)),
      activation<PactA>("pact_activation", PactA::Options().alpha(0.5)),
      activation<quant::Pact<SignedAverage>>("pact_signed_activation",
                                             quant::Pact<SignedAverage>::Options().alpha(1)),
      weight<PactW>("pact_weight", {}),
      activation<TqtA>("tqt_activation", TqtA::Options().narrow_range(false)),
      activation<quant::Tqt<quant::MovingAverageMinMaxObserver<quant::UInt8Symmetric>>>(
          "tqt_uint8_activation", {}),
      weight<TqtW>("tqt_weight", {}),
      weight<quant::Tqt<Channels>>("tqt_weight_per_channel",
                                   quant::Tqt<Channels>::Options().init(ScaleInit::kObserver)),
      activation<quant::DoReFaActivation>("dorefa_activation", {}, false),
      weight<DoReFa>("dorefa_weight", {}, false, 7),
      both<LsqA, LsqW>("lsq", {}, {}),
      both<PlusA, PlusW>("lsq_plus", {}, {}),
      both<PactA, DoReFa>("pact_dorefa", PactA::Options().alpha(0.5), {}, 7),
      both<TqtA, TqtW>("tqt", {}, {}),
  };
}

/// Values of everything learned.
std::vector<float> learned(mt::graph::GraphModule& prepared) {
  std::vector<float> out;
  using Tag = mt::nn::ParameterTag;
  for (const mt::Tensor& p : mt::nn::parameters_of(prepared, {Tag::kScale, Tag::kOffset, Tag::kAlpha}))
    for (float v : p.to_vector()) out.push_back(v);
  return out;
}

class LearnableNetworks : public testing::TestWithParam<Quantizers> {};

TEST_P(LearnableNetworks, AllNodesAgree) {
  Tally tally;
  std::size_t moved = 0, all = 0;
  for (int bits : {2, 3, 4, 8})
    for (const Network& network :
         {resnet(), squeeze_excite(true), transposed(), linear_bn(), shared_modules(), movers()}) {
      const int used = std::min(bits, GetParam().most_bits);
      SCOPED_TRACE(network.name + " bits " + std::to_string(used));
      Trained t = trained(network, quant::QConfigMapping().set_global(GetParam().make(used)), 1);
      const std::vector<float> before = learned(t.prepared);
      train(t, network, 3);
      EXPECT_TRUE(t.finite);
      const std::vector<float> after = learned(t.prepared);
      ASSERT_EQ(before.size(), after.size());
      for (std::size_t i = 0; i < after.size(); ++i) moved += before[i] != after[i];
      all += after.size();
      expect_exact(t.prepared, network, {3}, tally);
    }
  EXPECT_EQ(all > 0, GetParam().learns);
  EXPECT_GE(2 * moved, all);
  std::printf("learned=%zu moved=%zu ", all, moved);
  tally.print();
}

INSTANTIATE_TEST_SUITE_P(All, LearnableNetworks, testing::ValuesIn(all_quantizers()),
                         [](const auto& which) { return which.param.name; });

}  // namespace learnable_networks_test

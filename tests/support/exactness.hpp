// SPDX-License-Identifier: MIT
// The promise, checked: the prepared model in eval mode, the int8 model on every engine and instruction set,
// and the simulation give the same codes in every node.
#pragma once

#include <midtread/passes/convert.hpp>
#include <midtread/passes/verify_convert.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <support/networks.hpp>
#include <support/simulation.hpp>

#include <cstdio>

namespace midtread::test {

/// Of the machine: every engine with each of its instruction sets.
inline std::vector<const kernels::KernelSet*> all_kernel_sets() {
  std::vector<const kernels::KernelSet*> sets;
  for (auto engine : {kernels::Engine::kReference, kernels::Engine::kFbgemm, kernels::Engine::kQnnpack})
    for (const kernels::KernelSet& set : kernels::kernel_sets(engine)) sets.push_back(&set);
  return sets;
}

/// Row-major codes in the declared dtype.
inline std::vector<int> plain_codes(const BasicTensor<std::uint8_t>& stored, const QParams& q) {
  std::vector<int> out;
  for (std::uint8_t code : stored.to_vector()) out.push_back(int{code} - storage_shift(q.dtype));
  return out;
}

inline std::int64_t differences(const std::vector<int>& a, const std::vector<int>& b) {
  if (a.size() != b.size()) return static_cast<std::int64_t>(std::max(a.size(), b.size()));
  std::int64_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += a[i] != b[i];
  return count;
}

/// Counts, for the line that a test prints.
struct Tally {
  std::int64_t models = 0, runs = 0, nodes = 0, codes = 0;
  void print() const {
    std::printf("cases=%lld models=%lld nodes=%lld codes=%lld\n", static_cast<long long>(runs),
                static_cast<long long>(models), static_cast<long long>(nodes), static_cast<long long>(codes));
  }
};

/// Codes and values of `prepared` as it is (mode, switches) against the simulation, node by node.
inline void expect_simulated(graph::GraphModule& prepared, const Tensors& inputs, Tally& tally) {
  const NoGradGuard no_grad;
  std::map<std::string, Tensor> got;
  prepared.run(inputs, [&](const graph::Node& node, const Tensor& value) { got[node.name] = value; });
  Simulation simulation(prepared);
  for (const auto& [name, want] : simulation.run(inputs)) {
    SCOPED_TRACE("node " + name);
    const Tensor& value = got.at(name);
    ASSERT_EQ(value.shape(), want.shape);
    ++tally.nodes;
    if (!want.is_quantized) continue;
    ASSERT_TRUE(value.codes() != nullptr);
    EXPECT_EQ(differences(plain_codes(value.codes()->values, value.codes()->qparams), want.codes), 0);
    EXPECT_TRUE(value.codes()->qparams == want.q);
    EXPECT_EQ(value.to_vector(), want.real);
    tally.codes += static_cast<std::int64_t>(want.codes.size());
  }
  EXPECT_GT(simulation.integer_nodes(), 0);
  ++tally.runs;
}

/// The int8 model against the simulation.
inline void expect_simulated(const quantized::Model& int8, const graph::GraphModule& prepared,
                             const Tensors& inputs, Tally& tally) {
  Simulation simulation(prepared);
  const auto& want = simulation.run(inputs);
  quantized::Workspace workspace;
  int8.run(inputs, workspace, [&](const quantized::Model::Step& step, const quantized::Value& value) {
    const auto* codes = std::get_if<quantized::Tensor>(&value);
    const auto found = want.find(step.name);
    if (!codes || found == want.end()) return;
    SCOPED_TRACE("step " + step.name);
    ASSERT_EQ(codes->shape(), found->second.shape);
    EXPECT_TRUE(codes->qparams() == found->second.q);
    EXPECT_EQ(differences(plain_codes(codes->stored(), codes->qparams()), found->second.codes), 0);
    tally.codes += codes->numel();
    ++tally.nodes;
  });
  ++tally.runs;
}

/// Prepared eval == int8 == simulation on random batches of these sizes, for all engines and instruction
/// sets.
inline void expect_exact(graph::GraphModule& prepared, const Network& network,
                         const std::vector<std::int64_t>& batches, Tally& tally) {
  prepared.eval();
  quantized::Model int8 = passes::convert(prepared);
  ++tally.models;
  for (const std::int64_t batch : batches) {
    SCOPED_TRACE(concat("batch ", batch));
    const Tensors inputs = random_inputs(network, batch, static_cast<std::uint64_t>(500 + batch));
    expect_simulated(prepared, inputs, tally);
    for (const kernels::KernelSet* set : all_kernel_sets()) {
      SCOPED_TRACE(std::string(set->engine_name()) + " " + set->isa_name());
      int8.bind(*set);
      passes::ConvertVerifier verifier(prepared, int8);
      verifier.add(inputs);
      EXPECT_TRUE(verifier.report().ok()) << verifier.report();
      EXPECT_EQ(verifier.report().images, batch);
      EXPECT_TRUE(batch == 0 || verifier.report().compared_codes > 0);
      expect_simulated(int8, prepared, inputs, tally);
    }
  }
}

}  // namespace midtread::test

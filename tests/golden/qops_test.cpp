// SPDX-License-Identifier: MIT
// add, mul, cat, activations and pools on codes against PyTorch, on every engine and instruction set.
//
// Ours are PyTorch's native add (QNNPACK's rounds ties away from zero) and QNNPACK's average pools (the
// native ones round before the zero point is added, so exact ties may differ by one code); the rest is the
// same in both.
#include <midtread/passes/preserving.hpp>
#include <midtread/quantized/elementwise.hpp>

#include <gtest/gtest.h>

#include <support/golden.hpp>

#include <cstdio>

namespace mt = midtread;
namespace q8 = midtread::quantized;
using Operator = std::shared_ptr<const q8::Operator>;

namespace qops_test {

mt::QParams qparams(const golden::Json& tensor) {
  mt::QParams q;
  q.scale = golden::number<float>(tensor.at("scale"));
  q.zero_point = tensor.at("zero_point");
  return q;
}
template <class Op>
Operator table(const Op& op, const mt::QParams& x, const mt::QParams& y) {
  const mt::ops::OperationOf<Op> operation(op);
  return std::make_shared<q8::Lookup>(
      Op::kName, q8::pointwise_table(x, y, [&](float v) { return *operation.pointwise(v); }), y);
}
template <class Op>
std::vector<Operator> preserving(const Op& op, int rank, const mt::QParams& q) {
  return mt::passes::preserving_operators(mt::ops::OperationOf<Op>(op), rank, q);
}

/// The operators of a case, in order; empty: not binding.
std::vector<Operator> operators(const golden::Case& c, const mt::QParams& x, const mt::QParams& y, int rank) {
  const bool native = c.attrs.at("engine") == "native";
  if (c.op == "qadd" || c.op == "qadd_relu" || c.op == "qadd.ties") {
    if (!native) return {};
    return {std::make_shared<q8::Binary>(q8::BinaryOp::kAdd, y,
                                         mt::CodeRange{c.op == "qadd_relu" ? y.zero_point : 0, 255})};
  }
  if (c.op == "qmul" || c.op == "qmul.ties")
    return {std::make_shared<q8::Binary>(q8::BinaryOp::kMul, y, y.range)};
  if (c.op == "qcat") return {std::make_shared<q8::Cat>(c.attrs.at("dim").get<int>(), y)};
  if (c.op == "qrelu") return preserving(mt::ops::Relu{}, rank, x);
  if (c.op == "qrelu6") return preserving(mt::ops::Relu6{}, rank, x);
  if (c.op == "qsigmoid") return {table(mt::ops::Sigmoid{}, x, y)};
  if (c.op == "qtanh") return {table(mt::ops::Tanh{}, x, y)};
  if (c.op == "qhardsigmoid") return {table(mt::ops::Hardsigmoid{}, x, y)};
  if (c.op == "qhardswish") return {table(mt::ops::Hardswish{}, x, y)};
  if (c.op == "qleaky_relu") return {table(mt::ops::LeakyRelu{c.attrs.at("slope").get<double>()}, x, y)};
  if (c.op == "qelu") return {table(mt::ops::Elu{c.attrs.at("alpha").get<double>()}, x, y)};
  const auto both = [&](const char* name) {
    return std::array<std::int64_t, 2>{c.attrs.at(name).get<std::int64_t>(),
                                       c.attrs.at(name).get<std::int64_t>()};
  };
  if (c.op == "qmax_pool2d") {
    mt::ops::MaxPool2d op;
    op.kernel = both("kernel"), op.stride = both("stride"), op.padding = both("padding");
    return preserving(op, rank, x);
  }
  const bool include_pad = c.attrs.value("count_include_pad", true);
  if (native && include_pad) return {};  // averages: QNNPACK's; it ignores count_include_pad = false
  if (c.op == "qavg_pool2d") {
    mt::ops::AvgPool2d op;
    op.kernel = both("kernel"), op.stride = both("stride"), op.padding = both("padding"),
    op.count_include_pad = include_pad;
    return preserving(op, rank, x);
  }
  if (c.op == "qadaptive_avg_pool2d") return preserving(mt::ops::AdaptiveAvgPool2d{both("output")}, rank, x);
  if (c.op == "qmean_hw") return preserving(mt::ops::Mean{{2, 3}, true}, rank, x);
  return {};  // qadd_scalar, qmul_scalar: ours go by table
}

TEST(GoldenQuantizedOperations, EqualPyTorch) {
  std::vector<const mt::kernels::KernelSet*> sets;
  for (auto engine :
       {mt::kernels::Engine::kReference, mt::kernels::Engine::kFbgemm, mt::kernels::Engine::kQnnpack})
    for (const mt::kernels::KernelSet& set : mt::kernels::kernel_sets(engine)) sets.push_back(&set);
  int cases = 0, runs = 0, one_off = 0;
  for (const golden::Case& c : golden::load("qops")) {
    SCOPED_TRACE(c.id + " " + c.attrs.at("engine").get<std::string>());
    std::vector<q8::Value> inputs;
    for (const char* name : {"a", "b", "x"})
      if (c.inputs.contains(name))
        inputs.emplace_back(q8::Tensor(golden::tensor<std::uint8_t>(c.inputs.at(name)).channels_last(),
                                       qparams(c.inputs.at(name))));
    const q8::Tensor& first = std::get<q8::Tensor>(inputs.at(0));
    const mt::QParams y = qparams(c.expected.at("y"));
    const std::vector<Operator> ops = operators(c, first.qparams(), y, first.shape().rank());
    if (ops.empty()) continue;
    ASSERT_EQ(ops.size(), 1u);
    // The native average rounds sum(q) / n, not sum(q - z) / n: they differ by one code on exact ties where z
    // is odd.
    const bool native_average = c.op == "qavg_pool2d" && c.attrs.at("engine") == "native";
    const auto want = golden::tensor<std::uint8_t>(c.expected.at("y"));
    for (const mt::kernels::KernelSet* set : sets) {
      SCOPED_TRACE(std::string(set->engine_name()) + " " + set->isa_name());
      const mt::FpEnvGuard fp_env;
      q8::Values arguments;
      for (const q8::Value& input : inputs) arguments.push_back(&input);
      q8::Value output = q8::Tensor(want.shape(), y);
      q8::Workspace workspace;
      ops[0]->bind(*set)->run(arguments, output, workspace);
      const auto got = std::get<q8::Tensor>(output).stored().contiguous();
      EXPECT_EQ(golden::difference(got, want, {0, 0, native_average ? 1 : 0}), "");
      one_off += golden::difference(got, want, {}).empty() ? 0 : 1;
      ++runs;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 70);
  std::printf("cases=%d runs=%d runs with one code next to PyTorch's=%d\n", cases, runs, one_off);
}

}  // namespace qops_test

// SPDX-License-Identifier: MIT
// Steps that run on the pieces of another step's output: which do, and that no code changes by it.
#include <midtread/passes/convert.hpp>

#include <gtest/gtest.h>

#include <support/exactness.hpp>
#include <support/random_tensor.hpp>

namespace mt = midtread;
namespace q8 = midtread::quantized;
namespace F = midtread::nn::functional;
using namespace midtread::test;

namespace stage_test {

/// What follows a layer: a sum, a table, both, products; values that two read; an output in the middle.
Network followers(std::int64_t channels, std::int64_t height, std::int64_t width) {
  return network("followers", {{3, height, width}}, [channels](Net& n) {
    const auto layer = [&](const char* name, std::int64_t in, std::int64_t kernel, std::int64_t groups = 1) {
      return n.add(name, mt::nn::Conv2d(
                             mt::nn::Conv2dOptions(in, channels, kernel).padding(kernel / 2).groups(groups)));
    };
    auto a = layer("a", 3, 3), b = layer("b", channels, 3), c = layer("c", channels, 1),
         d = layer("d", channels, 3, channels), e = layer("e", channels, 3), f = layer("f", channels, 1);
    return [=](const mt::Tensors& in) -> mt::Tensors {
      const mt::Tensor x = F::hardswish(a(in[0]));       // a table behind a
      const mt::Tensor y = F::sigmoid(x + b(x)) * c(x);  // a sum and a table behind b, a product behind c
      const mt::Tensor z = d(y);                         // two read it
      const mt::Tensor u = F::silu(z) + z;               // a sum behind a table
      const mt::Tensor v = e(u);                         // an output, too
      return {f(F::hardswish(v)), v};
    };
  });
}

std::string line_of(const std::string& text, const std::string& word) {
  const std::size_t at = text.find(word), begin = text.rfind('\n', at) + 1;
  return at == std::string::npos ? "" : text.substr(begin, text.find('\n', at) - begin);
}

TEST(Stage, FollowsWhereNobodyElseReads) {
  const q8::Model int8 = mt::passes::convert(trained(followers(16, 6, 5), default_mapping(), 1).prepared);
  const std::string text = int8.summary(mt::Shape{2, 3, 6, 5});
  std::size_t together = 0;
  for (std::size_t at = 0; (at = text.find(" on the pieces of ", at)) != std::string::npos; ++at) ++together;
  EXPECT_EQ(together, 5u) << text;
  const auto follows = [&](const std::string& step, const std::string& before) {
    return line_of(text, "\n" + step + " ").find(" on the pieces of " + before) != std::string::npos ||
           line_of(text, step + "  ").find(" on the pieces of " + before) != std::string::npos;
  };
  EXPECT_TRUE(follows("hardswish", "a")) << text;
  EXPECT_TRUE(follows("add", "b")) << text;
  EXPECT_TRUE(follows("sigmoid", "add")) << text;
  EXPECT_FALSE(follows("silu", "d")) << text;
}

TEST(Stage, TogetherOrAloneTheCodesAreTheSame) {
  const int threads = mt::num_threads();
  int cases = 0;
  struct Case {
    std::int64_t channels, height, width;
  };
  for (const Case& c : {Case{1, 5, 7}, Case{3, 7, 9}, Case{16, 6, 5}, Case{33, 9, 17}, Case{64, 40, 33}}) {
    const Network network = followers(c.channels, c.height, c.width);
    q8::Model int8 = mt::passes::convert(trained(network, default_mapping(), 1).prepared);
    for (const mt::kernels::KernelSet* set : all_kernel_sets()) {
      int8.bind(*set);
      for (const std::int64_t batch : {1, 3}) {
        if (batch == 3 && c.channels == 64) continue;
        SCOPED_TRACE(mt::concat(set->engine_name(), ' ', set->isa_name(), ", ", c.channels,
                                " channels, batch ", batch));
        const mt::Tensors x = random_inputs(network, batch, static_cast<std::uint64_t>(c.channels));
        q8::Workspace workspace;
        mt::Tensors alone;
        const auto& plan = int8.run(x, workspace, [](const q8::Step&, const q8::Value&) {});
        EXPECT_EQ(plan.stages.size(), int8.steps().size());
        for (int output : int8.outputs())
          alone.push_back(std::get<mt::Tensor>(plan.values[static_cast<std::size_t>(output)]).clone());
        for (int count : {1, 2, 7}) {
          mt::set_num_threads(count);
          const mt::Tensors together = int8.forward_many(x);
          for (std::size_t i = 0; i < alone.size(); ++i)
            EXPECT_TRUE(mt::identical(together[i], alone[i])) << "output " << i << ", threads " << count;
          ++cases;
        }
        mt::set_num_threads(threads);
      }
    }
  }
  std::printf("cases=%d\n", cases);
}

/// Plans of both kinds stand side by side in a workspace.
TEST(Stage, VisitorsSeeEveryStepsOwnCodes) {
  const Network network = followers(16, 6, 5);
  const q8::Model int8 = mt::passes::convert(trained(network, default_mapping(), 1).prepared);
  const mt::Tensors x = random_inputs(network, 2, 3);
  q8::Workspace workspace;
  std::vector<std::vector<std::uint8_t>> seen[2];
  for (auto& codes : seen) {
    int8.run(x, workspace);
    int8.run(x, workspace, [&](const q8::Step&, const q8::Value& value) {
      if (const auto* q = std::get_if<q8::Tensor>(&value)) codes.push_back(q->stored().to_vector());
    });
  }
  EXPECT_GT(seen[0].size(), 10u);
  EXPECT_EQ(seen[0], seen[1]);
}

}  // namespace stage_test

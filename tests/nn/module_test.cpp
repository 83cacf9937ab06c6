// SPDX-License-Identifier: MIT
// What a module of the user's can get wrong.
#include <midtread/nn/linear.hpp>
#include <midtread/nn/quant_stub.hpp>

#include <support/random_tensor.hpp>

namespace midtread {
namespace module_test {

using namespace test;

struct TwiceImpl : nn::Module {
  Tensor forward(const Tensor& x) override { return fc(x); }
  nn::Linear fc = register_module("fc", nn::Linear(2, 2));
};

TEST(Module, OneInputUnlessForwardManySaysMore) {
  TwiceImpl twice;
  const Tensor x = ones({1, 2});
  EXPECT_EQ(twice.forward_many({x}).size(), 1u);
  expect_error<ShapeError>(
      [&] {
        twice.forward_many({x, x});
      },
      {"takes one input, got 2", "override forward_many for more"});
  expect_error<ShapeError>([&] { twice.forward_many({}); }, {"takes one input, got 0"});
}

TEST(Module, IsClonedWhereItSaysHow) {
  nn::Module::CloneMap map;
  EXPECT_TRUE(nn::Linear(2, 2)->clone(map));
  expect_error<UnsupportedError>([&] { std::make_shared<TwiceImpl>()->clone(map); },
                                 {"this module cannot be cloned", "nn::Leaf"});
}

TEST(Module, FloatFunctionalIsCalledByItsOperations) {
  const nn::FloatFunctional ff;
  EXPECT_TRUE(identical(ff->add(ones({2}), ones({2})), ones({2}) + ones({2})));
  expect_error<UnsupportedError>([&] { ff->forward(ones({2})); },
                                 {"FloatFunctional", "call add, mul, cat", "not forward"});
}

}  // namespace module_test
}  // namespace midtread

// SPDX-License-Identifier: MIT
// Operations with their type erased: called with the wrong number of tensors.
#include <midtread/ops/elementwise.hpp>
#include <midtread/ops/matmul.hpp>

#include <support/random_tensor.hpp>

namespace midtread {
namespace operation_test {

using namespace test;

TEST(Operation, CountsItsInputs) {
  const auto add = ops::make_operation(ops::Add{}), linear = ops::make_operation(ops::Linear{});
  const Tensor x = ones({2, 2});
  EXPECT_TRUE(identical(add->run({x, x}, false), x + x));
  expect_error<ShapeError>([&] { add->run({x}, false); }, {"add", "needs 2 inputs, got 1"});
  expect_error<ShapeError>([&] { add->run({x, x, x}, true); }, {"needs 2 inputs, got 3"});
  expect_error<ShapeError>([&] { linear->run({}, false); }, {"linear", "needs 3 inputs, got 0"});
}

}  // namespace operation_test
}  // namespace midtread

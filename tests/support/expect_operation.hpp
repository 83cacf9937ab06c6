// SPDX-License-Identifier: MIT
// What every module without state must do.
#pragma once

#include <support/call_log.hpp>
#include <support/random_tensor.hpp>

#include <string>

namespace midtread::test {

/// Computes `expected`, is one operation inside one module for a tracer, and clones.
template <class Holder>
void expect_operation(const Holder& module, const Tensor& x, const Tensor& expected, const std::string& type,
                      const std::string& operation, const std::string& repr) {
  EXPECT_TRUE(identical(module(x), expected)) << type;
  EXPECT_EQ(module->type_name(), type);
  EXPECT_EQ(module->extra_repr(), repr);
  {
    CallLog log;
    module->forward(x);
    EXPECT_EQ(log.calls, (Calls{"enter " + type, operation, "leave"}));
  }
  {
    CallLog log;
    module(x);
    EXPECT_EQ(log.calls, (Calls{"enter " + type, "enter " + type, operation, "leave", "leave"}));
    EXPECT_TRUE(identical(log.operations.at(0)->run({x}, module->training()), expected)) << type;
  }
  nn::Module::CloneMap map;
  EXPECT_TRUE(identical(module->clone(map)->forward(x), expected)) << type;
}

}  // namespace midtread::test

// SPDX-License-Identifier: MIT
#include <midtread/core/ordered_dict.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

namespace ordered_dict_test {

using midtread::ConfigError;
using midtread::OrderedDict;

TEST(OrderedDict, SaysWhatThereIs) {
  OrderedDict<int> dict;
  expect_error<ConfigError>([&] { dict.at("a"); }, {"a", "no such name; there is: nothing"});
  dict.insert("b", 1);
  dict.insert("a", 2);
  EXPECT_EQ(dict.at("a"), 2);
  const OrderedDict<int>& constant = dict;
  expect_error<ConfigError>([&] { constant.at("c"); }, {"c", "no such name; there is: b, a"});
  dict.erase("b");
  expect_error<ConfigError>([&] { dict.at("b"); }, {"there is: a"});
}

}  // namespace ordered_dict_test

// SPDX-License-Identifier: MIT
// Networks of every kind: trained a little, converted, and compared code by code on all engines.
#include <support/exactness.hpp>

namespace mt = midtread;
using namespace midtread::test;

namespace convert_networks_test {

class Networks : public testing::TestWithParam<Network> {};

TEST_P(Networks, PreparedAndConvertedAndSimulatedAgree) {
  Tally tally;
  Trained t = trained(GetParam());
  EXPECT_TRUE(t.finite);
  EXPECT_GT(t.gradients, 0);
  expect_exact(t.prepared, GetParam(), {1, 3, 17, 0}, tally);
  tally.print();
}

INSTANTIATE_TEST_SUITE_P(All, Networks, testing::ValuesIn(all_networks()),
                         [](const auto& which) { return which.param.name; });

}  // namespace convert_networks_test

// SPDX-License-Identifier: MIT
#include <midtread/kernels/scratch.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <memory>
#include <vector>

namespace scratch_test {

using midtread::StateError;
using midtread::kernels::Scratch;

TEST(Scratch, LeasesAsManyBlocksAsThreads) {
  Scratch scratch;
  expect_error<StateError>([&] { Scratch::Lease lease(scratch); },
                           {"more leases than threads", "prepare_leases"});
  const int before = midtread::num_threads();
  midtread::set_num_threads(3);
  scratch.prepare_leases(100);
  for (int round = 0; round < 2; ++round) {  // given back at the end of a round
    std::vector<std::unique_ptr<Scratch::Lease>> leases;
    for (int i = 0; i < 3; ++i) {
      leases.push_back(std::make_unique<Scratch::Lease>(scratch));
      for (int j = 0; j < i; ++j)
        EXPECT_NE(leases.back()->data<char>(), leases[static_cast<std::size_t>(j)]->data<char>());
    }
    expect_error<StateError>([&] { Scratch::Lease lease(scratch); }, {"more leases than threads"});
  }
  midtread::set_num_threads(before);
}

}  // namespace scratch_test

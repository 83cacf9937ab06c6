// SPDX-License-Identifier: MIT
#include <midtread/core/parallel.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cstdlib>
#include <string>

namespace parallel_test {

using midtread::ConfigError;

/// The environment is read while no number is set.
class NumThreads : public testing::Test {
 protected:
  void SetUp() override { midtread_state::thread_count.store(0); }
  void TearDown() override {
    if (!before_.empty())
      ::setenv("MIDTREAD_NUM_THREADS", before_.c_str(), 1);
    else
      ::unsetenv("MIDTREAD_NUM_THREADS");
    midtread_state::thread_count.store(0);
  }

 private:
  static std::string current() {
    const char* text = std::getenv("MIDTREAD_NUM_THREADS");
    return text ? text : "";
  }
  const std::string before_ = current();
};

TEST_F(NumThreads, OfTheEnvironment) {
  for (const char* bad : {"", "x", "0", "-1", "1025", "2 threads", "99999999999999999999"}) {
    ::setenv("MIDTREAD_NUM_THREADS", bad, 1);
    expect_error<ConfigError>([] { midtread::num_threads(); }, {"MIDTREAD_NUM_THREADS", "allowed 1..1024"});
  }
  ::setenv("MIDTREAD_NUM_THREADS", "7", 1);
  EXPECT_EQ(midtread::num_threads(), 7);
  ::setenv("MIDTREAD_NUM_THREADS", "9", 1);  // once is enough
  EXPECT_EQ(midtread::num_threads(), 7);
}

TEST_F(NumThreads, SetByHand) {
  for (const int bad : {0, -1, 1025})
    expect_error<ConfigError>([=] { midtread::set_num_threads(bad); },
                              {"set_num_threads", "allowed 1..1024"});
  midtread::set_num_threads(1024);
  EXPECT_EQ(midtread::num_threads(), 1024);
  midtread::set_num_threads(3);
  EXPECT_EQ(midtread::num_threads(), 3);
}

}  // namespace parallel_test

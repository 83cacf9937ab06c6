// SPDX-License-Identifier: MIT
// Built with the flags under test.
#include "unit.hpp"

bool special_errors_work();
std::uint64_t special_int8_hash();
void special_set_flags();

bool special_errors_work() { return errors_work(); }
std::uint64_t special_int8_hash() { return int8_hash(); }
void special_set_flags() {
  midtread::set_num_threads(3);
  midtread::kernels::set_engine("reference");
}

// SPDX-License-Identifier: MIT
// Built with the flags under test.
#include "unit.hpp"

bool special_works();
void special_set_flags();

bool special_works() { return unit_works(); }
void special_set_flags() { midtread::set_num_threads(3); }

// SPDX-License-Identifier: MIT
// Built without -m flags. `program` runs both units; `program baseline` only this one, on a CPU that has no AVX.
#include "unit.hpp"

#include <cstdio>

bool special_works();
void special_set_flags();

int main(int argc, char**) {
  if (!unit_works()) return std::puts("baseline unit fails"), 1;
  if (argc > 1) return 0;
  if (!special_works()) return std::puts("special unit fails"), 2;
  special_set_flags();
  if (midtread::num_threads() != 3) return std::puts("two thread counts"), 3;
  return 0;
}

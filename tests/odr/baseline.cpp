// SPDX-License-Identifier: MIT
// Built without -m flags. `program` runs both units; `program baseline` only this one, on a CPU that has no
// AVX.
#include "unit.hpp"

#include <cinttypes>
#include <cstdio>

bool special_errors_work();
std::uint64_t special_int8_hash();
void special_set_flags();

int main(int argc, char**) {
  const std::uint64_t hash = int8_hash();
  if (!errors_work()) return std::puts("errors fail in the baseline unit"), 1;
  if (argc > 1) return std::printf("%016" PRIx64 "\n", hash), 0;

  if (!special_errors_work()) return std::puts("errors fail in the special unit"), 1;
  if (special_int8_hash() != hash) return std::puts("the units compute different codes"), 1;

  special_set_flags();
  if (midtread::num_threads() != 3) return std::puts("the units have two thread counts"), 1;
  if (midtread::kernels::current_engine() != midtread::kernels::Engine::kReference)
    return std::puts("the units have two engine flags"), 1;
  if (int8_hash() != hash || special_int8_hash() != hash) return std::puts("the reference engine differs"), 1;
  std::printf("%016" PRIx64 "\n", hash);
}

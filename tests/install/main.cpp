// SPDX-License-Identifier: MIT
#include <midtread/midtread.hpp>

#include <cstdio>

int threads_seen_by_other();

int main() {
  midtread::set_num_threads(3);
  if (threads_seen_by_other() != 3) return 1;
  std::printf("midtread %s\n", MIDTREAD_VERSION_STRING);
}

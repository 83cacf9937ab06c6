// SPDX-License-Identifier: MIT
// A second translation unit: everything in the headers must be inline.
#include <midtread/midtread.hpp>

int threads_seen_by_other() { return midtread::num_threads(); }

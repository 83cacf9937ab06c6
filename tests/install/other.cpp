// SPDX-License-Identifier: MIT
// A second translation unit: everything in the headers must be inline.
#if __has_include(<midtread/midtread.hpp>)
#include <midtread/midtread.hpp>
#else
#include <midtread/core/parallel.hpp>
#endif

int threads_seen_by_other() { return midtread::num_threads(); }

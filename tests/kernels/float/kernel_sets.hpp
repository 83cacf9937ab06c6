// SPDX-License-Identifier: MIT
// Every set of float kernels that runs on this machine, and arrays that end at a page nobody may touch.
#pragma once

#include <midtread/core/random.hpp>
#include <midtread/kernels/float/dispatch.hpp>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cstdio>
#include <cstring>
#include <vector>

namespace midtread {

inline std::vector<const kernels::floating::KernelSet<float>*> kernel_sets() {
  std::vector<const kernels::floating::KernelSet<float>*> sets{&kernels::floating::portable::kKernels<float>};
#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
  const kernels::CpuFeatures& features = kernels::cpu_features();
  if (features.avx2 && features.fma) sets.push_back(&kernels::floating::avx2::kKernels<float>);
  if (features.avx512) sets.push_back(&kernels::floating::avx512::kKernels<float>);
#endif
  return sets;
}

/// `count` floats between two pages without access: at the end, so that reading one too many stops the
/// program.
class GuardedArray {
 public:
  explicit GuardedArray(std::int64_t count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)),
               bytes = static_cast<std::size_t>(count) * sizeof(float);
    size_ = (bytes + page - 1) / page * page + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + page, size_ - 2 * page, PROT_READ | PROT_WRITE);
    data_ = reinterpret_cast<float*>(base_ + size_ - page - bytes);
  }
  GuardedArray(std::int64_t count, Generator& g) : GuardedArray(count) {
    for (std::int64_t i = 0; i < count; ++i) data_[i] = static_cast<float>(g.uniform(-1, 1));
  }
  ~GuardedArray() { munmap(base_, size_); }
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;

  float* data() const { return data_; }

 private:
  char* base_;
  std::size_t size_;
  float* data_;
};

/// Largest difference, relative to the sum of the products' sizes that float rounding may lose.
inline double difference(const float* a, const double* b, const double* size, std::int64_t count) {
  double worst = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double error = std::abs(static_cast<double>(a[i]) - b[i]) / (size[i] + 1e-30);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

}  // namespace midtread

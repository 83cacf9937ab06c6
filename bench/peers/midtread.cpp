// SPDX-License-Identifier: MIT
// midtread's own kernels of one instruction set.
#include <memory>

#include "contest.hpp"

namespace peers {

namespace {
struct Job {
  midtread::kernels::PackedWeights weights;
  midtread::kernels::Epilogue epilogue;
  midtread::kernels::Scratch scratch;
  std::vector<std::uint8_t> y;
};
}  // namespace

std::vector<Contestant> midtread_contestants(const Problem& problem, const std::string& isa) {
  namespace k = midtread::kernels;
  auto job = std::make_shared<Job>();
  const k::KernelSet& set = k::select_kernels(k::kAutoEngine, isa);
  job->weights = k::pack_weights(set.conv(problem.shape), problem.shape, problem.w.data());
  job->epilogue.bias = problem.bias.data();
  job->epilogue.multiplier = problem.multiplier.data();
  job->y.resize(problem.y.size());
  const Problem* p = &problem;
  return {{"midtread",
           [job, p] { k::run_conv(job->weights, p->shape, p->x.data(), 0, job->epilogue, job->y.data(), job->scratch); },
           [job] { return static_cast<const std::uint8_t*>(job->y.data()); }}};
}

}  // namespace peers

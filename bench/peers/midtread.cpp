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
           [job, p] {
             k::run_conv(job->weights, p->shape, p->x.data(), 0, job->epilogue, job->y.data(), job->scratch);
           },
           [job] { return static_cast<const std::uint8_t*>(job->y.data()); }}};
}

std::vector<Contestant> midtread_contestants(const Stream& stream, const std::string& isa) {
  namespace k = midtread::kernels;
  auto job = std::make_shared<Job>();
  auto real = std::make_shared<std::vector<float>>(stream.kind == Stream::kDequantize ? stream.count : 0);
  const k::KernelSet* set = &k::select_kernels(k::kAutoEngine, isa);
  job->y.resize(static_cast<std::size_t>(stream.outputs()));
  const Stream* s = &stream;
  const k::QuantizeParams out{s->scale, 0, {0, 255}, midtread::Rounding::kHalfEven};
  std::function<void()> run;
  switch (stream.kind) {
    case Stream::kAdd:
      run = [=] {
        (*set)->add->run(k::elementwise(s->count), s->a.data(), {s->a_scale, 0}, s->b.data(), {s->b_scale, 0},
                         out, job->y.data());
      };
      break;
    case Stream::kAverage:
      run = [=] {
        k::Pool2dShape pool;
        pool.channels = s->outputs();
        pool.in_height = pool.in_width = pool.kernel_height = pool.kernel_width = Stream::kWindow;
        (*set)->average_pool->run(pool, s->a.data(), 0, job->y.data(), job->scratch);
      };
      break;
    case Stream::kQuantize:
      run = [=] { (*set)->quantize->run(s->real.data(), job->y.data(), s->count, out); };
      break;
    case Stream::kDequantize:
      run = [=] { (*set)->dequantize->run(s->a.data(), real->data(), s->count, {s->a_scale, 0}); };
      return {{"midtread", run, nullptr}};
  }
  return {{"midtread", run, [job] { return static_cast<const std::uint8_t*>(job->y.data()); }}};
}

}  // namespace peers

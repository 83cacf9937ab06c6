// SPDX-License-Identifier: MIT
// gemmlowp: uint8 by uint8, one fixed-point multiplier for all channels. It packs both operands in every
// call.
#include <cmath>
#include <memory>
#include <tuple>

#include "contest.hpp"

#ifdef MIDTREAD_PEER_GEMMLOWP
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <gemmlowp/public/gemmlowp.h>
#include <gemmlowp/public/output_stages.h>

namespace peers {

namespace {
struct Job {
  gemmlowp::GemmContext context;
  std::vector<std::uint8_t> w, y;
  std::int32_t multiplier = 0;
  int exponent = 0;
};
}  // namespace

std::vector<Contestant> gemmlowp_contestants(const Problem& problem) {
  const auto& s = problem.shape;
  if (!s.is_pointwise() || s.groups != 1) return {};
  auto job = std::make_shared<Job>();
  job->context.set_max_num_threads(1);
  for (const std::int8_t w : problem.w) job->w.push_back(static_cast<std::uint8_t>(w + 128));
  job->y.resize(problem.y.size());
  const double part = std::frexp(static_cast<double>(problem.multiplier.front()), &job->exponent);
  job->multiplier = static_cast<std::int32_t>(std::lround(part * 2147483647.0));
  const int rows = static_cast<int>(s.batch * s.in_pixels()), depth = static_cast<int>(s.in_channels),
            columns = static_cast<int>(s.out_channels);
  const std::uint8_t* x = problem.x.data();
  const std::int32_t* bias_codes = problem.bias.data();
  const auto run = [=] {
    using Column = gemmlowp::VectorMap<const std::int32_t, gemmlowp::VectorShape::Col>;
    gemmlowp::OutputStageBiasAddition<Column> bias;
    bias.bias_vector = Column(bias_codes, columns);
    gemmlowp::OutputStageScaleInt32ByFixedPointAndExponent scale;
    scale.result_fixedpoint_multiplier = job->multiplier;
    scale.result_exponent = job->exponent;
    scale.result_offset_after_shift = 0;
    const auto pipeline = std::make_tuple(bias, scale, gemmlowp::OutputStageClamp{0, 255},
                                          gemmlowp::OutputStageSaturatingCastToUint8{});
    const gemmlowp::MatrixMap<const std::uint8_t, gemmlowp::MapOrder::RowMajor> w(job->w.data(), columns,
                                                                                  depth, depth);
    const gemmlowp::MatrixMap<const std::uint8_t, gemmlowp::MapOrder::ColMajor> in(x, depth, rows, depth);
    gemmlowp::MatrixMap<std::uint8_t, gemmlowp::MapOrder::ColMajor> out(job->y.data(), columns, rows,
                                                                        columns);
    gemmlowp::GemmWithOutputPipeline<std::uint8_t, std::uint8_t, gemmlowp::DefaultL8R8BitDepthParams>(
        &job->context, w, in, &out, -128, 0, pipeline);
  };
  return {{"gemmlowp", run, [job] { return static_cast<const std::uint8_t*>(job->y.data()); }}};
}

}  // namespace peers
#pragma GCC diagnostic pop
#else
namespace peers {
std::vector<Contestant> gemmlowp_contestants(const Problem&) { return {}; }
}  // namespace peers
#endif

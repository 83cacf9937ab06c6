// SPDX-License-Identifier: MIT
// Eigen's float product with the instruction sets this file is compiled for: what the same layer costs
// without int8.
#include <Eigen/Core>
#include <memory>

#include "contest.hpp"

namespace peers {

namespace {
using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Columns = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
struct Job {
  Rows x, y;
  Columns w;
};
}  // namespace

std::vector<Contestant> eigen_contestants(const Problem& problem) {
  const auto& s = problem.shape;
  if (!s.is_pointwise() || s.groups != 1) return {};
  auto job = std::make_shared<Job>();
  const Eigen::Index rows = s.batch * s.in_pixels();
  job->x = Eigen::Map<const Eigen::Matrix<std::uint8_t, -1, -1, Eigen::RowMajor>>(problem.x.data(), rows,
                                                                                  s.in_channels)
               .cast<float>();
  job->w =
      Eigen::Map<const Eigen::Matrix<std::int8_t, -1, -1>>(problem.w.data(), s.in_channels, s.out_channels)
          .cast<float>();
  job->y.resize(rows, s.out_channels);
  return {{"eigen_float", [job] { job->y.noalias() = job->x * job->w; }, nullptr}};
}

}  // namespace peers

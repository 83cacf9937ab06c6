// SPDX-License-Identifier: MIT
// The examples' networks, prepared and converted, for benchmarks above kernels/.
#pragma once

#include <midtread/midtread.hpp>

#include <support/models.hpp>

namespace bench {

/// [batch, 1, 28, 28].
inline midtread::Tensor images(std::int64_t batch) { return midtread::randn({batch, 1, 28, 28}); }

inline midtread::quant::QConfigMapping mapping() {
  return midtread::quant::QConfigMapping().set_global(midtread::quant::get_default_qat_qconfig());
}

/// Calibrated, in eval mode.
inline midtread::graph::GraphModule prepared(const std::string& model) {
  namespace passes = midtread::passes;
  auto graph = passes::prepare_qat(
      passes::fuse_modules(midtread::graph::trace(examples::make_model(model), images(2))), mapping());
  passes::calibrate(graph, images(8));
  graph.eval();
  return graph;
}

}  // namespace bench

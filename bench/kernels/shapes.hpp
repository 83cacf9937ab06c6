// SPDX-License-Identifier: MIT
// The shapes that every engine is measured on: bench/shapes/*.txt, one per line, # starts a comment.
#pragma once

#include <midtread/kernels/dispatch.hpp>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

/// Lines of `count` numbers from <directory>/<name>; the directory is MIDTREAD_SHAPES_DIR, environment first.
inline std::vector<std::vector<std::int64_t>> read_shapes(const std::string& name, std::size_t count) {
  std::string directory;
#ifdef MIDTREAD_SHAPES_DIR
  directory = MIDTREAD_SHAPES_DIR;
#endif
  if (const char* text = std::getenv("MIDTREAD_SHAPES_DIR")) directory = text;
  std::ifstream file(directory + "/" + name);
  if (!file) throw std::runtime_error("cannot read " + directory + "/" + name + ": set MIDTREAD_SHAPES_DIR");
  std::vector<std::vector<std::int64_t>> shapes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::vector<std::int64_t> shape;
    for (std::int64_t value; words >> value;) shape.push_back(value);
    if (shape.empty()) continue;
    if (shape.size() != count)
      throw std::runtime_error(name + ": not " + std::to_string(count) + " numbers: " + line);
    shapes.push_back(shape);
  }
  return shapes;
}

/// Every instruction set of this machine's own engine, best first.
inline const std::vector<midtread::kernels::KernelSet>& machine_sets() {
  return midtread::kernels::kernel_sets(midtread::kernels::kAutoEngine);
}

}  // namespace bench

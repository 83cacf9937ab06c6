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

/// A row of conv.txt: height, width, input and output channels, kernel, stride, padding, groups, batch.
inline midtread::kernels::Conv2dShape conv_shape(const std::vector<std::int64_t>& row) {
  midtread::kernels::Conv2dShape s;
  s.in_height = row[0];
  s.in_width = row[1];
  s.in_channels = row[2];
  s.out_channels = row[3];
  s.kernel_height = s.kernel_width = row[4];
  s.stride_height = s.stride_width = row[5];
  s.pad_height = s.pad_width = row[6];
  s.groups = row[7];
  s.batch = row[8];
  s.out_height = midtread::kernels::conv_output_size(row[0], row[4], row[5], row[6], 1);
  s.out_width = midtread::kernels::conv_output_size(row[1], row[4], row[5], row[6], 1);
  return s;
}

/// Every instruction set of this machine's own engine, best first.
inline const std::vector<midtread::kernels::KernelSet>& machine_sets() {
  return midtread::kernels::kernel_sets(midtread::kernels::kAutoEngine);
}

}  // namespace bench

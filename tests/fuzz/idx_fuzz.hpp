// SPDX-License-Identifier: MIT
// Fuzz target: any bytes as an IDX file, plain and packed. Only FormatError may come out.
#pragma once

#include <midtread/data/idx.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

/// Returns how many readings succeeded.
inline int fuzz_idx(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  int good = 0;
  try {
    const midtread::AnyTensor tensor = midtread::data::parse_idx(bytes, "fuzz");
    const std::size_t width = data[2] == 0x0B ? 2 : midtread::size_of(tensor.dtype());
    const auto values = static_cast<std::size_t>(tensor.bytes()) / midtread::size_of(tensor.dtype());
    if (4 + 4 * std::size_t{data[3]} + values * width != size) std::abort();  // every byte is accounted for
    ++good;
  } catch (const midtread::FormatError&) {
  }
#if MIDTREAD_HAVE_ZLIB
  try {
    midtread::data::parse_idx(midtread::data::gunzip(bytes, "fuzz.gz", std::size_t{1} << 20), "fuzz.gz");
    ++good;
  } catch (const midtread::FormatError&) {
  }
#endif
  return good;
}

inline std::vector<std::string> idx_seeds() {
  const auto make = [](char type, std::vector<unsigned char> dims, std::size_t body) {
    std::string out = {'\0', '\0', type, static_cast<char>(dims.size())};
    for (const unsigned char dim : dims) out += std::string("\0\0\0", 3) + static_cast<char>(dim);
    for (std::size_t i = 0; i < body; ++i) out += static_cast<char>(i * 7);
    return out;
  };
  return {
      make(8, {3, 4, 5}, 60),
      make(8, {9}, 9),
      make(9, {2, 2}, 4),
      make(11, {3}, 6),
      make(12, {2, 1}, 8),
      make(13, {1, 2, 1}, 8),
      make(14, {2}, 16),
      make(8, {0, 28, 28}, 0),
      make(8, {1, 1, 1, 1, 1, 1, 1, 1}, 1),
      std::string(
          "\x1f\x8b\x08\0\0\0\0\0\x02\x03\x63\x60\xe0\x60\x64\x60\x60\x60\x4e\x4c\x4a\x06\0\x54\x24\x25\xc4"
          "\x0b\0\0\0",
          31)};
}

// SPDX-License-Identifier: MIT
// Damages bytes the way a fuzzer does, from a seed: what failed once fails again.
#pragma once

#include <midtread/core/random.hpp>

#include <cstdint>
#include <string>
#include <vector>

/// `bytes` with one to four flips, insertions, removals, repeats, pieces of `other` or interesting numbers.
inline std::string mutated(std::string bytes, const std::string& other, midtread::Generator& random) {
  const auto below = [&](std::size_t bound) {
    return static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bound)));
  };
  const std::vector<std::string> words = {"0",
                                          "-1",
                                          "18446744073709551615",
                                          "9223372036854775808",
                                          "{",
                                          "}",
                                          "[",
                                          "]",
                                          ",",
                                          ":",
                                          "\"",
                                          "\"F32\"",
                                          "null",
                                          "1e9",
                                          "\\u0000",
                                          "__metadata__",
                                          "data_offsets",
                                          std::string(8, '\xff'),
                                          std::string(4, '\0')};
  for (std::size_t change = 0, changes = 1 + below(4); change < changes; ++change) {
    const std::size_t at = below(bytes.size() + 1), most = bytes.size() - at;
    switch (below(7)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(below(256));
        break;
      case 2: bytes.erase(at, 1 + below(8)); break;
      case 3: bytes.insert(at, words[below(words.size())]); break;
      case 4: bytes.insert(at, bytes.substr(at, below(most + 1))); break;
      case 5: bytes.insert(at, other.substr(below(other.size() + 1), below(64))); break;
      default: bytes.resize(at); break;
    }
    if (bytes.size() > 4096) bytes.resize(4096);
  }
  return bytes;
}

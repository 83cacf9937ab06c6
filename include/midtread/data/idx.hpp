// SPDX-License-Identifier: MIT
// IDX, the format of MNIST: 00 00 type rank, a big-endian uint32 per dimension, row-major big-endian values.
#pragma once

#include <midtread/data/gunzip.hpp>
#include <midtread/data/read_file.hpp>
#include <midtread/tensor/any_tensor.hpp>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(data)

/// As many big-endian values as `shape` holds.
template <class Stored, class Scalar>
BasicTensor<Scalar> read_big_endian(const char* from, const Shape& shape) {
  using Bits = std::conditional_t<sizeof(Stored) == 8, std::uint64_t, std::uint32_t>;
  BasicTensor<Scalar> out(shape);
  Scalar* to = out.mutable_data();
  if (sizeof(Stored) == 1) {
    if (out.numel() > 0) std::memcpy(to, from, static_cast<std::size_t>(out.numel()));
    return out;
  }
  for (std::int64_t i = 0; i < out.numel(); ++i, from += sizeof(Stored)) {
    Bits bits = 0;
    for (std::size_t b = 0; b < sizeof(Stored); ++b)
      bits = static_cast<Bits>(bits << 8) | static_cast<unsigned char>(from[b]);
    if constexpr (std::is_floating_point_v<Stored>)
      std::memcpy(to + i, &bits, sizeof(Stored));
    else
      to[i] = static_cast<Scalar>(static_cast<Stored>(bits));
  }
  return out;
}

/// `bytes` as an IDX file. int16 values become int32. Throws FormatError at `where`:offset.
inline AnyTensor parse_idx(std::string_view bytes, const std::string& where) {
  const auto fail = [&](std::size_t offset, const std::string& text) {
    return FormatError(concat(where, ":", offset), text);
  };
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned>(static_cast<unsigned char>(bytes[i]));
  };
  if (bytes.size() < 4) throw fail(0, concat("got ", bytes.size(), " bytes, an IDX file begins with 4"));
  if (byte(0) != 0 || byte(1) != 0)
    throw fail(0, concat("begins with bytes ", byte(0), " ", byte(1), ", an IDX file with 0 0",
                         byte(0) == 0x1f && byte(1) == 0x8b ? "; this is a gzip file, name it .gz" : ""));
  std::size_t width = 0;
  switch (byte(2)) {
    case 0x08:
    case 0x09: width = 1; break;
    case 0x0B: width = 2; break;
    case 0x0C:
    case 0x0D: width = 4; break;
    case 0x0E: width = 8; break;
    default: throw fail(2, concat("got type ", byte(2), ", allowed 8, 9, 11, 12, 13, 14"));
  }
  const std::size_t rank = byte(3);
  if (rank < 1 || rank > static_cast<std::size_t>(Shape::kMaxRank))
    throw fail(3, concat("got ", rank, " dimensions, allowed 1..", Shape::kMaxRank));
  const std::size_t begin = 4 + 4 * rank;
  if (bytes.size() < begin) throw fail(bytes.size(), concat("ends within the header of ", begin, " bytes"));

  const std::uint64_t room = bytes.size() - begin;
  Shape shape;
  std::uint64_t promised = width;  // bytes; checked before every product
  bool empty = false;
  for (std::size_t d = 0; d < rank; ++d) {
    const std::size_t at = 4 + 4 * d;
    const std::uint64_t dim =
        std::uint64_t{byte(at)} << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
    shape.push_back(static_cast<std::int64_t>(dim));
    if (dim == 0)
      empty = true;
    else if (promised > INT64_MAX / 16 / dim)
      throw fail(at, concat("the dimensions' product overflows at dimension ", d, " = ", dim));
    else
      promised *= dim;
  }
  if (empty) promised = 0;
  if (room != promised)
    throw fail(bytes.size(), concat("ends here, ", room, " bytes after the header; its dimensions ", shape,
                                    " of ", width, " bytes promise ", promised));
  const char* from = bytes.data() + begin;
  switch (byte(2)) {
    case 0x08: return read_big_endian<std::uint8_t, std::uint8_t>(from, shape);
    case 0x09: return read_big_endian<std::int8_t, std::int8_t>(from, shape);
    case 0x0B: return read_big_endian<std::int16_t, std::int32_t>(from, shape);
    case 0x0C: return read_big_endian<std::int32_t, std::int32_t>(from, shape);
    case 0x0D: return read_big_endian<float, float>(from, shape);
    default: return read_big_endian<double, double>(from, shape);
  }
}

/// Reads an IDX file; unpacked first if its name ends in .gz. Throws IoError, FormatError.
inline AnyTensor load_idx(const std::string& path) {
  const std::string bytes = read_file(path);
  const bool packed = path.size() >= 3 && path.compare(path.size() - 3, 3, ".gz") == 0;
  return packed ? parse_idx(gunzip(bytes, path), path) : parse_idx(bytes, path);
}

MIDTREAD_NAMESPACE_END
